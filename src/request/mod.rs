//! What is to be started: the configured definitions and documents, made into StartTask requests.
//!
//! A document or name that is wrong fails alone; the others are started.

pub(crate) mod document;
pub(crate) mod limits;
pub(crate) mod references;
pub(crate) mod resolved;
pub(crate) mod schema;
pub(crate) mod template;

use crate::aws::definition::Definition;
use crate::config::error::ConfigError;
use crate::config::settings::Settings;
use references::Reference;
use std::collections::BTreeSet;
use template::{Template, document_name};

/// One configured task: the name that the user gave it, and its request or the error in it.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) name: String,
    pub(crate) template: Result<Template, ConfigError>,
}

/// Everything that is to be started, definitions first.
///
/// # Errors
/// Nothing to start.
pub(crate) fn plan(settings: &Settings) -> Result<Vec<Planned>, ConfigError> {
    let setting = settings.definitions.iter();
    let named =
        setting.flat_map(|given| references::split(&given.value).into_iter().map(move |name| (given, name)));
    let named = named.map(|(given, name)| {
        let template = Template::of_name(&name, given, settings);
        Planned { name, template }
    });
    let documents = settings.documents.iter().map(|path| match Template::of_document(path, settings) {
        Ok(template) => Planned { name: template.definition().to_owned(), template: Ok(template) },
        Err(error) => Planned { name: document_name(path).display().to_string(), template: Err(error) },
    });
    let mut planned: Vec<Planned> = named.chain(documents).collect();
    refuse_twice(&mut planned);
    if planned.is_empty() {
        return Err(ConfigError::NothingToStart { searched: settings.searched.clone() });
    }
    Ok(planned)
}

/// Every reference in the templates, each once.
pub(crate) fn references<'t>(templates: impl IntoIterator<Item = &'t Template>) -> Vec<Reference> {
    let all = templates.into_iter().flat_map(Template::references).cloned();
    all.collect::<BTreeSet<Reference>>().into_iter().collect()
}

/// A second task of a family would be taken for the first one, here and by the duplicate guard. What a reference
/// makes of a definition is compared when it is resolved.
fn refuse_twice(planned: &mut [Planned]) {
    let mut families: Vec<(String, String)> = Vec::new();
    for entry in planned {
        let Ok(template) = &entry.template else { continue };
        let Some(definition) = template.fixed_definition() else { continue };
        match taken(&definition, &template.origin, &families) {
            Err(twice) => entry.template = Err(twice),
            Ok(()) => families.push((definition.family, template.full_name())),
        }
    }
}

/// # Errors
/// One of the `families`, each with the name that it was given, is that of `definition`.
pub(crate) fn taken(
    definition: &Definition,
    origin: &str,
    families: &[(String, String)],
) -> Result<(), ConfigError> {
    match families.iter().find(|(family, _)| *family == definition.family) {
        Some((_, earlier)) => Err(ConfigError::Twice {
            origin: origin.to_owned(),
            given: definition.to_string(),
            earlier: earlier.clone(),
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::instance::Instance;
    use crate::config::value::{ConfigValue, Origin};
    use serde_json::{Value, json};

    fn settings(options: &[&str], environment: &[(&str, &str)]) -> Settings {
        Settings::of(&[&["--config", "/dev/null"], options].concat(), environment)
    }

    fn body(name: &str, settings: &Settings) -> Value {
        let arn = "arn:aws:ecs:us-east-1:1:container-instance/prod/0123456789abcdef0123456789abcdef";
        let instance = Instance::parse(arn, "prod").unwrap();
        let given = ConfigValue { key: String::new(), value: name.to_owned(), origin: Origin::Environment };
        let template = Template::of_name(name, &given, settings).unwrap();
        template.resolve(&|_| Some("web".to_owned())).unwrap().body(&instance).unwrap()
    }

    const ID: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn a_family_that_comes_twice_fails_the_later_one() {
        let planned =
            plan(&settings(&["-t", "a", "-t", "b:1", "-t", "b:2", "-t", "c d", "-t", "b{tag:x:-}"], &[]));
        let failed: Vec<bool> = planned.unwrap().iter().map(|p| p.template.is_err()).collect();
        assert_eq!(failed, [false, false, true, true, false]);
    }

    #[test]
    fn the_body_is_filled_in() {
        let expected = json!({"cluster": "prod", "containerInstances": [ID], "startedBy": ID, "taskDefinition": "log:3"});
        assert_eq!(body("log:3", &settings(&[], &[])), expected);
    }

    #[test]
    fn a_value_that_changes_makes_no_other_request() {
        let settings = settings(&["--started-by", "{tag:Role}"], &[]);
        let given = ConfigValue { key: String::new(), value: String::new(), origin: Origin::Environment };
        let template = Template::of_name("log-{ecs:region}", &given, &settings).unwrap();
        let resolved = |value: &str| template.resolve(&|_| Some(value.to_owned())).unwrap();
        assert_eq!(resolved("web").written, resolved("db").written);
        assert_eq!(resolved("web").written_definition, "log-{ecs:region}");
        assert_ne!(resolved("web").definition, resolved("db").definition);
    }

    #[test]
    fn an_option_goes_before_a_document_and_a_document_before_the_settings() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("document.json");
        std::fs::write(&path, r#"{"taskDefinition": "log", "startedBy": "document"}"#).unwrap();
        let started_by = |options: &[&str]| {
            let settings = settings(options, &[("ECS_START_TASK_STARTED_BY", "environment")]);
            let template = Template::of_document(&path, &settings).unwrap();
            template.resolve(&|_| None).unwrap().given(&["startedBy"]).cloned()
        };
        assert_eq!(
            (started_by(&[]), started_by(&["--started-by", "option"])),
            (Some("document".into()), Some("option".into()))
        );
    }
}
