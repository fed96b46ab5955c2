"""`status` says why a task is missing: the last error is on record, by hand and under the unit, until the task runs."""

import json
import re

import pytest

from standin import Program
from standin.answers import denied, ecs_error, failure
from standin.imds import refusal
from standin.instance import DIES

#: What the last line of the details and the JSON's `at` look like.
AT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


def status(program, **settings):
    """The details in text, and the task in JSON."""
    text = program.run("status", verbosity=None, **settings)
    (task,) = json.loads(program.run("status", "-o", "json", verbosity=None, **settings).stdout)["tasks"]
    return text.stdout.rstrip("\n").split("\t"), task


#: What ECS or the host does; what status says of it.
CAUSES = {
    "denied": (lambda host: host.always("StartTask", denied("ecs:StartTask")), "ECS responded to StartTask with AccessDeniedException"),
    "refused": (lambda host: host.script("StartTask", ecs_error("ClientException", "TaskDefinition is inactive")), "ClientException: TaskDefinition is inactive"),
    "no-room": (lambda host: host.always("StartTask", failure("RESOURCE:MEMORY")), "ECS did not start the task: RESOURCE:MEMORY"),
    "dies": (lambda host: host.instance.lives.update(my_task_def=DIES), "the task stopped before it ran"),
    "no-role": (lambda host: host.always("role", refusal(404)), "this instance has no IAM role"),
}


@pytest.mark.parametrize(("cause", "said"), CAUSES.values(), ids=CAUSES)
def test_the_last_error_is_shown_with_its_time(cause, said, program, host):
    cause(host)
    assert program.run(verbosity=None, ECS_START_TASK_TIMEOUT="2s").status not in (0, 2, 78)
    details, task = status(program)
    assert re.search(rf"last error at {AT}: .*{said}", details[3])
    assert re.fullmatch(AT, task["lastError"]["at"]) and re.search(said, task["lastError"]["message"])
    assert len(task["lastError"]["message"]) <= 203


@pytest.mark.parametrize("action", ["ecs:StartTask", "iam:PassRole"])
def test_of_what_is_denied_the_action_is_left(action, program, host):
    role = "assumed-role/" + "a-role-with-a-name-of-sixty-four-letters-as-no-name-may-be-longer/i-0123456789abcdef0"
    message = f"User: arn:aws:sts::123456789012:{role} is not authorized to perform: {action} on resource: arn:aws:x because no identity-based policy allows it"
    host.always("StartTask", ecs_error("AccessDeniedException", message))
    assert program.run(verbosity=None, ECS_START_TASK_TIMEOUT="2s").status == 77
    details, task = status(program)
    for text in (details[3], task["lastError"]["message"]):
        assert f"AccessDeniedException: not authorized to perform: {action} on resource: " in text and "HTTP" not in text


def test_the_error_is_there_while_the_run_still_retries(program, host):
    host.always("StartTask", failure("RESOURCE:MEMORY"))
    running = program.start(verbosity=None)
    while not host.asked("StartTask") or "retrying" not in program.log_file.read_text():
        pass
    _, task = status(program)
    running.signal()
    running.finish(killed=True)
    assert "RESOURCE:MEMORY" in task["lastError"]["message"]


def test_it_is_gone_when_the_task_runs(program, host):
    host.script("StartTask", ecs_error("ClientException", "TaskDefinition is inactive"))
    assert program.run(verbosity=None).status == 76
    assert status(program)[1]["lastError"]
    assert program.run(verbosity=None).status == 0
    details, task = status(program)
    assert task["status"] == "RUNNING" and task["lastError"] is None and "last error" not in details[3]
    host.instance.tasks.clear()
    assert status(program)[1]["lastError"] is None


def test_what_kept_every_task_from_being_tried_is_gone_when_one_is_tried(program, host):
    assert program.run("--cluster", "other", verbosity=None).status == 78
    assert "--cluster requires cluster other" in status(program)[1]["lastError"]["message"]
    host.script("StartTask", ecs_error("ClientException", "TaskDefinition is inactive"))
    assert program.run(verbosity=None).status == 76
    assert "inactive" in status(program)[1]["lastError"]["message"]


def test_a_dry_run_leaves_nothing(program):
    assert program.run("--dry-run", "--cluster", "other", verbosity=None).status == 78
    assert not (program.directory / "state").exists()


def test_a_reference_without_a_value_is_named(program, host):
    settings = {"ECS_START_TASK_DEFINITION": "agent-{tag:Role}", "ECS_START_TASK_TIMEOUT": "1s"}
    assert program.run(verbosity=None, **settings).status == 78
    details, task = status(program, **settings)
    assert details[1] == "NOT RESOLVED YET" and "{tag:Role} has no value" in details[3]
    assert "{tag:Role} has no value" in task["lastError"]["message"]


def test_no_value_of_a_document_is_recorded(program, host, tmp_path):
    value = "a-value-that-nobody-may-see"
    document = {"taskDefinition": "my_task_def", "overrides": {"containerOverrides": [{"name": "main", "environment": [{"name": "A", "value": value}]}]}}
    (tmp_path / "document.json").write_text(json.dumps(document))
    options = ["--cli-input-json", str(tmp_path / "document.json")]
    host.always("StartTask", ecs_error("ClientException", "no \x1b[31m" + "x" * 900))
    assert program.run(*options, verbosity=None, ECS_START_TASK_DEFINITION=None).status == 76
    outcome = program.run("status", *options, "-o", "json", verbosity=None)
    (task,) = json.loads(outcome.stdout)["tasks"]
    shown = task["lastError"]["message"].replace("\x1b", r"\u{1b}")
    assert len(shown) == 200 + len("...") and task["lastError"]["message"].endswith("...")
    kept = "".join(path.read_text() for path in (tmp_path / "state").iterdir())
    assert value not in kept and value not in outcome.stdout and "\x1b" not in kept


def test_a_record_without_the_member_still_reads(program, host):
    host.script("StartTask", ecs_error("ClientException", "TaskDefinition is inactive"))
    assert program.run(verbosity=None).status == 76
    (record,) = (program.directory / "state").glob("*.json")
    members = json.loads(record.read_text())
    assert members.pop("last_error")
    record.write_text(json.dumps(members))
    details, task = status(program)
    assert task["lastError"] is None and task["attempts"] == 1 and "1 StartTask call" in details[3]


def test_a_file_that_is_nothing_of_ours_is_no_error(make_host, tmp_path):
    program = Program(make_host(), tmp_path)
    assert program.run("--cluster", "other", verbosity=None).status == 78
    (untried,) = [path for path in (tmp_path / "state").iterdir() if path.name == "untried"]
    for text in ("", "[]", '["another boot", {"": {"at": "x", "message": "y"}}]', "\0"):
        untried.write_text(text)
        assert status(program)[1]["lastError"] is None


def test_check_names_the_last_error_beside_the_missing_task(program, host):
    host.script("StartTask", ecs_error("ClientException", "TaskDefinition is inactive"))
    assert program.run(verbosity=None).status == 76
    outcome = program.run("check", "-o", "json", verbosity=None)
    (found,) = [each for each in json.loads(outcome.stdout) if each["Check"] == "already running"]
    assert re.search(rf"no task of my_task_def is running here; last error at {AT}: ECS responded .*inactive", found["Note"])
