//! Which proxy a request to ECS uses.
//!
//! As the AWS tools and the ECS agent take them: `HTTPS_PROXY`, else `HTTP_PROXY` for https too; `host:port/` without a
//! scheme; `NO_PROXY` as Go reads it (`no_proxy`); loopback is never proxied. The nearest place that names a proxy wins; the
//! agent's own settings come last.

use crate::config::error::ConfigError;
use crate::config::sources::{Sources, last};
use crate::config::url::{has_host, is_loopback};
use crate::config::value::ConfigValue;
use crate::net::no_proxy::exempting;
use crate::net::resolver::place;
use crate::text::shorten;
use http::Uri;
use ureq::Proxy;

/// How an endpoint is reached: directly or through a proxy, and which setting says so.
#[derive(Debug, Default)]
pub(crate) struct Route {
    pub(crate) proxy: Option<Proxy>,
    /// Which setting decided, for people. Never contains the proxy's password.
    pub(crate) why: String,
    /// What `NO_PROXY` exempts.
    pub(crate) exempt: String,
}

/// How `endpoint` is reached.
///
/// # Errors
/// A proxy that cannot be parsed. It is never ignored, as the direct path may be open.
pub(crate) fn route(endpoint: &Uri, sources: &Sources) -> Result<Route, ConfigError> {
    choose(endpoint, &sources.places().collect::<Vec<_>>())
}

/// # Errors
/// [`ConfigError`]: the proxy's URL is invalid or unsupported.
fn choose(endpoint: &Uri, places: &[&[ConfigValue]]) -> Result<Route, ConfigError> {
    let exempt = first(places, &["NO_PROXY", "no_proxy"]).map_or("", |g| g.value.as_str());
    let direct = |why: String| Ok(Route { proxy: None, why, exempt: shorten(exempt) });
    let (host, port) = place(endpoint).unwrap_or_default();
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
    if let Some(entry) = exempting(exempt, host, port) {
        return direct(format!("NO_PROXY exempts {host} by {entry}"));
    }
    let proxy = parse(&given.value)
        .ok_or_else(|| ConfigError::Proxy { key: given.key.clone(), origin: given.origin.clone() })?;
    let why = format!("{}:{} by {from}", proxy.host(), proxy.port());
    Ok(Route { proxy: Some(proxy), why, exempt: shorten(exempt) })
}

/// The first of `names` in the first place that has one.
fn first<'a>(places: &[&'a [ConfigValue]], names: &[&str]) -> Option<&'a ConfigValue> {
    places.iter().find_map(|place| names.iter().find_map(|name| last(place, |g| g.key == *name)))
}

/// A scheme may be in capitals. Without one it is http; `10.0.0.131:3128/` is how the ECS documentation writes it.
fn parse(value: &str) -> Option<Proxy> {
    let (scheme, rest) = value.trim().split_once("://").unwrap_or(("http", value.trim()));
    let scheme = scheme.to_ascii_lowercase();
    let known = matches!(scheme.as_str(), "http" | "https");
    let proxy = Proxy::new(&format!("{scheme}://{}", rest.strip_suffix('/').unwrap_or(rest))).ok();
    proxy.filter(|proxy| known && has_host(proxy.uri()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::value::Origin;

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
            ("HTTP://10.0.0.131:3128", "10.0.0.131:3128"),
            ("Https://proxy:3129/", "proxy:3129"),
            ("http://user:pass@proxy:8080/", "proxy:8080"),
            ("", "direct"),
        ] {
            assert_eq!(way(ECS, &[&given(&[("HTTPS_PROXY", value)])]), expected, "{value}");
            assert_eq!(way(ECS, &[&given(&[("http_proxy", value)])]), expected, "{value}");
        }
        for value in ["http://", "socks5://a:1", "a b", "a:x1"] {
            assert!(
                way(ECS, &[&given(&[("HTTPS_PROXY", value)])]).contains("is not a valid proxy"),
                "{value}"
            );
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
    fn an_exemption_may_name_the_default_port() {
        let exempt = |no_proxy: &str, url: &str| {
            way(url, &[&given(&[("HTTPS_PROXY", "p:1"), ("HTTP_PROXY", "p:1"), ("NO_PROXY", no_proxy)])])
                == "direct"
        };
        assert!(exempt("ecs.us-east-1.amazonaws.com:443", ECS) && !exempt("amazonaws.com:80", ECS));
        assert!(
            exempt(".example:80", "http://ecs.example/") && !exempt(".example:443", "http://ecs.example/")
        );
        assert!(
            exempt("[fd00::1]:8443", "https://[fd00::1]:8443/ecs")
                && exempt("10.0.0.5:443", "https://10.0.0.5/")
        );
    }
}
