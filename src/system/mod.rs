//! This host: its clock, systemd, the log, signals, and the privileges of this process.

pub(crate) mod clock;
pub(crate) mod cloud_init;
pub(crate) mod ecs_config;
pub(crate) mod hardening;
pub(crate) mod listener;
pub(crate) mod logging;
pub(crate) mod routes;
pub(crate) mod signals;
mod sock_diag;
pub(crate) mod systemd;
