//! The users of this host, and which of them this program trusts with its files and sockets.

use rustix::process::geteuid;

/// What a user namespace shows instead of a user that it does not map (user_namespaces(7)), unless the administrator has
/// chosen another number.
const OVERFLOW: u32 = 65534;

/// Whether it is root or the user of this program.
pub(crate) fn is_trusted(uid: u32) -> bool {
    uid == 0 || uid == geteuid().as_raw()
}

/// Whether `uid` stands for all users that this user namespace does not map, root of the host among them.
pub(crate) fn is_unmapped(uid: u32) -> bool {
    uid == OVERFLOW && !maps(&std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default(), uid)
}

/// Whether a line of `uid_map` covers `uid`. Without the file there are no user namespaces.
fn maps(uid_map: &str, uid: u32) -> bool {
    let number = |word: Option<&str>| word.and_then(|word| word.parse::<u64>().ok()).unwrap_or_default();
    let covers = |line: &str| {
        let mut words = line.split_whitespace();
        let (first, length) = (number(words.next()), number(words.nth(1)));
        (first..first + length).contains(&uid.into())
    };
    uid_map.is_empty() || uid_map.lines().any(covers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_maps_all_users_some_or_one() {
        assert!(maps("         0          0 4294967295\n", OVERFLOW), "the first namespace");
        assert!(maps("0 100000 65536\n", OVERFLOW), "a container with users of its own");
        assert!(!maps("         0       1000          1\n", OVERFLOW), "unshare --map-root-user");
        assert!(maps("0 1000 1\n65534 100000 1\n", OVERFLOW));
        assert!(maps("", OVERFLOW));
    }

    #[test]
    fn root_and_this_user_are_trusted() {
        assert!(is_trusted(0) && is_trusted(geteuid().as_raw()) && !is_trusted(OVERFLOW - 1));
        assert!(!is_unmapped(0));
    }
}
