//! The network path to ECS: clock, proxy, name, TCP and TLS.

use super::checkup::{Checkup, REMOTE, name};
use super::ecs::{Ecs, unanswered};
use super::finding::{Finding, Phase};
use super::instance::Place;
use crate::aws::ecs::{Caller, Endpoint};
use crate::aws::endpoint::{self, EcsAddress, UNENCRYPTED, USE_HTTPS};
use crate::aws::imds::Credentials;
use crate::config::error::ConfigError;
use crate::config::settings::Settings;
use crate::config::sources::Sources;
use crate::error::Error;
use crate::error::refusal::SKEW_SECONDS;
use crate::net::certificate::issuer;
use crate::net::client::{self, Client, Http};
use crate::net::error::Hop;
use crate::net::proxy::{self, Route};
use crate::net::tls::{Connection, Tls};
use crate::text::human;
use std::time::Duration;

/// The network path to ECS, as far as it works.
pub(super) struct NetworkPath {
    route: Result<Route, Error>,
    end: Result<End, (Phase, Error)>,
}

/// The server at the end of the network path.
pub(super) struct End {
    client: Client,
    pub(super) endpoint: Endpoint,
    address: EcsAddress,
    region_by: Option<&'static str>,
    /// How the first contact went.
    contact: Result<Connection, Error>,
    ahead: Option<i64>,
}

/// Tries the path to ECS. `None`: the Region is not known.
pub(super) fn path(
    settings: &Settings,
    sources: &Sources,
    place: Option<&Place>,
    checkup: &Checkup<'_>,
) -> Option<NetworkPath> {
    let blocked = |phase, wrong: ConfigError| {
        Some(NetworkPath { route: Ok(Route::default()), end: Err((phase, wrong.into())) })
    };
    // A run reads the certificates before it waits for anything.
    let tls = match Tls::new(settings.ca_bundle.as_deref()) {
        Ok(tls) => tls,
        Err(wrong) => return blocked(Phase::Settings, wrong),
    };
    let custom = settings.endpoint.url.is_some();
    let (partition, region) = match place {
        Some(place) => (place.partition.as_str(), place.region.as_str()),
        None if custom => ("", ""),
        None => return None,
    };
    let routes = || checkup.host.default_routes();
    let address = match endpoint::of(partition, region, &settings.endpoint, routes) {
        Ok(address) => address,
        Err(wrong) => return blocked(Phase::Placing, wrong),
    };
    let route = proxy::route(&address.url, sources).map_err(Error::from);
    let proxy = route.as_ref().ok().and_then(|r| r.proxy.clone());
    let region_by = place.filter(|_| !custom).map(|p| p.by);
    let endpoint =
        Endpoint { url: address.url.clone(), region: region.to_owned(), roots: tls.roots.to_string() };
    let client = Client::brief(proxy, tls);
    let (contact, ahead) = contact(&endpoint, &client, checkup);
    Some(NetworkPath { route, end: Ok(End { client, endpoint, address, region_by, contact, ahead }) })
}

/// Any response to an unsigned request will do, as it comes from the server.
fn contact(
    endpoint: &Endpoint,
    client: &Client,
    checkup: &Checkup<'_>,
) -> (Result<Connection, Error>, Option<i64>) {
    let brief = checkup.brief(client, REMOTE);
    let answer = client::get(&endpoint.url.to_string())
        .map_err(Error::from)
        .and_then(|request| brief.send(request, REMOTE).map_err(|error| unanswered(endpoint.error(error))));
    (answer.map(|_| client.connection()), brief.ahead.get())
}

impl<'a> Checkup<'a> {
    /// This host's clock beside that of IMDS and that of ECS, both by their `Date`.
    pub(super) fn clock(&mut self, imds: Option<i64>, path: Option<&NetworkPath>) {
        let ecs = path.and_then(|path| path.end.as_ref().ok()).and_then(|end| end.ahead);
        let others: Vec<(&str, i64)> = [("IMDS", imds), ("ECS", ecs)]
            .into_iter()
            .filter_map(|(who, ahead)| Some((who, ahead?)))
            .collect();
        let note = others.iter().map(|(who, ahead)| beside(who, *ahead)).collect::<Vec<_>>().join(", ");
        self.add(if others.is_empty() {
            let fix = format!("see \"{}\" above and \"{}\" below", name::IMDS, name::ENDPOINT);
            Finding::skipped(name::CLOCK, "neither IMDS nor ECS reported the time", fix)
        } else if others.iter().any(|(_, ahead)| ahead.abs() > SKEW_SECONDS) {
            let fix =
                "fix the clock (`chronyc tracking`); until then requests are signed with the time of ECS";
            Finding::warning(name::CLOCK, note, fix)
        } else {
            Finding::success(name::CLOCK, note)
        });
    }

