"""Responses to StartTask: what is retried, what is given up, with which code and which words.

A row that is given up at once must have sent one request. A row that is retried must have started one task if the fault passes,
and must exit with its code at the deadline if it persists.
"""

import re
from dataclasses import replace
import time

import pytest

from standin import Answer
from standin.answers import HANG_UP, SERVER_ERROR, THROTTLED, as_json, cut, denied, ecs_error, failure, token_bucket
from standin.program import NO_NAME

UNKNOWN_TOKEN = ecs_error("UnrecognizedClientException", "The security token included in the request is invalid.")
EXPIRED = ecs_error("ExpiredTokenException", "The security token included in the request is expired", 403)
ASSUME = "ECS was unable to assume the role 'arn:aws:iam::123456789012:role/app' that was provided for this task."
UNASSUMABLE = ecs_error("ClientException", ASSUME)
NOT_HTTP = Answer(raw=b"SSH-2.0-OpenSSH_9.2p1\r\n")

#: Given up at once: the response, the code, what must be logged.
FINAL = {
    "client-exception": (ecs_error("ClientException", "TaskDefinition is inactive"), 76, "TaskDefinition is inactive"),
    "prefixed-code": (ecs_error("com.amazonaws.ecs#ClientException:http://x/", "No"), 76, r"\bClientException\b.*No"),
    "invalid-parameter": (ecs_error("InvalidParameterException", "Invalid revision number."), 76, r"Invalid revision number; "),
    "cluster-not-found": (ecs_error("ClusterNotFoundException", "Cluster not found."), 76, r"Cluster not found; .*ECS_CLUSTER"),
    "unsupported-feature": (
        ecs_error("UnsupportedFeatureException", "Not in this region"),
        76,
        "UnsupportedFeatureException.*Not in this region",
    ),
    "any-other-4xx": (ecs_error("OptInRequired", "Subscribe first", 403), 76, "OptInRequired.*Subscribe first"),
    "4xx-without-json": (Answer(413, b"<h1>Too Large</h1>"), 76, r"413"),
    "4xx-without-body": (Answer(400), 76, r"400"),
    "two-spellings": (
        as_json({"__type": "InvalidParameterException", "message": None, "code": 7, "Message": "Invalid revision."}, 400),
        76,
        r"InvalidParameterException \(HTTP 400\): Invalid revision; ",
    ),
    "inactive": (failure("INACTIVE"), 76, r"INACTIVE.*deregistered"),
    "location": (failure("LOCATION", "subnet-1 is in us-east-1b"), 76, r"LOCATION.*subnet-1 is in us-east-1b"),
    "control-characters": (ecs_error("ClientException", "\x1b]0;owned\x07\r\n\u009b2J\u202edesrever"), 76, "owned"),
    "control-characters-in-failure": (failure("INACTIVE", "\x1b]0;owned\x07\r\n"), 76, "owned"),
}
#: Retried: the response, the code if it persists, what must be logged.
PASSING = {
    "throttled": (THROTTLED, 75, r"ThrottlingException.*Rate exceeded"),
    "throttled-by-another-name": (ecs_error("RequestLimitExceeded", "Slow down", 400), 75, "RequestLimitExceeded"),
    "throttled-in-two-spellings": (
        as_json({"__type": None, "message": 1, "Code": "ThrottlingException", "Message": "Rate exceeded"}, 400),
        75,
        r"ThrottlingException.*Rate exceeded",
    ),
    "429-without-json": (Answer(429, b"Too Many Requests"), 75, "429"),
    "agent": (failure("AGENT"), 75, r"AGENT.*not connected"),
}
#: In doubt: the agent is watched for 15 s before StartTask is sent again.
OPEN = {
    "server-error": (SERVER_ERROR, 69, r"(?s)(ServerException|500)"),
    "server-error-with-another-status": (ecs_error("ServerException", "Please wait."), 69, r"ServerException.*Please wait"),
    "503-without-json": (Answer(503, b"<html>upstream</html>"), 69, "503"),
    "hang-up": (HANG_UP, 69, r"may or may not"),
    "not-http": (NOT_HTTP, 69, r"may or may not"),
    "empty-200": (Answer(200), 69, r"may or may not"),
    "200-not-json": (Answer(200, b"<html>Sign in to the guest network</html>"), 69, "guest network"),
    "200-of-another-shape": (as_json({"taskArns": []}), 69, r"may or may not"),
    "200-with-neither-task-nor-failure": (as_json({"tasks": [], "failures": []}), 69, r"may or may not"),
    "200-of-wrong-types": (as_json({"tasks": "yes", "failures": 0}), 69, r"may or may not"),
    "200-huge": (Answer(200, b'{"tasks":"' + b"x" * 8_000_000 + b'"}'), 69, r"(?i)large|may or may not"),
    "200-with-control-characters": (Answer(200, b"\x1b]0;owned\x07"), 69, "owned"),
}
#: Given up at the deadline, and too slow to be played to its end here.
SLOW = {
    "resource": (failure("RESOURCE:MEMORY"), 75, r"RESOURCE:MEMORY.*too few"),
    "missing": (failure("MISSING"), 76, r"MISSING.*Region"),
    "attribute": (failure("ATTRIBUTE", "ecs.capability.gpu"), 76, r"ATTRIBUTE.*ecs\.capability\.gpu"),
    "unknown-reason": (failure("REGISTERING"), 76, "REGISTERING"),
    "access-denied": (denied("ecs:StartTask"), 77, r"ecs:StartTask.*task-definition/my_task_def.*role ecsInstanceRole"),
    "role-not-assumed": (UNASSUMABLE, 77, r"role/app.*ecs-tasks\.amazonaws\.com.*role ecsInstanceRole iam:PassRole"),
}


