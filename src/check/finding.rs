//! The result of one check, and how it is shown: a line for people, an object for programs.

use crate::error::Error;
use crate::error::class::exit;
use crate::layout::{NARROWEST, wrap};
use crate::text::sanitize_line;
use serde::{Serialize, Serializer};

/// The status of a finding, in the words of `ssm-cli get-diagnostics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Status {
    Success,
    Warning,
    Failed,
    Skipped,
}

/// When a run would meet the failure: the earlier one decides its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Settings,
    Waiting,
    /// Between the two, when it is known where the instance is.
    Placing,
    /// With the task's place among all, from 0.
    Starting(usize),
}

/// The result of one check.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Finding {
    check: &'static str,
    pub(crate) status: Status,
    /// What was found, line by line.
    #[serde(serialize_with = "serialize")]
    note: Vec<String>,
    /// How to fix it, line by line; empty for a success.
    #[serde(serialize_with = "serialize")]
    fix: Vec<String>,
    /// What to do first, where the fix does not say about what.
    #[serde(skip)]
    step: Option<String>,
    /// When and with what a run would fail.
    #[serde(skip)]
    failure: Option<(Phase, u8)>,
    /// The line without which it could not be checked.
    #[serde(skip)]
    needs: Option<&'static str>,
}

impl Finding {
    pub(crate) fn success(check: &'static str, note: impl Into<String>) -> Self {
        let (note, fix) = (vec![note.into()], Vec::new());
        Finding { check, status: Status::Success, note, fix, step: None, failure: None, needs: None }
    }

    pub(crate) fn warning(check: &'static str, note: impl Into<String>, fix: impl Into<String>) -> Self {
        Finding { status: Status::Warning, ..Finding::success(check, note).and_hint(fix) }
    }

    pub(crate) fn skipped(check: &'static str, note: impl Into<String>, fix: impl Into<String>) -> Self {
        Finding { status: Status::Skipped, ..Finding::warning(check, note, fix) }
    }

