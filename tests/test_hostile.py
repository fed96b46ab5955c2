"""Malicious servers: whatever agent, IMDS or ECS respond, the program exits in time, with its code, and stays small.

Each fault lasts forever, so that the program gives up at its own short timeout. One request may outlast that by its own limit,
which is given with the service.
"""

import re
import ssl
from datetime import datetime, timedelta, timezone

import pytest

from standin import Program
from standin.agent import describe
from standin.answers import as_json
from standin.hostile import FAULTS, TASKS, Raw
from standin.instance import DIES
from standin.tls import ISSUER, Authority

#: The operation that is played, and the longest that one question of it may take, in seconds.
SERVICES = {"metadata": 5, "tasks": 10, "credentials": 5, "StartTask": 5}
#: A redirect is a response; from ECS it is a failure.
OTHER_CODES = {("StartTask", "redirects"): 76}
#: A long list is fine, but this is not one.
OTHER_REASONS = {("tasks", "many-elements"): "it has no Tasks"}
#: What lasts until the limit of one request. The list of tasks is given the longest, and most of the way is the same.
SLOW = ("a-byte-a-second", "endless-trailers", "longer-than-it-is", "endless-chunks")
CASES = [(operation, fault) for operation in SERVICES for fault in FAULTS if operation != "tasks" or fault not in SLOW]
MOST_KIB = 12 * 1024
#: For a list that is just long.
MOST_KIB_OF_A_LONG_LIST = 6 * 1024


class Measured:
    """The program under GNU time, as a fork of this large process would begin with its size."""

    def __init__(self, program):
        self.program, self.peak = program, program.directory / "peak"
        program.wrapper = ["time", "-f", "%M", "-o", self.peak]

    def run(self, *arguments, most_kib=MOST_KIB, **settings):
        outcome = self.program.run(*arguments, verbosity=None, **settings)
        peak = int(self.peak.read_text().split()[-1])
        print(f"{peak} KiB")
        assert peak <= most_kib, f"{peak} KiB"
        return outcome


@pytest.fixture
def measured(program):
    return Measured(program)


@pytest.mark.parametrize(("operation", "fault"), CASES)
def test_a_hostile_answer_is_given_up_in_time(operation, fault, measured, host):
    answer, reason = FAULTS[fault]
    host.always(operation, answer)
    outcome = measured.run(ECS_START_TASK_TIMEOUT="1s")
    assert outcome.status == OTHER_CODES.get((operation, fault), 69)
    assert re.search(OTHER_REASONS.get((operation, fault), reason), outcome.stderr)
    assert outcome.seconds < 2 * SERVICES[operation] + 5
    assert len(host.asked("StartTask")) == (operation == "StartTask")


@pytest.mark.parametrize("answer", TASKS.values(), ids=TASKS)
def test_a_hostile_list_of_tasks_is_given_up_in_time(answer, measured, host):
    host.always("tasks", answer)
    outcome = measured.run(ECS_START_TASK_TIMEOUT="1s")
    assert outcome.status == 69 and outcome.seconds < 25
    assert re.search(r"task list is too large to read|JSON of another form", outcome.stderr)
    assert not host.asked("StartTask")


