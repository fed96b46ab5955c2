//! The ECS agent's own settings file, of which this program uses what it shares with the agent.

use crate::files;
use crate::keyvalue;
use std::path::Path;

/// The agent's settings; its route out is ours too.
pub(crate) const ECS_CONFIG: &str = "/etc/ecs/ecs.config";

/// Why an agent may be silent for long.
pub(crate) fn warm_pool_hint() -> Option<String> {
    parse_warm_pool(&files::read(Path::new(ECS_CONFIG)).unwrap_or_default())
}

fn parse_warm_pool(ecs_config: &str) -> Option<String> {
    let set = keyvalue::lookup(ecs_config, "ECS_WARM_POOLS_CHECK")
        .is_some_and(|p| ["1", "t", "true"].contains(&p.value.to_lowercase().as_str()));
    set.then(|| "ECS_WARM_POOLS_CHECK is true, so the agent waits until the instance is InService".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warm_pools_are_named_only_when_they_are_set() {
        assert!(parse_warm_pool("ECS_CLUSTER=a\nECS_WARM_POOLS_CHECK=true\n").is_some());
        assert_eq!(parse_warm_pool("ECS_WARM_POOLS_CHECK=false"), None);
        assert_eq!(parse_warm_pool(""), None);
    }
}
