//! Host names: an address is taken as it stands, a name is looked up.
//!
//! ureq looks everything up on a thread of its own, so that it can give up. The agent and IMDS are
//! addresses, and the agent is asked ten times a second, so they need no thread.

use http::Uri;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use ureq::config::Config;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

#[derive(Debug, Default)]
pub(crate) struct AddressOrName(DefaultResolver);

impl Resolver for AddressOrName {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let Some(address) = address(uri) else {
            return self.0.resolve(uri, config, timeout);
        };
        let mut addresses = self.empty();
        addresses.push(address);
        Ok(addresses)
    }
}

fn address(uri: &Uri) -> Option<SocketAddr> {
    let host: IpAddr = uri.host()?.trim_matches(['[', ']']).parse().ok()?;
    let default = match uri.scheme_str()? {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    Some(SocketAddr::new(host, uri.port_u16().unwrap_or(default)))
}

/// Whether it names a host, and a port that is a number if any; `http` looks less closely.
pub(crate) fn has_host(url: &Uri) -> bool {
    let place = url.authority().map_or("", |a| a.as_str()).rsplit('@').next().unwrap_or_default();
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (place, "0"),
    };
    let host_is_sound = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(ip) => ip.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)),
    };
    host_is_sound && port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_as_they_stand() {
        let taken = |uri: &str| address(&uri.parse().unwrap()).map(|a| a.to_string());
        assert_eq!(taken("http://127.0.0.1:51678/v1/metadata").as_deref(), Some("127.0.0.1:51678"));
        assert_eq!(taken("http://169.254.169.254/latest").as_deref(), Some("169.254.169.254:80"));
        assert_eq!(taken("http://[fd00:ec2::254]").as_deref(), Some("[fd00:ec2::254]:80"));
        assert_eq!(taken("https://10.0.0.1/").as_deref(), Some("10.0.0.1:443"));
        for name in
            ["https://ecs.us-east-1.amazonaws.com/", "http://localhost:51678", "http://1.2.3/", "/path"]
        {
            assert_eq!(taken(name), None, "{name}");
        }
    }
}
