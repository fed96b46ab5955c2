"""`ecs-start-task check`: each thing is broken in turn; the right line must say so, and everything else is still checked.

The healthy host uses TLS, and its role may read task definitions. There is no systemd here, so the lines about units are skipped
unless there is a fake systemctl (the boot test has the real one).
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from queue import SimpleQueue

import pytest

import findings
import terminal
from standin import Answer, Instance, Program
from standin.answers import HANG_UP, THROTTLED, as_json, denied, ecs_error, failure, stall, text
from standin.imds import Imds, refusal
from standin.instance import DIES, UNSEEN
from standin.program import NO_NAME, NO_SYSTEMD, in_mounts
from standin.tls import ISSUER, Authority
from standin.way_out import WayOut

#: All checks together may take so many seconds ...
LIMIT = 13
#: ... and as many more as a busy machine needs to start and end the program.
LONGEST = LIMIT + 30
NOWHERE = "0" * 32
NAMED = "ecs.internal.test"
CHECKS = (
    "settings",
    "unit",
    "ecs and docker",
    "agent",
    "registered",
    "IMDS token",
    "role",
    "credentials",
    "clock",
    "proxy",
    "ECS endpoint",
    "signature",
    "permission",
    "task definition",
    "already running",
    "log",
    "state directory",
)
HEALTHY = dict.fromkeys(CHECKS, "Success") | {"unit": "Skipped", "ecs and docker": "Skipped"}
OF_ECS = ("signature", "permission", "task definition")


class Checked:
    """One run of check: its findings by name, and what must hold whatever is broken."""

    def __init__(self, outcome, host):
        self.outcome, self.list = outcome, json.loads(outcome.stdout)
        self.by_name = {each["Check"]: each for each in self.list}
        self.statuses = {name: each["Status"] for name, each in self.by_name.items()}
        assert outcome.seconds < LONGEST
        assert [tuple(each) for each in self.list] == [("Check", "Status", "Note", "Fix")] * len(self.list)
        for each in self.list:
            assert each["Note"] and bool(each["Fix"]) == (each["Status"] != "Success"), each
            findings.read(each)
        assert not host.instance.tasks, "check started something"
        sent = [json.loads(request.body)["containerInstances"] for request in host.asked("StartTask")]
        assert all(instances == [NOWHERE] for instances in sent), sent
        assert not outcome.log, "check wrote into the log"

    def __getitem__(self, name):
        return self.by_name[name]


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path, "127.0.0.1", NAMED)


@pytest.fixture
def make(authority, make_host, tmp_path):
    """make(...) is a healthy host made with these options, and a program that trusts it."""

    def healthy(**options):
        host = make_host(tls=authority.context, **options)
        host.metadata_service.allowed.add("DescribeTaskDefinition")
        program = Program(host, tmp_path)
        program.mounts |= NO_SYSTEMD
        program.environment["AWS_CA_BUNDLE"] = str(authority.bundle)
        return program

    return healthy


@pytest.fixture
def program(make):
    return make()


def check(program, *arguments, **settings):
    outcome = program.run("check", "--output", "json", *arguments, verbosity=None, **settings)
    return Checked(outcome, program.host)


def test_a_healthy_host(program, tmp_path):
    checked = check(program)
    assert checked.statuses == HEALTHY and checked.outcome.status == 0
    assert tuple(checked.by_name) == CHECKS
    expected = {
        "settings": "ECS_START_TASK_DEFINITION=my_task_def (environment)",
        "agent": "Amazon ECS Agent - v1.105.1",
        "registered": f"{program.host.instance.id} in cluster my-cluster, us-east-1",
        "role": "ecsInstanceRole",
        "credentials": "of role ecsInstanceRole, until ",
        "clock": "in step with IMDS, in step with ECS",
        "proxy": "no proxy is set",
        "ECS endpoint": f"127.0.0.1:{program.host.ecs.port}, by AWS_ENDPOINT_URL_ECS (environment); TLS 1.3, its certificate issued by ",
        "task definition": "my_task_def:3 is ACTIVE",
        "log": str(program.log_file),
    }
    assert {name: note for name, note in expected.items() if note not in checked[name]["Note"]} == {}
    assert ISSUER in checked["ECS endpoint"]["Note"] and "authority.pem" in checked["ECS endpoint"]["Note"]
    assert {path.name for path in tmp_path.iterdir()} == {"authority.pem"}, "check wrote something"


def fault(operation, answer):
    return lambda host: host.always(operation, answer)


def skewed(seconds):
    def skew(host):
        host.clock_offset = seconds

    return skew


def without(action):
    return lambda host: host.metadata_service.allowed.remove(action)


BAD_ROLE = as_json({"Code": "AssumeRoleUnauthorizedAccess", "Message": "EC2 cannot assume the role ecsInstanceRole."})
UNREGISTERED = as_json({"Cluster": "", "ContainerInstanceArn": None, "Version": "Amazon ECS Agent - v1.105.1"})

#: What is broken; the check that must report it, and with which status; its hint; what is skipped; the exit code.
BROKEN = {
    "agent-500": (fault("metadata", Answer(500, b"{}")), "agent", "Failed", "ecs-agent.log", ("registered", "permission", "already running"), 69),
    "agent-hangs": (fault("metadata", stall(30)), "agent", "Failed", "systemctl status ecs", ("registered", "permission", "already running"), 69),
    "not-registered": (fault("metadata", UNREGISTERED), "registered", "Failed", "RegisterContainerInstance", ("permission", "already running"), 69),
    "imds-off": (fault("token", refusal(403)), "IMDS token", "Failed", "--http-endpoint enabled", ("role", "credentials", *OF_ECS), 77),
    "hop-limit": (fault("token", stall(30)), "IMDS token", "Failed", "--http-put-response-hop-limit 2", ("role", "credentials", *OF_ECS), 69),
    "no-role": (fault("role", refusal(404)), "role", "Failed", "instance profile", ("credentials", *OF_ECS), 77),
    "bad-role": (fault("credentials", BAD_ROLE), "credentials", "Failed", "trust policy", OF_ECS, 77),
    "agent-slow": (fault("metadata", lambda _, default: replace(default(), delay=1.2)), "agent", "Success", "", (), 0),
    "clock-behind": (skewed(600), "clock", "Warning", "chronyc", (), 0),
    "clock-ahead": (skewed(-600), "clock", "Warning", "chronyc", (), 0),
    "describe-throttled": (fault("DescribeTaskDefinition", THROTTLED), "signature", "Warning", "all calls of the account", (), 0),
    "no-ecs-there": (fault("DescribeTaskDefinition", text("<html>", 404)), "signature", "Failed", "", OF_ECS[1:], 76),
    "cluster-gone": (fault("StartTask", ecs_error("ClusterNotFoundException")), "permission", "Failed", "ECS_CLUSTER", (), 76),
    "parameter": (fault("StartTask", ecs_error("InvalidParameterException")), "permission", "Failed", "request", (), 76),
    "other-reason": (fault("StartTask", failure("AGENT")), "permission", "Warning", "ecs-agent.log", (), 0),
    "signature-refused": (
        fault("DescribeTaskDefinition", as_json({"__type": "UnrecognizedClientException"}, 400)),
        "signature",
        "Failed",
        "instance profile",
        OF_ECS[1:],
        77,
    ),
    "not-allowed": (fault("StartTask", denied("ecs:StartTask")), "permission", "Failed", "ecs:StartTask", (), 77),
    "pass-role": (fault("StartTask", denied("iam:PassRole", "role/x")), "permission", "Failed", "iam:PassRole", (), 77),
    "cannot-tell": (fault("StartTask", as_json({"__type": "ServerException"}, 500)), "permission", "Warning", "Health Dashboard", (), 0),
    "may-not-describe": (
        without("DescribeTaskDefinition"),
        "task definition",
        "Skipped",
        "ecs:DescribeTaskDefinition",
        (),
        0,
    ),
    "tasks-500": (fault("tasks", Answer(500, b"{}")), "already running", "Failed", "ecs-agent.log", (), 69),
}


#: Cases in which check sees what a run would not, or cannot know what a run would see.
ONLY_CHECK_ASKS = {"signature-refused", "no-ecs-there", "cannot-tell", "other-reason"}


@pytest.mark.parametrize(("break_it", "name", "status", "fix", "skipped", "code"), [pytest.param(*row, id=id) for id, row in BROKEN.items()])
def test_what_is_broken_is_said_and_all_else_is_checked(break_it, name, status, fix, skipped, code, program, request):
    break_it(program.host)
    checked = check(program)
    expected = HEALTHY | {name: status} | dict.fromkeys(skipped, "Skipped")
    if "describe" in request.node.callspec.id and "may-not" not in request.node.callspec.id:
        expected["task definition"] = "Warning"
    assert checked.statuses == expected
    assert fix in checked[name]["Fix"]
    assert ("ecs:container-instances" in checked[name]["Fix"]) == (request.node.callspec.id == "not-allowed")
    assert checked.outcome.status == code
    if request.node.callspec.id not in ONLY_CHECK_ASKS:
        assert program.run(ECS_START_TASK_TIMEOUT="1s" if code else "40s", verbosity=None).status == code


#: Settings that break it, in the same order.
MISSET = {
    "definition": ({"ECS_START_TASK_DEFINITION": "my_task_def,a b"}, "settings", "Failed", "with commas", (), 78),
    "log-level": ({"ECS_START_TASK_LOG_LEVEL": "loud"}, "settings", "Failed", "fix or remove", (), 78),
    "misspelt": ({"ECS_START_TASK_TIMEUOT": "1m"}, "settings", "Failed", "ECS_START_TASK_TIMEOUT?", (), 78),
    "started-by": ({"ECS_START_TASK_STARTED_BY": "my fleet"}, "settings", "Failed", "fix or remove", (), 78),
    "imds-disabled": ({"AWS_EC2_METADATA_DISABLED": "true"}, "settings", "Failed", "unset it", (), 78),
    "two-endpoints": ({"AWS_USE_FIPS_ENDPOINT": "true"}, "settings", "Failed", "unset one of them", (), 78),
    "definition-missing": ({"ECS_START_TASK_DEFINITION": "unknown_def"}, "permission", "Failed", "name, revision and status", ("task definition",), 76),
    "agent-down": ({"ECS_START_TASK_AGENT_URL": "http://127.0.0.1:1"}, "agent", "Failed", "systemctl status ecs", ("registered", "permission", "already running"), 69),
    "name-does-not-resolve": ({"AWS_ENDPOINT_URL_ECS": f"https://{NO_NAME}"}, "ECS endpoint", "Failed", "/etc/resolv.conf", OF_ECS, 69),
    "not-listening": ({"AWS_ENDPOINT_URL_ECS": "https://127.0.0.1:1"}, "ECS endpoint", "Failed", "route", OF_ECS, 69),
    "tls-does-not-verify": ({"AWS_CA_BUNDLE": None}, "ECS endpoint", "Failed", "AWS_CA_BUNDLE", OF_ECS, 69),
    "bundle-missing": ({"AWS_CA_BUNDLE": "/missing.pem"}, "ECS endpoint", "Failed", "AWS_CA_BUNDLE", ("proxy", *OF_ECS), 78),
    "proxy-no-proxy": ({"AWS_ENDPOINT_URL_ECS": f"https://{NAMED}", "HTTPS_PROXY": "socks5://x:1"}, "proxy", "Failed", "host:port", ("ECS endpoint", *OF_ECS), 78),
    "log-missing-directory": ({"ECS_START_TASK_LOG_FILE": "/missing/log"}, "log", "Warning", "mkdir -p /missing", (), 0),
    "log-directory": ({"ECS_START_TASK_LOG_FILE": "/tmp"}, "log", "Warning", "ECS_START_TASK_LOG_FILE", (), 0),
    "state-directory": ({"ECS_START_TASK_STATE_DIR": "/dev/null/state"}, "state directory", "Failed", "ECS_START_TASK_STATE_DIR", (), 78),
}


@pytest.mark.parametrize(("settings", "name", "status", "fix", "skipped", "code"), [pytest.param(*row, id=id) for id, row in MISSET.items()])
def test_a_setting_that_breaks_it(settings, name, status, fix, skipped, code, program):
    checked = check(program, **settings)
    expected = HEALTHY | {name: status} | dict.fromkeys(skipped, "Skipped")
    assert checked.statuses == expected
    assert fix in checked[name]["Fix"] + checked[name]["Note"]
    assert checked.outcome.status == code
    timeout = {"ECS_START_TASK_TIMEOUT": "1s"} if code else {}
    assert program.run(**timeout | settings, verbosity=None).status == code


def test_an_instance_that_ecs_finds_invalid_may_be_asked_about(program):
    program.host.always("StartTask", ecs_error("InvalidParameterException", f"Invalid identifier: {NOWHERE}"))
    checked = check(program)
    assert checked.statuses == HEALTHY and "has ecs:StartTask on my_task_def" in checked["permission"]["Note"]


def test_a_role_of_a_task_that_cannot_be_assumed(program):
    program.host.always("StartTask", ecs_error("ClientException", "ECS was unable to assume the role 'arn:aws:iam::1:role/app'"))
    checked = check(program)
    assert checked["permission"]["Status"] == "Failed" and checked.outcome.status == 77
    assert "ecs-tasks.amazonaws.com" in checked["permission"]["Fix"] and "ecs:container-instances" not in checked["permission"]["Fix"]


def test_the_least_policy_is_enough_to_see_that_the_definition_is_not_there(program):
    program.host.metadata_service.allowed.remove("DescribeTaskDefinition")
    checked = check(program, ECS_START_TASK_DEFINITION="unknown_def")
    assert (checked["permission"]["Status"], checked["task definition"]["Status"]) == ("Failed", "Skipped")
    assert checked["permission"]["Note"].startswith("unknown_def: ") and checked.outcome.status == 76


def test_of_several_tasks_the_first_failure_decides(program):
    program.host.script("StartTask", as_json({"__type": "ClientException"}, 400), denied("ecs:StartTask"))
    outcome = program.run("check", ECS_START_TASK_DEFINITION="unknown_def,my_task_def", verbosity=None)
    assert outcome.status == 76


def test_what_hinders_a_task_that_is_here_matters_at_the_next_boot(program):
    program.host.instance.place("my_task_def", life=((0, "RUNNING"),))
    program.host.always("StartTask", denied("ecs:StartTask"))
    outcome = program.run("check", "--output", "json", verbosity=None)
    (found,) = [each for each in json.loads(outcome.stdout) if each["Check"] == "permission"]
    assert found["Status"] == "Warning" and "next boot" in found["Note"] and outcome.status == 0
    assert program.run("check", ECS_START_TASK_IF_RUNNING="start", verbosity=None).status == 77


def test_a_document_for_another_cluster_is_wrong_whatever_is_here(program, tmp_path):
    program.host.instance.place("my_task_def", life=((0, "RUNNING"),))
    document = tmp_path / "document.json"
    document.write_text(json.dumps({"taskDefinition": "my_task_def", "cluster": "other"}))
    statuses = [program.run(*command, "--cli-input-json", document, verbosity=None).status for command in ([], ["check"])]
    assert statuses == [78, 78]


def test_a_bundle_that_is_missing_goes_before_an_agent_that_is_down(make):
    program = make(closed=("agent",))
    checked = check(program, AWS_CA_BUNDLE="/missing.pem", AWS_ENDPOINT_URL_ECS=None)
    assert checked["ECS endpoint"]["Status"] == checked["agent"]["Status"] == "Failed"
    assert checked.outcome.status == 78


def test_a_record_that_is_garbled(program, tmp_path):
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state/my_task_def.json").write_text("{")
    checked = check(program)
    assert checked.statuses == HEALTHY | {"state directory": "Warning"} and "my_task_def.json" in checked["state directory"]["Note"]
    assert checked.outcome.status == program.run(verbosity=None).status == 0


def test_a_record_that_a_run_could_not_read(program, tmp_path):
    (tmp_path / "state").mkdir()
    (tmp_path / "state/my_task_def.json").symlink_to("/etc/passwd")
    checked = check(program)
    assert checked.statuses == HEALTHY | {"state directory": "Failed"} and "symbolic link" in checked["state directory"]["Note"]
    assert checked.outcome.status == program.run(verbosity=None).status == 78


def test_credentials_that_have_expired(make):
    old = Imds()
    old.credentials.expiration = datetime.now(timezone.utc) - timedelta(minutes=1)
    checked = check(make(imds=old))
    assert checked["credentials"]["Status"] == "Warning" and "chronyc" in checked["credentials"]["Fix"]
    assert checked["signature"]["Status"] == "Failed" and checked.outcome.status == 77


def test_a_password_in_an_address_is_not_shown(program):
    addresses = {"AWS_ENDPOINT_URL": "https://me:open-sesame@ecs.example", "HTTP_PROXY": "me:open-sesame@10.0.0.1:3128"}
    for settings in (addresses, addresses | {"AWS_ENDPOINT_URL_ECS": None}):
        outcome = program.run("check", verbosity="-vv", **settings)
        assert "sesame" not in outcome.stdout + outcome.stderr and "...@ecs.example" in outcome.stdout


def test_at_the_highest_verbosity_no_secret_is_told(program):
    program.host.always("StartTask", denied("ecs:StartTask"))
    outcome = program.run("check", verbosity="-vv")
    assert "POST https://127.0.0.1" in outcome.stderr and outcome.status == 77


def test_what_is_asked_is_what_a_run_would_send(program, tmp_path):
    members = {"taskDefinition": "my_task_def", "tags": [{"key": "a", "value": "b"}], "startedBy": "me", "overrides": {"taskRoleArn": "arn:aws:iam::1:role/x"}}
    document = tmp_path / "document.json"
    document.write_text(json.dumps(members))
    checked = check(program, "--cli-input-json", str(document))
    (asked,) = [json.loads(request.body) for request in program.host.asked("StartTask")]
    assert asked == members | {"cluster": "my-cluster", "containerInstances": [NOWHERE]}
    assert "iam:PassRole on arn:aws:iam::1:role/x" in checked["task definition"]["Note"]
    assert f"my_task_def ({document})" in checked["settings"]["Note"]


@pytest.mark.parametrize(
    ("lines", "said"),
    [("ECS_START_TASK_WAIT none", ("KEY=VALUE",)), ("ECS_START_TASK_WAIT=long\nECS_START_TASK_IF_RUNNING=never", ("=long", "=never"))],
    ids=["no-pair", "two-values"],
)
def test_a_wrong_line_in_the_file_hides_nothing_else(lines, said, program, tmp_path):
    config = tmp_path / "settings"
    config.write_text(f"ECS_START_TASK_TIMEOUT=1h\n{lines}\nECS_START_TASK_DEFINITION=log_agent\n")
    checked = check(program, "--config", str(config), ECS_START_TASK_DEFINITION=None, ECS_START_TASK_TIMEOUT=None)
    assert checked.statuses == HEALTHY | {"settings": "Failed"} and checked.outcome.status == 78
    note = checked["settings"]["Note"]
    assert all(each in note for each in (*said, f"{config} line 2", f"1h ({config} line 1)", f"log_agent ({config} line"))
    assert "log_agent" in checked["permission"]["Note"]


def test_a_settings_file_that_cannot_be_read(program, tmp_path):
    checked = check(program, "--config", str(tmp_path / "missing"))
    assert checked.statuses == HEALTHY | {"settings": "Failed"} and checked.outcome.status == 78
    assert "my_task_def (environment)" in checked["settings"]["Note"]


#: Settings with nothing (valid) to start, and what must be reported.
NOTHING = {
    "none": ((), "--task-definition"),
    "no-definition": (("-t", "a b"), "with commas"),
    "no-document": (("--cli-input-json", "/nope"), "fix the path"),
}


@pytest.mark.parametrize(("arguments", "fix"), [pytest.param(*row, id=id) for id, row in NOTHING.items()])
def test_nothing_to_start_leaves_the_way_to_be_checked(arguments, fix, program):
    configured = "my_task_def" if arguments else None
    checked = check(program, *arguments, ECS_START_TASK_DEFINITION=configured)
    of_tasks = ("permission", "task definition", "already running")
    assert checked.statuses == HEALTHY | {"settings": "Failed"} | dict.fromkeys(of_tasks, "Skipped")
    assert fix in checked["settings"]["Fix"] and "anyway" not in checked["settings"]["Fix"]
    assert "my_task_def" not in checked["settings"]["Note"], "the command line replaces it"
    assert all(checked[name]["Fix"] == 'see "settings" above' for name in of_tasks) and checked.outcome.status == 78


def test_when_every_task_is_wrong_nobody_waits_for_the_agent(make):
    program = make(closed=("agent", "imds"))
    assert [program.run(*command, "-t", "a b", verbosity=None).status for command in ([], ["check"])] == [78, 78]


def test_of_several_tasks_the_sound_ones_are_said_to_be_started(program):
    outcome = program.run("check", "--output", "json", "-t", "a b", "-t", "my_task_def", verbosity=None)
    assert json.loads(outcome.stdout)[0]["Fix"].endswith("the other tasks are started anyway")


def test_what_is_skipped_says_which_line_tells_why(make):
    checked = check(make(closed=("agent", "imds")), AWS_ENDPOINT_URL_ECS=None)
    skipped = [each for each in checked.list if each["Status"] == "Skipped" and each["Check"] not in ("unit", "ecs and docker", "clock")]
    for each in skipped:
        assert all(named in checked.statuses for named in re.findall(r'"(.+?)"', each["Fix"])) and each["Fix"].startswith("see "), each
    assert checked["registered"]["Fix"] == 'see "agent" above'


def test_where_each_value_comes_from(program, tmp_path):
    config = tmp_path / "settings"
    config.write_text("# mine\nECS_START_TASK_TIMEOUT=5m\nECS_CLUSTER=x\nECS_START_TASK_WAIT=none\nECS_START_TASK_TIMEOUT=1h\nNO_PROXY=x\nno_proxy=y\n")
    settings = {"ECS_START_TASK_TIMEOUT": None, "ECS_START_TASK_WAIT": "running", "HTTPS_PROXY": "http://me:pass-word@127.0.0.1:1"}
    note = check(program, "--config", str(config), "-t", "log_agent", **settings)["settings"]
    assert note["Note"].startswith(f"{config}\n")
    for said in (
        "ECS_START_TASK_DEFINITION=log_agent (option --task-definition)",
        f"ECS_START_TASK_TIMEOUT=1h ({config} line 5)\nNO_PROXY=x ({config} line 6)\nno_proxy=y ({config} line 7)",
        "ECS_START_TASK_WAIT=running (environment)",
        "HTTPS_PROXY=...@127.0.0.1:1 (environment)",
        f"{config} line 3: ECS_CLUSTER is ignored",
        f"{config} line 2: ECS_START_TASK_TIMEOUT is ignored: {config} line 5 gives another value",
    ):
        assert said in note["Note"]
    assert note["Status"] == "Warning" and "pass-word" not in note["Note"] and "WAIT=none" not in note["Note"] and "5m" not in note["Note"]


def test_another_cluster_than_the_one_asserted(program):
    checked = check(program, "--cluster", "production")
    assert checked["registered"]["Status"] == "Failed" and "ECS_CLUSTER" in checked["registered"]["Fix"]
    assert checked["permission"]["Status"] == "Skipped" and not program.host.asked("StartTask")
    assert checked.outcome.status == 78


def test_while_the_agent_is_down_imds_tells_the_region(make):
    program = make(imds=Imds(region="eu-central-1", partition="aws"), closed=("agent",))
    checked = check(program, AWS_ENDPOINT_URL_ECS=None, HTTPS_PROXY="127.0.0.1:1")
    assert "ecs.eu-central-1.amazonaws.com" in checked["proxy"]["Note"]
    assert "[::1]" not in checked["agent"]["Note"]
    assert checked["agent"]["Status"] == checked["proxy"]["Status"] == "Failed"


def test_without_agent_and_imds_nobody_tells_the_region(make):
    program = make(closed=("agent", "imds"))
    checked = check(program, AWS_ENDPOINT_URL_ECS=None)
    assert checked["proxy"]["Status"] == checked["ECS endpoint"]["Status"] == "Skipped"
    assert "Region" in checked["proxy"]["Note"] and checked.outcome.status == 69


def test_an_agent_that_answers_at_the_other_address_only(program):
    """The stand-in listens on 127.0.0.1; another listener forwards from [::1]."""
    assert socket.has_dualstack_ipv6(), "this machine has no IPv6, not even ::1"
    with socket.socket() as taken:
        # Nothing else may listen there in the meantime. Of ::1, unlike 127.0.0.1, hardly a port is in use.
        taken.bind(("127.0.0.1", 0))
        _, port = taken.getsockname()
        other = socket.create_server(("::1", port), family=socket.AF_INET6)
        other.settimeout(30)
        url = f"http://127.0.0.1:{port}"
        process = program.start("check", "--output", "json", verbosity=None, ECS_START_TASK_AGENT_URL=url)
        connection, _ = other.accept()
        body = b'{"Cluster":"my-cluster","ContainerInstanceArn":"","Version":"x"}'
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
        connection.close()
        checked = Checked(process.finish(), program.host)
        other.close()
    assert checked["agent"]["Status"] == "Failed" and "ECS_START_TASK_AGENT_URL=http://[::1]:" in checked["agent"]["Fix"]


def test_a_proxy_in_use_and_what_is_exempt(make, authority, tmp_path, etc):
    program = make()
    way_out = WayOut(tmp_path, program.host.ecs)
    url = f"https://{NAMED}:{program.host.ecs.port}"
    checked = check(program, AWS_ENDPOINT_URL_ECS=url, HTTPS_PROXY=way_out.address, NO_PROXY="169.254.169.254,10.0.0.0/8")
    way_out.close()
    assert checked.statuses == HEALTHY
    assert f"{way_out.address} by HTTPS_PROXY" in checked["proxy"]["Note"]
    assert "exempt: 169.254.169.254,10.0.0.0/8" in checked["proxy"]["Note"]


@pytest.mark.parametrize("refusing", ["closed", "407"])
def test_a_proxy_that_refuses(refusing, program, tmp_path):
    url = f"https://{NAMED}:{program.host.ecs.port}"
    way_out = WayOut(tmp_path, program.host.ecs, "--basic-auth", "operator:open-sesame-proxy")
    proxy = "127.0.0.1:1" if refusing == "closed" else f"http://operator:wrong-sesame@{way_out.address}"
    checked = check(program, AWS_ENDPOINT_URL_ECS=url, HTTPS_PROXY=proxy)
    way_out.close()
    assert checked.statuses == HEALTHY | {"proxy": "Failed"} | dict.fromkeys(("ECS endpoint", *OF_ECS), "Skipped")
    assert "NO_PROXY" in checked["proxy"]["Fix"] and checked.outcome.status == 69
    assert "sesame" not in checked.outcome.stdout + checked.outcome.stderr


@pytest.mark.parametrize(("name", "fix"), [("127.0.0.1", "AWS_CA_BUNDLE"), ("0.0.0.0", "name in the proxy's certificate")])
def test_a_proxy_that_is_not_trusted(name, fix, program, authority, tmp_path):
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other", name)
    if "name" in fix:
        authority.bundle.write_bytes(other.bundle.read_bytes())
    with closing(WayOut(tmp_path, program.host.ecs, tls=other)) as way_out:
        settings = {"AWS_ENDPOINT_URL_ECS": f"https://{NAMED}:{program.host.ecs.port}", "HTTPS_PROXY": f"https://{way_out.address}"}
        checked = check(program, **settings)
        assert program.run(**settings, verbosity=None).status == checked.outcome.status == 69
    assert checked.statuses == HEALTHY | {"proxy": "Failed"} | dict.fromkeys(("ECS endpoint", *OF_ECS), "Skipped")
    assert "the proxy's certificate, issued by" in checked["proxy"]["Note"] and fix in checked["proxy"]["Fix"]


@pytest.mark.parametrize("member", ["status", "taskRoleArn", "executionRoleArn"])
def test_what_ecs_says_of_a_definition_reaches_no_terminal_raw(member, program):
    definition = {"revision": 3, "status": "ACTIVE", member: "\x1b]0;owned\x07\u202e\nX" + "x" * 5000}
    program.host.always("DescribeTaskDefinition", as_json({"taskDefinition": definition}))
    settings = {"NO_PROXY": "\x1b[2J", "HTTPS_PROXY": "proxy.example.com"}
    outcome = program.run("check", verbosity=None, **settings)
    assert not re.search("[\x1b\x07\u202e]", outcome.stdout) and "owned" in outcome.stdout
    assert max(map(len, outcome.stdout.splitlines())) < 1000


@pytest.mark.parametrize(("proxy", "name"), [(None, "ECS endpoint"), ("proxy.example:3128", "proxy")])
def test_a_name_server_that_never_answers(proxy, name, program, etc):
    directory = etc(program)
    # Nothing listens there, and the C library still waits for a response.
    (directory / "resolv.conf").write_text("nameserver 127.0.9.53\n")
    checked = check(program, AWS_ENDPOINT_URL_ECS="https://ecs.us-east-1.amazonaws.com", HTTPS_PROXY=proxy)
    expected = HEALTHY | dict.fromkeys(("ECS endpoint", *OF_ECS), "Skipped")
    assert checked.statuses == expected | {name: "Failed"}
    assert "name does not resolve" in checked[name]["Note"] and "/etc/resolv.conf" in checked[name]["Fix"]


def test_everything_that_hangs_at_once_still_ends_in_time(make, tmp_path):
    program = make()
    for operation in ("metadata", "token", "hello"):
        program.host.always(operation, stall(60))
    program.play_systemctl("exec sleep 60")
    checked = check(program)
    assert checked["agent"]["Status"] == "Failed"
    for found in (checked["IMDS token"], checked["ECS endpoint"]):
        assert found["Status"] == "Failed" or found["Note"] == "no time is left"


def test_what_no_time_was_left_for_is_skipped(program):
    """The program is halted until its time is over: however slow the machine is, nothing else takes long."""
    runs = SimpleQueue()

    def halt(_, __):
        run = runs.get()
        run.signal(signal.SIGSTOP)
        time.sleep(LIMIT)
        run.signal(signal.SIGCONT)
        return HANG_UP

    program.host.script("credentials", halt)
    run = program.start("check", "--output", "json", verbosity=None)
    runs.put(run)
    checked = Checked(run.finish(), program.host)
    late = [name for name, each in checked.by_name.items() if each["Note"] == "no time is left"]
    assert late[0] == "credentials" and "ECS endpoint" in late and "already running" in late
    assert "Failed" not in checked.statuses.values() and checked.outcome.status == 0


def test_the_time_left_is_shared_by_slow_checks(program):
    program.host.always("StartTask", stall(60))
    names = [f"family{number}" for number in range(6)]
    program.host.instance.definitions |= dict.fromkeys(names, 1)
    checked = check(program, ECS_START_TASK_DEFINITION=",".join(names))
    permission = [each for each in checked.list if each["Check"] == "permission"]
    assert permission[0]["Status"] == "Warning" and permission[-1]["Note"].endswith(": no time is left")


DEFINITIONS = {
    "inactive": ({"status": "INACTIVE"}, {}, "Failed", "ACTIVE revision"),
    "awsvpc": ({"networkMode": "awsvpc"}, {}, "Failed", "networkConfiguration"),
    "awsvpc-given": ({"networkMode": "awsvpc"}, {"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-1"]}}}, "Success", ""),
    "network-for-bridge": ({}, {"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-1"]}}}, "Failed", "awsvpc"),
}


@pytest.mark.parametrize(("details", "members", "status", "fix"), [pytest.param(*row, id=id) for id, row in DEFINITIONS.items()])
def test_what_a_definition_needs(details, members, status, fix, make, tmp_path):
    program = make(instance=Instance(details={"my_task_def": details}))
    document = tmp_path / "document.json"
    document.write_text(json.dumps({"taskDefinition": "my_task_def"} | members))
    checked = check(program, "--cli-input-json", str(document))
    assert checked.statuses == HEALTHY | {"task definition": status}
    assert fix in checked["task definition"]["Fix"]
    assert checked.outcome.status == (76 if status == "Failed" else 0)


def test_roles_of_a_definition_are_named(make):
    roles = {"taskRoleArn": "arn:aws:iam::1:role/task", "executionRoleArn": "arn:aws:iam::1:role/pull"}
    program = make(instance=Instance(details={"my_task_def": roles}))
    note = check(program)["task definition"]["Note"]
    assert "iam:PassRole on arn:aws:iam::1:role/task and arn:aws:iam::1:role/pull" in note


def test_each_task_has_its_lines(program):
    outcome = program.run("check", "--output", "json", "-t", "my_task_def", "-t", "log_agent", verbosity=None)
    notes = [each["Note"] for each in json.loads(outcome.stdout) if each["Check"] == "permission"]
    assert notes == [f"role ecsInstanceRole has ecs:StartTask on {name}" for name in ("my_task_def", "log_agent")]


def test_a_task_that_is_already_running(program):
    task = program.host.instance.place("my_task_def", life=((0, "RUNNING"),))
    outcome = program.run("check", "--output", "json", verbosity=None)
    (note,) = [each["Note"] for each in json.loads(outcome.stdout) if each["Check"] == "already running"]
    assert task.arn in note and "a run would start no other" in note and len(program.host.instance.tasks) == 1


def block(active="active", sub="exited", enabled="enabled", result="success", load="loaded", file="/usr/lib/systemd/system/ecs-start-task.service", code=0):
    return (
        f"LoadState={load}\nActiveState={active}\nSubState={sub}\nUnitFileState={enabled}\n"
        f"FragmentPath={file}\nResult={result}\nExecMainStatus={code}\n"
    )


UP = block(sub="running", file="/usr/lib/systemd/system/ecs.service")
#: What systemd adds for a unit that has run.
STOPPED = "ExecMainStartTimestampMonotonic=71834\nInactiveEnterTimestamp=Fri 2026-11-27 23:50:12 UTC\n"
ETC_FILE = "/etc/systemd/system/ecs-start-task.service"

def show(program, ours, ecs=UP, docker=UP, cloud_final=block()):
    """A systemctl that stops after the first unit if it does not know a property, like that of RHEL 7."""
    units = {"ecs-start-task": ours, "ecs": ecs, "docker": docker, "cloud-final": cloud_final}
    for name, properties in units.items():
        (program.directory / f"{name}.service").write_text(properties)
    program.play_systemctl(f'shift 3 && cat "{program.directory}/$1"; exit 6')


#: Our unit, what overrides it in /etc, ecs, docker; what must be reported about the unit and the services.
UNITS = {
    "well": (block(), None, UP, UP, ("Success", "enabled, active (exited)"), ("Success", "ecs.service is active (running)")),
    "disabled": (block(enabled="disabled"), None, UP, UP, ("Warning", "enable --now --no-block"), ("Success", "")),
    "failed": (block("failed", "failed", result="exit-code", code=78), None, UP, UP, ("Warning", "fix the cause, and run `systemctl restart ecs-start-task`"), ("Success", "")),
    "retried": (block("activating", "auto-restart", result="exit-code", code=76), None, UP, UP, ("Warning", "the unit retries by itself"), ("Success", "")),
    "restarting": (block("activating", "auto-restart", result="exit-code", code=69), None, UP, UP, ("Warning", "failed with exit code 69; enabled, activating (auto-restart)"), ("Success", "")),
    "not-run": (block("inactive", "dead"), None, UP, UP, ("Warning", "start --no-block"), ("Success", "")),
    "stopped": (block("inactive", "dead") + STOPPED, None, UP, UP, ("Warning", "it was stopped at Fri 2026-11-27 23:50:12 UTC"), ("Success", "")),
    "stopped-once-upon": (block("inactive", "dead") + STOPPED.partition("\n")[0] + "\n", None, UP, UP, ("Warning", "it was stopped; enabled"), ("Success", "")),
    "never-begun": (block("inactive", "dead") + STOPPED.replace("=71834", "=0"), None, UP, UP, ("Warning", "it has not run in this boot"), ("Success", "")),
    "missing": (block("inactive", "dead", load="not-found"), None, UP, UP, ("Warning", "install the package"), ("Success", "")),
    "masked": (block("inactive", "dead", load="masked"), None, UP, UP, ("Warning", "unmask"), ("Success", "")),
    "broken": (block("inactive", "dead", load="bad-setting"), None, UP, UP, ("Warning", "systemd-analyze verify"), ("Success", "")),
    "killed": (block("activating", "auto-restart", result="oom-kill", code=9), None, UP, UP, ("Warning", "failed with oom-kill 9"), ("Success", "")),
    "failed-and-disabled": (block("failed", "failed", enabled="disabled", result="exit-code", code=77), None, UP, UP, ("Warning", "failed with exit code 77; disabled"), ("Success", "")),
    "no-ecs": (block(), None, block("inactive", "dead", load="not-found"), UP, ("Success", ""), ("Warning", "ECS-optimized AMI")),
    "page": (block(file=ETC_FILE), "ExecStart=/usr/bin/bash /etc/ecs/ecs-start-task.sh", UP, UP, ("Failed", f"rm {ETC_FILE}"), ("Success", "")),
    "own": (block(file=ETC_FILE), "ExecStart=/usr/bin/ecs-start-task -v", UP, UP, ("Warning", "drop-in"), ("Success", "")),
    "ecs-down": (block(), None, block("activating", "auto-restart"), UP, ("Success", ""), ("Warning", "systemctl status ecs")),
    "docker-down": (block(), None, block("inactive", "dead"), block("failed", "failed"), ("Success", ""), ("Warning", "systemctl status docker")),
}


@pytest.mark.parametrize(("ours", "in_etc", "ecs", "docker", "unit", "services"), [pytest.param(*row, id=id) for id, row in UNITS.items()])
def test_units(ours, in_etc, ecs, docker, unit, services, program, etc, tmp_path):
    show(program, ours, ecs, docker)
    if in_etc:
        file = etc(program) / "systemd/system/ecs-start-task.service"
        file.parent.mkdir(parents=True)
        file.write_text(f"[Service]\n{in_etc}\n")
    checked = check(program)
    for name, (status, said) in (("unit", unit), ("ecs and docker", services)):
        assert checked[name]["Status"] == status
        assert said in checked[name]["Note"] + checked[name]["Fix"]
    assert checked.outcome.status == (78 if unit[0] == "Failed" else 0)


#: The state of our unit while there is no task; the status of the line about running tasks, and its fix.
ABSENT = {
    "ended": (block(), "Warning", "`systemctl restart ecs-start-task`"),
    "running": (block(sub="running"), "Success", ""),
    "restarting": (block("activating", "auto-restart", result="exit-code", code=69), "Success", ""),
    "failed": (block("failed", "failed", result="exit-code", code=78), "Warning", "journalctl"),
    "masked": (block("inactive", "dead", load="masked"), "Warning", "unmask"),
    "disabled": (block("inactive", "dead", enabled="disabled"), "Warning", "enable --now"),
    "never-ran": (block("inactive", "dead"), "Warning", "start --no-block"),
    "queued": (block("inactive", "dead") + "Job=7\n", "Success", ""),
}


@pytest.mark.parametrize(("ours", "status", "fix"), [pytest.param(*row, id=id) for id, row in ABSENT.items()])
def test_that_no_task_is_here_is_in_order_only_while_the_unit_starts_one(ours, status, fix, program):
    show(program, ours)
    found = check(program)["already running"]
    assert found["Status"] == status and fix in found["Fix"] and "no task of my_task_def is running here" in found["Note"]


def test_that_a_task_keeps_dying_is_a_warning(program):
    program.host.instance.lives["my_task_def"] = DIES
    assert program.run(verbosity=None).status == 70
    show(program, block("activating", "auto-restart", result="exit-code", code=70))
    outcome = program.run("check", "--output", "json", verbosity=None)
    (found,) = [each for each in json.loads(outcome.stdout) if each["Check"] == "already running"]
    assert found["Status"] == "Warning" and "the task stopped before it ran" in found["Note"] and "check the container's log" in found["Fix"]


def test_a_task_that_ran_and_is_gone_is_named_from_the_record(program):
    assert program.run(verbosity=None).status == 0
    (task,) = program.host.instance.tasks
    task.life = UNSEEN
    program.host.instance.tasks.clear()
    show(program, block())
    outcome = program.run("check", "--output", "json", verbosity=None)
    (found,) = [each for each in json.loads(outcome.stdout) if each["Check"] == "already running"]
    assert found["Status"] == "Warning" and f"{task.arn} ran" in found["Note"] and outcome.status == 0


def test_user_data_that_waits_for_the_unit(program):
    """In one test, as check sees the processes of all tests."""
    queued = block("inactive", "dead") + "Job=77\n"
    show(program, queued, ecs=block("inactive", "dead") + "Job=78\n", cloud_final=block("activating", "start"))
    for words, stuck in (("enable --now", True), ("start --no-block", False), ("show -p Job", False)):
        command = ["systemctl", "-c", "input()", *words.split(), "ecs-start-task"]
        waiting = subprocess.Popen(command, executable=sys.executable, stdin=subprocess.PIPE)
        try:
            unit = check(program)["unit"]
        finally:
            waiting.communicate(b"\n")
        assert unit["Status"] == ("Failed" if stuck else "Success"), words
        assert ("`systemctl cancel 77; systemctl start --no-block ecs-start-task`" in unit["Fix"]) == stuck


@pytest.mark.parametrize(("mode", "owner", "said"), [(0o600, 1000, "belongs to user 1000 and has mode 600"), (0o644, 1000, ""), (0o600, 0, "")])
def test_what_the_unit_cannot_read_by_owner_and_mode(mode, owner, said, program, etc):
    show(program, block() + SANDBOX)
    directory = etc(program) / "ecs/ecs-start-task.d"
    directory.mkdir()
    document = directory / "log.json"
    document.write_text('{"taskDefinition": "log_agent"}')
    document.chmod(mode)
    os.chown(document, owner, owner)
    unit = check(program)["unit"]
    assert unit["Status"] == ("Warning" if said else "Success") and said in unit["Note"]
    assert ("`chown root: /etc/ecs/ecs-start-task.d/log.json`" in unit["Fix"]) == bool(said)


#: The package's unit as systemd shows it: 252, 219, and with a drop-in that makes a path writable.
SANDBOX = "ReadOnlyPaths=/\nReadWritePaths=-/run/ecs-start-task -/var/log/ecs\nProtectHome=yes\nPrivateTmp=yes\n"
OLD_SANDBOX = SANDBOX.replace("Paths=", "Directories=")
OPENED = SANDBOX.replace("/var/log/ecs", "/var/log/ecs /srv/x /srv")

#: A line of the settings file; what the line about the unit says of it in each of these cases; what its hint names.
CLOSED = {
    "state": ("ECS_START_TASK_STATE_DIR=/srv/x", (SANDBOX, OLD_SANDBOX), "the unit cannot write ECS_START_TASK_STATE_DIR=/srv/x", "ReadWriteDirectories=/srv/x"),
    "log": ("ECS_START_TASK_LOG_FILE=/srv/x.log", (SANDBOX, OLD_SANDBOX), "the unit cannot write ECS_START_TASK_LOG_FILE=/srv/x.log", "ReadWriteDirectories=/srv"),
    "bundle": ("AWS_CA_BUNDLE=/root/ca.pem", (SANDBOX, OLD_SANDBOX, OPENED), "the unit cannot see AWS_CA_BUNDLE=/root/ca.pem", "/etc/ecs"),
    "log-in-tmp": ("ECS_START_TASK_LOG_FILE=/tmp/x.log", (SANDBOX, OLD_SANDBOX, OPENED), "the unit cannot see ECS_START_TASK_LOG_FILE=/tmp/x.log", "/tmp"),
    "document": ("", (SANDBOX, OLD_SANDBOX, OPENED), "the unit cannot see /etc/ecs/ecs-start-task.d/linked.json", "/etc/ecs"),
}


@pytest.mark.parametrize("sandbox", [SANDBOX, OLD_SANDBOX, OPENED, ""], ids=["252", "219", "opened", "none"])
@pytest.mark.parametrize(("line", "closed", "said", "fix"), [pytest.param(*row, id=id) for id, row in CLOSED.items()])
def test_what_the_unit_may_not_touch_of_the_settings_file(line, closed, said, fix, sandbox, program, etc, tmp_path):
    show(program, block() + sandbox)
    directory = etc(program) / "ecs"
    (directory / "ecs-start-task.conf").write_text(line + "\n")
    if not line:
        (directory / "ecs-start-task.d").mkdir()
        (directory / "ecs-start-task.d/linked.json").symlink_to("/root/x.json")
    unit = check(program)["unit"]
    assert unit["Status"] == ("Warning" if sandbox in closed else "Success")
    assert sandbox not in closed or (said in unit["Note"] and fix in unit["Fix"] and "enabled, active" in unit["Note"])


def test_what_the_caller_gives_is_no_matter_of_the_unit(program, etc, tmp_path):
    show(program, block() + SANDBOX)
    (etc(program) / "ecs/ecs-start-task.conf").write_text("ECS_START_TASK_STATE_DIR=/run/ecs-start-task\n")
    assert check(program, "--ca-bundle", program.environment["AWS_CA_BUNDLE"])["unit"]["Status"] == "Success"


def staying(checked):
    return [(each["Status"], each["Note"] + each["Fix"]) for each in checked.list if each["Check"] in ("draining", "restart")]


def test_an_instance_of_a_capacity_provider_whose_draining_the_tasks_would_hold_up(program):
    program.host.instance.capacity_provider = "my-provider"
    assert not staying(check(program)), "the role may not ask"
    program.host.metadata_service.allowed.add("DescribeContainerInstances")
    ((status, said),) = staying(check(program))
    assert status == "Warning" and "my-provider" in said and "48 hours" in said and "ECS_START_TASK_WHEN_DRAINING=stop" in said
    program.host.metadata_service.allowed.add("StopTask")
    assert staying(check(program, "--when-draining", "stop")) == [("Success", "role ecsInstanceRole may ecs:StopTask")]
    program.host.instance.capacity_provider = None
    assert not staying(check(program))


@pytest.mark.parametrize(("setting", "action"), [("--restart=on-failure", "DescribeTasks"), ("--when-draining=stop", "StopTask")])
def test_what_staying_needs_of_the_role(setting, action, program):
    ((status, said),) = staying(check(program, setting))
    assert status == "Warning" and f"ecs:{action}" in said
    program.host.metadata_service.allowed.add(action)
    checked = check(program, setting)
    assert checked.statuses["restart" if "restart" in setting else "draining"] == "Success"
    assert staying(checked) == [("Success", f"role ecsInstanceRole may ecs:{action}")]
    assert not program.host.instance.tasks


@pytest.mark.parametrize(("line", "sub", "status"), [("ECS_START_TASK_RESTART=always", "exited", "Warning"), ("ECS_START_TASK_WHEN_DRAINING=stop", "exited", "Warning"), ("ECS_START_TASK_RESTART=always", "running", "Success"), ("ECS_START_TASK_RESTART=no", "exited", "Success")])
def test_a_unit_that_should_stay_and_has_ended(line, sub, status, program, etc):
    show(program, block(sub=sub))
    (etc(program) / "ecs/ecs-start-task.conf").write_text(line + "\n")
    unit = check(program)["unit"]
    assert unit["Status"] == status
    assert status == "Success" or ("not kept running" in unit["Note"] and "systemctl restart ecs-start-task" in unit["Fix"])


def test_a_log_on_a_full_or_read_only_file_system(program, tmp_path):
    for options, said in (("size=4k", "are free"), ("ro", "cannot be written")):
        program.wrapper = in_mounts(f'mkdir -p "{tmp_path}/log" && mount -t tmpfs -o {options} tmpfs "{tmp_path}/log"')
        checked = check(program, ECS_START_TASK_LOG_FILE=tmp_path / "log/file")
        assert checked["log"]["Status"] == "Warning" and said in checked["log"]["Note"]


def test_a_state_directory_without_room(program, tmp_path):
    state = tmp_path / "full"
    state.mkdir(0o700)
    program.wrapper = in_mounts(f'mount -t tmpfs -o size=32k,mode=700 none "{state}" && head -c 32k /dev/zero >"{state}/ballast"')
    checked = check(program, ECS_START_TASK_STATE_DIR=state)
    found = checked["state directory"]
    assert found["Status"] == "Failed" and str(state) in found["Note"] and "free space" in found["Fix"]
    assert checked.outcome.status == 75


def test_a_state_directory_that_the_unit_lacks(program):
    """At a prompt root can create it. The unit, whose file system is read-only, cannot."""
    create = "`systemd-tmpfiles --create /usr/lib/tmpfiles.d/ecs-start-task.conf`"
    for script, status, fix in (("true", "Warning", create), ("mkdir -m 700 /run/ecs-start-task", "Success", "")):
        program.wrapper = in_mounts(f"mount -t tmpfs -o mode=755 none /run && {script}")
        found = check(program, ECS_START_TASK_STATE_DIR=None)["state directory"]
        assert found["Status"] == status and found["Fix"].startswith(fix)


def test_for_people_there_is_a_line_for_each_check_and_one_that_counts(program):
    outcome = program.run("check", verbosity=None)
    assert [line[:7].strip() for line in outcome.stdout.splitlines() if re.match(r"[SWF]", line)] == list(HEALTHY.values())
    assert outcome.stdout.endswith("17 checks: 0 failed, 0 with a warning, 2 skipped\n") and not outcome.stderr


def test_quiet_says_only_what_wants_care(program):
    program.host.always("StartTask", denied("ecs:StartTask"))
    outcome = program.run("check", "-q", verbosity=None)
    lines = outcome.stdout.splitlines()
    assert lines[0].startswith("Failed   permission") and lines[-2].startswith("17 checks: 1 failed") and outcome.status == 77
    assert lines[-1].startswith("First: permission: grant role ecsInstanceRole ecs:StartTask")


def test_quiet_says_nothing_when_nothing_is_wrong(program):
    outcome = program.run("check", "-q", verbosity=None)
    assert (outcome.stdout, outcome.stderr, outcome.status) == ("", "", 0)
    assert json.loads(program.run("check", "-q", "-o", "json", verbosity=None).stdout)


def test_what_depends_on_a_failed_line_is_one_line(make):
    program = make(closed=("agent", "imds"))
    outcome = program.run("check", verbosity=None)
    skipped = [" ".join(line.split()) for line in outcome.stdout.splitlines() if line.startswith("Skipped")]
    assert skipped[-2:] == [
        'Skipped 2 more need "agent": registered, already running',
        'Skipped 5 more need "IMDS token": role, credentials, signature, permission, task definition',
    ]
    assert len(skipped) == 2 + 2 and not re.search("^Skipped  (registered|role)", outcome.stdout, re.MULTILINE)
    assert re.search(r"\n17 checks: 2 failed.*\nFirst: agent: .+\n$", outcome.stdout)


def test_a_signature_that_is_accepted_is_told_without_a_denial(program):
    program.host.metadata_service.allowed.remove("DescribeTaskDefinition")
    assert check(program)["signature"]["Note"] == "accepted"


@pytest.mark.parametrize(("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)])
def test_colour_only_on_a_terminal_that_wants_it(environment, coloured, program):
    shown, status = terminal.show([program.binary, "check"], program.environment | environment, 200, stderr=False)
    assert status == 0
    assert ("\x1b[32mSuccess\x1b[0m" in shown) == coloured and "Success" in shown


@pytest.mark.parametrize("option", ["--dry-run", "--no-wait", "--timeout=5s"])
def test_options_that_are_for_starting_do_not_go_with_check(option, program):
    for order in ([option, "check"], ["check", option]):
        outcome = program.run(*order, verbosity=None)
        assert outcome.status == 2 and not program.host.requests


def test_lines_come_while_others_are_still_checked(program):
    """ECS responds once the first line was read."""
    read = threading.Event()
    program.host.script("hello", lambda _, default: read.wait(LIMIT) and default())
    run = program.start("check", verbosity=None)
    assert run.process.stdout.readline().startswith(b"Success  settings")
    read.set()
    assert run.finish().status == 0
