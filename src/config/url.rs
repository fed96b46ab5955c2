//! Addresses in settings: only those that a request can be sent to are valid.

use http::Uri;
use std::net::{IpAddr, Ipv6Addr};

/// The address of something on this host: plain http with a host and no query, without a slash at its end.
pub(crate) fn parse_local_url(value: &str) -> Option<String> {
    parse_url(value)
        .filter(|url| url.scheme_str() == Some("http"))
        .map(|_| value.trim_end_matches('/').to_owned())
}

/// An http or https address with a host and no query.
pub(crate) fn parse_url(value: &str) -> Option<Uri> {
    let uri: Uri = value.parse().ok()?;
    // A password would end up in the log, with the address.
    let password = uri.authority().is_some_and(|a| a.as_str().contains('@'));
    let sound = !password
        && matches!(uri.scheme_str(), Some("http" | "https"))
        && has_host(&uri)
        && uri.query().is_none();
    sound.then_some(uri)
}

/// Whether it names a host, and a port that is a number if any; the crate `http` checks less.
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

/// Whether a request to `host` stays on this host.
pub(crate) fn is_loopback(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}
