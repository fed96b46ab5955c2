"""Host values: references in documents and settings are replaced by what IMDS and the agent report."""

import json
import re

import pytest
from moto.server import ThreadedMotoServer

from standin import Answer, Instance
from standin.answers import HANG_UP, placed_then
from standin.imds import Imds, metadata, refusal

#: A tag's value that may be in the request and nowhere else.
PRIVATE = "tag-value-that-nobody-else-may-see"
#: The option that enables tags, as the error about an absent tag names it.
ENABLE_TAGS = "--instance-metadata-tags enabled"

#: {reference: its value on the stand-in's instance}
VALUES = {
    "{imds:instance-id}": "i-0123456789abcdef0",
    "{imds:placement/availability-zone}": "us-east-1a",
    "{imds:local-ipv4}:8125": "10.0.1.23:8125",
    "{imds:vpc-id}": "vpc-0123456789abcdef0",
    "{imds:subnet-id}": "subnet-0123456789abcdef0",
    "{imds:security-groups}": "default,agents",
    "{imds:network/interfaces/macs/02:29:96:8f:6a:2d/security-group-ids}": "sg-0123456789abcdef0,sg-0123456789abcdef1",
    "{imds:no/such/path:-none}": "none",
    "{tag:Role}": "web",
    "{tag:aws:autoscaling:groupName}": "agents-asg",
    "{tag:Braces}": "{imds:instance-id}",
    "{tag:Empty}": "",
    "{tag:Empty:-default}": "default",
    "{tag:Missing:-}": "",
    "<{tag:Missing:-a, b:-c}>": "<a, b:-c>",
    "{ecs:cluster}": "my-cluster",
    "{ecs:region}": "us-east-1",
    "{ecs:account}": "123456789012",
    "{ecs:container-instance-id}": "0123456789abcdef0123456789abcdef",
    "{ecs:container-instance-arn}": Instance().arn,
    "{{tag:Role}}": "{tag:Role}",
    '{"instance": "{imds:instance-id}"}': '{"instance": "i-0123456789abcdef0"}',
    "${HOME} {{ ds.x }} {imds}": "${HOME} {{ ds.x }} {imds}",
}
TAGS = {"Role": "web", "aws:autoscaling:groupName": "agents-asg", "Braces": "{imds:instance-id}", "Empty": "", "Private": PRIVATE}


@pytest.fixture
def program(make_program):
    program = make_program(imds=Imds(tags=dict(TAGS)))
    program.host.instance.definitions |= {"agent-web": 1, "agent-default": 1}
    return program


@pytest.fixture
def host(program):
    return program.host


@pytest.fixture
def document(tmp_path):
    """document(name, members) writes a request document and returns the options that name it."""

    def write(name="host.json", **members):
        (tmp_path / name).write_text(json.dumps({"taskDefinition": "log_agent"} | members))
        return "--cli-input-json", tmp_path / name

    return write


def environment(*values):
    """The member that gives these values to a container."""
    variables = [{"name": f"V{number}", "value": value} for number, value in enumerate(values)]
    return {"overrides": {"containerOverrides": [{"name": "main", "environment": variables}]}}


def sent(host):
    """The bodies of the StartTask calls."""
    return [json.loads(request.body) for request in host.asked("StartTask")]


def values(body):
    return [each["value"] for each in body["overrides"]["containerOverrides"][0]["environment"]]


def paths(host):
    """The metadata that was requested, in order."""
    return [request.operation for request in host.asked() if request.service == "imds" and request.path.startswith("/latest/meta-data/")]


def test_every_reference_becomes_its_value(program, host, document):
    assert program.run(*document(**environment(*VALUES))).status == 0
    assert values(sent(host)[0]) == list(VALUES.values())


def test_each_path_is_asked_for_once_with_one_token(program, host, document):
    program.run(*document("a.json", **environment(*VALUES)), *document("b.json", taskDefinition="my_task_def", **environment(*VALUES)))
    assert len(sent(host)) == 2 and len(host.asked("token")) == 1
    assert sorted(paths(host)) == sorted({*paths(host)})
    assert {"mac", "instance-id", "tags/instance/Role", "role", "credentials"} <= {*paths(host)}


