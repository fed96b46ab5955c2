//! Host names: an address is taken as it stands, a name is looked up.
//!
//! The lookup is made on a thread of its own, so that it can be given up. The agent and IMDS are
//! addresses, and the agent is asked ten times a second, so they need no thread. ureq's own resolver
//! needs one for everything, and panics when there is none to be had.

use http::Uri;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::mpsc;
use std::thread::Builder;
use ureq::config::Config;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

#[derive(Debug)]
pub(crate) struct AddressOrName;

/// As many as [`ResolvedSocketAddrs`] has room for.
const MOST: usize = 16;

impl Resolver for AddressOrName {
    fn resolve(
        &self,
        uri: &Uri,
        _: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let (host, port) = place(uri).ok_or_else(|| ureq::Error::BadUri(uri.to_string()))?;
        let found = match host.parse() {
            Ok(ip) => vec![SocketAddr::new(ip, port)],
            Err(_) => look_up(host.to_owned(), port, timeout)?,
        };
        let mut addresses = self.empty();
        found.into_iter().take(MOST).for_each(|address| addresses.push(address));
        if addresses.is_empty() { Err(ureq::Error::HostNotFound) } else { Ok(addresses) }
    }
}

/// Host and port.
fn place(uri: &Uri) -> Option<(&str, u16)> {
    let default = match uri.scheme_str()? {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    Some((uri.host()?.trim_matches(['[', ']']), uri.port_u16().unwrap_or(default)))
}

/// The C library's lookup knows no limit, so it is left behind when it takes too long: nobody answers for the name, be it
/// ECS's or the proxy's.
fn look_up(host: String, port: u16, timeout: NextTimeout) -> Result<Vec<SocketAddr>, ureq::Error> {
    let (found, finding) = mpsc::sync_channel(1);
    let lookup = move || found.send((host, port).to_socket_addrs().map(Vec::from_iter));
    let no_thread = |e| io::Error::other(format!("no thread can be made to look the name up: {e}"));
    Builder::new().spawn(lookup).map_err(no_thread)?;
    let in_time = finding.recv_timeout(*timeout.after).map_err(|_| ureq::Error::HostNotFound)?;
    Ok(in_time?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_as_they_stand() {
        let resolve = |uri: &str| {
            let found =
                AddressOrName.resolve(&uri.parse().unwrap(), &Config::default(), NextTimeout::default());
            found.map(|a| a.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")).ok()
        };
        assert_eq!(resolve("http://127.0.0.1:51678/v1/metadata").as_deref(), Some("127.0.0.1:51678"));
        assert_eq!(resolve("http://169.254.169.254/latest").as_deref(), Some("169.254.169.254:80"));
        assert_eq!(resolve("http://[fd00:ec2::254]").as_deref(), Some("[fd00:ec2::254]:80"));
        assert_eq!(resolve("https://10.0.0.1/").as_deref(), Some("10.0.0.1:443"));
        assert!(resolve("http://localhost:51678").unwrap().contains("127.0.0.1:51678"));
        assert_eq!(resolve("/path"), None);
    }
}
