//! The way out: which proxy a request to ECS takes.
//!
//! As the AWS tools and the ECS agent take them: `HTTPS_PROXY`, else `HTTP_PROXY` for https too;
//! `host:port/` without a scheme; `NO_PROXY` with spaces, CIDR, ports and subdomains; loopback is
//! never proxied. The nearest place that names a proxy wins; the agent's own `ecs.config` comes last.

use crate::config::error::ConfigError;
use crate::config::sources::{Sources, last};
use crate::config::url::has_host;
use crate::config::value::{ConfigValue, Origin};
use crate::files;
use crate::keyvalue;
use crate::system::ecs_config::ECS_CONFIG;
use crate::text::sanitize;
use http::Uri;
use ipnet::IpNet;
use std::net::IpAddr;
use std::path::Path;
use ureq::Proxy;

/// The way to one endpoint.
#[derive(Debug, Default)]
pub(crate) struct Route {
    pub(crate) proxy: Option<Proxy>,
    /// How it came about, for people. Never holds the proxy's password.
    pub(crate) why: String,
    /// What `NO_PROXY` exempts.
    pub(crate) exempt: String,
}

/// The way to `endpoint`.
///
/// # Errors
/// A proxy that cannot be parsed; it is never passed over, for the way without it may be open.
pub(crate) fn route(endpoint: &Uri, sources: &Sources) -> Result<Route, ConfigError> {
    let ecs_config = ecs_config_places(&read_ecs_config());
    let places: Vec<&[ConfigValue]> = sources.places().chain([ecs_config.as_slice()]).collect();
    choose(endpoint, &places)
}

/// An agent without settings is as good as one with none about proxies.
fn read_ecs_config() -> String {
    files::read(Path::new(ECS_CONFIG)).unwrap_or_else(|e| {
        if e.kind() != std::io::ErrorKind::NotFound {
            log::warn!("{ECS_CONFIG} cannot be read, so a proxy that is set there is not known: {e}; mend its permissions");
        }
        String::new()
    })
}

fn ecs_config_places(text: &str) -> Vec<ConfigValue> {
    let given = |key: &str| {
        let pair = keyvalue::lookup(text, key)?;
        let origin = Origin::File { path: Path::new(ECS_CONFIG).into(), line: pair.line };
        Some(ConfigValue { key: key.to_owned(), value: pair.value.to_owned(), origin })
    };
    ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy"]
        .into_iter()
        .filter_map(given)
        .collect()
}

fn choose(endpoint: &Uri, places: &[&[ConfigValue]]) -> Result<Route, ConfigError> {
    let exempt = first(places, &["NO_PROXY", "no_proxy"]).map_or("", |g| g.value.as_str());
    let direct = |why: String| Ok(Route { proxy: None, why, exempt: sanitize(exempt) });
    let host = endpoint.host().unwrap_or_default().trim_matches(['[', ']']);
    let names: &[&str] = match endpoint.scheme_str() {
        Some("https") => &["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"],
        _ => &["HTTP_PROXY", "http_proxy"],
    };
    let Some(given) = first(places, names) else {
        return direct("no proxy is set".to_owned());
    };
    let from = format!("{} ({})", given.key, given.origin);
    if given.value.trim().is_empty() {
        return direct(format!("{from} is empty"));
    }
    if is_loopback(host) {
        return direct(format!("{host} is this host"));
    }
    if let Some(entry) = exempting(exempt, host, endpoint.port_u16()) {
        return direct(format!("NO_PROXY exempts {host} by {}", sanitize(entry)));
    }
    let proxy = parse(&given.value)
        .ok_or_else(|| ConfigError::Proxy { key: given.key.clone(), origin: given.origin.clone() })?;
    let why = format!("{}:{} by {from}", proxy.host(), proxy.port());
    Ok(Route { proxy: Some(proxy), why, exempt: sanitize(exempt) })
}

/// The first of `names` in the first place that has one.
fn first<'a>(places: &[&'a [ConfigValue]], names: &[&str]) -> Option<&'a ConfigValue> {
    places.iter().find_map(|place| names.iter().find_map(|name| last(place, |g| g.key == *name)))
}

fn parse(value: &str) -> Option<Proxy> {
    let value = value.trim();
    let with_scheme = if value.contains("://") { value.to_owned() } else { format!("http://{value}") };
    let known = with_scheme.starts_with("http://") || with_scheme.starts_with("https://");
    Proxy::new(with_scheme.strip_suffix('/').unwrap_or(&with_scheme))
        .ok()
        .filter(|p| known && has_host(p.uri()))
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// The entry of `NO_PROXY` that exempts `host`, if one does.
fn exempting<'a>(no_proxy: &'a str, host: &str, port: Option<u16>) -> Option<&'a str> {
    let mut entries = no_proxy.split([',', ' ']).map(str::trim).filter(|e| !e.is_empty());
    entries.find(|entry| exempts(entry, host, port))
}