def rows(table):
    return pytest.mark.parametrize(("answer", "code", "reason"), [pytest.param(*row, id=name) for name, row in table.items()])


@rows(FINAL)
def test_a_permanent_refusal_is_given_up_at_once(answer, code, reason, program, host):
    host.script("StartTask", answer)
    outcome = program.run(verbosity=None)
    assert outcome.status == code and len(host.asked("StartTask")) == 1
    assert re.search(reason, outcome.stderr) and re.search(reason, outcome.log)
    assert "my_task_def" in outcome.stdout


@rows(PASSING | OPEN)
def test_a_passing_fault_of_ecs_ends_with_one_task(answer, code, reason, program, host):
    host.script("StartTask", answer)
    outcome = program.run(verbosity=None)
    assert outcome.status == 0 and len(host.instance.tasks) == 1
    assert re.search(reason, outcome.log)


@rows(PASSING | SLOW | {name: OPEN[name] for name in ("server-error", "hang-up", "200-with-neither-task-nor-failure")})
def test_a_lasting_fault_of_ecs_has_its_code(answer, code, reason, program, host):
    host.always("StartTask", answer)
    outcome = program.run(ECS_START_TASK_TIMEOUT="2s", verbosity=None)
    assert outcome.status == code and not host.instance.tasks
    assert re.search(reason, outcome.stderr) and re.search(reason, outcome.log)


@pytest.mark.parametrize("refusal", [EXPIRED, UNKNOWN_TOKEN], ids=["expired", "unrecognized"])
def test_refused_credentials_are_replaced_once(refusal, program, host):
    def expire(request, default):
        host.metadata_service.rotate()
        return refusal

    host.script("StartTask", expire)
    assert program.run().status == 0
    first, second = (request.headers["Authorization"].split("/")[0] for request in host.asked("StartTask"))
    assert first != second


@pytest.mark.parametrize("refusal", [EXPIRED, UNKNOWN_TOKEN], ids=["expired", "unrecognized"])
def test_credentials_that_are_refused_twice_are_given_up_with_77(refusal, program, host):
    host.always("StartTask", refusal)
    outcome = program.run(verbosity=None)
    assert outcome.status == 77 and len(host.asked("StartTask")) == 2
    assert re.search("security token.*ecsInstanceRole", outcome.stderr)


def test_a_refused_signature_is_given_up_with_77_and_its_quoted_token_is_not_shown(program, host):
    wrong = host.metadata_service.credentials.document() | {"SecretAccessKey": "another-secret-access-key"}
    host.always("credentials", as_json(wrong))
    outcome = program.run()
    assert outcome.status == 77
    assert "InvalidSignatureException" in outcome.stderr


