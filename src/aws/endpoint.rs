//! Where ECS is: the address of its API in the instance's region, or the one that was set.
//!
//! The rules are those of the AWS SDKs' endpoint rule set for ECS; the partition is a field of the
//! instance's ARN, so no region has to be matched.

use crate::config::error::ConfigError;
use crate::config::settings::EndpointSettings;
use crate::config::url::is_loopback;
use crate::config::value::ConfigValue;
use crate::system::routes::DefaultRoutes;
use http::Uri;

/// DNS suffixes of a partition: plain and dual-stack (partitions.json of the AWS SDKs).
const SUFFIXES: [(&str, &str, &str); 8] = [
    ("aws", "amazonaws.com", "api.aws"),
    ("aws-cn", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    ("aws-us-gov", "amazonaws.com", "api.aws"),
    ("aws-eusc", "amazonaws.eu", "api.amazonwebservices.eu"),
    ("aws-iso", "c2s.ic.gov", "api.aws.ic.gov"),
    ("aws-iso-b", "sc2s.sgov.gov", "api.aws.scloud"),
    ("aws-iso-e", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    ("aws-iso-f", "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
];

/// The address of ECS's API, and why it is this one.
#[derive(Clone, Debug)]
pub(crate) struct EcsAddress {
    pub(crate) url: Uri,
    /// The settings or the routes that decided.
    pub(crate) reason: String,
    /// Whether nothing but the region decided.
    pub(crate) is_default: bool,
}

impl EcsAddress {
    /// Whether the session token can be read on the network path.
    pub(crate) fn is_unencrypted(&self) -> bool {
        self.url.scheme_str() == Some("http") && !is_loopback(self.url.host().unwrap_or_default())
    }
}

/// For an address that [`EcsAddress::is_unencrypted`].
pub(crate) const UNENCRYPTED: &str = "plain http to another host sends the session token unencrypted";
pub(crate) const USE_HTTPS: &str = "use an https endpoint";

/// Whether [`of`] gives one for this partition.
pub(crate) fn is_known(partition: &str, settings: &EndpointSettings) -> bool {
    settings.url.is_some() || SUFFIXES.iter().any(|(name, ..)| *name == partition)
}

/// The custom endpoint, else the one of the partition and region: dual-stack if that is set, or if this instance has
/// IPv6 alone, by the ECS agent's rules.
///
/// # Errors
/// A partition that this version does not know.
pub(crate) fn of(
    partition: &str,
    region: &str,
    settings: &EndpointSettings,
    routes: impl FnOnce() -> DefaultRoutes,
) -> Result<EcsAddress, ConfigError> {
    if let Some((url, by)) = &settings.url {
        let reason = format!("by {} ({})", by.key, by.origin);
        return Ok(EcsAddress { url: url.clone(), reason, is_default: false });
    }
    let fips = settings.fips.as_ref().is_some_and(|(on, _)| *on);
    let fips_by = settings.fips.as_ref().filter(|_| fips).map(|(_, by)| format!("FIPS by {by}"));
    let (dualstack, dualstack_by) = dualstack(settings, routes);
    let reasons: Vec<String> = fips_by.into_iter().chain(dualstack_by).collect();
    let is_default = reasons.is_empty();
    let reason = if is_default { "the Region's default".to_owned() } else { reasons.join(", ") };
    Ok(EcsAddress { url: regional(partition, region, fips, dualstack)?, reason, is_default })
}

/// Whether the endpoint is the dual-stack one, and what decided, unless nothing did.
fn dualstack(settings: &EndpointSettings, routes: impl FnOnce() -> DefaultRoutes) -> (bool, Vec<String>) {
    let set = |on, by: &ConfigValue| {
        (on, vec![format!("{} by {by}", if on { "dual-stack" } else { "not dual-stack" })])
    };
    if let Some((on, by)) = &settings.dualstack {
        return set(*on, by);
    }
    let ignored = match &settings.ip_compatibility {
        Some(by) if by.value.eq_ignore_ascii_case("ipv6") => return set(true, by),
        Some(by) if by.value.eq_ignore_ascii_case("ipv4") => return set(false, by),
        Some(by) => Some(format!("{by} is neither ipv4 nor ipv6 and is ignored")),
        None => None,
    };
    let by_routes = routes().ipv6_only().then(|| ONLY_IPV6.to_owned());
    (by_routes.is_some(), by_routes.into_iter().chain(ignored).collect())
}

const ONLY_IPV6: &str = "dual-stack because this host has a default route for IPv6 and none for IPv4";

/// The Region's own endpoint.
///
/// # Errors
/// [`ConfigError::Partition`]: the partition is unknown.
fn regional(partition: &str, region: &str, fips: bool, dualstack: bool) -> Result<Uri, ConfigError> {
    let Some((_, plain, dual)) = SUFFIXES.iter().find(|(name, ..)| *name == partition) else {
        return Err(ConfigError::Partition { partition: partition.to_owned() });
    };
    let service = if fips { "ecs-fips" } else { "ecs" };
    let suffix = if dualstack { dual } else { plain };
    let url = format!("https://{service}.{region}.{suffix}/");
    url.parse().map_err(|e: http::uri::InvalidUri| ConfigError::Address(e.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::Settings;

    #[test]
    fn every_partition_plain_fips_and_dualstack() {
        let url = |p: &str, r: &str, f, d| regional(p, r, f, d).unwrap().to_string();
        for (partition, region, plain) in [
            ("aws", "us-east-1", "https://ecs.us-east-1.amazonaws.com/"),
            ("aws-cn", "cn-north-1", "https://ecs.cn-north-1.amazonaws.com.cn/"),
            ("aws-us-gov", "us-gov-west-1", "https://ecs.us-gov-west-1.amazonaws.com/"),
            ("aws-eusc", "eusc-de-east-1", "https://ecs.eusc-de-east-1.amazonaws.eu/"),
            ("aws-iso", "us-iso-east-1", "https://ecs.us-iso-east-1.c2s.ic.gov/"),
            ("aws-iso-b", "us-isob-east-1", "https://ecs.us-isob-east-1.sc2s.sgov.gov/"),
            ("aws-iso-e", "eu-isoe-west-1", "https://ecs.eu-isoe-west-1.cloud.adc-e.uk/"),
            ("aws-iso-f", "us-isof-south-1", "https://ecs.us-isof-south-1.csp.hci.ic.gov/"),
        ] {
            assert_eq!(url(partition, region, false, false), plain);
        }
        assert_eq!(url("aws", "us-east-2", true, false), "https://ecs-fips.us-east-2.amazonaws.com/");
        assert_eq!(url("aws", "us-east-2", false, true), "https://ecs.us-east-2.api.aws/");
        assert_eq!(url("aws", "us-east-2", true, true), "https://ecs-fips.us-east-2.api.aws/");
        assert!(matches!(regional("aws-moon", "x", false, false), Err(ConfigError::Partition { .. })));
    }

    fn decided(environment: &[(&str, &str)], ipv4: bool, ipv6: bool) -> EcsAddress {
        let settings = Settings::of(&["--config", "/dev/null"], environment);
        of("aws", "us-east-1", &settings.endpoint, || DefaultRoutes { ipv4, ipv6 }).unwrap()
    }

    #[test]
    fn the_dual_stack_endpoint_is_for_hosts_with_ipv6_alone_unless_it_is_set() {
        let (dualstack, family) = ("AWS_USE_DUALSTACK_ENDPOINT", "ECS_INSTANCE_IP_COMPATIBILITY");
        for (environment, (ipv4, ipv6), expected, reason) in [
            (&[][..], (true, true), false, "the Region's default"),
            (&[], (true, false), false, "the Region's default"),
            (&[], (false, false), false, "the Region's default"),
            (&[], (false, true), true, ONLY_IPV6),
            (&[(dualstack, "false")], (false, true), false, "not dual-stack by AWS_USE_DUALSTACK_ENDPOINT"),
            (&[(dualstack, "true")], (true, false), true, "dual-stack by AWS_USE_DUALSTACK_ENDPOINT=true"),
            (&[(family, "IPv6")], (true, true), true, "dual-stack by ECS_INSTANCE_IP_COMPATIBILITY=IPv6"),
            (&[(family, "ipv4")], (false, true), false, "not dual-stack by ECS_INSTANCE_IP_COMPATIBILITY"),
            (&[(family, "ipv4"), (dualstack, "true")], (true, true), true, "AWS_USE_DUALSTACK_ENDPOINT"),
            (&[(family, "ipv5")], (false, true), true, "neither ipv4 nor ipv6 and is ignored"),
            (&[(family, "ipv5")], (true, true), false, "neither ipv4 nor ipv6 and is ignored"),
        ] {
            let address = decided(environment, ipv4, ipv6);
            assert_eq!(address.url.host().unwrap().ends_with("api.aws"), expected, "{environment:?}");
            assert!(address.reason.contains(reason), "{}", address.reason);
            assert_eq!(address.is_default, reason == "the Region's default");
        }
    }

    #[test]
    fn only_plain_http_that_leaves_this_host_is_unencrypted() {
        let unencrypted = |url: &str| decided(&[("AWS_ENDPOINT_URL", url)], true, false).is_unencrypted();
        for url in ["http://127.0.0.2:4566", "http://[::1]", "http://localhost", "https://ecs.test"] {
            assert!(!unencrypted(url), "{url}");
        }
        for url in ["http://10.0.0.1", "http://ecs.test:80", "http://[fd00::1]"] {
            assert!(unencrypted(url), "{url}");
        }
    }
}