    pub(super) fn proxy(&mut self, path: Option<&NetworkPath>) {
        let Some(path) = path else {
            let fix = format!("see \"{}\" and \"{}\" above", name::REGISTERED, name::IMDS);
            let note = "neither the agent nor IMDS reported the Region";
            return self.add(Finding::skipped(name::PROXY, note, fix));
        };
        let route = match &path.route {
            Ok(route) => route,
            Err(wrong) => return self.add(Finding::error(name::PROXY, Phase::Placing, wrong)),
        };
        if let Err((_, wrong)) = &path.end {
            let fix = format!("see \"{}\" below", name::ENDPOINT);
            return self.add(Finding::skipped(name::PROXY, format!("not tried: {wrong}"), fix));
        }
        let exempt =
            if route.exempt.is_empty() { String::new() } else { format!("; exempt: {}", route.exempt) };
        let note = format!("{}{exempt}; the agent and IMDS never use one", route.why);
        self.add(match (&route.proxy, path.blocked()) {
            (Some(_), Some(error)) => {
                let (code, note) = (error.exit_code(), format!("{note}; {error}"));
                Finding::failed(name::PROXY, Phase::Starting(0), code, note, error.hint())
            }
            _ => Finding::success(name::PROXY, note),
        });
    }

    /// The server at the end, when it responds.
    pub(super) fn endpoint<'p>(&mut self, path: Option<&'p NetworkPath>) -> Option<&'p End> {
        let path = self.need(name::ENDPOINT, path, &[name::PROXY])?;
        self.need(name::ENDPOINT, path.route.as_ref().ok(), &[name::PROXY])?;
        if path.route.as_ref().is_ok_and(|r| r.proxy.is_some()) && path.blocked().is_some() {
            return self.need(name::ENDPOINT, None, &[name::PROXY]);
        }
        match &path.end {
            Err((phase, wrong)) => self.add(Finding::error(name::ENDPOINT, *phase, wrong)),
            Ok(end) => match &end.contact {
                Err(error) => self.add(Finding::error(name::ENDPOINT, Phase::Starting(0), error)),
                Ok(connection) => {
                    self.add(reached(end, connection));
                    return Some(end);
                }
            },
        }
        None
    }

    /// Everything that calls need, if it is complete.
    pub(super) fn ecs<'p>(
        &self,
        end: Option<&'p End>,
        credentials: Option<Credentials>,
        place: Option<&Place>,
    ) -> Option<Ecs<'p>>
    where
        'a: 'p,
    {
        let end = end.filter(|_| place.is_some())?;
        let caller = Caller { credentials: credentials?, refused: false, skew: 0 };
        Some(Ecs { http: self.brief(&end.client, REMOTE), endpoint: &end.endpoint, caller })
    }
}

impl NetworkPath {
    /// What came between here and the far end, when that is not the far end's own certificate.
    fn blocked(&self) -> Option<&Error> {
        let error = self.end.as_ref().ok()?.contact.as_ref().err().filter(|e| !e.is_late())?;
        match error {
            Error::Certificate { error, .. } if !matches!(error.hop, Hop::ToProxy(_)) => None,
            other => Some(other),
        }
    }
}

fn beside(who: &str, ahead: i64) -> String {
    let off = human(Duration::from_secs(ahead.unsigned_abs()));
    match ahead {
        -1..=1 => format!("in step with {who}"),
        2.. => format!("{off} behind {who}"),
        _ => format!("{off} ahead of {who}"),
    }
}

fn reached(end: &End, connection: &Connection) -> Finding {
    let address = connection.address.map_or_else(String::new, |a| format!(" at {a}"));
    let by = end.region_by.map_or_else(String::new, |by| format!(", in the Region from {by}"));
    let protocol = connection.protocol.and_then(|protocol| protocol.as_str());
    let tls = match (protocol, &connection.certificate) {
        (Some(protocol), Some(certificate)) => {
            let (protocol, issuer) = (protocol.replace("TLSv1_", "TLS 1."), issuer(certificate));
            format!("; {protocol}, its certificate issued by {issuer} and verified by {}", end.endpoint.roots)
        }
        _ => "; without TLS".to_owned(),
    };
    let reason = if end.address.is_default { String::new() } else { format!(", {}", end.address.reason) };
    let note = format!("{}{address}{reason}{by}{tls}", end.endpoint.url);
    if end.address.is_unencrypted() {
        return Finding::warning(name::ENDPOINT, format!("{note}; {UNENCRYPTED}"), USE_HTTPS);
    }
    Finding::success(name::ENDPOINT, note)
}
