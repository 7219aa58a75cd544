use crate::AuthError;

/// What every robot's login name begins with. No user's name may.
pub const ROBOT_PREFIX: &str = "robot$";

/// Names that records use for something else.
const RESERVED: [&str; 3] = ["anonymous", "system", "sealock"];

/// Whether this may be a user's login name: 1 to 255 bytes of letters, digits and `._-@+`, so that
/// it can stand in a Basic header, a record and a robot's name without a doubt.
pub fn check_user_name(name: &str) -> Result<(), AuthError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@' | '+');
    if name.is_empty() || name.len() > 255 || !name.chars().all(plain) {
        return Err(AuthError::Name(
            "a user name has 1 to 255 letters, digits or any of . _ - @ +",
        ));
    }
    if RESERVED.iter().any(|reserved| name.eq_ignore_ascii_case(reserved)) {
        return Err(AuthError::Name("this user name is reserved"));
    }
    Ok(())
}

/// Whether this may be a robot's name within its project.
pub fn check_robot_name(name: &str) -> Result<(), AuthError> {
    let plain =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-');
    let ends = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let good = name.len() <= 64
        && name.chars().all(plain)
        && name.starts_with(ends)
        && name.ends_with(ends);
    if good {
        return Ok(());
    }
    Err(AuthError::Name(
        "a robot's name has 1 to 64 lower-case letters, digits or any of . _ - and begins and \
         ends with a letter or digit",
    ))
}

/// A robot's login name.
pub fn robot_login(project: &str, name: &str) -> String {
    format!("{ROBOT_PREFIX}{project}+{name}")
}

/// Project and name of a robot's login name. `None` when it is a user's.
pub(crate) fn split_robot(login: &str) -> Option<(&str, &str)> {
    // A project's name holds no `+`.
    login.strip_prefix(ROBOT_PREFIX).map(|rest| rest.split_once('+').unwrap_or((rest, "")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["a", "ann", "Ann.B-c_d@example.org", "x+y"] {
            assert!(check_user_name(good).is_ok(), "{good}");
        }
        for bad in ["", "a b", "a:b", "robot$x+y", "a\0", "é", "Anonymous", &"a".repeat(256)] {
            assert!(check_user_name(bad).is_err(), "{bad}");
        }
        for good in ["ci", "ci-1", "a.b_c"] {
            assert!(check_robot_name(good).is_ok(), "{good}");
        }
        for bad in ["", "-ci", "ci-", "CI", "a+b", "a$b", &"a".repeat(65)] {
            assert!(check_robot_name(bad).is_err(), "{bad}");
        }
        assert_eq!(split_robot(&robot_login("app", "ci")), Some(("app", "ci")));
        assert_eq!(split_robot("robot$app"), Some(("app", "")));
        assert_eq!(split_robot("ann+ci"), None);
    }
}
