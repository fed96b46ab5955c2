"""The stand-in itself: it must detect what the other tests rely on it to detect."""

import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from standin import Answer, Host
from standin.answers import THROTTLED
from standin.program import BINARY, CODES, ROOT, Outcome, judge

OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def ask(url, method="GET", body=None, **headers):
    try:
        with OPENER.open(urllib.request.Request(url, body, headers, method=method)) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read()


@pytest.fixture
def host():
    with Host() as host:
        yield host


def test_a_mistyped_path_of_the_agent_responds_with_200_and_fails_the_test(host):
    assert ask(host.agent.url + "/v1/metadat")[0] == 200
    with pytest.raises(AssertionError, match="nobody expected"):
        host.verify()


def test_imds_without_a_token_is_refused_and_fails_the_test(host):
    assert ask(host.imds.url + "/latest/meta-data/iam/security-credentials/")[0] == 401
    with pytest.raises(AssertionError, match="nobody expected"):
        host.verify()


def test_imds_wants_a_lifetime_for_a_token(host):
    assert ask(host.imds.url + "/latest/api/token", "PUT")[0] == 400


def test_a_question_about_an_unknown_task_is_counted_as_lines_of_the_agents_log(host):
    assert ask(host.agent.url + "/v1/tasks?taskarn=unknown")[0] == 404
    assert ask(host.agent.url + "/v1/tasks")[0] == 200
    assert host.instance.error_lines == 2


def test_ecs_learns_of_an_end_later_than_the_agent(host):
    host.instance.ecs_lag = 60
    task = host.instance.place("my_task_def", life=((0, "STOPPED"),))
    assert (task.status(), task.last_status()) == ("STOPPED", "DEACTIVATING")


def test_a_call_to_ecs_before_registration_fails_the_test(host):
    ask(host.ecs.url, "POST", b"{}")
    with pytest.raises(AssertionError, match="nobody expected"):
        host.verify()


def test_an_unsigned_call_is_refused(host):
    headers = {"X-Amz-Target": "AmazonEC2ContainerServiceV20141113.StartTask", "Content-Type": "application/x-amz-json-1.1"}
    status, body = ask(host.ecs.url, "POST", b"{}", **headers)
    assert status == 400 and b"IncompleteSignature" in body


@pytest.mark.parametrize(
    "leave",
    [
        lambda host: host.script("StartTask", THROTTLED),
        lambda host: host.always("role", Answer(500)),
        lambda host: host.ecs.drop(1),
    ],
    ids=["script", "always", "drop"],
)
def test_a_scripted_fault_that_never_came_to_pass_is_a_failure(leave, host):
    leave(host)
    with pytest.raises(AssertionError, match="nobody asked for"):
        host.verify()


def run_that_says(text, status=0):
    return Outcome(["x"], {}, status, "", text, "", 0.1)


@pytest.mark.parametrize("text", ["thread 'main' panicked at", "token abcdefghijklmnop", "\x1b[31mred", "DEBUG ureq::run: x"])
def test_every_run_is_judged(text):
    with pytest.raises(AssertionError):
        judge(run_that_says(text), ["abcdefghijklmnopqrstuvwxyz"])


def test_an_undocumented_exit_code_is_a_failure():
    assert 101 not in CODES
    with pytest.raises(AssertionError, match="101"):
        judge(run_that_says("", 101), [])


def test_the_demo_shows_one_task_started_by_the_instance(tmp_path):
    environment = {"PATH": "/usr/bin:/bin", "HOME": tmp_path, "PYTHONPATH": ROOT / "tests", "ECS_START_TASK_BINARY": BINARY}
    demo = subprocess.run([sys.executable, "-m", "standin.demo"], env=environment, text=True, stdout=subprocess.PIPE, timeout=60)
    assert demo.returncode == 0, demo.stdout
    assert "startedBy" in demo.stdout and "already-running" in demo.stdout
