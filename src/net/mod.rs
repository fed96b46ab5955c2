//! HTTP with a limit on everything: names, proxies, TLS, and how far a failed request got.

pub(crate) mod certificate;
pub(crate) mod client;
pub(crate) mod error;
mod guard;
mod lookup;
mod no_proxy;
pub(crate) mod proxy;
pub(crate) mod resolver;
pub(crate) mod roots;
pub(crate) mod tls;
