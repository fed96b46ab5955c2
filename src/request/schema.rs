//! The members of a StartTask request (ECS API 2014-11-13), as the AWS SDKs' service model has them.
//!
//! It gets new members every few weeks, and a package lives for years: so values are left to ECS, and a name counts as
//! misspelt only when a known one is near.

/// The type of a member of a request.
#[derive(Debug)]
pub(crate) enum Shape {
    Text,
    Number,
    Flag,
    List(&'static Shape),
    Struct(&'static [Member]),
    /// Of a member that is not known.
    Any,
}

pub(crate) static ANY: Shape = Shape::Any;

/// A member of a structure: its name, its type, and whether it is required.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) required: bool,
}

use Shape::{Flag, List, Number, Struct, Text};

const fn may(name: &'static str, shape: Shape) -> Member {
    Member { name, shape, required: false }
}

const fn must(name: &'static str, shape: Shape) -> Member {
    Member { name, shape, required: true }
}

const STRINGS: Shape = List(&Text);
const TAGS: Shape = List(&Struct(&[may("key", Text), may("value", Text)]));

pub(crate) const START_TASK: Shape = Struct(&[
    may("cluster", Text),
    may("containerInstances", STRINGS),
    may("enableECSManagedTags", Flag),
    may("enableExecuteCommand", Flag),
    may("group", Text),
    may("networkConfiguration", Struct(&[may("awsvpcConfiguration", AWSVPC)])),
    may("overrides", Struct(OVERRIDES)),
    may("propagateTags", Text),
    may("referenceId", Text),
    may("startedBy", Text),
    may("tags", TAGS),
    must("taskDefinition", Text),
    may(
        "volumeConfigurations",
        List(&Struct(&[must("name", Text), may("managedEBSVolume", Struct(VOLUME))])),
    ),
]);

const AWSVPC: Shape =
    Struct(&[must("subnets", STRINGS), may("securityGroups", STRINGS), may("assignPublicIp", Text)]);

const OVERRIDES: &[Member] = &[
    may("containerOverrides", List(&Struct(CONTAINER))),
    may("cpu", Text),
    may("inferenceAcceleratorOverrides", List(&Struct(&[may("deviceName", Text), may("deviceType", Text)]))),
    may("executionRoleArn", Text),
    may("memory", Text),
    may("taskRoleArn", Text),
    may("ephemeralStorage", Struct(&[must("sizeInGiB", Number)])),
];

const CONTAINER: &[Member] = &[
    may("name", Text),
    may("command", STRINGS),
    may("environment", List(&Struct(&[may("name", Text), may("value", Text)]))),
    may("environmentFiles", List(&Struct(&[must("value", Text), must("type", Text)]))),
    may("cpu", Number),
    may("memory", Number),
    may("memoryReservation", Number),
    may("resourceRequirements", List(&Struct(RESOURCE))),
];

const RESOURCE: &[Member] = &[
    may("value", Text),
    must("type", Text),
    may("sharingStrategy", Struct(&[may("nvidiaMps", NVIDIA_MPS)])),
];

const NVIDIA_MPS: Shape = Struct(&[must("memory", Number), may("maxComputePercent", Number)]);

const VOLUME: &[Member] = &[
    may("encrypted", Flag),
    may("kmsKeyId", Text),
    may("volumeType", Text),
    may("sizeInGiB", Number),
    may("snapshotId", Text),
    may("volumeInitializationRate", Number),
    may("iops", Number),
    may("throughput", Number),
    may(
        "tagSpecifications",
        List(&Struct(&[must("resourceType", Text), may("tags", TAGS), may("propagateTags", Text)])),
    ),
    must("roleArn", Text),
    may("terminationPolicy", Struct(&[must("deleteOnTermination", Flag)])),
    may("filesystemType", Text),
];

/// The members that RunTask has and StartTask has not.
const RUN_TASK: [&str; 7] = [
    "capacityProviderStrategy",
    "clientToken",
    "count",
    "launchType",
    "placementConstraints",
    "placementStrategy",
    "platformVersion",
];

/// Whether the member at this place of a document is one of RunTask.
pub(crate) fn is_of_run_task(place: &str) -> bool {
    RUN_TASK.contains(&place)
}
