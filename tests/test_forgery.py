"""Names and words of others forge nothing, wherever they come from and wherever they are written.

Each source is a caller that hands on what somebody else wrote; each command writes it to stdout, to stderr as the journal takes
it, to the log file and to systemd.
"""

import json
import re

import pytest

from standin.answers import as_json, ecs_error, failure, text
from standin.imds import Imds
from standin.instance import DIES
from terminal import show
from test_agent import metadata

#: Lines, cells, priorities and assignments of its own, a title for the terminal, and what no terminal draws.
HIDDEN = "\x1b]0;owned\x07\u202e\u2060\u00ad\u034f\u180e\u206a\u3164\ufe0f\U000e0041"
FORGED = f"x\n[ERROR] forged\n<3>forged\nMAINPID=1\nx\tforged{HIDDEN}\rforged"
INVISIBLE = re.compile("[\r\x1b\x07\u202e\u2060\u00ad\u034f\u180e\u206a\u3164\ufe0f\U000e0041]")
LINE_OF_ITS_OWN = re.compile(r"^(\[ERROR\] forged|<3>forged|forged|MAINPID|x\tforged)", re.MULTILINE)
JOURNAL = r"<[3-7]>\[(ERROR|WARN|INFO|DEBUG|TRACE)\] .*"
LOG = r"[\d-]+T[\d:.]+Z \d+ \[(ERROR|WARN|INFO|DEBUG|TRACE)\] .*"

RUN, CHECK, DRY_RUN, STATUS = (), ("check",), ("--dry-run",), ("status",)


def definition(program):
    return RUN, CHECK, DRY_RUN, STATUS, {"ECS_START_TASK_DEFINITION": FORGED}


def definition_with_a_default(program):
    """What is waited for is the last line of a terminal."""
    program.host.always("tags/instance/Role", text("", 500))
    return RUN, {"ECS_START_TASK_DEFINITION": f"my_{{tag:Role:-{FORGED}}}", "ECS_START_TASK_TIMEOUT": "1s"}


def document(program, members=None, name="document"):
    path = program.directory / f"{name}.json"
    path.write_text(json.dumps({"taskDefinition": "my_task_def"} | (members or {})))
    return ("--cli-input-json", path)


def documents_name(program):
    given = document(program, {"group": 7}, FORGED)
    return given, ("check", *given), ("--dry-run", *given), ("status", *given)


def documents_good_name(program):
    """Nothing is wrong with it but the name."""
    given = document(program, {}, FORGED)
    return (("check", *given),)


def documents_member(program):
    given = document(program, {FORGED: 7, "overrides": {FORGED: 7}})
    return given, ("check", *given)


def documents_reference(program):
    given = document(program, {"group": f"{{tag:{FORGED}}}"})
    return given, ("check", *given)


def setting(program):
    return RUN, CHECK, {"ECS_START_TASK_STARTED_BY": FORGED}


def settings_file(program):
    path = program.directory / f"{FORGED}.conf"
    path.write_text(f"ECS_START_TASK_{HIDDEN}forged=1\n{HIDDEN}forged=2\n")
    return ("--config", path), ("check", "--config", path)


def other_cluster(program):
    return ("--cluster", FORGED), ("check", "--cluster", FORGED)


def proxy(program):
    program.environment["AWS_ENDPOINT_URL_ECS"] = "https://ecs.example.test"
    return CHECK, {"HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": f"a.example.test,{FORGED}", "ECS_START_TASK_TIMEOUT": "1s"}


def bundle(program):
    return RUN, CHECK, {"AWS_CA_BUNDLE": program.directory / FORGED}


def paths(program):
    places = {"ECS_START_TASK_STATE_DIR": f"/dev/null/{FORGED}", "ECS_START_TASK_LOG_FILE": f"/nowhere/{FORGED}"}
    return RUN, CHECK, places


def message_of_ecs(program):
    program.host.always("StartTask", ecs_error("ClientException", FORGED))
    return (RUN,)


def code_of_ecs(program):
    program.host.always("StartTask", ecs_error(FORGED, "m"))
    return (RUN,)


def reason_of_ecs(program):
    program.host.always("StartTask", failure(f"LOCATION:{FORGED}", FORGED))
    return (RUN,)


def body_of_ecs(program):
    program.host.always("StartTask", text(FORGED, 400))
    return (RUN,)


def status_of_ecs(program):
    program.host.always("StartTask", as_json({"tasks": [{"taskArn": program.host.instance.arn_of("task/my-cluster/0"), "lastStatus": FORGED}]}))
    return ("--no-wait",), {"ECS_START_TASK_TIMEOUT": "1s"}


def definition_of_ecs(program):
    program.host.metadata_service.allowed.add("DescribeTaskDefinition")
    program.host.instance.details["my_task_def"] = {"status": FORGED, "networkMode": FORGED}
    return (CHECK,)


def stop_reason(program):
    program.host.metadata_service.allowed.add("DescribeTasks")
    program.host.instance.lives["my_task_def"] = DIES

    def forge(_, default):
        answer = json.loads(default().body)
        for task in answer["tasks"]:
            task |= {"stoppedReason": FORGED, "stopCode": FORGED}
            task["containers"][0] |= {"name": FORGED, "reason": FORGED}
        return as_json(answer)

    program.host.always("DescribeTasks", forge)
    return (RUN,)


