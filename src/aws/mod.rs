//! The services that the program talks to: the ECS agent, IMDS and ECS, with the forms of what they say.

pub(crate) mod agent;
pub(crate) mod arn;
pub(crate) mod definition;
pub(crate) mod described;
pub(crate) mod ecs;
pub(crate) mod endpoint;
pub(crate) mod imds;
pub(crate) mod instance;
pub(crate) mod secret;
pub(crate) mod signing;
mod stream;
pub(crate) mod tasks;
