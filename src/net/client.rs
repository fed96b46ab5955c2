//! The HTTP client: ureq with limits on everything.
//!
//! No redirects, no resent request, bounded bodies, responses of every status kept. An error says whether the request can have
//! reached the server: a connection that was never made is safe to retry; a response that never came is not.

use crate::net::certificate;
use crate::net::error::{BODY_LIMIT, Hop, Kind, TransportError};
use crate::net::guard::Guard;
use crate::net::resolver::AddressOrName;
use crate::net::tls::{Connection, Tls};
use crate::system::listener::Stranger;
use std::io::{self, Read};
use std::sync::Mutex;
use std::time::Duration;
use ureq::config::Config;
use ureq::unversioned::transport::{ConnectProxyConnector, Connector, TcpConnector};
use ureq::{Agent, Proxy, RequestExt};

/// Name and version, as CloudTrail shows it.
const USER_AGENT: &str = concat!("ecs-start-task/", env!("CARGO_PKG_VERSION"));

/// Status line and headers of a response; those of ECS, the agent and IMDS take less than 1 KiB.
const HEADER_LIMIT: usize = 16 * 1024;

/// What is read or written at once, for which memory is taken with each connection. More than the
/// longest header, as what does not fit is never read.
const BUFFER: usize = 2 * HEADER_LIMIT;

/// A request with its whole body.
pub(crate) type Request = http::Request<Vec<u8>>;
/// A response whose body is still to be read.
pub(crate) type Answer = http::Response<Box<dyn Read>>;

/// An HTTP client, which tests replace by a scripted one.
pub(crate) trait Http {
    /// Sends `request` once, and never again by itself; gives up after `limit`.
    ///
    /// # Errors
    /// The connection, the TLS handshake or the request fails, or takes longer than `limit`.
    fn send(&self, request: Request, limit: Duration) -> Result<Answer, TransportError>;
}

/// The limits of one kind of connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Name, TCP and TLS together.
    pub(crate) connect: Duration,
    /// Between two pieces of the response.
    pub(crate) read: Duration,
}

/// Agent and IMDS are on this host: slow means broken.
const LOCAL: Limits = Limits { connect: Duration::from_secs(1), read: Duration::from_secs(5) };

/// ECS may be behind a proxy in another region.
const REMOTE: Limits = Limits { connect: Duration::from_secs(10), read: Duration::from_secs(20) };

/// For people who wait at a prompt. Less than they give a whole call, so that it is known what took too long.
const BRIEF: Limits = Limits { connect: Duration::from_secs(2), read: Duration::from_secs(3) };

/// An HTTP client with this program's rules: time and size limits, no redirects, no retries.
#[derive(Debug)]
pub(crate) struct Client {
    agent: Agent,
    guard: Guard,
    tls: Tls,
    /// As [`Hop`] has it.
    proxy: Option<String>,
    /// The last line of the log about a response.
    last_logged: Mutex<String>,
}

impl Client {
    /// For IMDS and for the agent's introspection API at `agent`: never through a proxy.
    pub(crate) fn local(agent: &str) -> Self {
        Client::new(LOCAL, Guard::of(agent), None, Tls::default())
    }

    /// For ECS.
    pub(crate) fn remote(proxy: Option<Proxy>, tls: Tls) -> Self {
        Client::new(REMOTE, Guard::default(), proxy, tls)
    }

    /// For ECS, with the short limits of `check`.
    pub(crate) fn brief(proxy: Option<Proxy>, tls: Tls) -> Self {
        Client::new(BRIEF, Guard::default(), proxy, tls)
    }

    fn new(limits: Limits, guard: Guard, proxy: Option<Proxy>, tls: Tls) -> Self {
        let tls = tls.behind(proxy.as_ref().map(|p| p.uri().clone()));
        let name = proxy.as_ref().map(|p| format!("{}:{}", p.host(), p.port()));
        let config = Config::builder()
            .user_agent(USER_AGENT)
            .proxy(proxy)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_response_header_size(HEADER_LIMIT)
            .input_buffer_size(BUFFER)
            .output_buffer_size(BUFFER)
            .timeout_resolve(Some(limits.connect))
            .timeout_connect(Some(limits.connect))
            .timeout_per_read(Some(limits.read))
            // A pooled connection may have died unseen, and a StartTask sent into it is an open question.
            .max_idle_connections(0)
            .build();
        let connector =
            ().chain(ConnectProxyConnector::default())
                .chain(TcpConnector::default())
                .chain(guard.clone())
                .chain(tls.clone());
        let agent = Agent::with_parts(config, connector, AddressOrName);
        Client { agent, guard, tls, proxy: name, last_logged: Mutex::default() }
    }
}

