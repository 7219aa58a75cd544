//! Harbor's API.