def test_the_primary_interface_is_the_one_of_the_path_mac(program, host, document):
    macs = ("02:29:96:8f:6a:2d", "0a:ff:d0:9b:1c:01")
    host.metadata_service.metadata = metadata(macs=macs) | {"mac": macs[1]}
    program.run(*document(**environment("{imds:vpc-id}", "{imds:subnet-id}", "{imds:mac}")))
    assert values(sent(host)[0]) == ["vpc-1123456789abcdef0", "subnet-1123456789abcdef0", macs[1]]


def test_what_is_no_mac_address_leads_nowhere(program, host, document):
    host.metadata_service.metadata["mac"] = "../../../iam/info"
    assert program.run(*document(**environment("{imds:vpc-id}"))).status == 78
    assert paths(host) == ["role", "credentials", "mac"]


def test_nothing_is_asked_for_without_references(program, host):
    assert program.run().status == 0
    assert paths(host) == ["role", "credentials"]


def test_settings_and_every_string_of_a_document(program, host, document):
    members = {
        "taskDefinition": "agent-{tag:Role}",
        "group": "{imds:placement/availability-zone}",
        "startedBy": "{tag:Role}/x",
        "cluster": "{ecs:cluster}",
        "tags": [{"key": "{tag:Role}", "value": "{imds:instance-id}"}],
        "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["{imds:subnet-id}"]}},
    }
    program.run(*document(**members), "-t", "agent-{tag:Missing:-default}", ECS_START_TASK_STARTED_BY="{tag:Role}-1")
    by_definition = {body["taskDefinition"]: body for body in sent(host)}
    assert by_definition["agent-default"]["startedBy"] == "web-1"
    body = by_definition["agent-web"]
    assert (body["group"], body["startedBy"], body["tags"]) == ("us-east-1a", "web/x", [{"key": "web", "value": "i-0123456789abcdef0"}])
    assert body["networkConfiguration"]["awsvpcConfiguration"]["subnets"] == ["subnet-0123456789abcdef0"]


def test_definitions_are_split_at_commas_outside_references(program, host):
    outcome = program.run(ECS_START_TASK_DEFINITION="agent-{tag:Missing:-a,b}, agent-{tag:Role}, {tag:Role, my_task_def")
    assert outcome.status == 78
    assert [body["taskDefinition"] for body in sent(host)] == ["agent-web", "my_task_def"]
    assert "{tag: does not end with }" in outcome.stderr


# --- Errors ---

#: A value of a document, and what the error must contain besides file, member and reference.
INVALID = {
    "unknown": ("{ecs:regoin}", "{ecs:regoin}", "did you mean region"),
    "empty-path": ("{imds:}", "{imds:}", "names nothing"),
    "not-closed": ("{tag:Role", "{tag:", "does not end"),
    "path": ("{imds:a b:-hunter2}", "{imds:a b}", "letters"),
    "tag-key": ("{tag:a/b:-hunter2}", "{tag:a/b}", "key of a tag"),
    "secret": ("{imds:iam/info:-hunter2}", "{imds:iam/info}", "credentials"),
}
#: The same for errors that are known only once the values are.
UNUSABLE = {
    "absent-tag": ({**environment("x-{tag:Missing}")}, "overrides.containerOverrides.0.environment.0.value", "{tag:Missing}", ENABLE_TAGS),
    "absent-path": ({**environment("{imds:no/path}")}, "overrides.containerOverrides.0.environment.0.value", "{imds:no/path}", "404"),
    "line-break": ({**environment("{imds:placement}")}, "overrides.containerOverrides.0.environment.0.value", "{imds:placement}", "line break"),
    "family": ({"taskDefinition": "a-{tag:Space}"}, "taskDefinition", "", "expected a family"),
    "started-by": ({"startedBy": "{tag:Space}"}, "startedBy", "", "36"),
    "started-by-long": ({"startedBy": "{ecs:container-instance-arn}"}, "startedBy", "", "36"),
    "group": ({"group": "{tag:Long}"}, "group", "", "255"),
    "tag-value": ({"tags": [{"key": "a", "value": "{tag:Long}"}]}, "tags.0.value", "", "256"),
    "tag-value-characters": ({"tags": [{"key": "a", "value": "{tag:Brackets}"}]}, "tags.0.value", "", "256"),
    "overrides": (environment(*["{tag:Long}"] * 30), "overrides", "", "8192"),
    "cluster": ({"cluster": "{tag:Role}"}, "", "", "my-cluster"),
}


