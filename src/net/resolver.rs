//! Host names: an address is used as it is, a name is looked up.
//!
//! The agent and IMDS are addresses, and the agent is asked ten times a second, so they need no thread. ureq's own
//! resolver needs one for everything, and panics when it cannot create one.

use crate::net::lookup::look_up;
use http::Uri;
use std::net::SocketAddr;
use ureq::config::Config;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// A resolver that takes addresses as they are and looks up names.
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
            Ok(ip) => vec![ip],
            Err(_) => look_up(host, *timeout.after)?,
        };
        let mut addresses = self.empty();
        found.into_iter().take(MOST).for_each(|ip| addresses.push(SocketAddr::new(ip, port)));
        if addresses.is_empty() { Err(ureq::Error::HostNotFound) } else { Ok(addresses) }
    }
}

/// Host and port; the port is the scheme's own unless the address has one.
pub(crate) fn place(uri: &Uri) -> Option<(&str, u16)> {
    let default = match uri.scheme_str()? {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    Some((uri.host()?.trim_matches(['[', ']']), uri.port_u16().unwrap_or(default)))
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
