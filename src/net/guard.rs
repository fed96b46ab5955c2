//! Makes sure that it is the ECS agent that accepts a connection, as any local user may listen on its port.
//!
//! The last but one link of ureq's chain of connectors: no request is sent to another program. [`crate::system::listener`] finds
//! out whose socket it is. A socket on another host or port is not checked.

use crate::system::listener::{self, Stranger};
use http::Uri;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use ureq::unversioned::transport::{ConnectionDetails, Connector, Transport};

/// The link in the chain of connectors that refuses another user's socket on the agent's port.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guard {
    port: Option<u16>,
}

impl Guard {
    /// Guards the port of this address.
    pub(crate) fn of(url: &str) -> Self {
        let port = |url: Uri| Some(url.port_u16().unwrap_or(80));
        Guard { port: url.parse().ok().and_then(port) }
    }

    /// Checks that trusted users listen at the addresses.
    ///
    /// # Errors
    /// Another user listens there, or no process does any more.
    pub(crate) fn check(&self, addresses: &[SocketAddr]) -> Result<(), Stranger> {
        let guarded = |a: &SocketAddr| a.ip().is_loopback() && Some(a.port()) == self.port;
        addresses.iter().map(destination).filter(guarded).try_for_each(listener::check)
    }
}

/// Where a connection to `address` ends: the kernel takes no address at all for this host's own.
fn destination(address: &SocketAddr) -> SocketAddr {
    let ip = match address.ip().to_canonical() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    };
    SocketAddr::new(ip, address.port())
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