@pytest.mark.parametrize("status", [200, 400, 500])
def test_an_answer_that_repeats_the_request_does_not_carry_secrets_into_the_log(status, program, host):
    def echo(request, _):
        return Answer(status, "".join(f"{name}: {value}\n" for name, value in sorted(request.headers.items())).encode())

    host.always("StartTask", echo)
    assert program.run(ECS_START_TASK_TIMEOUT="1s").status in (69, 76)


@pytest.mark.parametrize("header", [{"Retry-After": "4"}, {"x-amz-retry-after": "4000"}], ids=["seconds", "milliseconds"])
def test_retry_after_is_obeyed(header, program, host):
    host.script("StartTask", Answer(429, b"", header))
    assert program.run().status == 0
    first, second = host.asked("StartTask")
    assert second.at - first.at >= 4


def test_the_throttle_of_ecs_lets_every_definition_through_in_the_end(program, host):
    host.always("StartTask", token_bucket(burst=1, rate=0.5))
    assert program.run(ECS_START_TASK_DEFINITION="my_task_def,log_agent").status == 0
    assert len(host.instance.tasks) == 2


def test_each_try_is_signed_anew(program, host):
    host.script("StartTask", failure("AGENT"), failure("AGENT"), failure("AGENT"))
    assert program.run().status == 0
    # The date has whole seconds, and only the first pause may be shorter than that.
    assert len({request.headers["X-Amz-Date"] for request in host.asked("StartTask")}) >= 3


def test_no_connection_is_used_twice(program, host):
    """A pooled connection may be dead, and a StartTask sent on it would be in doubt."""
    host.script("StartTask", THROTTLED)
    assert program.run().status == 0
    connections = [request.connection for request in host.asked()]
    assert len(host.asked("StartTask")) == 2 and len(set(connections)) == len(connections)


def test_a_date_from_a_cache_does_not_correct_the_clock(program, host):
    def cached(_, default):
        answer = default()
        return replace(answer, headers=answer.headers | {"Age": "0"})

    host.clock_offset = 1000
    host.always("StartTask", cached)
    outcome = program.run(verbosity=None)
    assert outcome.status == 77 and "InvalidSignatureException" in outcome.stderr
    assert len(host.asked("StartTask")) == 1


def test_a_connection_that_closes_before_the_request_is_made_again(program, host):
    host.ecs.drop(1)
    assert program.run().status == 0
    assert len(host.instance.tasks) == 1


def test_an_ecs_that_refuses_connections_is_given_up_with_69(make_program):
    program = make_program(closed=("ecs",))
    outcome = program.run(ECS_START_TASK_TIMEOUT="2s")
    assert outcome.status == 69
    assert re.search(r"refused.*route", outcome.stderr)


def test_a_name_that_does_not_resolve_is_given_up_with_69(program, host):
    outcome = program.run(ECS_START_TASK_TIMEOUT="2s", AWS_ENDPOINT_URL_ECS=f"https://{NO_NAME}")
    assert outcome.status == 69
    assert re.search(rf"{NO_NAME}.*resolve", outcome.stderr)


@pytest.mark.parametrize("status", [301, 307])
def test_a_redirect_is_not_followed(status, program, host, make_host):
    elsewhere = make_host()
    host.always("StartTask", Answer(status, headers={"Location": elsewhere.ecs.url + "/"}))
    outcome = program.run(ECS_START_TASK_TIMEOUT="1s")
    assert outcome.status != 0 and str(status) in outcome.stderr
    assert not elsewhere.requests


def test_a_success_is_not_reported_for_an_answer_that_broke_off(program, host):
    host.always(
        "StartTask",
        lambda request, _: cut(30)(request, lambda: as_json({"tasks": [{"taskArn": "arn:aws:ecs:x"}], "failures": []})),
    )
    outcome = program.run(ECS_START_TASK_TIMEOUT="1s")
    assert outcome.status == 69 and "may or may not" in outcome.stderr


def test_after_an_outage_start_task_comes_soon(make_program):
    """By then the delays are at most 8 s; the rest allows for a slow machine."""
    program = make_program(closed=("ecs",))
    program.host.ecs.open_after(5)
    opened = time.monotonic() + 5
    assert program.run(verbosity=None).status == 0
    (sent,) = program.host.asked("StartTask")
    assert sent.at - opened < 20
