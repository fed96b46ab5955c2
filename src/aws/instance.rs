//! The identity of this instance, as the agent reports it.
//!
//! Everything comes from the container instance's ARN and the agent's cluster, nothing from guesses:
//! partition, region and ID are fields of the ARN, in its old and its new form.

use crate::aws::arn::is_safe_identifier;

/// The container instance that this host is registered as: ARN, cluster, Region and partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Instance {
    pub(crate) arn: String,
    /// Last element of the ARN: 32 hexadecimal digits, or a UUID in the old form.
    pub(crate) id: String,
    /// As the agent has it: a name or an ARN. StartTask takes either.
    pub(crate) cluster: String,
    pub(crate) partition: String,
    pub(crate) region: String,
}

impl Instance {
    /// From `arn:PARTITION:ecs:REGION:ACCOUNT:container-instance/[CLUSTER/]ID`.
    pub(crate) fn parse(arn: &str, cluster: &str) -> Option<Self> {
        let fields: Vec<&str> = arn.splitn(6, ':').collect();
        let ["arn", partition, "ecs", region, _account, resource] = fields.as_slice() else {
            return None;
        };
        let path = resource.strip_prefix("container-instance/")?;
        let id = path.rsplit('/').next()?;
        // A request is signed for the region, and sent to its name.
        let sound = is_safe_identifier(arn)
            && is_dns_label(partition)
            && is_region(region)
            && is_id(id)
            && path.split('/').count() <= 2;
        sound.then(|| Instance {
            arn: arn.to_owned(),
            id: id.to_owned(),
            cluster: cluster.to_owned(),
            partition: (*partition).to_owned(),
            region: (*region).to_owned(),
        })
    }

    /// The AWS account that the instance is registered in.
    pub(crate) fn account(&self) -> &str {
        self.arn.split(':').nth(4).unwrap_or_default()
    }

    /// The cluster's name, also where the agent has its ARN.
    pub(crate) fn cluster_name(&self) -> &str {
        self.cluster.rsplit('/').next().unwrap_or_default()
    }

    /// Whether `arn` is of a task of this instance's partition, region, account and cluster. ARNs in the old form name
    /// no cluster.
    pub(crate) fn may_have(&self, arn: &str) -> bool {
        let head = |arn: &str| arn.splitn(6, ':').take(5).map(str::to_owned).collect::<Vec<_>>();
        let Some(path) = arn.splitn(6, ':').nth(5).and_then(|resource| resource.strip_prefix("task/")) else {
            return false;
        };
        let cluster = path.rsplit_once('/').map(|(cluster, _)| cluster);
        head(arn) == head(&self.arn) && cluster.is_none_or(|name| name == self.cluster_like(name))
    }

    /// What in `arn` differs from this instance's own: partition, Region or account, with that and the instance's.
    pub(crate) fn elsewhere(&self, arn: &str) -> Option<(&'static str, String, String)> {
        let fields = arn.splitn(6, ':').zip(self.arn.splitn(6, ':'));
        let named = ["", "partition", "", "Region", "account", ""].into_iter().zip(fields);
        let mut differing = named.filter(|(what, (theirs, ours))| !what.is_empty() && theirs != ours);
        let (what, (theirs, ours)) = differing.next().filter(|_| arn.starts_with("arn:"))?;
        Some((what, theirs.to_owned(), ours.to_owned()))
    }

    /// Whether `wanted`, a name or an ARN, is the agent's cluster.
    pub(crate) fn is_in(&self, wanted: &str) -> bool {
        wanted == self.cluster_like(wanted)
    }

    /// The agent's cluster in the form that `wanted` has: an ARN, which has the partition, region and account of the
    /// instance's own, or a name.
    pub(crate) fn cluster_like(&self, wanted: &str) -> String {
        let is_arn = |cluster: &str| cluster.starts_with("arn:");
        match (is_arn(wanted), is_arn(&self.cluster)) {
            (true, false) => {
                let place = self.arn.split(":container-instance/").next().unwrap_or_default();
                format!("{place}:cluster/{}", self.cluster)
            }
            (false, true) => self.cluster_name().to_owned(),
            _ => self.cluster.clone(),
        }
    }
}

impl std::fmt::Display for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "container instance {} in cluster {}, {}", self.id, self.cluster, self.region)
    }
}

/// `us-east-1`, `us-gov-west-1`: an area, one or more words, a number.
pub(crate) fn is_region(text: &str) -> bool {
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase());
    let is_number = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
    match text.split('-').collect::<Vec<_>>().as_slice() {
        [words @ .., number] => {
            is_dns_label(text) && words.len() >= 2 && words.iter().all(|w| is_word(w)) && is_number(number)
        }
        [] => false,
    }
}

