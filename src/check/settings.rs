//! The settings: which file, which value came from where, what is wrong with them, and what they ask for.

use super::checkup::{Checkup, name};
use super::finding::{Finding, Phase};
use crate::config::error::ConfigError;
use crate::config::ignored::ignored;
use crate::config::keys::DOCUMENTS;
use crate::config::settings::Settings;
use crate::config::sources::Sources;
use crate::error::class::exit;
use crate::files::{self, Untrusted, of_path};
use crate::request;
use crate::request::template::Template;
use crate::system::ecs_config::ECS_CONFIG;
use crate::text::sentence;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

impl Checkup<'_> {
    /// Adds the finding about the settings, and returns what can be started.
    pub(super) fn settings(
        &mut self,
        sources: &Sources,
        settings: &Settings,
        mut wrong: Vec<ConfigError>,
    ) -> Vec<Template> {
        let (mut requests, mut invalid) = (Vec::new(), Vec::new());
        match request::plan(settings) {
            Err(_) if wrong.iter().any(ConfigError::may_hide_a_task) => {}
            Err(nothing) => wrong.push(nothing),
            Ok(planned) => planned.into_iter().for_each(|entry| match entry.template {
                Ok(template) => requests.push(template),
                Err(error) => invalid.push(error),
            }),
        }
        // A wrong setting ends a run at once; a wrong task fails alone, when there are others.
        let alone = wrong.is_empty() && !requests.is_empty();
        wrong.extend(invalid);
        let warnings = warnings(sources, settings, &requests);
        let mut lines = lines(&wrong, sources, &requests, &warnings, &settings.leftovers).into_iter();
        let note = lines.next().unwrap_or_default();
        let finding = verdict(note, &wrong, alone, sources, &warnings).with_lines(lines);
        let open = open_to_others(sources, settings).into_iter();
        self.add(open.fold(finding, |finding, (path, untrusted)| {
            finding.and_warning(&format!("{}: {untrusted}", path.display()), &untrusted.hint(path))
        }));
        requests
    }
}

/// The finding with its first line.
fn verdict(
    note: String,
    wrong: &[ConfigError],
    alone: bool,
    sources: &Sources,
    warnings: &[(String, String)],
) -> Finding {
    if let Some(first) = wrong.first() {
        let phase = if alone { Phase::Starting(0) } else { Phase::Settings };
        let failed = Finding::failed(name::SETTINGS, phase, exit::CONFIGURATION, note, fix(wrong, alone));
        failed.first_step(first.message_with_hint())
    } else if let Some(e) = &sources.agent_unreadable {
        let unread =
            format!("cannot read {ECS_CONFIG}, so the proxy and the endpoint set there are ignored: {e}");
        Finding::warning(name::SETTINGS, unread, of_path(e)).with_lines([note])
    } else if let Some((first, hint)) = warnings.first() {
        let fix = match warnings {
            [_] => hint.clone(),
            several => format!("fix the {} warnings above", several.len()),
        };
        Finding::warning(name::SETTINGS, note, fix).first_step(sentence(first, hint))
    } else {
        Finding::success(name::SETTINGS, note)
    }
}

/// The files and directories that say what root starts and which certificates it trusts, if others can write to them.
fn open_to_others<'a>(sources: &'a Sources, settings: &'a Settings) -> BTreeMap<&'a Path, Untrusted> {
    let drop_ins = Path::new(DOCUMENTS);
    let given = || settings.documents.iter().chain(&sources.file).chain(&settings.ca_bundle);
    let files = || given().map(PathBuf::as_path).chain([Path::new(ECS_CONFIG)]);
    // Where it is sticky, what is named in it is its owner's.
    let is_sticky = |path: &Path| path.metadata().is_ok_and(|about| about.mode() & 0o1000 != 0);
    let above = files().filter_map(Path::parent).filter(|parent| *parent != drop_ins && !is_sticky(parent));
    let all = files().chain(above).chain([drop_ins]);
    let mut open: BTreeMap<_, _> =
        all.filter_map(|path| Some((path, files::open_to_others(path)?))).collect();
    let named: BTreeSet<&Path> = open.keys().copied().collect();
    open.retain(|_, untrusted| untrusted.above.as_deref().is_none_or(|above| !named.contains(above)));
    open
}

/// What is ignored or not known, each with its hint.
fn warnings(sources: &Sources, settings: &Settings, requests: &[Template]) -> Vec<(String, String)> {
    let ignored = ignored(sources, settings).map(|ignored| (ignored.to_string(), ignored.hint()));
    let unknown = requests.iter().flat_map(Template::unknown_members);
    let unknown = unknown.map(|(unknown, hint)| (unknown, hint.to_owned()));
    ignored.chain(unknown).collect()
}

/// What is wrong, then the file, the values in force and their places, the documents, and what is ignored or not known.
fn lines(
    wrong: &[ConfigError],
    sources: &Sources,
    requests: &[Template],
    warnings: &[(String, String)],
    leftovers: &[PathBuf],
) -> Vec<String> {
    let file = sources.file.as_ref().map_or("no settings file".to_owned(), |f| f.display().to_string());
    let documents = requests.iter().filter(|r| !r.of_setting);
    let mut lines: Vec<String> = match wrong {
        [one] => vec![one.to_string()],
        several => several.iter().map(ConfigError::message_with_hint).collect(),
    };
    lines.push(file);
    lines.extend(sources.given().map(ToString::to_string));
    lines.extend(documents.map(|r| format!("{} ({})", r.definition(), r.origin)));
    let alone = warnings.len() == 1 && wrong.is_empty() && sources.agent_unreadable.is_none();
    let shown = |(warning, hint): &(String, String)| {
        if alone { warning.clone() } else { sentence(warning, hint) }
    };
    lines.extend(warnings.iter().map(shown));
    lines.extend(leftovers.iter().map(|path| format!("{} is not a request document", path.display())));
    lines
}

/// Each of several errors has its hint beside it, and each of several warnings.
fn fix(wrong: &[ConfigError], others: bool) -> String {
    let others = if others { "; the other tasks are started anyway" } else { "" };
    match wrong {
        [one] => one.hint() + others,
        several => format!("fix the {} errors above{others}", several.len()),
    }
}
