"""The commands in messages: each is in backquotes and can be pasted unchanged."""

import os
import re
import shutil
import subprocess

import pytest

from situations import DIES
from standin.answers import failure
from standin.program import ROOT

AWS = ROOT / "target/venv/bin/aws"
#: What the AWS CLI prints for an invalid command, before it sends anything.
USAGE = (2, 252)


def commands(programs):
    code = "".join(path.read_text() for path in sorted((ROOT / "src").rglob("*.rs")))
    code = re.sub(r"^\s*//.*\n", "", code, flags=re.MULTILINE)
    found = re.findall(rf"`((?:{programs}) [^`]+)`", code)
    return sorted({re.sub(r"{\w*}", "x", command) for command in found})


@pytest.mark.parametrize("command", commands(r"aws|chronyc|docker|ecs-start-task|journalctl|mkdir|rm|systemctl|systemd-\w+"))
def test_a_shell_takes_what_messages_tell_people_to_type(command):
    subprocess.run(["sh", "-n", "-c", command], check=True)


@pytest.mark.parametrize("command", commands("aws"))
def test_the_aws_cli_takes_what_messages_tell_people_to_type(command):
    nobody = "--region us-east-1 --endpoint-url http://127.0.0.1:1 --no-sign-request"
    environment = {"PATH": f"{AWS.parent}:{os.defpath}", "AWS_MAX_ATTEMPTS": "1"}
    ended = subprocess.run(["sh", "-c", f"{command} {nobody}"], env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode not in USAGE and "usage:" not in ended.stderr, ended.stderr
    assert ended.returncode == 0 or "Could not connect" in ended.stderr, ended.stderr


def test_there_are_some():
    assert len(commands("aws")) >= 3 and len(commands("systemctl")) > 5 and shutil.which(AWS)


def warnings(outcome):
    return re.findall(r"\[(?:WARN|ERROR)\] (.*)", outcome.log)


def test_of_a_clock_that_is_off_only_the_clock_is_warned(program, host):
    host.clock_offset = 600
    (line,) = warnings(program.run(verbosity=None))
    assert re.match("this host's clock is (10m|9m 5.s) behind that of ECS", line)


def test_a_task_that_dies_is_no_matter_of_permissions(program, host):
    host.instance.lives["my_task_def"] = DIES
    outcome = program.run(verbosity=None)
    (line,) = warnings(outcome)
    assert outcome.status == 70 and "AccessDenied" not in line and "allow role" not in line
    assert "the reason is unknown (the optional permission ecs:DescribeTasks makes it known)" in line


@pytest.mark.parametrize(
    ("life", "answers", "said"),
    [
        (((0, "PENDING"), (0.1, "RUNNING")), [failure("AGENT")], "my_task_def: ECS did not start the task: AGENT: the agent is not connected to ECS; "),
        (DIES, [], "my_task_def: the task stopped before it ran: arn:"),
        (((0, "PENDING"),), [], "my_task_def: ECS accepted the task, but it is not running yet: arn:"),
    ],
)
def test_a_line_names_the_task_once(life, answers, said, program, host):
    host.instance.lives["my_task_def"] = life
    host.script("StartTask", *answers)
    outcome = program.run(verbosity=None, ECS_START_TASK_TIMEOUT="3s")
    (line,) = warnings(outcome)
    assert line.startswith(said) and line.count("my_task_def") == 1
    assert answers or outcome.stdout.count("my_task_def") == 1
