//! `NO_PROXY`: which hosts are reached without the proxy.
//!
//! The rules are those of Go's `golang.org/x/net/http/httpproxy`, because the ECS agent follows them and both
//! read the same setting. This program is more lenient in two ways: entries may be separated by spaces, as for
//! curl, and an IPv6 address without a port may be in brackets.

use ipnet::IpNet;
use std::net::IpAddr;

/// The first entry of `no_proxy` that exempts `host` on `port`.
pub(crate) fn exempting<'a>(no_proxy: &'a str, host: &str, port: u16) -> Option<&'a str> {
    let host = host.to_ascii_lowercase();
    let mut entries = no_proxy.split([',', ' ', '\t']).filter(|entry| !entry.is_empty());
    entries.find(|entry| exempts(&entry.to_ascii_lowercase(), &host, port))
}

fn exempts(entry: &str, host: &str, port: u16) -> bool {
    let ip = parse_ip(host);
    if entry == "*" {
        return true;
    }
    if let Ok(network) = entry.parse::<IpNet>() {
        return ip.is_some_and(|ip| network.contains(&ip));
    }
    let (name, wanted_port) = split_port(entry);
    let same_host = match (parse_ip(name), ip) {
        (Some(wanted), Some(ip)) => wanted == ip,
        (None, None) => is_or_is_below(host, name),
        _ => false,
    };
    same_host && (wanted_port.is_empty() || wanted_port == port.to_string())
}

/// An IPv4 address written as IPv6 is the same address.
fn parse_ip(text: &str) -> Option<IpAddr> {
    text.parse().map(|ip: IpAddr| ip.to_canonical()).ok()
}

/// Host and port; the port is empty when the entry has none. An IPv6 address with a port is in brackets.
fn split_port(entry: &str) -> (&str, &str) {
    let (host, port) = match entry.rsplit_once(':') {
        Some((host, port)) if host.ends_with(']') || !host.contains(':') => (host, port),
        _ => (entry, ""),
    };
    (host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(host), port)
}

