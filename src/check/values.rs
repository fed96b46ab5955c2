//! The values of the host that the requests refer to: what each reference becomes, or why it has no value.

use super::checkup::{Checkup, name};
use super::finding::{Finding, Phase};
use crate::aws::imds::Imds;
use crate::aws::instance::Instance;
use crate::error::Error;
use crate::net::client::Http;
use crate::request;
use crate::request::references::{Reference, Source};
use crate::request::resolved::Request;
use crate::request::template::Template;
use crate::run::host_values::{HostValues, Resolution};
use std::collections::BTreeSet;
use std::time::Duration;

impl Checkup<'_> {
    /// Returns the requests whose values are known. Without references there is no finding.
    pub(super) fn values(
        &mut self,
        templates: &[Template],
        instance: Option<&Instance>,
        mut imds: Option<&mut Imds>,
        http: &dyn Http,
    ) -> Vec<Request> {
        let references = request::references(templates);
        let mut values = HostValues::default();
        let fetched = imds.as_mut().map_or(Ok(()), |imds| values.fetch(&references, imds, http, self.clock));
        if let Err(error) = fetched {
            self.add(Finding::error(name::VALUES, Phase::Waiting, &error));
            imds = None;
        }
        let known = |reference: &Reference| match reference.source {
            Source::Ecs(_) => instance.is_some(),
            _ => imds.is_some(),
        };
        let unknown = references.iter().filter(|reference| !known(reference));
        let needed: BTreeSet<&str> = unknown.map(|reference| whose(&reference.source)).collect();
        if !needed.is_empty() {
            self.need::<()>(name::VALUES, None, &Vec::from_iter(needed));
        }
        self.explain(&values, references.iter().filter(|reference| known(reference)), instance);
        let (mut requests, mut families) = (Vec::new(), Vec::new());
        for (task, template) in templates.iter().enumerate().filter(|(_, t)| t.references().iter().all(known))
        {
            match resolve(template, &values, instance, &families) {
                Ok(request) => {
                    families.push((request.definition.family.clone(), template.full_name()));
                    requests.push(request);
                }
                Err(error) => self.add(Finding::error(name::VALUES, Phase::Starting(task), &error)),
            }
        }
        requests
    }

    fn explain<'r>(
        &mut self,
        values: &HostValues,
        references: impl Iterator<Item = &'r Reference>,
        instance: Option<&Instance>,
    ) {
        let explained = references.filter_map(|reference| values.explain(reference, instance));
        let mut lines = explained.map(|value| value.to_string());
        if let Some(first) = lines.next() {
            self.add(Finding::success(name::VALUES, first).with_lines(lines));
        }
    }
}

/// The check that a value comes from.
fn whose(source: &Source) -> &'static str {
    match source {
        Source::Ecs(_) => name::REGISTERED,
        _ => name::IMDS,
    }
}

/// Unlike in a run, nothing is requested again.
///
/// # Errors
/// A value is missing or unusable.
fn resolve(
    template: &Template,
    values: &HostValues,
    instance: Option<&Instance>,
    families: &[(String, String)],
) -> Result<Request, Error> {
    match values.resolve(template, instance, Duration::ZERO)? {
        Resolution::Done(request) => {
            request::taken(&request.definition, &request.origin, families)?;
            Ok(request)
        }
        Resolution::At(_) => Err(Error::NoTime),
    }
}
