//! Who listens on a port of this host: any local user can, so the process on the agent's port need not be the agent.
//!
//! The kernel is asked for the socket that accepts the connection ([`sock_diag`]). Where it does not say, its tables of TCP
//! sockets (`/proc/self/net/tcp`, `tcp6`; proc(5)) name the user of each. Listening sockets come first in them, so reading stops
//! at the first other one. `/proc/net` is the same, but a hardened unit may not have it.

use crate::system::sock_diag;
use crate::users::{is_trusted, is_unmapped};
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The tables. A socket for both families is in the second one only.
const TABLES: [&str; 2] = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];

/// The state of a socket that listens (`TCP_LISTEN` of the kernel).
const LISTENING: &str = "0A";

/// Why a listening socket is not trusted to be the agent's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stranger {
    User(u32),
    /// One whom this user namespace does not map.
    Unmapped,
    /// No socket listens there any more.
    Nobody,
}

impl fmt::Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stranger::User(uid) => write!(f, "user {uid} listens there"),
            Stranger::Unmapped => f.write_str("another user listens there"),
            Stranger::Nobody => f.write_str("nothing listens there any more"),
        }
    }
}

impl std::error::Error for Stranger {}

impl Stranger {
    /// The stranger in `error`, if that is its cause.
    pub(crate) fn of(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }
}

/// Checks that root or the user of this program listens at `address`.
///
/// # Errors
/// Someone else does, or nobody.
pub(crate) fn check(address: SocketAddr) -> Result<(), Stranger> {
    match owners(address) {
        Ok(owners) => judge(&owners),
        Err(error) => {
            log::debug!("cannot determine who listens at {address}: {error}");
            Ok(())
        }
    }
}

/// # Errors
/// [`Stranger`]: nobody listens there, or someone else does.
fn judge(owners: &[u32]) -> Result<(), Stranger> {
    match owners.iter().find(|uid| !is_trusted(**uid)) {
        Some(uid) if is_unmapped(*uid) => Err(Stranger::Unmapped),
        Some(uid) => Err(Stranger::User(*uid)),
        None if owners.is_empty() => Err(Stranger::Nobody),
        None => Ok(()),
    }
}

/// The user of the socket that accepts connections to `address`, or of all sockets that listen there.
///
/// # Errors
/// Neither the kernel nor the tables can be asked.
fn owners(address: SocketAddr) -> io::Result<Vec<u32>> {
    match sock_diag::owner(address) {
        Ok(uid) => Ok(vec![uid]),
        Err(_) => owners_in_tables(address),
    }
}

/// The same from the tables of /proc. A kernel without IPv6 has one table.
///
/// # Errors
/// A table cannot be read.
fn owners_in_tables(address: SocketAddr) -> io::Result<Vec<u32>> {
    let mut owners = Vec::new();
    for path in TABLES {
        match File::open(path) {
            Ok(table) => owners.extend(listening(table, address)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound && path != TABLES[0] => {}
            Err(error) => return Err(error),
        }
    }
    Ok(owners)
}

/// The users of the sockets of a table that listen at `address`.
///
/// # Errors
/// What is not such a table.
pub(crate) fn listening(table: impl Read, address: SocketAddr) -> io::Result<Vec<u32>> {
    let strange = || io::Error::new(io::ErrorKind::InvalidData, "it is not a table of sockets");
    let (mut table, mut line, mut owners) = (BufReader::new(table), String::new(), Vec::new());
    table.read_line(&mut line)?;
    loop {
        // The same memory for all of them, as musl gives back to the kernel what is freed. And no limit to them: a user
        // who opens many sockets must not end the reading before it comes to his.
        line.clear();
        if table.read_line(&mut line)? == 0 {
            return Ok(owners);
        }
        let (local, state, uid) = socket(&line).ok_or_else(strange)?;
        if state != LISTENING {
            return Ok(owners);
        }
        if answers(local, address).ok_or_else(strange)? {
            owners.push(uid.parse().map_err(|_| strange())?);
        }
    }
}

/// Local address, state and user of a socket, from
/// `0: 0100007F:C9DE 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 ...`: number, local address, remote address,
/// state, queues, timer, retransmissions, user.
fn socket(line: &str) -> Option<(&str, &str, &str)> {
    let mut words = line.split_ascii_whitespace().skip(1);
    Some((words.next()?, words.nth(1)?, words.nth(3)?))
}

/// Whether a connection to `address` may end at a socket with this local one.
fn answers(local: &str, address: SocketAddr) -> Option<bool> {
    let (ip, port) = local.split_once(':')?;
    let ip = ip_address(ip)?;
    let same = ip.to_canonical() == address.ip().to_canonical() || ip.is_unspecified();
    Some(same && number(port)? == u32::from(address.port()))
}

/// From words of eight digits, each in the byte order of this host.
fn ip_address(digits: &str) -> Option<IpAddr> {
    let word = |at: usize| number(digits.get(at..at + 8)?).map(u32::to_ne_bytes);
    match digits.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?];
            Some(Ipv6Addr::from_octets(*words.as_flattened().first_chunk()?).into())
        }
        _ => None,
    }
}