@pytest.mark.parametrize(("value", "reference", "reason"), INVALID.values(), ids=INVALID)
def test_an_invalid_reference_is_told_before_the_waiting(value, reference, reason, make_program, document):
    program = make_program(closed=("agent",))
    option, path = document(**environment("ok", value))
    outcome = program.run(option, path, verbosity=None)
    assert outcome.status == 78 and outcome.seconds < 10
    for part in (str(path), "overrides.containerOverrides.0.environment.1.value", reference, reason):
        assert part in outcome.stderr
    assert "hunter2" not in outcome.said and not program.host.asked()


@pytest.mark.parametrize(("members", "member", "reference", "reason"), UNUSABLE.values(), ids=UNUSABLE)
def test_a_value_that_cannot_be_used_fails_that_document_alone(members, member, reference, reason, program, host, document):
    host.metadata_service.tags |= {"Space": "two words", "Long": "x" * 300, "Brackets": "<a>"}
    option, path = document(**members)
    outcome = program.run(option, path, "-t", "my_task_def", verbosity=None)
    assert outcome.status == 78
    assert [body["taskDefinition"] for body in sent(host)] == ["my_task_def"]
    (line,) = [line for line in outcome.stderr.splitlines() if str(path) in line]
    for part in (member, reference, reason):
        assert part in line
    assert "two words" not in outcome.said and "<a>" not in outcome.said and "xxxx" not in outcome.said


def test_tags_that_are_not_enabled_name_the_switch(program, host):
    host.metadata_service.instance_metadata_tags = False
    outcome = program.run(ECS_START_TASK_DEFINITION="agent-{tag:Role}", verbosity=None)
    assert outcome.status == 78 and not sent(host)
    for part in ("ECS_START_TASK_DEFINITION", "{tag:Role}", "modify-instance-metadata-options", ENABLE_TAGS):
        assert part in outcome.stderr


def test_families_are_compared_after_resolving(program, host, document):
    option, path = document(taskDefinition="agent-{tag:Role}")
    outcome = program.run("-t", "agent-web", option, path)
    assert outcome.status == 78 and len(sent(host)) == 1
    assert re.search(rf"{path}.*agent-web", outcome.stderr)


def test_an_invalid_reference_in_started_by_is_told_with_its_place(program, host):
    outcome = program.run(ECS_START_TASK_STARTED_BY="{tag:}", verbosity=None)
    assert outcome.status == 78 and not host.asked()
    assert "ECS_START_TASK_STARTED_BY" in outcome.stderr and "{tag:} names nothing" in outcome.stderr


# --- Secrets ---

SPELLINGS = [
    *("iam", "iam/", "iam/info", "iam/security-credentials/", "iam/security-credentials/ecsInstanceRole", "IAM/info"),
    *("Iam/security-credentials/ecsInstanceRole", "identity-credentials/ec2/security-credentials/ec2-instance", "IDENTITY-CREDENTIALS"),
    *("/iam/info", "//iam/info", "iam//info", "./iam/info", "iam/./info", "../meta-data/iam/info", "placement/../iam/info"),
    *("%69am/info", "iam%2Finfo", "placement/%2e%2e/iam/info", "iam\\info", "iam?x", "iam#x", " iam/info", "iam./info", "iam\t/info"),
    *("../api/token", "../user-data", "../dynamic/instance-identity/document", "network//iam", "iam\n"),
]


