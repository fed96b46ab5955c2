"""Request documents: every member of StartTask as the AWS CLI takes it, and errors that name file, place and nearest name."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from standin import Program
from standin.answers import as_json

AWS = Path(sys.executable).parent / "aws"

#: An invalid document, and what the error must contain besides its path.
WRONG = {
    "not-json": ('{\n"taskDefinition": "my_task_def",\n}', r"line 3"),
    "empty": ("", r"(?i)EOF|empty|JSON"),
    "a-list": ("[]", r"(?i)object|structure|map"),
    "two-documents": ('{"taskDefinition": "a"} {}', r"(?i)trailing|line 1"),
    "misspelt": ('{"taskDefinition": "my_task_def", "overides": {}}', r"overides.*did you mean overrides"),
    "misspelt-below": (
        '{"taskDefinition": "my_task_def", "overrides": {"containerOverrides": [{"name": "main", "enviroment": []}]}}',
        r"containerOverrides.*enviroment.*did you mean environment",
    ),
    "instances-given": ('{"taskDefinition": "my_task_def", "containerInstances": ["x"]}', r"; remove containerInstances; from a CLI skeleton"),
    "no-definition": ('{"group": "x"}', r"taskDefinition"),
    "empty-definition": ('{"taskDefinition": ""}', r"task definition|taskDefinition"),
    "flag-as-text": (
        '{"taskDefinition": "my_task_def", "enableExecuteCommand": "yes"}',
        r"true or false.*enableExecuteCommand",
    ),
    "text-as-number": ('{"taskDefinition": 5}', r"string.*taskDefinition"),
    "list-as-text": ('{"taskDefinition": "my_task_def", "tags": "a=b"}', r"list.*tags"),
    "required-below": ('{"taskDefinition": "my_task_def", "networkConfiguration": {"awsvpcConfiguration": {}}}', r"subnets"),
    "started-by-too-long": (json.dumps({"taskDefinition": "my_task_def", "startedBy": "x" * 37}), r"startedBy.*36"),
    "another-cluster": ('{"taskDefinition": "my_task_def", "cluster": "other"}', r"cluster is not this instance's cluster, which is my-cluster"),
    "control-characters": ('{"taskDefinition": "my_task_def", "\\u001bgroup": 1}', r"u\{1b\}group.*did you mean group"),
    "not-utf-8": (b'{"taskDefinition": "\xff\xfe"}', r"(?i)utf-?8|unicode|JSON"),
    "deep": ("[" * 100_000, r"(?i)recursion|object|structure|map"),
}


@pytest.fixture(scope="module")
def skeleton():
    """The output of `aws ecs start-task --generate-cli-skeleton`, without the member that is not allowed."""
    command = [AWS, "ecs", "start-task", "--generate-cli-skeleton", "input"]
    printed = subprocess.run(command, env={"HOME": "/nonexistent"}, check=True, capture_output=True).stdout
    members = json.loads(printed)
    del members["containerInstances"]
    return members


def filled(value):
    """The skeleton with a value in every empty place."""
    if isinstance(value, dict):
        return {name: filled(member) for name, member in value.items()}
    if isinstance(value, list):
        return [filled(member) for member in value]
    return value or "x" if isinstance(value, str) else value or 1


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def sent_by_cli(host, directory, document):
    """The body that the real AWS CLI sends for the document on this instance."""
    host.instance.announced = True
    settings = {"HOME": str(directory), "AWS_EC2_METADATA_SERVICE_ENDPOINT": host.imds.url, "AWS_ENDPOINT_URL_ECS": host.ecs.url}
    settings |= {"AWS_METADATA_SERVICE_TIMEOUT": "30"}
    identity = ["--cluster", host.instance.cluster, "--container-instances", host.instance.id, "--region", host.instance.region]
    command = [AWS, "ecs", "start-task", "--cli-input-json", f"file://{document}", *identity]
    subprocess.run(command, env=settings, check=True, capture_output=True)
    return json.loads(host.asked("StartTask")[0].body)


def test_the_clis_skeleton_with_a_definition_is_valid(skeleton, program, tmp_path):
    document = write(tmp_path / "skeleton.json", json.dumps(skeleton | {"taskDefinition": "my_task_def"}))
    assert program.run("--dry-run", "--cli-input-json", document).status == 0
    assert program.host.asked("credentials")


def test_every_member_is_sent_as_the_cli_sends_it(skeleton, program, host, make_host, tmp_path):
    members = filled(skeleton) | {"taskDefinition": "my_task_def", "cluster": host.instance.cluster}
    document = write(tmp_path / "full.json", json.dumps(members))
    assert program.run("--cli-input-json", f"file://{document}").status == 0
    assert json.loads(host.asked("StartTask")[0].body) == sent_by_cli(make_host(), tmp_path, document)


@pytest.mark.parametrize(("content", "reason"), [pytest.param(*row, id=name) for name, row in WRONG.items()])
def test_a_wrong_document_is_78_and_names_file_and_place(content, reason, program, host, tmp_path):
    document = write(tmp_path / "wrong.json", content)
    outcome = program.run("--cli-input-json", document, verbosity=None)
    assert outcome.status == 78 and not host.asked("StartTask")
    assert document in outcome.stderr
    assert re.search(reason, outcome.stderr)


def takes_anything(host):
    """ECS accepts a StartTask with any members."""

    def start(request, _):
        task = host.instance.place(json.loads(request.body)["taskDefinition"])
        return as_json({"tasks": [{"taskArn": task.arn, "lastStatus": "PENDING"}], "failures": []})

    host.always("StartTask", start)


#: Members of the model of 2026-11-20 that the AWS CLI here does not have.
RESOURCES = [{"type": "NeuronDevice"}, {"type": "GPU", "value": "1", "sharingStrategy": {"nvidiaMps": {"memory": 1, "maxComputePercent": 5}}}]


def test_todays_members_are_known(program, host, tmp_path):
    takes_anything(host)
    overrides = {"containerOverrides": [{"name": "main", "resourceRequirements": RESOURCES}]}
    document = write(tmp_path / "new.json", json.dumps({"taskDefinition": "my_task_def", "overrides": overrides}))
    outcome = program.run("--cli-input-json", document, verbosity=None)
    assert outcome.status == 0 and "WARN" not in outcome.stderr
    assert json.loads(host.asked("StartTask")[0].body)["overrides"] == overrides


def test_a_member_that_is_not_known_is_sent_as_it_stands_with_a_warning(program, host, tmp_path):
    takes_anything(host)
    members = {"launchMode": "secret-value", "overrides": {"containerOverrides": [{"name": "main", "hugePages": [None, {"a": 0.5}]}]}}
    document = write(tmp_path / "new.json", json.dumps({"taskDefinition": "my_task_def"} | members))
    outcome = program.run("--cli-input-json", document, verbosity=None)
    assert outcome.status == 0
    sent = json.loads(host.asked("StartTask")[0].body)
    assert {name: sent[name] for name in members} == members
    for place in ("launchMode", "overrides.containerOverrides.0.hugePages"):
        assert f"[WARN] {document}: {place} is unknown to this version, and is sent unchanged; check its spelling" in outcome.stderr
    assert outcome.stderr.count("WARN") == 2 and "secret-value" not in outcome.said
    checked = program.run("check", "--output", "json", "--cli-input-json", document, verbosity=None)
    (finding,) = (each for each in json.loads(checked.stdout) if each["Check"] == "settings")
    assert finding["Status"] == "Warning" and f"{document}: launchMode is unknown" in finding["Note"] and finding["Note"].count("check its spelling") == 2
    assert "secret-value" not in checked.stdout


@pytest.mark.parametrize("make", ["mkdir", "nothing"])
def test_a_document_that_cannot_be_read_is_78(make, program, host, tmp_path):
    if make == "mkdir":
        (tmp_path / "wrong.json").mkdir()
    outcome = program.run("--cli-input-json", str(tmp_path / "wrong.json"))
    assert outcome.status == 78 and not host.asked("StartTask")
    assert "wrong.json" in outcome.stderr


def test_a_wrong_request_is_told_before_the_waiting(make_host, tmp_path):
    program = Program(make_host(closed=("agent",)), tmp_path)
    alone = program.run("--cli-input-json", "/missing.json", "-t", "a b")
    assert alone.status == 78 and alone.seconds < 10 and "/missing.json" in alone.stderr and "a b" in alone.stderr
    among = program.run("--cli-input-json", "/missing.json", "-t", "my_task_def", ECS_START_TASK_TIMEOUT="1s")
    assert among.status == 69 and among.stderr.index("/missing.json") < among.stderr.index("the ECS agent does not respond")


def test_documents_and_definitions_add_up_in_name_order(program, host, etc):
    directory = etc(program) / "ecs/ecs-start-task.d"
    directory.mkdir()
    write(directory / "b.json", '{"taskDefinition": "my_task_def_extra"}')
    write(directory / "a.json", '{"taskDefinition": "log_agent"}')
    assert program.run().status == 0
    assert [task.family for task in host.instance.tasks] == ["my_task_def", "log_agent", "my_task_def_extra"]


def test_a_document_of_a_family_that_is_configured_already_fails_alone(program, host, etc):
    directory = etc(program) / "ecs/ecs-start-task.d"
    directory.mkdir()
    write(directory / "a.json", '{"taskDefinition": "my_task_def:1"}')
    write(directory / "b.json", '{"taskDefinition": "log_agent"}')
    outcome = program.run(verbosity=None)
    assert outcome.status == 78
    assert [task.family for task in host.instance.tasks] == ["my_task_def", "log_agent"]
    assert re.search(r"a\.json.*my_task_def", outcome.stderr)


def test_documents_given_by_option_replace_what_is_configured(program, host, tmp_path):
    document = write(tmp_path / "one.json", '{"taskDefinition": "log_agent"}')
    assert program.run("--cli-input-json", document).status == 0
    assert [task.family for task in host.instance.tasks] == ["log_agent"]


def test_the_json_itself_may_stand_in_place_of_a_path(program, host):
    assert program.run("--cli-input-json", ' {"taskDefinition": "log_agent"}', verbosity=None).status == 0
    assert [task.family for task in host.instance.tasks] == ["log_agent"]


def test_the_json_itself_is_not_shown_when_it_is_wrong(program):
    value = "a-value-that-nobody-may-see"
    for text, said in ((f'{{"taskDefinition": "{value}"', "not valid JSON"), (f'{{"taskDefinition": "log_agent", "grup": "{value}"}}', "did you mean group?")):
        for command in ((), ("check",), ("status",)):
            outcome = program.run(*command, "--cli-input-json", text, verbosity=None)
            assert value not in outcome.stdout + outcome.said
            assert outcome.status == 78 or command == ("status",)
            assert re.search(rf"option --cli-input-json\W.*line 1 column .*{re.escape(said)}", (outcome.stdout + outcome.said).replace("\n", " "))
