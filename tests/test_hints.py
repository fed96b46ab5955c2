"""Hints that lead to the fix: likely mistakes, and what the program says about them."""

import json
import os
import re
import shutil
import tempfile
from pathlib import Path

import pytest

from standin import Program
from standin.answers import denied, ecs_error
from standin.program import BINARY

AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
EXAMPLE = "/usr/share/doc/ecs-start-task/examples/awsvpc.json"

#: What is typed; the tip.
TYPED = {
    "region": (["--region", "us-east-1"], "the Region comes from the ECS agent"),
    "region-with-value": (["check", "--region=us-east-1"], "the Region comes from the ECS agent"),
    "profile": (["--profile", "admin"], "the credentials come from the role of this instance"),
    "bare-definition": (["my_task_def"], "use '-t my_task_def'"),
    "bare-arn": (["arn:aws:ecs:us-east-1:1:task-definition/a:3"], "use '-t arn:aws:ecs:us-east-1:1:task-definition/a:3'"),
    "misspelt-subcommand": (["chekc"], "'check'"),
    "misspelt-option": (["--timeuot", "5m"], "'--timeout'"),
}

#: Line 2 of the settings file; what is said about it.
LINES = {
    "blank": ("ECS_START_TASK_DEFINITION=a b", r'line 2: ECS_START_TASK_DEFINITION: "a b" is not a task definition; separate task definitions with commas'),
    "comment": ("ECS_START_TASK_DEFINITION=a # ours", r'line 2: ECS_START_TASK_DEFINITION: "a # ours" is not .*; move the comment to a line of its own'),
    "comment-elsewhere": ("ECS_START_TASK_WAIT=none # quick", r"line 2: ECS_START_TASK_WAIT=none # quick is invalid: .*; move the comment to a line of its own"),
    "export-of-nothing": ("export ECS_START_TASK_DEFINITION", r"line 2 is neither a comment nor KEY=VALUE; fix the line"),
    "region": ("ECS_START_TASK_REGION=us-east-1", r"line 2: unknown setting ECS_START_TASK_REGION; remove it: the Region comes from the ECS agent"),
    "near": ("ECS_START_TASK_TIMEUOT=5m", r"line 2: unknown setting ECS_START_TASK_TIMEUOT; did you mean ECS_START_TASK_TIMEOUT\?"),
    "not-near": ("ECS_START_TASK_COUNT=2", r"line 2: unknown setting ECS_START_TASK_COUNT; the names are in ecs-start-task\.conf\(5\)"),
}

#: What ECS refuses; the hint.
REFUSED = {
    "awsvpc": (
        ecs_error("InvalidParameterException", "Network Configuration must be provided when networkMode 'awsvpc' is specified."),
        rf"; the task definition has network mode awsvpc: add networkConfiguration .*{EXAMPLE}",
    ),
    "tags": (
        ecs_error("InvalidParameterException", "The new ARN and resource ID format must be enabled to add tags to the task."),
        r"; tags require the long ARN format: `aws ecs put-account-setting-default --name taskLongArnFormat --value enabled`",
    ),
}

#: A document; what is said about it.
DOCUMENTS = {
    "overrides-alone": ({"containerOverrides": [{"name": "main", "command": ["x"]}]}, r'taskDefinition is missing .*; these are the overrides alone: put them into a request document, \{"taskDefinition": "NAME", "overrides": \{\.\.\.\}\}'),
    "skeleton": ({"taskDefinition": "", "cluster": "", "containerInstances": [""], "group": ""}, r"; remove containerInstances; from a CLI skeleton, delete everything that is empty as well"),
}


@pytest.mark.parametrize(("arguments", "tip"), TYPED.values(), ids=TYPED)
def test_a_command_line_from_memory_of_another_tool(arguments, tip, program, host):
    outcome = program.run(*arguments, verbosity=None)
    assert outcome.status == 2 and not host.requests
    assert re.search(rf"tip: .*{re.escape(tip)}", outcome.stderr)


