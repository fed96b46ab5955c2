//! The man pages and shell completions, made from the definitions that the program itself uses.
//!
//! They are kept under `packaging/`, so that installing needs no compiler; a test holds them against what
//! would be made now, and `make pages` makes them. Nothing of this is in the shipped binary.

use crate::cli::Cli;
use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use std::path::{Path, PathBuf};

const NAME: &str = "ecs-start-task";
const SETTINGS: &str = include_str!("../packaging/ecs-start-task.conf");

fn page_8() -> Vec<u8> {
    let man = Man::new(Cli::command()).title(NAME).section("8").manual("System Administration");
    let mut page = Vec::new();
    man.render_title(&mut page).unwrap();
    man.render_name_section(&mut page).unwrap();
    man.render_synopsis_section(&mut page).unwrap();
    man.render_description_section(&mut page).unwrap();
    man.render_options_section(&mut page).unwrap();
    let mut roff = Roff::new();
    exit_status(&mut roff);
    files(&mut roff);
    documents(&mut roff);
    examples(&mut roff);
    permissions(&mut roff);
    troubleshooting(&mut roff);
    section(&mut roff, "SEE ALSO", &["ecs-start-task.conf(5), systemctl(1), journalctl(1)"]);
    roff.to_writer(&mut page).unwrap();
    page
}

fn section(roff: &mut Roff, title: &str, paragraphs: &[&str]) {
    roff.control("SH", [title]);
    for paragraph in paragraphs {
        roff.control("PP", []);
        roff.text([roman(*paragraph)]);
    }
}

/// Paragraphs with a term in bold before each.
fn terms(roff: &mut Roff, terms: &[(&str, &str)]) {
    for (term, meaning) in terms {
        roff.control("TP", []);
        roff.text([bold(*term)]);
        roff.text([roman(*meaning)]);
    }
}

fn code(roff: &mut Roff, lines: &[&str]) {
    roff.control("PP", []);
    roff.control("nf", []);
    roff.control("RS", ["4"]);
    for line in lines {
        roff.text([roman(*line)]);
    }
    roff.control("RE", []);
    roff.control("fi", []);
}

fn exit_status(roff: &mut Roff) {
    section(
        roff,
        "EXIT STATUS",
        &[
            "With several tasks, that of the first failure which a restart may mend, else of the first failure.",
        ],
    );
    terms(
        roff,
        &[
            ("0", "Every task is running, or was already."),
            ("2", "Wrong command line. The unit does not restart."),
            ("69", "The agent, IMDS or ECS was not reachable before the deadline."),
            ("70", "A task was started and stopped before it ran. The unit tries again after a pause."),
            (
                "75",
                "Not yet: throttled, agent not connected, no resources, or accepted and not RUNNING at the deadline.",
            ),
            ("76", "ECS refused for good. The unit tries again after a pause: someone may mend it."),
            ("77", "Not allowed: IAM, or no instance role. The unit tries again after a pause."),
            ("78", "Wrong configuration. The unit does not restart."),
        ],
    );
}

fn files(roff: &mut Roff) {
    section(roff, "FILES", &[]);
    terms(
        roff,
        &[
            ("/etc/ecs/ecs-start-task.conf", "The settings, ecs-start-task.conf(5)."),
            ("/etc/ecs/ecs-start-task.d/*.json", "StartTask request documents, one task each."),
            ("/var/log/ecs/ecs-start-task.log", "The log; the journal has the same lines."),
            ("/run/ecs-start-task", "Lock and records of this boot."),
            (
                "/etc/ecs/ecs.config",
                "The agent's settings, of which the proxy is taken when there is no nearer one.",
            ),
        ],
    );
}

fn documents(roff: &mut Roff) {
    section(
        roff,
        "REQUEST DOCUMENTS",
        &[
            "What `aws ecs start-task --generate-cli-skeleton` prints, without containerInstances. cluster, startedBy and \
         containerInstances are filled in; a cluster that is given must be the agent's. A document that is wrong fails \
         alone, with exit status 78, and the others are started. Documents add up with ECS_START_TASK_DEFINITION; a \
         family that comes twice fails the later one.",
        ],
    );
}

fn examples(roff: &mut Roff) {
    section(
        roff,
        "EXAMPLES",
        &["In user data, where --no-block is needed because the agent waits for user data to end:"],
    );
    code(
        roff,
        &[
            "yum install -y ecs-start-task",
            "echo ECS_START_TASK_DEFINITION=my_task_def >> /etc/ecs/ecs-start-task.conf",
            "systemctl enable --now --no-block ecs-start-task",
        ],
    );
    section_text(roff, "What would be sent, and with which role:");
    code(roff, &["ecs-start-task --dry-run"]);
    section_text(roff, "One task by hand, with the result as JSON:");
    code(roff, &["ecs-start-task -t my_task_def:3 --output json"]);
}

fn section_text(roff: &mut Roff, text: &str) {
    roff.control("PP", []);
    roff.text([roman(text)]);
}