def last_stop(program):
    """As a keeper has it on record."""
    assert program.run().status == 0
    [path] = (program.directory / "state").glob("*.json")
    stop = {"at": "2026-01-02T03:04:05Z", "code": FORGED, "reason": FORGED, "exit_codes": FORGED}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"last_stop": stop}))
    return (STATUS,)


def body_of_the_agent(program):
    program.host.always("metadata", text(FORGED, 500))
    return RUN, CHECK, STATUS, {"ECS_START_TASK_TIMEOUT": "1s"}


def arn_of_the_agent(program):
    program.host.always("metadata", metadata(ContainerInstanceArn=FORGED))
    return RUN, CHECK, STATUS, {"ECS_START_TASK_TIMEOUT": "1s"}


def cluster_of_the_agent(program):
    program.host.always("metadata", metadata(Cluster=FORGED))
    return RUN, CHECK, STATUS, {"ECS_START_TASK_TIMEOUT": "1s"}


def version_of_the_agent(program):
    program.host.instance.announced = True
    program.host.always("metadata", metadata(Version=FORGED, ContainerInstanceArn=program.host.instance.arn))
    return (CHECK,)


def code_of_imds(program):
    program.host.always("credentials", as_json({"Code": FORGED, "Message": FORGED}))
    return RUN, CHECK, DRY_RUN, {"ECS_START_TASK_TIMEOUT": "1s"}


def body_of_imds(program):
    program.host.always("token", text(FORGED, 500))
    return RUN, CHECK, {"ECS_START_TASK_TIMEOUT": "1s"}


def host_value(program):
    """A line break in a value is an error, which is why it has none."""
    program.host.metadata_service.tags["Role"] = f"{INVISIBLE.sub('', FORGED).splitlines()[0]}\u202e\u2060forged"
    given = document(program, {"group": "{tag:Role}"})
    return ("check", *given), ("--dry-run", *given)


def unit(program):
    program.play_systemctl(f"printf '%s\\n' ActiveState=activating SubState='{HIDDEN}forged' LoadState=loaded StatusText='{HIDDEN}forged' FragmentPath='/x/{HIDDEN}forged'")
    return (CHECK,)


SOURCES = [
    definition, definition_with_a_default, documents_name, documents_good_name, documents_member, documents_reference, setting, settings_file, other_cluster,
    proxy, bundle, paths, message_of_ecs, code_of_ecs, reason_of_ecs, body_of_ecs, status_of_ecs, definition_of_ecs, stop_reason,
    last_stop, body_of_the_agent, arn_of_the_agent, cluster_of_the_agent, version_of_the_agent, code_of_imds,
    body_of_imds, host_value, unit,
]  # fmt: skip


def expect_lines(form, text):
    assert all(re.fullmatch(form, line) for line in text.splitlines()), text


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.__name__)
def test_what_others_wrote_forges_nothing(source, make_program, manager):
    program = make_program(imds=Imds(tags={}))
    commands = source(program)
    settings = {"NOTIFY_SOCKET": manager.getsockname()}
    if isinstance(commands[-1], dict):
        *commands, changed = commands
        settings |= changed
    for command in commands:
        seen = ""
        for output in ("text", "json"):
            outcome = program.run(*command, "--output", output, **settings)
            messages = manager.heard()
            judge(output, outcome, messages)
            seen += outcome.stdout + outcome.stderr
        assert "forged" in seen, "it came nowhere"


def judge(output, outcome, messages):
    if output == "json":
        json.loads(outcome.stdout)
    assert "x\tforged" not in outcome.stdout, "two cells of one"
    expect_lines(JOURNAL, outcome.stderr)
    expect_lines(LOG, outcome.log)
    assert all(re.fullmatch("STATUS=.*", message) for message in messages), messages
    for text in (outcome.stdout, *messages, outcome.stderr, outcome.log):
        assert not INVISIBLE.search(text) and not LINE_OF_ITS_OWN.search(text), text


@pytest.mark.parametrize("source", [definition, definition_with_a_default, documents_name, message_of_ecs, stop_reason, body_of_the_agent], ids=lambda source: source.__name__)
def test_what_others_wrote_does_nothing_to_a_terminal(source, program):
    """On which there are colours and a progress line too."""
    commands = source(program)
    changed = commands[-1] if isinstance(commands[-1], dict) else {}
    environment = {name: str(value) for name, value in (program.environment | changed).items()}
    for command in commands[:2]:
        if command is not changed:
            shown, _ = show([program.binary, *map(str, command)], environment, 200)
            assert "forged" in shown
            shown = re.sub(r"\r\x1b\[K|\x1b\[\d*m", "", shown)
            assert not INVISIBLE.search(shown) and not LINE_OF_ITS_OWN.search(shown), shown


@pytest.mark.parametrize("arguments", [(f"--{FORGED}",), (FORGED,), ("--output", FORGED), ("--timeout", "1s", f"-t{FORGED}", "check"), (f"--cli-input-json={FORGED}", f"--quiet={FORGED}")])
def test_an_argument_forges_nothing(arguments, program):
    """Root runs it with a wildcard, in another user's directory."""
    outcome = program.run(*arguments, verbosity=None)
    assert outcome.status == 2 and outcome.stderr.startswith("error: ") and not outcome.stdout
    assert not INVISIBLE.search(outcome.stderr) and not LINE_OF_ITS_OWN.search(outcome.stderr)
