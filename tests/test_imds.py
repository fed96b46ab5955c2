"""Credentials from IMDS, version 2 only: what is retried, what is given up, and with which code.

The stand-in refuses every GET without a token that it issued, so a fallback to version 1 fails each of these tests.
"""

import json
import re
from datetime import datetime, timedelta, timezone

import pytest

from standin import Answer
from standin.answers import HANG_UP, as_json, text
from standin.imds import Credentials, Imds, refusal

UNASSUMABLE = as_json(
    {
        "Code": "AssumeRoleUnauthorizedAccess",
        "Message": "EC2 cannot assume the role ecsInstanceRole.",
        "LastUpdated": "2026-11-24T10:00:00Z",
    }
)
EXPIRED = Credentials(expiration=datetime.now(timezone.utc) - timedelta(hours=1))

#: A request and its response, the code if it persists, what must be logged about it.
FAULTS = {
    "role-late": ("role", refusal(404), 77, r"(?i)role.*instance profile"),
    "role-empty": ("role", text(""), 77, r"(?i)role"),
    "role-500": ("role", refusal(500), 69, r"\b500\b"),
    "role-with-control-characters": ("role", text("\x1b]0;owned\x07\r\nX-Injected: 1"), 69, r"role"),
    "role-huge": ("role", text("r" * 8_000_000), 69, r"(?i)large|usable"),
    "role-page": ("role", text("<html><body>not a role</body></html>"), 69, r"(?i)html|usable"),
    "code-not-success": ("credentials", UNASSUMABLE, 77, r"AssumeRoleUnauthorizedAccess.*trust policy"),
    "credentials-404": ("credentials", refusal(404), 77, r"(?i)role"),
    "credentials-503": ("credentials", refusal(503), 69, r"\b503\b"),
    "credentials-empty": ("credentials", text(""), 69, r"usable|answer"),
    "credentials-not-json": ("credentials", text("<html>busy</html>"), 69, r"usable|answer"),
    "credentials-cut-off": (
        "credentials",
        Answer(body=b'{"Code":"Success","AccessKeyId":"ASIA', headers={"Content-Length": "900"}, cut=40),
        69,
        r"broke off|closed|cut|end",
    ),
    "credentials-of-wrong-types": (
        "credentials",
        as_json({"Code": "Success", "AccessKeyId": 5, "SecretAccessKey": [], "Token": None}),
        69,
        r"usable|answer",
    ),
    "credentials-without-keys": ("credentials", as_json({"Code": "Success"}), 69, r"usable|answer"),
    "credentials-huge": ("credentials", as_json({"Code": "Success", "Token": "t" * 8_000_000}), 69, r"(?i)large"),
    "code-with-control-characters": (
        "credentials",
        as_json({"Code": "\x1b[2Jowned\x07", "Message": "\r\n\x9b31m"}),
        77,
        r"owned",
    ),
    "token-500": ("token", refusal(500), 69, r"\b500\b"),
    "token-503": ("token", refusal(503), 69, r"\b503\b"),
    "token-hang-up": ("token", HANG_UP, 69, r"(?i)clos|disconnect|reset|end"),
    "token-empty": ("token", text(""), 69, r"(?i)token|usable|answer"),
    "token-with-control-characters": ("token", text("a\r\nX-Injected: 1"), 69, r"(?i)token|usable|answer"),
    "token-page": ("token", text("<html>\u2603</html>"), 69, r"(?i)token|usable|answer|40[01]"),
}
ROWS = [pytest.param(*row, id=name) for name, row in FAULTS.items()]


@pytest.mark.parametrize(("operation", "answer", "code", "reason"), ROWS)
def test_a_passing_fault_of_imds_is_waited_out(operation, answer, code, reason, program, host):
    host.script(operation, answer)
    outcome = program.run()
    assert outcome.status == 0 and len(host.instance.tasks) == 1
    assert re.search(reason, outcome.said)


