//! Who is asking, what may they do: users, robots, tokens, roles.