@pytest.mark.parametrize(("line", "said"), LINES.values(), ids=LINES)
def test_a_line_of_the_settings_file_is_named_with_its_fix(line, said, program, tmp_path):
    path = tmp_path / "settings"
    path.write_text(f"# ours\n{line}\n")
    outcome = program.run("--config", str(path), verbosity=None, ECS_START_TASK_DEFINITION=None)
    assert outcome.status == 78
    assert re.search(f"{re.escape(str(path))} {said}", outcome.stderr)


@pytest.mark.parametrize(("answer", "hint"), REFUSED.values(), ids=REFUSED)
def test_a_refusal_with_a_known_cause(answer, hint, program, host):
    host.script("StartTask", answer)
    outcome = program.run(verbosity=None)
    assert outcome.status == 76 and re.search(hint, outcome.stderr)


def test_a_role_that_may_not_tag(program, host):
    host.always("StartTask", denied("ecs:TagResource"))
    outcome = program.run(verbosity=None, ECS_START_TASK_TIMEOUT="1s")
    assert outcome.status == 77
    assert "; grant role ecsInstanceRole ecs:TagResource on its tasks, or remove tags from the request" in outcome.stderr


@pytest.mark.parametrize(("document", "said"), DOCUMENTS.values(), ids=DOCUMENTS)
def test_another_thing_than_a_request_is_recognised(document, said, program, tmp_path):
    path = tmp_path / "document.json"
    path.write_text(json.dumps(document))
    outcome = program.run("--cli-input-json", str(path), verbosity=None, ECS_START_TASK_DEFINITION=None)
    assert outcome.status == 78 and re.search(said, outcome.stderr)


def test_what_a_document_has_of_run_task_is_named_at_once(program, tmp_path):
    path = tmp_path / "document.json"
    path.write_text(json.dumps({"taskDefinition": "my_task_def", "count": 1, "launchType": "EC2", "zzzz": 1}))
    outcome = program.run("--dry-run", "--cli-input-json", str(path), verbosity=None)
    about_run_task, about_another = re.findall(r"\[WARN ?\] (.*)", outcome.stderr)
    assert about_run_task.startswith(f"{path}: of RunTask, not StartTask, and sent unchanged: count, launchType; remove them")
    assert "zzzz is unknown" in about_another


def test_a_family_that_comes_twice_names_both_files(program, etc):
    directory = etc(program) / "ecs/ecs-start-task.d"
    directory.mkdir()
    for name in "ab":
        (directory / f"{name}.json").write_text('{"taskDefinition": "my_task_def"}')
    outcome = program.run(verbosity=None, ECS_START_TASK_DEFINITION=None)
    at = "/etc/ecs/ecs-start-task.d"
    assert outcome.status == 78
    assert f"{at}/b.json: my_task_def is of the same family as my_task_def ({at}/a.json); only one task of a family is started" in outcome.stderr


def test_where_imds_is_silent_it_may_be_no_ec2_instance(make_host, tmp_path):
    program = Program(make_host(closed=("imds",)), tmp_path)
    outcome = program.run(verbosity=None, ECS_START_TASK_TIMEOUT="1s")
    assert outcome.status == 69
    assert "; check that this is an EC2 instance, that no firewall blocks 169.254.169.254, and that IMDS is enabled" in outcome.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_who_is_not_root_is_told_to_run_it_with_sudo(host, tmp_path):
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        program = Program(host, tmp_path, binary=shutil.copy(BINARY, name))
        program.wrapper = AS_NOBODY
        outcome = program.run(verbosity=None)
    assert outcome.status == 78
    assert re.search(r"cannot use the state directory .*Permission denied.*; run it with sudo\n", outcome.stderr)
    assert "ECS_START_TASK_STATE_DIR" not in outcome.stderr
