//! Why a request got no response, and how far it got.

use crate::net::certificate::Fault;
use crate::system::listener::Stranger;
use std::fmt;

/// The largest response that is read whole. The agent's task list is larger and is read as a stream.
pub(crate) const BODY_LIMIT: u64 = 128 * 1024;

/// A request that got no response: what it was, where it failed, and whether it may have been sent.
#[derive(Debug)]
pub(crate) struct TransportError {
    /// `GET http://...`: what was tried and where.
    pub(crate) request: String,
    /// Whether the request may have reached the other side.
    pub(crate) sent: bool,
    pub(crate) hop: Hop,
    pub(crate) kind: Kind,
}

/// The part of the connection that failed. A proxy is `host:port`, without its user and password.
#[derive(Clone, Debug)]
pub(crate) enum Hop {
    /// There is no proxy.
    Direct,
    ToProxy(String),
    /// The proxy was reached.
    BeyondProxy(String),
}

/// Why a request got no response.
#[derive(Debug)]
pub(crate) enum Kind {
    /// The certificate of the server at the end of the hop does not verify; `issuer` signed it.
    Certificate { issuer: String, why: String, fault: Fault },
    /// The name does not resolve, or no name server responds.
    NoName,
    /// What listens there is another user's, and so not the agent.
    Stranger(Stranger),
    /// This host has no route to the address.
    NoRoute(String),
    /// The body is larger than this program reads.
    TooLarge,
    /// The caller's time ran out before the server could respond.
    NoTime,
    /// Anything else: refused, timed out, cut off.
    Other(String),
}

impl TransportError {
    /// What `who` did that was asked: it may have responded, but not usefully.
    pub(crate) fn of(&self, who: &str) -> String {
        match self.kind {
            Kind::TooLarge => format!("unusable response from {who}"),
            _ => format!("{who} does not respond"),
        }
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.request)?;
        if let Hop::ToProxy(proxy) | Hop::BeyondProxy(proxy) = &self.hop {
            write!(f, " through the proxy {proxy}")?;
        }
        let (whose, failed) = match &self.hop {
            Hop::ToProxy(_) => ("proxy's ", "the connection to the proxy failed: "),
            Hop::Direct | Hop::BeyondProxy(_) => ("", ""),
        };
        match &self.kind {
            Kind::Certificate { issuer, why, .. } => {
                write!(f, ": the {whose}certificate, issued by {issuer}, does not verify: {why}")
            }
            Kind::NoName => write!(f, ": the {whose}name does not resolve"),
            Kind::Stranger(who) => write!(f, ": {who}"),
            Kind::TooLarge => write!(f, ": the response is larger than {BODY_LIMIT} bytes"),
            Kind::NoTime => f.write_str(": no time was left"),
            Kind::NoRoute(why) | Kind::Other(why) => write!(f, ": {failed}{why}"),
        }
    }
}

impl std::error::Error for TransportError {}