impl Http for Client {
    fn send(&self, request: Request, limit: Duration) -> Result<Answer, TransportError> {
        let what = describe(&request);
        log::trace!("{what}");
        self.tls.forget_last();
        let answer = request.with_agent(&self.agent).configure().timeout_global(Some(limit)).run();
        match answer.and_then(|answer| self.still_trusted(answer)) {
            Ok(answer) => {
                self.tell_if_new(format!("{what}: {}", answer.status()));
                Ok(answer.map(|body| Box::new(body.into_reader()) as Box<dyn Read>))
            }
            Err(error) => Err(TransportError {
                request: what,
                sent: self.tls.connected(),
                hop: self.hop(),
                kind: self.kind(error),
            }),
        }
    }
}

impl Client {
    /// What the last connection was like.
    pub(crate) fn connection(&self) -> Connection {
        self.tls.connection()
    }

    /// Checked again after the response: the process that accepted the connection may have given the socket away before
    /// the first check.
    ///
    /// # Errors
    /// The socket does not belong to a trusted user any more.
    fn still_trusted<T>(&self, answer: T) -> Result<T, ureq::Error> {
        self.guard.check(self.connection().address.as_slice()).map_err(io::Error::other)?;
        Ok(answer)
    }

    /// The agent is polled too often to log every response.
    fn tell_if_new(&self, line: String) {
        if let Ok(mut last_logged) = self.last_logged.lock()
            && *last_logged != line
        {
            log::debug!("{line}");
            *last_logged = line;
        }
    }

    fn hop(&self) -> Hop {
        match &self.proxy {
            Some(proxy) if self.connection().to_proxy => Hop::ToProxy(proxy.clone()),
            Some(proxy) => Hop::BeyondProxy(proxy.clone()),
            None => Hop::Direct,
        }
    }

    fn kind(&self, error: ureq::Error) -> Kind {
        if let (Some(shown), Some(refused)) = (self.connection().certificate, certificate::refused(&error)) {
            return Kind::Certificate {
                issuer: certificate::issuer(&shown),
                why: certificate::why(refused),
                fault: certificate::fault(refused),
            };
        }
        if let ureq::Error::Io(e) = &error
            && let Some(stranger) = Stranger::of(e)
        {
            return Kind::Stranger(stranger);
        }
        let why = match error {
            ureq::Error::HostNotFound => return Kind::NoName,
            ureq::Error::Io(e) if e.kind() == io::ErrorKind::NetworkUnreachable => {
                return Kind::NoRoute(e.to_string());
            }
            ureq::Error::Io(e) => e.to_string(),
            // ureq reports the status twice.
            ureq::Error::ConnectProxyFailed(why) => {
                format!("CONNECT failed: {}", why.split('/').next().unwrap_or_default())
            }
            // The limit of the whole call, and no step of it.
            ureq::Error::Timeout(ureq::Timeout::Global) => "timed out".to_owned(),
            ureq::Error::Timeout(which) => format!("timed out ({which})"),
            other => other.to_string(),
        };
        Kind::Other(crate::text::shorten(&why))
    }
}

/// `POST https://ecs.us-east-1.amazonaws.com/`: never with headers, which hold secrets.
pub(crate) fn describe<T>(request: &http::Request<T>) -> String {
    format!("{} {}", request.method(), request.uri())
}

/// Reads the response's body, at most [`BODY_LIMIT`] of it. `request` is for the error.
///
/// # Errors
/// A body that is too large, cut off or too slow; the request has been sent by then.
pub(crate) fn read_body(answer: Answer, request: &str) -> Result<http::Response<Vec<u8>>, TransportError> {
    let (parts, body) = answer.into_parts();
    let mut bytes = Vec::new();
    match body.take(BODY_LIMIT + 1).read_to_end(&mut bytes) {
        Ok(_) if bytes.len() as u64 > BODY_LIMIT => Err(broken_off(request, Kind::TooLarge)),
        Ok(_) => Ok(http::Response::from_parts(parts, bytes)),
        Err(e) => Err(cut_off(request, &e)),
    }
}

/// What ended the reading of a response too early.
pub(crate) fn cut_off(request: &str, error: &io::Error) -> TransportError {
    broken_off(request, Kind::Other(format!("the response was cut off: {error}")))
}

/// By then it does not matter how the response arrived.
fn broken_off(request: &str, kind: Kind) -> TransportError {
    TransportError { request: request.to_owned(), sent: true, hop: Hop::Direct, kind }
}

/// A GET without a body.
///
/// # Errors
/// An invalid address, which can only come from a wrong setting.
pub(crate) fn get(url: &str) -> Result<Request, http::Error> {
    http::Request::get(url).body(Vec::new())
}