fn permissions(roff: &mut Roff) {
    section(roff, "PERMISSIONS", &["Of the instance's role:"]);
    terms(
        roff,
        &[
            ("ecs:StartTask", "on the task definition, with the condition ecs:cluster. Needed."),
            (
                "iam:PassRole",
                "on the roles of the task definition, with iam:PassedToService ecs-tasks.amazonaws.com. Needed if it has any.",
            ),
            ("ecs:TagResource", "Needed for tags in a document."),
            (
                "ecs:ListTasks",
                "Lets ECS, and not the agent alone, say whether a task was started whose answer was lost.",
            ),
            ("ecs:DescribeTasks", "Lets the log say why a task stopped."),
        ],
    );
}

fn troubleshooting(roff: &mut Roff) {
    section(
        roff,
        "TROUBLESHOOTING",
        &["systemctl status ecs-start-task says what is being waited for; the log says why."],
    );
    terms(
        roff,
        &[
            (
                "the ECS agent does not answer",
                "It answers when it has registered, which takes an instance profile and a way to ECS. See systemctl status ecs.",
            ),
            (
                "this instance has no role",
                "Attach an instance profile. A role that was attached at launch may take a minute.",
            ),
            (
                "failures[] AGENT",
                "Normal for some seconds after registration; later, the agent has lost its connection to ECS.",
            ),
            (
                "failures[] RESOURCE",
                "Other tasks have taken what this one needs. It is tried until the timeout, and then by the restarted unit.",
            ),
            (
                "is there already",
                "A task of this family runs here. ECS_START_TASK_IF_RUNNING=start starts one more.",
            ),
            (
                "nothing happens on systemctl start",
                "The unit stays active once its tasks run. systemctl restart ecs-start-task looks again.",
            ),
        ],
    );
}

/// The settings file's own comments and defaults.
fn page_5() -> Vec<u8> {
    let mut roff = Roff::new();
    roff.control("TH", ["ecs-start-task.conf", "5", "", env!("CARGO_PKG_VERSION"), "File Formats"]);
    section(&mut roff, "NAME", &["ecs-start-task.conf \\- settings of ecs-start-task"]);
    section(&mut roff, "SYNOPSIS", &["/etc/ecs/ecs-start-task.conf"]);
    section(
        &mut roff,
        "DESCRIPTION",
        &[
            "Lines of KEY=VALUE; empty lines and lines that begin with # or ; are passed over, quotes around a whole value \
         are taken off, and the last of several lines counts. An unknown ECS_START_TASK_ key is an error. Every key is \
         an environment variable too, and most are options: the first hit wins of option, environment variable and this \
         file.",
        ],
    );
    roff.control("SH", ["SETTINGS"]);
    for (keys, meaning) in settings() {
        roff.control("TP", []);
        roff.text([bold(keys.join(", "))]);
        roff.text([roman(meaning)]);
    }
    section(&mut roff, "SEE ALSO", &["ecs-start-task(8)"]);
    let mut page = Vec::new();
    roff.to_writer(&mut page).unwrap();
    page
}

/// Each block of the settings file: its keys with their defaults, and its comment.
fn settings() -> Vec<(Vec<String>, String)> {
    let blocks = SETTINGS.split("\n\n").skip(1);
    let block = |text: &str| {
        let lines = text.lines().map(|line| line.trim_start_matches('#'));
        let (comment, keys): (Vec<&str>, Vec<&str>) = lines.partition(|line| line.starts_with(' '));
        let comment = comment.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
        (keys.into_iter().map(str::to_owned).collect(), comment)
    };
    blocks.map(block).collect()
}

fn completion(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), NAME, &mut script);
    script
}

fn all() -> Vec<(PathBuf, Vec<u8>)> {
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging");
    let pages = [
        ("man/ecs-start-task.8", page_8()),
        ("man/ecs-start-task.conf.5", page_5()),
        ("completions/ecs-start-task.bash", completion(Shell::Bash)),
        ("completions/_ecs-start-task", completion(Shell::Zsh)),
        ("completions/ecs-start-task.fish", completion(Shell::Fish)),
    ];
    pages.into_iter().map(|(name, text)| (packaging.join(name), text)).collect()
}

#[test]
#[ignore = "make pages runs it: it writes into packaging/"]
fn write() {
    for (path, text) in all() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

#[test]
fn the_pages_are_those_of_the_definitions() {
    for (path, text) in all() {
        let kept = std::fs::read(&path).unwrap_or_default();
        assert!(kept == text, "{} is not what the definitions say: run make pages", path.display());
    }
}

#[test]
fn every_setting_has_its_block() {
    let told = settings().into_iter().flat_map(|(keys, _)| keys);
    let known = crate::sources::KNOWN.iter().map(|(key, default)| format!("{key}={default}"));
    assert_eq!(told.collect::<Vec<_>>(), known.collect::<Vec<_>>());
}