    /// Not checked, as it needs `others`. The first of these among the `earlier` findings that is no success is the reason.
    pub(crate) fn dependent(check: &'static str, others: &[&'static str], earlier: &[Finding]) -> Self {
        let lines = others.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(" and ");
        let finding =
            Finding::skipped(check, format!("needs {}", others.join(" and ")), format!("see {lines} above"));
        let unmet = |f: &&Finding| others.contains(&f.check) && f.status != Status::Success;
        let root = earlier.iter().find(unmet).map(|f| f.needs.unwrap_or(f.check));
        Finding { needs: root.or(others.first().copied()), ..finding }
    }

    /// Whether it was not checked because of another finding.
    pub(crate) fn is_dependent(&self) -> bool {
        self.needs.is_some()
    }

    /// A run would fail with `code`.
    pub(crate) fn failed(
        check: &'static str,
        phase: Phase,
        code: u8,
        note: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Finding { status: Status::Failed, failure: Some((phase, code)), ..Finding::warning(check, note, fix) }
    }

    /// A run would fail with `error`.
    pub(crate) fn error(check: &'static str, phase: Phase, error: &Error) -> Self {
        let failed = || Finding::failed(check, phase, error.exit_code(), error.to_string(), error.hint());
        Finding::in_time(check, error, failed)
    }

    /// Whether a run would fail with `error` is not known.
    pub(crate) fn doubt(check: &'static str, note: &str, error: &Error) -> Self {
        Finding::in_time(check, error, || Finding::warning(check, format!("{note}{error}"), error.hint()))
    }

    /// Without time for a response, nothing is known.
    fn in_time(check: &'static str, error: &Error, finding: impl FnOnce() -> Self) -> Self {
        if error.is_late() {
            Finding::skipped(check, "no time is left", "fix what is slow above, and run check again")
        } else {
            finding()
        }
    }

    /// The finding names what it is about.
    pub(crate) fn about(mut self, what: &impl std::fmt::Display) -> Self {
        self.note.iter_mut().take(1).for_each(|line| line.insert_str(0, &format!("{what}: ")));
        self
    }

    /// The step that the last line of the text names, where the fix alone does not say what it is about.
    pub(crate) fn first_step(self, step: String) -> Self {
        Finding { step: Some(step), ..self }
    }

    /// More of what was found, a line for each.
    pub(crate) fn with_lines(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.note.extend(lines);
        self
    }

    pub(crate) fn is_failure(&self) -> bool {
        self.status == Status::Failed
    }

    /// Whether it says that ECS refuses this task.
    pub(crate) fn is_refusal_of(&self, task: usize) -> bool {
        self.failure == Some((Phase::Starting(task), exit::REFUSED))
    }

    /// A run would not meet the failure now.
    pub(crate) fn harmless(mut self, why: &str) -> Self {
        if self.is_failure() {
            (self.status, self.failure) = (Status::Warning, None);
            append(&mut self.note, why);
        }
        self
    }

    /// With one more hint, a line of its own.
    fn and_hint(mut self, hint: impl Into<String>) -> Self {
        self.fix.extend(Some(hint.into()).filter(|hint| !hint.is_empty()));
        self
    }

    /// With something else to do about the same.
    pub(crate) fn and_warning(self, note: &str, fix: &str) -> Self {
        let status = if self.status == Status::Success { Status::Warning } else { self.status };
        Finding { status, ..self.with_lines([note.to_owned()]).and_hint(fix) }
    }

    /// The fix does not apply in this case.
    pub(crate) fn unless(mut self, case: &str) -> Self {
        append(&mut self.fix, &format!("unless {case}"));
        self
    }

    /// How to fix it; empty for a success.
    pub(super) fn fix(&self) -> String {
        shown(&self.fix)
    }

    /// Whether somebody should act on it.
    pub(crate) fn wants_care(&self) -> bool {
        matches!(self.status, Status::Warning | Status::Failed)
    }

    /// The finding for people, its fix below it.
    pub(crate) fn text(&self, style: Style) -> String {
        let word = format!("{:<7}", format!("{:?}", self.status));
        let word = if style.colour { format!("\x1b[{}m{word}\x1b[0m", self.status.colour()) } else { word };
        let fix = if self.fix.is_empty() { String::new() } else { format!("\nFix: {}", self.fix()) };
        let lines = shown(&self.note) + &fix;
        // Where nothing has room beside the name of the check, it goes below.
        let narrow = style.width < INDENT + NARROWEST;
        let indent = if narrow { BELOW } else { INDENT };
        let lines = lines.lines().flat_map(|line| wrap(line, style.width.saturating_sub(indent)));
        let text = lines.collect::<Vec<_>>().join(&format!("\n{:indent$}", ""));
        if narrow {
            return format!("{word}  {}\n{:BELOW$}{text}\n", self.check, "");
        }
        format!("{word}  {:<16}  {text}\n", self.check)
    }
}

/// As text: no line can become two by what is in it.
fn shown(lines: &[String]) -> String {
    lines.iter().map(|line| sanitize_line(line)).collect::<Vec<_>>().join("\n")
}

/// # Errors
/// Those of the serializer.
fn serialize<S: Serializer>(lines: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&shown(lines))
}

fn append(lines: &mut [String], more: &str) {
    if let Some(last) = lines.last_mut() {
        *last += &format!("; {more}");
    }
}

impl Status {
    /// Green, yellow, red, faint (ECMA-48).
    fn colour(self) -> u8 {
        match self {
            Status::Success => 32,
            Status::Warning => 33,
            Status::Failed => 31,
            Status::Skipped => 2,
        }
    }
}

/// How findings are shown to people.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    pub(crate) colour: bool,
    /// Columns; a narrow one breaks lines all the same.
    pub(crate) width: usize,
}

/// Where notes begin, beside the name of the check or below it.
const INDENT: usize = 27;
const BELOW: usize = 2;

/// One document for programs.
pub(crate) fn json(findings: &[Finding]) -> String {
    // Strings and names: there is nothing that cannot be written.
    serde_json::to_string_pretty(findings).map_or_else(|e| e.to_string(), |text| text + "\n")
}

/// What a run would exit with: the earliest phase that fails decides. A role that is missing explains an
/// agent that does not come up, and of several tasks' failures what a restart may fix goes first.
pub(crate) fn exit_code(findings: &[Finding]) -> u8 {
    first_failure(findings).and_then(|finding| finding.failure).map_or(0, |(_, code)| code)
}

