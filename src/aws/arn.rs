//! ARNs from responses. They go into log lines and URLs, so they must consist of safe characters.

use serde::de::{Deserialize, Deserializer, Error};

/// The longest that AWS documents.
const LONGEST: usize = 2048;

/// Deserializes one ARN.
///
/// # Errors
/// Text that is not safe to print.
pub(crate) fn one<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let arn = String::deserialize(from)?;
    if is_safe_identifier(&arn) { Ok(arn) } else { Err(D::Error::custom("not an ARN")) }
}

/// Deserializes a list of ARNs.
///
/// # Errors
/// As for [`one`].
pub(crate) fn list<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let arns = Vec::<String>::deserialize(from)?;
    if arns.iter().all(|arn| is_safe_identifier(arn)) {
        Ok(arns)
    } else {
        Err(D::Error::custom("not an ARN"))
    }
}

/// Whether it is safe in a log line and in a URL.
pub(crate) fn is_safe_identifier(arn: &str) -> bool {
    !arn.is_empty()
        && arn.len() <= LONGEST
        && arn.bytes().all(|b| b.is_ascii_alphanumeric() || b":/-_.+=,@".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_is_short_and_plain() {
        assert!(is_safe_identifier(
            "arn:aws:ecs:us-east-1:123456789012:task/my-cluster/9cf53d62fdcf4908a6f3debebdd9431c"
        ));
        for wrong in ["", "arn: x", "arn:#&\"", "arn:\x1b[2J", "arn:\u{202e}x", &"x".repeat(LONGEST + 1)] {
            assert!(!is_safe_identifier(wrong), "{wrong}");
        }
    }
}
