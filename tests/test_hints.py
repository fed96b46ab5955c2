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
    "bare-definition-of-check": (["check", "my_task_def"], "use '-t my_task_def'"),
    "start": (["start"], "run 'ecs-start-task' alone"),
    "run": (["run", "my_task_def"], "run 'ecs-start-task' alone"),
    "restart": (["restart"], "run 'systemctl restart ecs-start-task'"),
    "stop": (["stop", "my_task_def"], "run 'aws ecs stop-task'"),
    "log": (["log"], "the log is in /var/log/ecs/ecs-start-task.log"),
    "logs": (["logs"], "the log is in /var/log/ecs/ecs-start-task.log"),
    "help": (["help"], "use '--help'"),
    "container-instances": (["--container-instances", "x"], "the tasks are started on this instance"),
    "json": (["--json"], "use '-o json'"),
    "misspelt-subcommand": (["chekc"], "'check'"),
    "misspelt-option": (["--timeuot", "5m"], "'--timeout'"),
    "short-option": (["--task-def", "x"], "'--task-definition'"),
    "wait": (["--wait", "abc"], "'--no-wait'"),
    "of-another-command": (["status", "--timeout", "5m"], "apply only to starting tasks, not to check and status"),
}

#: What resembles no option or command of this program gets no tip.
UNLIKE_ANYTHING = [["--count", "2"], ["--family", "x"], ["--debug"], ["-x"]]

