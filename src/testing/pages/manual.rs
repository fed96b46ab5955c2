//! ecs-start-task(8).

use super::{NAME, code, section, terms};
use crate::config::cli::Cli;
use clap::CommandFactory;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, italic, roman};

pub(super) fn page() -> Vec<u8> {
    let man = Man::new(Cli::command()).title(NAME).section("8").manual("System Administration");
    let mut page = Vec::new();
    man.render_title(&mut page).unwrap();
    man.render_name_section(&mut page).unwrap();
    synopsis().to_writer(&mut page).unwrap();
    man.render_description_section(&mut page).unwrap();
    commands().to_writer(&mut page).unwrap();
    man.render_options_section(&mut page).unwrap();
    let mut roff = Roff::new();
    section(&mut roff, "SETTINGS", &["See ecs-start-task.conf(5)."]);
    section(&mut roff, "ENVIRONMENT", &["Every setting, and:"]);
    terms(
        &mut roff,
        &[(
            "NO_COLOR",
            "When it is set and not empty, check uses no colour. Where its output is no terminal, or TERM is dumb, it uses none in any case.",
        )],
    );
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

fn synopsis() -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["SYNOPSIS"]);
    roff.text([bold(NAME), roman(" ["), italic("OPTIONS"), roman("]")]);
    roff.control("br", []);
    roff.text([bold(format!("{NAME} check")), roman(" ["), italic("OPTIONS"), roman("]")]);
    roff
}

fn commands() -> Roff {
    let mut roff = Roff::new();
    section(&mut roff, "COMMANDS", &[]);
    let command = Cli::command();
    for each in command.get_subcommands() {
        roff.control("TP", []);
        roff.text([bold(each.get_name())]);
        let about = each.get_long_about().or(each.get_about()).unwrap().to_string();
        roff.text([roman(about.replace("\n\n", ". "))]);
    }
    paragraph(
        &mut roff,
        "Each line begins with Success, Warning, Failed or Skipped, and all but the first are followed by a remedy. With \
         --output json the lines are a list of objects with Check, Status, Note and Fix; with -q the text \
         has only Warning and Failed. Whether the role may start a task is asked by a StartTask on a container instance that \
         cannot exist: it starts nothing, is in CloudTrail as a StartTask, and is refused by a policy that names \
         container instances (ecs:container-instances).",
    );
    roff
}

fn exit_status(roff: &mut Roff) {
    section(
        roff,
        "EXIT STATUS",
        &[
            "That of a run; check exits with 0 when nothing failed, else with the code that a run would give. With several tasks, that of the first failure which a restart may mend, else of the first failure.",
        ],
    );
    terms(
        roff,
        &[
            ("0", "Every task is running, or was already."),
            ("2", "Wrong command line. The unit does not restart."),
            ("69", "The agent, IMDS or ECS was not reachable before the deadline. The unit tries again."),
            ("70", "A task was started and stopped before it ran. The unit tries again after a pause."),
            (
                "75",
                "Not yet: throttled, agent not connected, no resources, or accepted and not RUNNING at the deadline. The unit tries again.",
            ),
            ("76", "ECS refused for good. The unit tries again after a pause: someone may mend it."),
            (
                "77",
                "Not allowed: IAM, or no instance role. The unit tries again, after a pause when ECS said so.",
            ),
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
                "The agent's settings, of which the proxy, FIPS, dual-stack and IP compatibility are taken when no nearer place has them.",
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
         family that comes twice fails the later one. An unknown member with a name close to a known one is an error; \
         any other is sent as it is, with a warning. Files not named *.json are ignored with a warning, hidden files \
         without one.",
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
    paragraph(roff, "What would be sent, and with which role:");
    code(roff, &["ecs-start-task --dry-run"]);
    paragraph(roff, "What works on this instance and what does not, and how to mend it:");
    code(roff, &["ecs-start-task check"]);
    paragraph(roff, "One task by hand, with the result as JSON:");
    code(roff, &["ecs-start-task -t my_task_def:3 --output json"]);
}

fn paragraph(roff: &mut Roff, text: &str) {
    roff.control("PP", []);
    roff.text([roman(text)]);
}

fn permissions(roff: &mut Roff) {
    section(roff, "IAM PERMISSIONS", &["Of the instance's role:"]);
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
            ("ecs:DescribeTaskDefinition", "Lets ecs-start-task check look at the task definitions."),
        ],
    );
}

fn troubleshooting(roff: &mut Roff) {
    section(
        roff,
        "TROUBLESHOOTING",
        &[
            "ecs-start-task check tries all that a run needs and says how to mend what does not work. systemctl status ecs-start-task says what is being waited for; the log says why.",
        ],
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
            (
                "a task died later",
                "So do all when docker is restarted. They stay dead until the next boot or systemctl restart ecs-start-task; a restartPolicy of the container in the task definition brings it back.",
            ),
            (
                "the unit has failed with 2 or 78",
                "No restart mends a wrong command line or setting: mend it, then systemctl restart ecs-start-task.",
            ),
        ],
    );
}