def test_no_spelling_of_a_path_reaches_credentials(program, host, document):
    wrong = [word for number, path in enumerate(SPELLINGS) for word in document(f"{number}.json", **environment(f"{{imds:{path}:-x}}"))]
    outcome = program.run(*wrong, "-t", "my_task_def", verbosity=None)
    assert outcome.status == 78 and len(SPELLINGS) >= 20
    assert paths(host) == ["role", "credentials"]
    assert all(f"/{number}.json" in outcome.stderr for number in range(len(SPELLINGS)))


def test_no_value_is_in_the_log_at_any_level(program, host, document):
    outcome = program.run(*document(**environment("{tag:Private}", "{imds:local-hostname}")))
    assert values(sent(host)[0]) == [PRIVATE, "ip-10-0-1-23.ec2.internal"]
    for each in (outcome.stdout, outcome.stderr, outcome.log):
        assert PRIVATE not in each and "ip-10-0-1-23" not in each


# --- IMDS ---


@pytest.mark.parametrize(
    "answer",
    [refusal(500), refusal(503), HANG_UP, Answer(body=b"\xff\xfe"), Answer(body=b"slow", delay=0.5)],
    ids=["500", "503", "hang-up", "not-utf-8", "slow"],
)
def test_a_passing_fault_is_waited_out(answer, program, host, document):
    host.script("tags/instance/Role", answer)
    assert program.run(*document(**environment("{tag:Role}"))).status == 0
    assert values(sent(host)[0]) == ["slow" if answer.delay else "web"]


def test_an_expired_token_is_replaced(program, host, document):
    host.script("tags/instance/Role", refusal(401))
    assert program.run(*document(**environment("{tag:Role}"))).status == 0
    assert len(host.asked("token")) == 2 and values(sent(host)[0]) == ["web"]


def test_a_lasting_fault_ends_at_the_deadline_and_fails_that_document_alone(program, host, document):
    host.always("tags/instance/Role", refusal(500))
    outcome = program.run(*document(**environment("{tag:Role}")), "-t", "my_task_def", ECS_START_TASK_TIMEOUT="2s", verbosity=None)
    assert outcome.status == 69 and "500" in outcome.stderr
    assert [body["taskDefinition"] for body in sent(host)] == ["my_task_def"]


def test_values_are_fetched_while_the_agent_is_awaited(make_program, document):
    program = make_program(imds=Imds(tags=dict(TAGS)), closed=("agent",))
    program.host.agent.open_after(1)
    assert program.run(*document(**environment("{tag:Role}"))).status == 0
    operations = [request.operation for request in program.host.asked()]
    assert operations.index("tags/instance/Role") < operations.index("metadata")


def test_the_metadata_of_moto(program, document):
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        url = "http://{}:{}".format(*server.get_host_and_port())
        option = document(**environment("{imds:instance-id}", "{imds:placement/availability-zone-id}", "{imds:mac}", "{imds:security-groups}"))
        outcome = program.run(*option, "--dry-run", "--output", "json", AWS_EC2_METADATA_SERVICE_ENDPOINT=url)
    finally:
        server.stop()
    (request,) = json.loads(outcome.stdout)["requests"]
    assert values(request) == ["i-fake", "use1-az1", "00:de:ad:be:ef:00", "moto-default"]


# --- What is shown, what is recorded ---


def test_the_dry_run_shows_the_request_and_where_each_value_came_from(program, host, document):
    option = document(**environment("{tag:Role}", "{tag:Missing:-none}", "{imds:subnet-id}", "{ecs:region}"))
    shown = json.loads(program.run(*option, "--dry-run", "--output", "json").stdout)
    assert values(shown["requests"][0]) == ["web", "none", "subnet-0123456789abcdef0", "us-east-1"]
    assert [(each["reference"], each["value"], each["from"]) for each in shown["values"]] == [
        ("{imds:subnet-id}", "subnet-0123456789abcdef0", "IMDS network/interfaces/macs/02:29:96:8f:6a:2d/subnet-id"),
        ("{tag:Missing:-none}", "none", "its default"),
        ("{tag:Role}", "web", "IMDS tags/instance/Role"),
        ("{ecs:region}", "us-east-1", "the ECS agent"),
    ]
    as_text = program.run(*option, "--dry-run").stdout
    assert re.search(r"^value +\{tag:Role\} = web \(IMDS tags/instance/Role\)$", as_text, re.MULTILINE)
    assert not sent(host)