#: Line 2 of the settings file; what is said about it.
LINES = {
    "blank": ("ECS_START_TASK_DEFINITION=a b", r'line 2: ECS_START_TASK_DEFINITION: "a b" is not a task definition; separate task definitions with commas'),
    "comment": ("ECS_START_TASK_DEFINITION=a # ours", r"line 2 has a comment after the value of ECS_START_TASK_DEFINITION; move the comment to a line of its own"),
    "comment-alone": ("ECS_START_TASK_STARTED_BY= # ours", r"line 2 has a comment after the value of ECS_START_TASK_STARTED_BY; move"),
    "comment-after-a-path": ("ECS_START_TASK_LOG_FILE=/tmp/x # ours", r"line 2 has a comment after the value of ECS_START_TASK_LOG_FILE; move"),
    "comment-of-aws": ("AWS_CA_BUNDLE=/tmp/x # ours", r"line 2 has a comment after the value of AWS_CA_BUNDLE; move"),
    "open-quote": ('ECS_START_TASK_DEFINITION="a', r"line 2 has a quote at only one end of the value of ECS_START_TASK_DEFINITION; add the missing quote"),
    "close-quote": ("ECS_START_TASK_DEFINITION=a'", r"line 2 has a quote at only one end of the value of ECS_START_TASK_DEFINITION; add the missing quote"),
    "colon": ("ECS_START_TASK_DEFINITION: a", r"line 2 is neither a comment nor KEY=VALUE; write ECS_START_TASK_DEFINITION=VALUE"),
    "space": ("ECS_START_TASK_DEFINITION a=b", r"line 2 is neither a comment nor KEY=VALUE; write ECS_START_TASK_DEFINITION=VALUE"),
    "export-of-nothing": ("export ECS_START_TASK_DEFINITION", r"line 2 is neither a comment nor KEY=VALUE; write ECS_START_TASK_DEFINITION=VALUE"),
    "no-pair": ("my_task_def", r"line 2 is neither a comment nor KEY=VALUE; fix the line"),
    "lower-case": ("ecs_start_task_definition=a", r"line 2: unknown setting ecs_start_task_definition; did you mean ECS_START_TASK_DEFINITION\?"),
    "prefix-of-aws": ("ECS_START_TASK_CA_BUNDLE=/x", r"line 2: unknown setting ECS_START_TASK_CA_BUNDLE; did you mean AWS_CA_BUNDLE\?"),
    "prefix-of-none": ("ECS_START_TASK_HTTPS_PROXY=x:1", r"line 2: unknown setting ECS_START_TASK_HTTPS_PROXY; did you mean HTTPS_PROXY\?"),
    "name-of-an-option": ("ECS_START_TASK_TASK_DEFINITION=a", r"line 2: unknown setting ECS_START_TASK_TASK_DEFINITION; did you mean ECS_START_TASK_DEFINITION\?"),
    "unknown-reference": ("ECS_START_TASK_DEFINITION={tags:Name}", r'line 2: ECS_START_TASK_DEFINITION: "\{tags:Name\}" is not a task definition; did you mean \{tag:Name\}\?'),
    "unknown-reference-of-startedby": ("ECS_START_TASK_STARTED_BY={TAG:Name}", r"line 2: ECS_START_TASK_STARTED_BY=\{TAG:Name\} is invalid: .*; did you mean \{tag:Name\}\?"),
    "unknown-fact": ("ECS_START_TASK_DEFINITION={ecs:clustr}", r"line 2: ECS_START_TASK_DEFINITION: \{ecs:clustr\} is unknown, did you mean cluster\?"),
    "open-reference": ("ECS_START_TASK_DEFINITION={tag:Name", r"line 2: ECS_START_TASK_DEFINITION: .*does not end with \}"),
    "region": ("ECS_START_TASK_REGION=us-east-1", r"line 2: unknown setting ECS_START_TASK_REGION; remove it: the Region comes from the ECS agent"),
    "container-instances": ("ECS_START_TASK_CONTAINER_INSTANCES=x", r"line 2: unknown setting ECS_START_TASK_CONTAINER_INSTANCES; remove it: the tasks are started on this instance"),
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
    "yaml": ("taskDefinition: a\noverrides: {}\n", r" line 1 column 2: not valid JSON; this looks like YAML: write it as JSON"),
    "trailing-comma": ('{"taskDefinition": "a",\n}', r" line 2 column 1: not valid JSON: trailing comma; remove the comma before the closing bracket"),
    "cut-off": ('{"taskDefinition": "a"', r" line 1 column 22: not valid JSON: .*; the document is cut off: a closing quote, bracket or brace is missing"),
    "empty": ("", r"; the document is empty"),
    "comment": ("{ // ours\n}", r"; put names in double quotes, and remove comments"),
    "two": ('{"taskDefinition": "a"} {"taskDefinition": "b"}', r"; one document holds one request: move what follows it to a file of its own"),
    "misspelt": ('{"taskdefinition": "a"}', r" line 1 column 17: unknown member taskdefinition; did you mean taskDefinition\?\n"),
    "overrides-alone": ({"containerOverrides": [{"name": "main", "command": ["x"]}]}, r'taskDefinition is missing; these are the overrides alone: put them into a request document, \{"taskDefinition": "NAME", "overrides": \{\.\.\.\}\}'),
    "skeleton": ({"taskDefinition": "", "cluster": "", "containerInstances": [""], "group": ""}, r"; remove containerInstances; from a CLI skeleton, delete everything that is empty as well"),
}


@pytest.mark.parametrize(("arguments", "tip"), TYPED.values(), ids=TYPED)
def test_a_command_line_from_memory_of_another_tool(arguments, tip, program, host):
    outcome = program.run(*arguments, verbosity=None)
    assert outcome.status == 2 and not host.requests
    (said,) = re.findall("tip: (.*)", outcome.stderr)
    assert tip in said and "\nUsage: ecs-start-task [OPTIONS] [COMMAND]\n" in outcome.stderr


@pytest.mark.parametrize("arguments", UNLIKE_ANYTHING, ids=" ".join)
def test_no_tip_is_better_than_a_wrong_one(arguments, program):
    outcome = program.run(*arguments, verbosity=None)
    assert outcome.status == 2 and "tip:" not in outcome.stderr and arguments[0] in outcome.stderr


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
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    outcome = program.run("--cli-input-json", str(path), verbosity=None, ECS_START_TASK_DEFINITION=None)
    assert outcome.status == 78 and re.search(said, outcome.stderr)
    assert outcome.stderr.count(str(path)) == 1 and len(re.findall("line \\d+", outcome.stderr)) <= 1


