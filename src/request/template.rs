//! A request as the user wrote it: read from a document or a setting, and resolved when the host's values are known.
//!
//! A template that is wrong fails alone. No error shows a value, neither of the document nor of the host.

use super::document::Fault;
use super::references::{self, InvalidReference, Piece, Reference, Source};
use super::resolved::Request;
use super::{document, limits, schema};
use crate::aws::definition::Definition;
use crate::config::error::ConfigError;
use crate::config::keys::{DOCUMENTS, name};
use crate::config::settings::Settings;
use crate::config::value::{ConfigValue, Origin};
use crate::files;
use serde_json::{Map, Value, json};
use std::path::Path;

/// What to do about a member that is not known.
const UNKNOWN_MEMBER: &str = "check its spelling, or update this program";
const OF_RUN_TASK: &str =
    "remove them: a document is a StartTask request, and its task is started once on this instance";

const DEFINITION: &str = "taskDefinition";
const STARTED_BY: &str = "startedBy";

/// A StartTask request as the user wrote it: its strings may hold references.
#[derive(Debug)]
pub(crate) struct Template {
    /// What asked for it, as errors name it: a document's path, or the place of the setting.
    pub(crate) origin: String,
    /// Whether a setting asked for it, and no document.
    pub(crate) of_setting: bool,
    members: Map<String, Value>,
    references: Vec<Reference>,
    /// Whether startedBy is that of the settings.
    started_by_setting: bool,
}

impl Template {
    /// Of one task definition of the setting `from`.
    ///
    /// # Errors
    /// As for [`Template::of_document`].
    pub(super) fn of_name(given: &str, from: &ConfigValue, settings: &Settings) -> Result<Self, ConfigError> {
        let members = Map::from_iter([(DEFINITION.to_owned(), json!(given))]);
        let origin = match &from.origin {
            option @ Origin::Option(_) => option.to_string(),
            place => format!("{place}: {}", from.key),
        };
        Template::new(origin, true, members, settings)
    }

    /// # Errors
    /// The document cannot be read, or something in it is wrong whatever the values are.
    pub(super) fn of_document(path: &Path, settings: &Settings) -> Result<Self, ConfigError> {
        let shown = document_name(path);
        let text = match shown == path {
            true if path.starts_with(DOCUMENTS) => files::read(path),
            true => files::read_named(path),
            false => Ok(path.to_string_lossy().into_owned()),
        };
        let text = text.map_err(|source| ConfigError::File { path: shown.into(), source })?;
        let wrong = |Fault { why, hint }| ConfigError::Document { path: shown.into(), why, hint };
        let members = document::parse(&text).map_err(wrong)?;
        if members.contains_key("containerInstances") {
            return Err(ConfigError::InstancesGiven { path: shown.into() });
        }
        Template::new(shown.display().to_string(), false, members, settings)
    }

    /// # Errors
    /// [`ConfigError`]: a member or a reference is invalid.
    fn new(
        origin: String,
        of_setting: bool,
        mut members: Map<String, Value>,
        settings: &Settings,
    ) -> Result<Self, ConfigError> {
        drop_empty(&mut members);
        let setting = settings.started_by.as_ref();
        let setting = setting.filter(|_| settings.started_by_option || !members.contains_key(STARTED_BY));
        members.extend(setting.map(|text| (STARTED_BY.to_owned(), json!(text))));
        let started_by_setting = setting.is_some();
        let mut template =
            Template { origin, of_setting, members, references: Vec::new(), started_by_setting };
        template.references = template.find_references()?;
        if template.references.is_empty() {
            template.resolve(&|_| None)?;
        }
        if template.fixed_text().is_some_and(|text| Definition::parse(&text).is_none()) {
            return Err(template.not_a_definition());
        }
        Ok(template)
    }

    /// The task definition as it is written.
    pub(crate) fn definition(&self) -> &str {
        self.members.get(DEFINITION).and_then(Value::as_str).unwrap_or_default()
    }

    /// The task definition, when no value of the host can change it.
    pub(crate) fn fixed_definition(&self) -> Option<Definition> {
        Definition::parse(&self.fixed_text()?)
    }

    fn fixed_text(&self) -> Option<String> {
        let pieces = references::parse(self.definition()).ok()?;
        let fixed = pieces.iter().all(|piece| matches!(piece, Piece::Text(_)));
        fixed.then(|| references::substitute(&pieces, &|_| None).ok())?
    }

    /// Shown only when it is of the settings, and as it is written there: what documents and hosts say may be a secret.
    fn not_a_definition(&self) -> ConfigError {
        let place = self.place(DEFINITION);
        if self.of_setting {
            return ConfigError::Definition { place, given: self.definition().to_owned() };
        }
        ConfigError::Member { place, rule: "a family, family:revision or task definition ARN" }
    }

    /// The request as the user wrote it, which tells requests apart: nothing in it is of this instance, so a value that
    /// changes, such as a tag's, makes no other request of it.
    pub(crate) fn written(&self) -> String {
        Value::from(self.members.clone()).to_string()
    }

    /// The task definition as it is written, and where.
    pub(crate) fn full_name(&self) -> String {
        format!("{} ({})", self.definition(), self.origin)
    }

