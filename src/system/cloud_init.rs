//! The ID of the EC2 instance, as cloud-init keeps it: no request is made for a line of the log.

use std::fs;

const INSTANCE_ID: &str = "/var/lib/cloud/data/instance-id";

/// `None` where cloud-init has not run, or runs elsewhere than on EC2.
pub(crate) fn instance_id() -> Option<String> {
    parse(&fs::read_to_string(INSTANCE_ID).ok()?)
}

fn parse(text: &str) -> Option<String> {
    let id = text.trim();
    let digits = id.strip_prefix("i-")?;
    let is_id = (1..=17).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_ec2_id_is_one() {
        assert_eq!(parse("i-0123456789abcdef0\n").as_deref(), Some("i-0123456789abcdef0"));
        for other in ["", "i-", "iid-datasource-none", "i-0123456789abcdef01", "i-0123 x"] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