/// `example.com` matches itself and its subdomains; `.example.com` and `*.example.com` only the subdomains.
fn is_or_is_below(host: &str, name: &str) -> bool {
    let name = name.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(name);
    let domain = name.strip_prefix('.').unwrap_or(name);
    let is_below = host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
    !domain.is_empty() && (is_below || host == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ECS: (&str, u16) = ("ecs.us-east-1.amazonaws.com", 443);
    const V4: (&str, u16) = ("10.0.0.5", 443);
    const V6: (&str, u16) = ("fd00::1", 443);
    const V6_8443: (&str, u16) = ("fd00::1", 8443);

    /// `NO_PROXY`, host and port, whether Go exempts them; made from the documented rules of `httpproxy.Config.NoProxy`.
    const TABLE: &[(&str, (&str, u16), bool)] = &[
        // Nothing, and everything.
        ("", ECS, false),
        (",", ECS, false),
        (" , ,", ECS, false),
        ("*", ECS, true),
        ("*", V4, true),
        ("*", V6, true),
        ("a,*", ECS, true),
        (" * ", ECS, true),
        ("**", ECS, false),
        ("*:443", ECS, false),
        // A domain name matches that name and all subdomains.
        ("ecs.us-east-1.amazonaws.com", ECS, true),
        ("ECS.us-east-1.AmazonAWS.com", ECS, true),
        ("us-east-1.amazonaws.com", ECS, true),
        ("amazonaws.com", ECS, true),
        ("com", ECS, true),
        ("zonaws.com", ECS, false),
        ("cs.us-east-1.amazonaws.com", ECS, false),
        ("ecs.us-east-1.amazonaws", ECS, false),
        ("ecs.us-east-1", ECS, false),
        ("x.ecs.us-east-1.amazonaws.com", ECS, false),
        ("amazonaws.com.", ECS, false),
        ("amazonaws.com.cn", ECS, false),
        ("https://amazonaws.com", ECS, false),
        ("amazonaws.com/", ECS, false),
        // With a leading dot, or a label of "*", only the subdomains.
        (".amazonaws.com", ECS, true),
        ("*.amazonaws.com", ECS, true),
        (".us-east-1.amazonaws.com", ECS, true),
        (".ecs.us-east-1.amazonaws.com", ECS, false),
        ("*.ecs.us-east-1.amazonaws.com", ECS, false),
        ("*amazonaws.com", ECS, false),
        ("ecs.*.amazonaws.com", ECS, false),
        ("..amazonaws.com", ECS, false),
        (".", ECS, false),
        ("*.", ECS, false),
        (".amazonaws.com", ("amazonaws.com", 443), false),
        ("amazonaws.com", ("amazonaws.com", 443), true),
        ("amazonaws.com", ("AMAZONAWS.COM", 443), true),
        // With a port, only that port; the default port is implied in the address.
        ("ecs.us-east-1.amazonaws.com:443", ECS, true),
        ("amazonaws.com:443", ECS, true),
        (".amazonaws.com:443", ECS, true),
        ("*.amazonaws.com:443", ECS, true),
        ("amazonaws.com:80", ECS, false),
        (".amazonaws.com:8443", ECS, false),
        ("amazonaws.com:8443", ("ecs.us-east-1.amazonaws.com", 8443), true),
        ("amazonaws.com:443", ("ecs.us-east-1.amazonaws.com", 8443), false),
        ("amazonaws.com", ("ecs.us-east-1.amazonaws.com", 8443), true),
        ("amazonaws.com:", ECS, true),
        ("amazonaws.com:0443", ECS, false),
        ("amazonaws.com:https", ECS, false),
        ("amazonaws.com:443x", ECS, false),
        (":443", ECS, false),
        // Addresses.
        ("10.0.0.5", V4, true),
        ("10.0.0.5:443", V4, true),
        ("10.0.0.5:80", V4, false),
        ("10.0.0.5:", V4, true),
        ("10.0.0", V4, false),
        ("10.0.0.50", V4, false),
        ("010.0.0.5", V4, false),
        ("0.0.5", V4, false),
        ("::ffff:10.0.0.5", V4, true),
        ("10.0.0.5", ECS, false),
        ("amazonaws.com", V4, false),
        ("5", V4, false),
        (".0.0.5", V4, false),
        ("fd00::1", V6, true),
        ("FD00:0::0:1", V6, true),
        ("[fd00::1]:443", V6, true),
        ("[fd00::1]:8443", V6_8443, true),
        ("[fd00::1]:8443", V6, false),
        ("fd00::1", V6_8443, true),
        ("fd00::2", V6, false),
        // Networks, whatever the port.
        ("10.0.0.0/8", V4, true),
        ("10.0.0.5/32", V4, true),
        ("10.0.0.77/24", V4, true),
        ("10.0.0.6/32", V4, false),
        ("11.0.0.0/8", V4, false),
        ("0.0.0.0/0", V4, true),
        ("10.0.0.0/8:443", V4, false),
        ("10.0.0.0/33", V4, false),
        ("10.0.0.0/8", ("10.9.9.9", 8443), true),
        ("0.0.0.0/0", ECS, false),
        ("0.0.0.0/0", V6, false),
        ("fd00::/8", V6, true),
        ("fe80::/10", V6, false),
        ("::/0", V6, true),
        // Lists.
        ("169.254.169.254,169.254.170.2,/var/run/docker.sock", ECS, false),
        ("169.254.169.254, .amazonaws.com ,10.0.0.0/8", ECS, true),
        ("nonsense:::,amazonaws.com", ECS, true),
    ];

    #[test]
    fn an_entry_means_what_it_means_to_go() {
        for (no_proxy, (host, port), exempt) in TABLE {
            assert_eq!(exempting(no_proxy, host, *port).is_some(), *exempt, "{no_proxy} for {host}:{port}");
        }
    }

    #[test]
    fn spaces_separate_and_brackets_need_no_port() {
        assert_eq!(exempting("a b  .amazonaws.com", ECS.0, 443), Some(".amazonaws.com"));
        assert_eq!(exempting("a\tAmazonaws.com", ECS.0, 443), Some("Amazonaws.com"));
        assert_eq!(exempting("[fd00::1]", V6.0, 443), Some("[fd00::1]"));
    }
}
