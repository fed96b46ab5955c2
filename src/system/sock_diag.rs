//! Asks the kernel which socket accepts connections to an address, and which user owns it (sock_diag(7)).
//!
//! This takes microseconds. Reading the tables in `/proc` takes milliseconds on a host with much memory, because the kernel
//! walks all buckets of its hash table of connections, most of which are empty.

use rustix::io::{Errno, Result};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with,
};
use std::net::{IpAddr, SocketAddr};

/// The type of request and response (`SOCK_DIAG_BY_FAMILY`), and the flag of a request (`NLM_F_REQUEST`).
const BY_FAMILY: u16 = 20;
const REQUEST: u16 = 1;

const INET: u8 = 2;
const INET6: u8 = 10;
const TCP: u8 = 6;

/// The state of a socket that listens.
const LISTENING: u8 = 10;

/// `nlmsghdr` and `inet_diag_req_v2` together.
const REQUEST_LENGTH: u32 = 16 + 56;

/// Where a response has its type (in `nlmsghdr`), state and user (in `inet_diag_msg`).
const TYPE: usize = 4;
const STATE: usize = 16 + 1;
const USER: usize = 16 + 64;

/// The part of a response that is read, with some room.
const RESPONSE_LENGTH: usize = 256;

/// The user of the socket that accepts connections to `address`.
///
/// # Errors
/// There is no such socket, or the kernel or the sandbox does not provide the interface. `NOENT` can mean either.
pub(crate) fn owner(address: SocketAddr) -> Result<u32> {
    let (datagram, protocol) = (SocketType::DGRAM, Some(netlink::SOCK_DIAG));
    let socket = socket_with(AddressFamily::NETLINK, datagram, SocketFlags::CLOEXEC, protocol)?;
    send(&socket, &request(address), SendFlags::DONTWAIT)?;
    let mut response = [0; RESPONSE_LENGTH];
    recv(&socket, &mut response, RecvFlags::DONTWAIT)?;
    user(&response).ok_or(Errno::NOENT)
}

/// Any remote address, interface and cookie.
fn request(address: SocketAddr) -> Vec<u8> {
    let (family, local) = match address.ip().to_canonical() {
        IpAddr::V4(ip) => (INET, [ip.octets().as_slice(), &[0; 12]].concat()),
        IpAddr::V6(ip) => (INET6, ip.octets().to_vec()),
    };
    [
        REQUEST_LENGTH.to_ne_bytes().as_slice(),
        &BY_FAMILY.to_ne_bytes(),
        &REQUEST.to_ne_bytes(),
        &[0; 8], // sequence number, sender
        &[family, TCP, 0, 0],
        &(1_u32 << LISTENING).to_ne_bytes(),
        &address.port().to_be_bytes(),
        &[0; 2], // remote port
        &local,
        &[0; 16],   // remote address
        &[0; 4],    // interface
        &[0xff; 8], // cookie
    ]
    .concat()
}

fn user(response: &[u8]) -> Option<u32> {
    let kind = u16::from_ne_bytes(*response.get(TYPE..)?.first_chunk()?);
    let user = u32::from_ne_bytes(*response.get(USER..)?.first_chunk()?);
    (kind == BY_FAMILY && response.get(STATE) == Some(&LISTENING)).then_some(user)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind;
    use std::net::TcpListener;

    /// The wildcard of IPv6 accepts connections to IPv4 addresses as well. Build roots lack IPv6, or the loopback interface;
    /// the tests of the built binary do not run there.
    #[test]
    fn the_listening_socket_is_the_one_that_accepts() {
        let us = rustix::process::geteuid().as_raw();
        for (local, to, listens) in [
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("127.0.0.1", "::ffff:127.0.0.1", true),
            ("127.0.0.1", "::1", false),
            ("0.0.0.0", "127.0.0.1", true),
            ("::1", "::1", true),
            ("::1", "127.0.0.1", false),
            ("::", "127.0.0.1", true),
        ] {
            let listener = match TcpListener::bind((local, 0)) {
                Err(error) if error.kind() == ErrorKind::AddrNotAvailable => continue,
                bound => bound.unwrap(),
            };
            let address = SocketAddr::new(to.parse().unwrap(), listener.local_addr().unwrap().port());
            assert_eq!(owner(address).ok(), listens.then_some(us), "{local} {to}");
            drop(listener);
            assert_eq!(owner(address), Err(Errno::NOENT));
        }
    }

    #[test]
    fn only_a_response_that_names_a_listening_socket_counts() {
        let mut response = [0; RESPONSE_LENGTH];
        assert_eq!(user(&response), None);
        (response[TYPE], response[STATE], response[USER]) = (20, LISTENING, 7);
        assert_eq!(user(&response), Some(7));
        for (at, value) in [(TYPE, 2), (STATE, 1)] {
            let mut other = response;
            other[at] = value;
            assert_eq!(user(&other), None);
        }
        assert_eq!(user(&response[..USER + 3]), None);
    }
}
