//! Name lookups: both families at once, each by itself.
//!
//! musl's lookup of both families fails as a whole when one response is bad (NXDOMAIN, SERVFAIL, REFUSED, or none at
//! all), although the other family's addresses are there; glibc's does not. The C library has no time limit either, so
//! each lookup runs on a thread of its own. An abandoned one ends when the C library gives up, after about 10 s.

use dns_lookup::{AddrFamily, AddrInfoHints, LookupErrorKind, SockType, getaddrinfo};
use std::io;
use std::net::IpAddr;
use std::sync::mpsc::{self, Receiver};
use std::thread::Builder;
use std::time::{Duration, Instant};

/// Once one family has an address, the other one gets this much longer.
const GRACE: Duration = Duration::from_secs(1);

/// The C library gives up earlier.
const LONGEST: Duration = Duration::from_secs(600);

type Answer = io::Result<Vec<IpAddr>>;

/// The addresses of `host`, IPv6 first; none when the name does not resolve within `limit`.
///
/// # Errors
/// No thread, no memory or no file descriptor for the lookup.
pub(crate) fn look_up(host: &str, limit: Duration) -> Answer {
    let (sender, answers) = mpsc::channel();
    for family in [AddrFamily::Inet6, AddrFamily::Inet] {
        let (host, found) = (host.to_owned(), sender.clone());
        // The receiver is gone when this lookup was abandoned.
        let lookup = move || drop(found.send(addresses(&host, family)));
        if let Err(e) = Builder::new().spawn(lookup) {
            let no_thread = format!("cannot create a thread for the name lookup: {e}");
            drop(sender.send(Err(io::Error::new(e.kind(), no_thread))));
        }
    }
    drop(sender);
    collect(&answers, limit, GRACE)
}

/// One lookup, which blocks.
///
/// # Errors
/// What the resolver of the C library reports.
fn addresses(host: &str, family: AddrFamily) -> Answer {
    let hints = AddrInfoHints {
        address: family.into(),
        socktype: SockType::Stream.into(),
        ..AddrInfoHints::default()
    };
    match getaddrinfo(Some(host), None, Some(hints)) {
        Ok(found) => found.map(|address| address.map(|a| a.sockaddr.ip())).collect(),
        Err(e) if matches!(e.kind(), LookupErrorKind::System | LookupErrorKind::Memory) => Err(e.into()),
        Err(_) => Ok(Vec::new()),
    }
}

/// What comes within `limit`. An error counts only when there is no address.
///
/// # Errors
/// No address came within `limit`: the last error, or a timeout.
fn collect(answers: &Receiver<Answer>, limit: Duration, grace: Duration) -> Answer {
    let mut end = Instant::now() + limit.min(LONGEST);
    let (mut found, mut failed) = (Vec::new(), None);
    while let Ok(answer) = answers.recv_timeout(end.saturating_duration_since(Instant::now())) {
        match answer {
            Ok(addresses) if addresses.is_empty() => (),
            Ok(addresses) => {
                found.extend(addresses);
                end = end.min(Instant::now() + grace);
            }
            Err(e) => failed = Some(e),
        }
    }
    found.sort_by_key(IpAddr::is_ipv4);
    match failed {
        Some(e) if found.is_empty() => Err(e),
        _ => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind;

    const SOON: Duration = Duration::from_millis(10);
    const LATE: Duration = Duration::from_secs(30);

    fn ips(text: &str) -> Vec<IpAddr> {
        text.split_whitespace().map(|ip| ip.parse().unwrap()).collect()
    }

    /// What comes of these answers; with `pending`, one more family is still being looked up.
    fn collected(given: Vec<Answer>, pending: bool, limit: Duration, grace: Duration) -> Answer {
        let (sender, answers) = mpsc::channel();
        given.into_iter().for_each(|answer| sender.send(answer).unwrap());
        let _still_looking = pending.then_some(sender);
        collect(&answers, limit, grace)
    }

    #[test]
    fn ipv6_comes_first_whichever_answer_does() {
        let both = || vec![Ok(ips("10.0.0.2 10.0.0.1")), Ok(ips("fd00::1"))];
        assert_eq!(collected(both(), false, LATE, LATE).unwrap(), ips("fd00::1 10.0.0.2 10.0.0.1"));
    }

    #[test]
    fn one_family_is_enough_and_the_other_one_gets_a_little_longer() {
        let (one, began) = (|| vec![Ok(ips("10.0.0.1"))], Instant::now());
        assert_eq!(collected(one(), true, LATE, SOON).unwrap(), ips("10.0.0.1"));
        assert_eq!(collected(one(), true, SOON, LATE).unwrap(), ips("10.0.0.1"));
        assert!(began.elapsed() < LATE, "it waited for the other family");
        let with_nothing = vec![Ok(Vec::new()), Ok(ips("10.0.0.1"))];
        assert_eq!(collected(with_nothing, false, LATE, LATE).unwrap(), ips("10.0.0.1"));
        let with_error = vec![Err(ErrorKind::OutOfMemory.into()), Ok(ips("::1"))];
        assert_eq!(collected(with_error, false, LATE, LATE).unwrap(), ips("::1"));
    }

    #[test]
    fn a_name_without_an_address_has_none_and_an_error_is_told() {
        assert_eq!(collected(vec![Ok(Vec::new()), Ok(Vec::new())], false, LATE, LATE).unwrap(), ips(""));
        assert_eq!(collected(Vec::new(), true, SOON, LATE).unwrap(), ips(""));
        let failed = collected(vec![Err(ErrorKind::OutOfMemory.into()), Ok(Vec::new())], false, LATE, LATE);
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::OutOfMemory);
    }

    #[test]
    fn a_name_of_this_host_is_looked_up_in_both_families() {
        let found = look_up("localhost", LATE).unwrap();
        assert!(found.contains(&ips("127.0.0.1")[0]), "{found:?}");
    }
}