fn number(digits: &str) -> Option<u32> {
    // A number of Rust's may have a sign.
    u32::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))
}

#[cfg(all(test, target_endian = "little"))]
mod tests {
    use super::*;
    use std::net::TcpListener;

    const HEAD: &str =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
    const V4: &str = "127.0.0.1:51678";
    const V6: &str = "[::1]:51678";

    fn row(address: &str, state: &str, uid: u32) -> String {
        format!(
            "   0: {address} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000 {uid:5}        0 1060 1 0000000013005b4f 100 0 0 10 0\n"
        )
    }

    fn read(rows: &[String], address: &str) -> io::Result<Vec<u32>> {
        listening([HEAD, &rows.concat()].concat().as_bytes(), address.parse().unwrap())
    }

    #[test]
    fn the_address_the_wildcard_and_no_other_counts() {
        for (local, v4, v6) in [
            ("0100007F:C9DE", true, false),
            ("00000000:C9DE", true, true),
            ("0200007F:C9DE", false, false),
            ("0100007F:C9DF", false, false),
            ("00000000000000000000000000000000:C9DE", true, true),
            ("0000000000000000FFFF00000100007F:C9DE", true, false),
            ("00000000000000000000000001000000:C9DE", false, true),
        ] {
            let rows = [row(local, "0A", 1000)];
            assert_eq!(read(&rows, V4).unwrap().len(), usize::from(v4), "{local}");
            assert_eq!(read(&rows, V6).unwrap().len(), usize::from(v6), "{local}");
        }
    }

    #[test]
    fn all_that_listen_there_must_be_trusted() {
        let us = rustix::process::geteuid().as_raw();
        assert_eq!(judge(&[0, us]), Ok(()));
        assert_eq!(judge(&[0, us + 1]), Err(Stranger::User(us + 1)));
        assert_eq!(judge(&[]), Err(Stranger::Nobody));
    }

    #[test]
    fn reading_stops_at_the_first_socket_that_does_not_listen() {
        let rows = [row("0100007F:C9DE", "0A", 0), row("x", "01", 0)];
        assert_eq!(read(&rows, V4).unwrap(), [0]);
        let rows = [row("0100007F:C9DE", "01", 1), row("0100007F:C9DE", "0A", 1000)];
        assert!(read(&rows, V4).unwrap().is_empty(), "a connection is nobody who listens");
    }

    #[test]
    fn what_is_no_table_is_an_error() {
        for line in [
            "",
            "x",
            "0: 0100007F:C9DE",
            "0: +100007F:C9DE 0:0 0A 0:0 0:0 0 0",
            "0: é00007F:C9DE 0:0 0A 0:0 0:0 0 0",
        ] {
            assert!(read(&[format!("{line}\n")], V4).is_err(), "{line}");
        }
        assert!(listening("".as_bytes(), V4.parse().unwrap()).unwrap().is_empty());
    }

    #[test]
    fn what_the_kernel_says() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let us = rustix::process::geteuid().as_raw();
        assert_eq!((owners(address).unwrap(), owners_in_tables(address).unwrap()), (vec![us], vec![us]));
        assert_eq!(check(address), Ok(()));
        drop(listener);
        assert_eq!(check(address), Err(Stranger::Nobody));
    }
}