def test_a_dry_run_and_a_result_name_a_wrong_document_once(program, tmp_path):
    path = tmp_path / "document.json"
    path.write_text('{"taskDefinition": "log_agent",}')
    for options in (["--dry-run"], []):
        outcome = program.run(*options, "--cli-input-json", str(path), "-t", "my_task_def", verbosity=None)
        (line,) = [line for line in outcome.stdout.splitlines() if str(path) in line]
        assert outcome.status == 78 and line.count(str(path)) == 1 and "trailing comma" in line


#: An ARN of elsewhere, and what is said of it.
ELSEWHERE = {
    "region": ("arn:aws:ecs:eu-west-1:123456789012:task-definition/my_task_def:1", "Region eu-west-1, but this instance is in us-east-1"),
    "account": ("arn:aws:ecs:us-east-1:210987654321:task-definition/my_task_def", "account 210987654321, but this instance is in 123456789012"),
    "partition": ("arn:aws-cn:ecs:us-east-1:123456789012:task-definition/my_task_def", "partition aws-cn, but this instance is in aws"),
}


@pytest.mark.parametrize(("arn", "said"), ELSEWHERE.values(), ids=ELSEWHERE)
def test_what_is_elsewhere_is_refused_before_ecs_is_asked(arn, said, program, host, tmp_path):
    path = tmp_path / "document.json"
    path.write_text(json.dumps({"taskDefinition": arn}))
    for options, origin in ((["-t", arn], "option --task-definition"), (["--cli-input-json", str(path)], str(path))):
        outcome = program.run(*options, verbosity=None)
        assert outcome.status == 78 and not host.asked("StartTask")
        assert f"{origin}: the task definition is in {said}; use a task definition of this" in outcome.stderr
    checked = program.run("check", "-t", arn, verbosity=None)
    assert checked.status == 78 and said in " ".join(checked.stdout.split())


def test_a_cluster_of_elsewhere_is_refused_before_ecs_is_asked(program, host):
    arn = "arn:aws:ecs:eu-west-1:123456789012:cluster/my-cluster"
    outcome = program.run("--cluster", arn, verbosity=None)
    assert outcome.status == 78 and not host.asked("StartTask")
    assert f"--cluster requires cluster {arn}, but this instance is in arn:aws:ecs:us-east-1:123456789012:cluster/my-cluster; change or remove --cluster" in outcome.stderr


def test_what_a_document_has_of_run_task_is_named_at_once(program, tmp_path):
    path = tmp_path / "document.json"
    path.write_text(json.dumps({"taskDefinition": "my_task_def", "count": 1, "launchType": "EC2", "zzzz": 1}))
    outcome = program.run("--dry-run", "--cli-input-json", str(path), verbosity=None)
    about_run_task, about_another = re.findall(r"\[WARN ?\] (.*)", outcome.stderr)
    assert about_run_task.startswith(f"{path}: these members belong to RunTask, not to StartTask, and are sent unchanged: count, launchType; remove them")
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


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_a_record_that_only_root_may_read_is_called_that(host, tmp_path):
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        program = Program(host, tmp_path, binary=shutil.copy(BINARY, name))
        assert program.run(verbosity=None, ECS_START_TASK_STATE_DIR=f"{name}/state").status == 0
        Path(name, "state").chmod(0o755)
        program.wrapper = AS_NOBODY
        outcome = program.run(verbosity=None, ECS_START_TASK_STATE_DIR=f"{name}/state")
    assert outcome.status == 78
    assert re.search(rf"cannot use the (record|lock file) {name}/state/\S+: Permission denied.*; run it with sudo\n", outcome.stderr), outcome.stderr


def test_an_agent_that_is_not_installed_is_named_by_check(make_host, tmp_path):
    program = Program(make_host(closed=("agent",)), tmp_path)
    absent = "LoadState=not-found\\nActiveState=inactive\\nSubState=dead\\n"
    program.play_systemctl(f"printf 'Id=ecs-start-task.service\\n{absent}\\nId=ecs.service\\n{absent}\\nId=docker.service\\n{absent}'")
    found = {each["Check"]: each for each in json.loads(program.run("check", "-o", "json", verbosity=None).stdout)}
    assert "ecs.service is not installed" in found["ecs and docker"]["Note"]
    assert "use an ECS-optimized AMI, or install ecs-init and docker" in found["ecs and docker"]["Fix"]
