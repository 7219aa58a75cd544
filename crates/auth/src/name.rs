use crate::AuthError;

/// What every robot's login name begins with, unless the operator sets something else. No user's
/// name may.
pub const ROBOT_PREFIX: &str = "robot$";

/// Longest name of a robot within its project or the system, in bytes.
pub const MAX_ROBOT_NAME_BYTES: usize = 255;

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

/// Whether this may be a robot's name within its project or the system, by Harbor's rule: letters
/// in lower case and digits, with one of `._-` between them.
pub fn check_robot_name(name: &str) -> Result<(), AuthError> {
    let letters = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    if name.len() <= MAX_ROBOT_NAME_BYTES && name.split(['.', '_', '-']).all(letters) {
        return Ok(());
    }
    Err(AuthError::Name(
        "a robot's name has 1 to 255 lower-case letters and digits, with one of . _ - between them",
    ))
}

/// A robot's login name; without a project that of a robot of the whole system. This and
/// [`split_robot`] alone know what such a name looks like.
pub fn robot_login(project: Option<&str>, name: &str) -> String {
    match project {
        Some(project) => format!("{ROBOT_PREFIX}{project}+{name}"),
        None => format!("{ROBOT_PREFIX}{name}"),
    }
}

/// Project and name of a robot's login name; no project for a robot of the whole system. `None`
/// when it is a user's.
pub fn split_robot(login: &str) -> Option<(Option<&str>, &str)> {
    // A project's name holds no `+`, nor does a robot's.
    let rest = login.strip_prefix(ROBOT_PREFIX)?;
    Some(match rest.split_once('+') {
        Some((project, name)) => (Some(project), name),
        None => (None, rest),
    })
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
        for good in ["ci", "ci-1", "a.b_c", &"a".repeat(255)] {
            assert!(check_robot_name(good).is_ok(), "{good}");
        }
        for bad in ["", "-ci", "ci-", "c--i", "CI", "a+b", "a$b", "é", &"a".repeat(256)] {
            assert!(check_robot_name(bad).is_err(), "{bad}");
        }
        assert_eq!(split_robot(&robot_login(Some("app"), "ci")), Some((Some("app"), "ci")));
        assert_eq!(split_robot(&robot_login(None, "ci")), Some((None, "ci")));
        assert_eq!(split_robot("ann+ci"), None);
    }
}
