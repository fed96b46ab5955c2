//! Is it the ECS agent that accepts the connection? On this host any local user may listen on its port.
//!
//! The last but one link of ureq's chain of connectors: what is not the agent gets no request. [`crate::system::listener`] tells
//! whose the socket is; what is on another host or on another port is nothing that could be told.

use crate::system::listener::{self, Stranger};
use http::Uri;
use std::io;
use std::net::SocketAddr;
use ureq::unversioned::transport::{ConnectionDetails, Connector, Transport};

/// The link in the chain of connectors that refuses another user's socket on the agent's port.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guard {
    port: Option<u16>,
}

impl Guard {
    /// Lets nothing be asked of another user's socket on the port of this address.
    pub(crate) fn of(url: &str) -> Self {
        let port = |url: Uri| Some(url.port_u16().unwrap_or(80));
        Guard { port: url.parse().ok().and_then(port) }
    }

    /// Whether those that listen at the addresses are trusted.
    ///
    /// # Errors
    /// Another user listens there, or nobody does any more.
    pub(crate) fn check(&self, addresses: &[SocketAddr]) -> Result<(), Stranger> {
        let guarded = |a: &&SocketAddr| a.ip().to_canonical().is_loopback() && Some(a.port()) == self.port;
        addresses.iter().filter(guarded).try_for_each(|address| listener::check(*address))
    }
}

impl<In: Transport> Connector<In> for Guard {
    type Out = In;

    fn connect(&self, details: &ConnectionDetails, chained: Option<In>) -> Result<Option<In>, ureq::Error> {
        if chained.is_some() {
            self.check(&details.addrs).map_err(io::Error::other)?;
        }
        Ok(chained)
    }
}