/// 32 hexadecimal digits; in the ARN's old form the hyphens of a UUID are between them.
fn is_id(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    let is_hexadecimal = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f' | b'-'));
    is_hexadecimal && matches!(lengths.as_slice(), [32] | [8, 4, 4, 4, 12])
}

/// Fit for a label of a host name, and for a request.
pub(crate) fn is_dns_label(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let edges = text.starts_with('-') || text.ends_with('-');
    (1..=63).contains(&text.len()) && text.chars().all(allowed) && !edges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tasks_of_this_place_may_be_here() {
        let arn =
            "arn:aws:ecs:us-east-1:123456789012:container-instance/prod/0123456789abcdef0123456789abcdef";
        let instance = Instance::parse(arn, "prod").unwrap();
        for (task, here) in [
            ("arn:aws:ecs:us-east-1:123456789012:task/prod/1", true),
            ("arn:aws:ecs:us-east-1:123456789012:task/1", true),
            ("arn:aws:ecs:us-east-1:123456789012:task/test/1", false),
            ("arn:aws:ecs:us-east-1:210987654321:task/prod/1", false),
            ("arn:aws:ecs:us-west-2:123456789012:task/prod/1", false),
            ("arn:aws-cn:ecs:us-east-1:123456789012:task/prod/1", false),
            ("arn:aws:ecs:us-east-1:123456789012:service/prod/1", false),
            ("", false),
        ] {
            assert_eq!(instance.may_have(task), here, "{task}");
        }
    }

    #[test]
    fn both_forms_of_the_arn() {
        let new =
            "arn:aws:ecs:us-east-1:123456789012:container-instance/prod/0123456789abcdef0123456789abcdef";
        let instance = Instance::parse(new, "prod").unwrap();
        assert_eq!((instance.region.as_str(), instance.partition.as_str()), ("us-east-1", "aws"));
        assert_eq!(instance.id, "0123456789abcdef0123456789abcdef");
        assert_eq!((instance.account(), instance.cluster_name()), ("123456789012", "prod"));
        let by_arn = Instance::parse(new, "arn:aws:ecs:us-east-1:123456789012:cluster/prod").unwrap();
        assert_eq!(by_arn.cluster_name(), "prod");
        let old =
            "arn:aws-cn:ecs:cn-north-1:123456789012:container-instance/4d3910c1-27c8-410c-b1df-f5d06fab4305";
        assert_eq!(Instance::parse(old, "x").unwrap().id, "4d3910c1-27c8-410c-b1df-f5d06fab4305");
    }

    #[test]
    fn what_is_no_container_instance_is_refused() {
        for arn in [
            "",
            "arn:aws:ecs:us-east-1:1:task/prod/0123456789abcdef0123456789abcdef",
            "arn:aws:ecs:us-east-1:1:container-instance/",
            "arn:aws:ecs::1:container-instance/a/ID",
            "arn:aws:ecs:evil.example/:1:container-instance/a/ID",
            "arn:aws:ecs:evil:1:container-instance/a/ID",
            "arn:aws:ecs:us-east-1-evil:1:container-instance/a/ID",
            "arn:aws:ecs:us--1:1:container-instance/a/ID",
            "arn:aws:ecs:us-east-:1:container-instance/a/ID",
            "arn:aws:ec2:us-east-1:1:container-instance/a/ID",
            "arn:aws:ecs:us-east-1:1:container-instance/a/b/ID",
            "arn:aws:ecs:us-east-1:1:container-instance/a/latest",
            "arn:aws:ecs:us-east-1:1:container-instance/a/IDa",
            "arn:aws:ecs:us-east-1:1:container-instance/a/0123456789ABCDEF0123456789ABCDEF",
            "arn:aws:ecs:us-east-1:1:container-instance/a/0123456789abcdef-0123456789abcde",
        ] {
            let arn = arn.replace("ID", "0123456789abcdef0123456789abcdef");
            assert_eq!(Instance::parse(&arn, "x"), None, "{arn}");
        }
    }

    #[test]
    fn a_cluster_may_be_asserted_by_name_or_arn() {
        let arn = "arn:aws:ecs:us-east-1:1:container-instance/prod/0123456789abcdef0123456789abcdef";
        let by = |cluster| Instance::parse(arn, cluster).unwrap();
        let cluster_arn = "arn:aws:ecs:us-east-1:1:cluster/prod";
        for agents in ["prod", cluster_arn] {
            assert!(by(agents).is_in("prod") && by(agents).is_in(cluster_arn));
            for other in [
                "production",
                "x/prod",
                "arn:aws:ecs:us-east-1:2:cluster/prod",
                "arn:aws:ecs:eu-west-1:1:cluster/prod",
                "arn:aws-cn:ecs:us-east-1:1:cluster/prod",
                "arn:aws:ecs:us-east-1:1:cluster/other",
            ] {
                assert!(!by(agents).is_in(other), "{agents} {other}");
            }
        }
    }
}