def test_a_dry_run_fails_where_a_run_would(program, document):
    outcome = program.run(*document(**environment("{tag:Missing}")), "--dry-run", "--output", "json")
    (error,) = json.loads(outcome.stdout)["errors"]
    assert outcome.status == 78 and ENABLE_TAGS in error["message"]


def check(program, *options):
    """The findings about values, and the exit code."""
    outcome = program.run("check", "--output", "json", *options, verbosity=None)
    return [each for each in json.loads(outcome.stdout) if each["Check"] == "values"], outcome.status


def test_check_has_a_line_with_each_value(program, document):
    options = document(**environment("{tag:Role}", "{imds:instance-id}", "{tag:Missing:-none}", "{ecs:region}"))
    ([finding], _) = check(program, *options)
    assert finding["Status"] == "Success"
    assert finding["Note"].splitlines() == [
        "{imds:instance-id} = i-0123456789abcdef0 (IMDS instance-id)",
        "{tag:Missing:-none} = none (its default)",
        "{tag:Role} = web (IMDS tags/instance/Role)",
        "{ecs:region} = us-east-1 (the ECS agent)",
    ]


def test_check_tells_why_there_is_no_value_and_checks_the_others(program, document):
    option, path = document(**environment("{tag:Missing}"))
    outcome = program.run("check", "--output", "json", option, path, "-t", "agent-{tag:Role}", verbosity=None)
    found = json.loads(outcome.stdout)
    resolved, absent = [each for each in found if each["Check"] == "values"]
    assert resolved["Note"] == "{tag:Role} = web (IMDS tags/instance/Role)" and absent["Status"] == "Failed"
    assert str(path) in absent["Note"] and "{tag:Missing}" in absent["Note"] and ENABLE_TAGS in absent["Fix"]
    assert [each["Note"] for each in found if each["Check"] == "already running"] == ["no task of agent-web is running here"]


def test_check_without_references_says_nothing_of_values(program):
    assert check(program)[0] == []


@pytest.mark.parametrize(("closed", "reference", "needed"), [("imds", "{tag:Role}", "IMDS token"), ("agent", "{ecs:region}", "registered")])
def test_check_skips_values_that_nobody_can_tell(closed, reference, needed, make_program, document):
    ([finding], code) = check(make_program(closed=(closed,)), *document(**environment(reference)))
    assert (finding["Status"], code) == ("Skipped", 69) and needed in finding["Fix"]


def test_a_value_that_changes_within_a_boot_starts_no_second_task(program, host, document):
    host.script("StartTask", placed_then(HANG_UP))
    option = document(**environment("{tag:Role}"))
    run = program.start(*option)
    while not host.asked("StartTask"):
        pass
    run.signal()
    run.finish(killed=True)
    host.metadata_service.tags["Role"] = "db"
    outcome = program.run(*option)
    assert outcome.status == 0 and len(host.instance.tasks) == 1


def test_status_takes_the_definition_from_the_records(program, host):
    settings = {"ECS_START_TASK_DEFINITION": "agent-{tag:Role}"}
    before = program.run("status", verbosity=None, **settings)
    assert (before.status, before.stdout.split("\t")[:2]) == (75, ["agent-{tag:Role}", "NOT RESOLVED YET"])
    assert program.run(**settings).status == 0
    asked = len(paths(host))
    after = program.run("status", verbosity=None, **settings)
    assert (after.status, after.stdout.split("\t")[:2]) == (0, ["agent-{tag:Role}", "RUNNING"])
    assert len(paths(host)) == asked
