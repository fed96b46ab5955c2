//! What a run would send: the requests with the host's values, and where each value came from.

use crate::aws::endpoint::EcsAddress;
use crate::aws::imds::Imds;
use crate::aws::instance::Instance;
use crate::error::Error;
use crate::request::references::Reference;
use crate::request::resolved::Request;
use crate::request::template::Template;
use crate::request::{self, Planned};
use crate::run::context::Context;
use crate::run::host_values::{HostValues, Resolution};
use crate::run::ready::Ready;
use crate::run::report::DryRun;
use serde_json::Value;
use std::time::Duration;

/// What a dry run reports besides the requests.
pub(crate) struct Facts {
    pub(crate) endpoint: EcsAddress,
    pub(crate) proxy: String,
    pub(crate) deadline: Duration,
}

/// The result of a dry run.
pub(crate) fn would_start(
    planned: Vec<Planned>,
    references: &[Reference],
    context: &Context<'_>,
    ready: Ready,
    facts: Facts,
) -> DryRun {
    let Ready { instance, credentials, imds, values, .. } = ready;
    let Facts { endpoint, proxy, deadline } = facts;
    let mut resolver = Resolver { context, imds, values, instance: &instance, deadline };
    let requests = resolver.would_send(planned);
    // A reference without a value is among the errors.
    let explained = |reference| resolver.values.explain(reference, Some(&instance));
    let values = references.iter().filter_map(explained).collect();
    DryRun { endpoint, proxy, role: credentials.role, values, requests, instance }
}

/// Makes requests of templates, and waits for the values that these refer to.
struct Resolver<'a> {
    context: &'a Context<'a>,
    imds: Imds,
    values: HostValues,
    instance: &'a Instance,
    deadline: Duration,
}

impl Resolver<'_> {
    /// What would be sent for each task, or why nothing.
    fn would_send(&mut self, planned: Vec<Planned>) -> Vec<(String, Result<Value, Error>)> {
        let mut families = Vec::new();
        let mut body = |template: Template| {
            let request = self.resolve(&template)?;
            request::taken(&request.definition, &request.origin, &families)?;
            families.push((request.definition.family.clone(), template.full_name()));
            Ok(request.body(self.instance)?)
        };
        let would_send = |Planned { name, template }| {
            let result = template.map_err(Error::from).and_then(&mut body);
            (name, result)
        };
        planned.into_iter().map(would_send).collect()
    }

    /// Waits until the values are known.
    ///
    /// # Errors
    /// A value cannot be had within the deadline.
    fn resolve(&mut self, template: &Template) -> Result<Request, Error> {
        let Context { clock, local, .. } = *self.context;
        loop {
            self.values.fetch(template.references(), &mut self.imds, local, clock)?;
            match self.values.resolve(template, Some(self.instance), self.deadline)? {
                Resolution::At(due) => clock.sleep(due.saturating_sub(clock.uptime())),
                Resolution::Done(request) => return Ok(request),
            }
        }
    }
}