fn exempts(entry: &str, host: &str, port: Option<u16>) -> bool {
    if let Ok(ip) = host.parse::<IpAddr>() {
        let net = entry.parse::<IpNet>().is_ok_and(|net| net.contains(&ip));
        return entry == "*" || net || entry.trim_matches(['[', ']']).parse() == Ok(ip);
    }
    let (name, wanted_port) = match entry.rsplit_once(':') {
        Some((name, digits)) => match digits.parse() {
            Ok(port) => (name, Some(port)),
            Err(_) => return false,
        },
        None => (entry, None),
    };
    let (host, name) = (host.to_ascii_lowercase(), name.to_ascii_lowercase());
    let bare = name.trim_start_matches("*.").trim_start_matches('.');
    let below = host.strip_suffix(bare).is_some_and(|rest| rest.ends_with('.'));
    let same = host == bare && bare == name;
    entry == "*" || ((same || below) && !bare.is_empty() && (wanted_port.is_none() || wanted_port == port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(pairs: &[(&str, &str)]) -> Vec<ConfigValue> {
        let given = |(key, value): &(&str, &str)| ConfigValue {
            key: (*key).to_owned(),
            value: (*value).to_owned(),
            origin: Origin::Environment,
        };
        pairs.iter().map(given).collect()
    }

    fn way(url: &str, places: &[&[ConfigValue]]) -> String {
        match choose(&url.parse().unwrap(), places) {
            Ok(Route { proxy: Some(proxy), .. }) => format!("{}:{}", proxy.host(), proxy.port()),
            Ok(Route { proxy: None, .. }) => "direct".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    const ECS: &str = "https://ecs.us-east-1.amazonaws.com/";

    #[test]
    fn the_forms_that_operators_write() {
        for (value, expected) in [
            ("http://10.0.0.131:3128", "10.0.0.131:3128"),
            ("10.0.0.131:3128", "10.0.0.131:3128"),
            ("10.0.0.131:3128/", "10.0.0.131:3128"),
            ("http://user:pass@proxy:8080/", "proxy:8080"),
            ("", "direct"),
        ] {
            assert_eq!(way(ECS, &[&given(&[("HTTPS_PROXY", value)])]), expected, "{value}");
            assert_eq!(way(ECS, &[&given(&[("http_proxy", value)])]), expected, "{value}");
        }
        for value in ["http://", "socks5://a:1", "a b", "a:x1"] {
            assert!(way(ECS, &[&given(&[("HTTPS_PROXY", value)])]).contains("is no proxy"), "{value}");
        }
    }

    #[test]
    fn the_nearest_place_wins_and_https_goes_before_http() {
        let (near, far) =
            (given(&[("HTTP_PROXY", "near:1")]), given(&[("HTTPS_PROXY", "far:1"), ("HTTP_PROXY", "x:1")]));
        assert_eq!(way(ECS, &[&near, &far]), "near:1");
        assert_eq!(way(ECS, &[&[], &far]), "far:1");
        assert_eq!(way("http://ecs.example/", &[&[], &far]), "x:1");
        assert_eq!(way("http://127.0.0.2:5000/", &[&near]), "direct");
    }

    #[test]
    fn exemptions() {
        let exempt = |no_proxy: &str, url: &str| {
            way(url, &[&given(&[("HTTPS_PROXY", "p:1"), ("NO_PROXY", no_proxy)])]) == "direct"
        };
        for no_proxy in [
            "*",
            "amazonaws.com",
            ".amazonaws.com",
            "*.amazonaws.com",
            "localhost, ECS.us-east-1.amazonaws.com",
            "a b amazonaws.com",
            "amazonaws.com:443x,ecs.us-east-1.amazonaws.com",
        ] {
            assert!(exempt(no_proxy, ECS), "{no_proxy}");
        }
        for no_proxy in [
            "",
            "zonaws.com",
            ".ecs.us-east-1.amazonaws.com",
            "10.0.0.0/8",
            "amazonaws.com:8443",
            "amazonaws.com:443x",
            "169.254.169.254,,",
        ] {
            assert!(!exempt(no_proxy, ECS), "{no_proxy}");
        }
        assert!(exempt("10.0.0.0/8", "https://10.1.2.3/") && exempt("fd00::/8", "https://[fd00::1]/"));
        assert!(exempt("amazonaws.com:8443", "https://ecs.us-east-1.amazonaws.com:8443/"));
        assert!(!exempt("10.0.0.0/8", "https://11.1.2.3/"));
    }

    #[test]
    fn the_agent_s_own_settings_are_read_as_the_agent_reads_them() {
        let places = ecs_config_places(
            "#HTTPS_PROXY=x:1\nnonsense\nHTTP_PROXY=10.0.0.131:3128\nNO_PROXY=169.254.169.254\n",
        );
        assert_eq!(way(ECS, &[&[], &[], &[], &places]), "10.0.0.131:3128");
    }
}