fn first_failure(findings: &[Finding]) -> Option<&Finding> {
    let failures = findings.iter().filter_map(|finding| Some((finding, finding.failure?)));
    let first = failures.min_by_key(|(_, (phase, code))| match phase {
        Phase::Settings => (0, false, 0),
        Phase::Waiting => (1, *code == exit::UNAVAILABLE, 0),
        Phase::Placing => (2, false, 0),
        Phase::Starting(task) => (3, *code == exit::CONFIGURATION, *task),
    });
    first.map(|(finding, _)| finding)
}

/// The end of the text for people: what was not checked, how many of each, and what to do first.
pub(crate) fn conclusion(findings: &[Finding], style: Style) -> String {
    let counts = wrap(&summary(findings), style.width).join("\n") + "\n";
    dependents(findings, style) + &counts + &first_step(findings, style)
}

/// A line for each line on which others depend.
fn dependents(findings: &[Finding], style: Style) -> String {
    let mut roots: Vec<&'static str> = Vec::new();
    for root in findings.iter().filter_map(|finding| finding.needs) {
        if !roots.contains(&root) {
            roots.push(root);
        }
    }
    let of = |root: &'static str| {
        let names: Vec<&str> = findings.iter().filter(|f| f.needs == Some(root)).map(|f| f.check).collect();
        let need = if names.len() == 1 { "needs" } else { "need" };
        Finding::skipped("", format!("{} more {need} \"{root}\": {}", names.len(), names.join(", ")), "")
            .text(style)
    };
    roots.into_iter().map(of).collect()
}

/// The fix of the failure that a run would meet first, else of the first warning.
fn first_step(findings: &[Finding], style: Style) -> String {
    let warning = || findings.iter().find(|finding| finding.wants_care());
    let Some(first) = first_failure(findings).or_else(warning) else { return String::new() };
    let step = first.step.as_ref().or(first.fix.first()).map_or_else(String::new, |line| sanitize_line(line));
    // No line begins with what others wrote.
    let indent = format!("\n{:BELOW$}", "");
    wrap(&format!("First: {}: {step}", first.check), style.width.saturating_sub(BELOW)).join(&indent) + "\n"
}

/// How many of each, for the last line.
fn summary(findings: &[Finding]) -> String {
    let count = |status| findings.iter().filter(|f| f.status == status).count();
    let (failed, warnings, skipped) = (count(Status::Failed), count(Status::Warning), count(Status::Skipped));
    format!("{} checks: {failed} failed, {warnings} with a warning, {skipped} skipped", findings.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_is_that_of_a_run() {
        let failed = |phase, code| Finding::failed("x", phase, code, "", "");
        let agent = || failed(Phase::Waiting, exit::UNAVAILABLE);
        let role = || failed(Phase::Waiting, exit::NOT_ALLOWED);
        let document = || failed(Phase::Starting(0), exit::CONFIGURATION);
        let denied = || failed(Phase::Starting(2), exit::NOT_ALLOWED);
        let refused = || failed(Phase::Starting(1), exit::REFUSED);
        let cluster = || failed(Phase::Placing, exit::CONFIGURATION);
        let settings = || failed(Phase::Settings, exit::CONFIGURATION);
        assert_eq!(exit_code(&[Finding::success("x", ""), Finding::warning("x", "", "")]), 0);
        assert_eq!(exit_code(&[agent(), role(), document()]), exit::NOT_ALLOWED);
        assert_eq!(exit_code(&[agent(), refused()]), exit::UNAVAILABLE);
        assert_eq!(exit_code(&[document(), denied(), refused()]), exit::REFUSED);
        assert_eq!(exit_code(&[cluster(), refused()]), exit::CONFIGURATION);
        assert_eq!(exit_code(&[refused().harmless("later")]), 0);
        assert_eq!(exit_code(&[document()]), exit::CONFIGURATION);
        assert_eq!(exit_code(&[role(), settings()]), exit::CONFIGURATION);
    }

    #[test]
    fn people_get_lines_of_whole_words_and_colour_only_when_asked_for() {
        let finding = Finding::warning("clock", "off by an hour and ten minutes or so", "fix it");
        let style = |colour, width| Style { colour, width };
        let indent = " ".repeat(INDENT);
        assert_eq!(
            finding.text(style(false, 60)),
            format!(
                "Warning  clock             off by an hour and ten minutes or\n{indent}so\n{indent}Fix: fix it\n"
            )
        );
        assert!(
            finding.text(style(true, 200)).starts_with("\x1b[33mWarning\x1b[0m  clock             off by")
        );
    }
}