def ports(task, count):
    """The task as the agent describes it, with so many published ports, each listed for both families."""
    bindings = [{"ContainerPort": port, "Protocol": "tcp", "HostPort": port, "BindIp": ip} for port in range(count // 2) for ip in ("0.0.0.0", "::")]
    described = describe(task)
    return described | {"Containers": [container | {"Ports": bindings} for container in described["Containers"]]}


#: What else the agent lists: how many tasks of which family, with how many ports each, and the memory that this may take.
LONG = {
    "20,000-ports": (1, "log_agent", 20_000, MOST_KIB_OF_A_LONG_LIST),
    "5,000-tasks": (5_000, "log_agent", 4, MOST_KIB_OF_A_LONG_LIST),
    "5,000-of-the-family": (5_000, "my_task_def", 0, MOST_KIB_OF_A_LONG_LIST),
}


@pytest.mark.parametrize(("tasks", "family", "published", "most_kib"), LONG.values(), ids=LONG)
def test_a_long_list_of_tasks_is_read_in_little_memory(tasks, family, published, most_kib, measured, host):
    ended = [ports(host.instance.place(family, life=((0, "STOPPED"),)), published) for _ in range(tasks)]

    def answer(request, default):
        ours = [describe(task) for task in host.instance.tasks[tasks:] if task.status()]
        return as_json({"Tasks": ended + ours})

    host.always("tasks", answer)
    assert measured.run(most_kib=most_kib).status == 0
    assert len(host.instance.tasks) == tasks + 1


def test_the_ports_of_the_task_itself_do_not_matter(measured, host):
    host.always("tasks", lambda request, _: as_json({"Tasks": [ports(task, 20_000) for task in host.instance.tasks if task.status()]}))
    assert measured.run(most_kib=MOST_KIB_OF_A_LONG_LIST).status == 0
    assert len(host.instance.tasks) == 1


@pytest.mark.parametrize("fault", ["endless-text", "many-elements", "a-length-and-chunks"])
def test_a_task_that_cannot_be_read_is_not_known_to_run(fault, measured, host):
    def once_there_is_one(request, default):
        return FAULTS[fault][0](request, default) if host.instance.tasks else default()

    host.always("tasks", once_there_is_one)
    outcome = measured.run(ECS_START_TASK_TIMEOUT="1s")
    assert outcome.status == 75 and host.instance.tasks[0].arn in outcome.stdout


def test_a_reason_that_cannot_be_read_is_not_known(measured, host):
    host.instance.lives["my_task_def"] = DIES
    host.always("DescribeTasks", FAULTS["endless-body"][0])
    outcome = measured.run()
    assert outcome.status == 70 and "the reason is unknown" in outcome.stderr


@pytest.mark.parametrize("arn", ["arn:\x1b]0;owned\x07", "arn:\u202edesrever", "arn:a b\r\nX: y", 'arn:"<#&', "arn:" + "x" * 9000])
def test_an_arn_that_is_none_is_not_followed(arn, measured, host):
    host.always("StartTask", as_json({"tasks": [{"taskArn": arn, "lastStatus": "PENDING"}], "failures": []}))
    outcome = measured.run(ECS_START_TASK_TIMEOUT="1s")
    assert outcome.status == 69 and "may or may not" in outcome.stderr
    assert not host.asked("task")


NOW = datetime.now(timezone.utc)
EXPIRED = {"not_before": NOW - timedelta(days=9), "not_after": NOW - timedelta(days=1)}
EARLY = {"not_before": NOW + timedelta(days=1), "not_after": NOW + timedelta(days=9)}


@pytest.mark.parametrize(("validity", "reason"), [(EXPIRED, "expired"), (EARLY, "not valid yet")], ids=["expired", "early"])
def test_a_certificate_out_of_its_time_is_given_up_at_once_naming_the_clock(validity, reason, make_host, tmp_path):
    authority = Authority(tmp_path, **validity)
    host = make_host(tls=authority.context)
    outcome = Program(host, tmp_path).run(AWS_CA_BUNDLE=authority.bundle, verbosity=None)
    assert outcome.status == 69 and outcome.seconds < 10
    assert re.search(f"{ISSUER}.*{reason}.*{authority.bundle}.*this host's clock", outcome.stderr)
    assert not host.asked("StartTask")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1 is deprecated")
def test_tls_1_0_is_not_spoken(make_host, tmp_path):
    authority = Authority(tmp_path)
    authority.context.set_ciphers("ALL:@SECLEVEL=0")
    authority.context.minimum_version = authority.context.maximum_version = ssl.TLSVersion.TLSv1
    host = make_host(tls=authority.context)
    outcome = Measured(Program(host, tmp_path)).run(AWS_CA_BUNDLE=authority.bundle, ECS_START_TASK_TIMEOUT="1s")
    assert outcome.status == 69 and re.search(r"(?i)protocol.*route", outcome.stderr)
    assert not host.asked("StartTask")


#: Servers that do not speak TLS: their bytes, all at once or one per second.
HANDSHAKES = {
    "silence": Raw(),
    "plain-http": Raw(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
    "a-byte-a-second": Raw(b"\x16\x03\x03\x40\x00" + b"\x02" * 1000, pace=1),
    "endless": Raw(b"\x16\x03\x03\x40\x00" + b"\x02\x00\xff\xff" * 1_000_000),
}


@pytest.mark.parametrize("handshake", HANDSHAKES.values(), ids=HANDSHAKES)
def test_a_hostile_handshake_is_given_up_in_time(handshake, program, host):
    with handshake as port:
        outcome = Measured(program).run(AWS_ENDPOINT_URL_ECS=f"https://127.0.0.1:{port}", ECS_START_TASK_TIMEOUT="1s")
    assert outcome.status == 69 and outcome.seconds < 15
    assert "ECS is not reachable" in outcome.stderr


@pytest.mark.parametrize("answer", HANDSHAKES.values(), ids=HANDSHAKES)
def test_a_hostile_proxy_is_given_up_in_time(answer, program, host):
    with answer as port:
        proxy = {"HTTPS_PROXY": f"http://127.0.0.1:{port}", "AWS_ENDPOINT_URL_ECS": "https://ecs.example.test"}
        outcome = Measured(program).run(ECS_START_TASK_TIMEOUT="1s", **proxy)
    assert outcome.status == 69 and outcome.seconds < 15
    assert "ECS is not reachable" in outcome.stderr
