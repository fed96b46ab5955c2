//! Where ECS is: the address of its API in the instance's region.
//!
//! The rules are those of the AWS SDKs' endpoint rule set for ECS; the partition is a field of the
//! instance's ARN, so no region has to be matched.

use crate::config::settings::Settings;
use crate::error::Error;
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

/// The custom endpoint, else the one of the partition and region.
///
/// # Errors
/// A partition that this version does not know.
pub(crate) fn of(partition: &str, region: &str, settings: &Settings) -> Result<Uri, Error> {
    match &settings.endpoint_url {
        Some(url) => Ok(url.clone()),
        None => regional(partition, region, settings.fips, settings.dualstack),
    }
}

fn regional(partition: &str, region: &str, fips: bool, dualstack: bool) -> Result<Uri, Error> {
    let Some((_, plain, dual)) = SUFFIXES.iter().find(|(name, ..)| *name == partition) else {
        return Err(Error::UnknownPartition { partition: partition.to_owned() });
    };
    let service = if fips { "ecs-fips" } else { "ecs" };
    let suffix = if dualstack { dual } else { plain };
    let url = format!("https://{service}.{region}.{suffix}/");
    url.parse().map_err(|e: http::uri::InvalidUri| http::Error::from(e).into())
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(matches!(regional("aws-moon", "x", false, false), Err(Error::UnknownPartition { .. })));
    }
}