    /// What its document has that this version does not know, each with a hint; what is RunTask's in one line.
    pub(crate) fn unknown_members(&self) -> Vec<(String, &'static str)> {
        let (run_task, unknown): (Vec<_>, Vec<_>) = document::unknown_members(&self.members)
            .into_iter()
            .partition(|place| schema::is_of_run_task(place));
        let run_task = (!run_task.is_empty()).then(|| {
            let members = run_task.join(", ");
            (
                format!(
                    "{}: these members belong to RunTask, not to StartTask, and are sent unchanged: {members}",
                    self.origin
                ),
                OF_RUN_TASK,
            )
        });
        let unknown = unknown.into_iter().map(|place| {
            let unknown =
                format!("{}: {place} is unknown to this version, and is sent unchanged", self.origin);
            (unknown, UNKNOWN_MEMBER)
        });
        run_task.into_iter().chain(unknown).collect()
    }

    /// Every reference in it.
    pub(crate) fn references(&self) -> &[Reference] {
        &self.references
    }

    /// # Errors
    /// [`ConfigError::Reference`]: one is invalid.
    fn find_references(&self) -> Result<Vec<Reference>, ConfigError> {
        let mut found = Vec::new();
        self.replaced(&mut |text, member| {
            let pieces = self.parse(text, member)?;
            found.extend(pieces.into_iter().filter_map(|piece| match piece {
                Piece::Reference(reference) => Some(reference),
                Piece::Text(_) => None,
            }));
            Ok(String::new())
        })?;
        Ok(found)
    }

    /// # Errors
    /// [`ConfigError::Reference`], with the place.
    fn parse(&self, text: &str, member: &str) -> Result<Vec<Piece>, ConfigError> {
        let invalid = |why: InvalidReference| ConfigError::Reference {
            place: self.place(member),
            why: why.to_string(),
        };
        references::parse(text).map_err(invalid)
    }

    /// The request with these values in place of the references.
    ///
    /// # Errors
    /// A value is missing or cannot be used, or ECS would refuse the result.
    pub(crate) fn resolve(
        &self,
        value_of: &dyn Fn(&Source) -> Option<String>,
    ) -> Result<Request, ConfigError> {
        let mut members = self.replaced(&mut |text, member| {
            let pieces = self.parse(text, member)?;
            references::substitute(&pieces, value_of).map_err(|unresolved| ConfigError::Unresolved {
                place: self.place(member),
                why: unresolved.to_string(),
                hint: unresolved.hint(),
            })
        })?;
        drop_empty(&mut members);
        if let Some((member, rule)) = limits::exceeded(&members) {
            return Err(ConfigError::Member { place: self.place(&member), rule });
        }
        let given = members.remove(DEFINITION).unwrap_or_default();
        let definition = Definition::parse(given.as_str().unwrap_or_default());
        let definition = definition.ok_or_else(|| self.not_a_definition())?;
        Ok(Request {
            definition,
            origin: self.origin.clone(),
            written: self.written(),
            written_definition: self.definition().to_owned(),
            members,
        })
    }

    /// The members with another text in place of each text.
    ///
    /// # Errors
    /// Those of `replace`.
    fn replaced(
        &self,
        replace: &mut dyn FnMut(&str, &str) -> Result<String, ConfigError>,
    ) -> Result<Map<String, Value>, ConfigError> {
        let member = |(name, value): (&String, &Value)| Ok((name.clone(), replaced(value, name, replace)?));
        self.members.iter().map(member).collect()
    }

    /// Where a member comes from, for errors.
    fn place(&self, member: &str) -> String {
        match member {
            STARTED_BY if self.started_by_setting => name::STARTED_BY.to_owned(),
            DEFINITION if self.of_setting => self.origin.clone(),
            _ => format!("{}: {member}", self.origin),
        }
    }
}

/// How messages name a document. As in the AWS CLI, the option takes a path or the JSON itself, which is not shown.
pub(super) fn document_name(path: &Path) -> &Path {
    let is_json = path.to_string_lossy().trim_start().starts_with('{');
    if is_json { Path::new("option --cli-input-json") } else { path }
}

/// The value with another text in place of each text in it; `replace` is given the text and its member.
///
/// # Errors
/// Those of `replace`.
fn replaced(
    value: &Value,
    member: &str,
    replace: &mut dyn FnMut(&str, &str) -> Result<String, ConfigError>,
) -> Result<Value, ConfigError> {
    match value {
        Value::String(text) => replace(text, member).map(Value::from),
        Value::Array(items) => {
            let item = |(at, item)| replaced(item, &format!("{member}.{at}"), replace);
            items.iter().enumerate().map(item).collect()
        }
        Value::Object(members) => {
            let below = |(name, value): (&String, &Value)| {
                Ok((name.clone(), replaced(value, &format!("{member}.{name}"), replace)?))
            };
            members.iter().map(below).collect::<Result<Map<_, _>, _>>().map(Value::from)
        }
        other => Ok(other.clone()),
    }
}

/// The AWS CLI's skeleton has empty strings for what is not given.
fn drop_empty(members: &mut Map<String, Value>) {
    members.retain(|_, value| value.as_str() != Some(""));
}