@pytest.mark.parametrize(("operation", "answer", "code", "reason"), ROWS)
def test_a_lasting_fault_of_imds_has_its_code(operation, answer, code, reason, program, host):
    host.always(operation, answer)
    outcome = program.run(ECS_START_TASK_TIMEOUT="2s", verbosity=None)
    assert outcome.status == code
    assert re.search(reason, outcome.stderr)
    assert not host.asked("StartTask")


def test_a_token_that_is_refused_is_replaced(program, host):
    host.script("credentials", refusal(401))
    assert program.run().status == 0
    assert len(host.asked("token")) == 2
    assert len({request.headers["X-aws-ec2-metadata-token"] for request in host.asked("credentials")}) == 2


@pytest.mark.parametrize("operation", ["token", "role"])
def test_imds_turned_off_is_given_up_at_once_with_the_way_to_enable_it(operation, program, host):
    host.always(operation, refusal(403))
    outcome = program.run()
    assert outcome.status == 77 and len(host.asked(operation)) == 1
    assert re.search(r"403.*modify-instance-metadata-options.*--http-endpoint enabled", outcome.stderr)


def test_imds_disabled_by_setting_is_never_asked(program, host):
    outcome = program.run(AWS_EC2_METADATA_DISABLED="TRUE")
    assert outcome.status == 78 and "AWS_EC2_METADATA_DISABLED" in outcome.stderr
    assert not [request for request in host.asked() if request.service == "imds"]


def test_an_imds_that_refuses_connections_is_given_up_with_69(make_program):
    program = make_program(closed=("imds",))
    outcome = program.run(ECS_START_TASK_TIMEOUT="2s")
    assert outcome.status == 69
    assert "refused" in outcome.stderr and program.host.imds.url in outcome.stderr


def test_an_imds_that_opens_late_is_waited_for(make_program):
    program = make_program(closed=("imds",))
    program.host.imds.open_after(0.5)
    assert program.run().status == 0 and len(program.host.instance.tasks) == 1


def test_expired_credentials_are_replaced_by_fresher_ones(program, host):
    host.script("credentials", as_json(EXPIRED.document()))
    outcome = program.run()
    assert outcome.status == 0 and re.search("(?i)expired", outcome.said)
    assert EXPIRED.access_key not in host.asked("StartTask")[0].headers["Authorization"]


def test_credentials_that_stay_expired_are_given_up_with_77(make_program):
    program = make_program(imds=Imds(EXPIRED))
    outcome = program.run(ECS_START_TASK_TIMEOUT="3s")
    assert outcome.status == 77
    assert re.search("(?i)expired", outcome.stderr)
    assert not program.host.instance.tasks


def test_only_the_first_of_several_roles_is_taken(program, host):
    host.script("role", text("ecsInstanceRole\nanotherRole\n"))
    assert program.run().status == 0 and len(host.instance.tasks) == 1


def test_a_role_with_every_allowed_character_is_asked_for_as_it_is(make_program):
    program = make_program(imds=Imds(role="My+Role=1,2.3@4_5-6"))
    assert program.run().status == 0 and len(program.host.instance.tasks) == 1


@pytest.mark.parametrize("operation", ["role", "credentials"])
def test_an_answer_that_repeats_the_token_does_not_carry_it_into_the_log(operation, program, host):
    host.script(operation, lambda request, _: text("Bad token " + request.headers["X-aws-ec2-metadata-token"], 500))
    assert program.run().status == 0
    assert len(host.asked(operation)) == 2


@pytest.mark.parametrize("operation, status", [("credentials", 500), ("credentials", 403), ("role", 200), ("role", 500)])
def test_a_credentials_document_in_the_wrong_place_is_not_quoted(operation, status, program, host):
    document = json.dumps(host.metadata_service.credentials.document()).encode()
    host.script(operation, Answer(status, document))
    assert program.run().status == (77 if status == 403 else 0)
