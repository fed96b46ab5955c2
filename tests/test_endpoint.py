"""Which address is used: the path unchanged, plain http reported, another Region's endpoint recognised by its response."""

import json
import re

import pytest

from standin.answers import ecs_error
from standin.ecs import Ecs


@pytest.mark.parametrize(("given", "path"), [("", "/"), ("/", "/"), ("/ecs", "/ecs"), ("/ecs/", "/ecs/"), ("/a/b", "/a/b")])
def test_a_path_is_sent_as_given(given, path, program, host, monkeypatch):
    monkeypatch.setattr(Ecs, "path", path)
    assert program.run(AWS_ENDPOINT_URL_ECS=f"{host.ecs.url}{given}").status == 0
    assert [request.path for request in host.asked("StartTask")] == [path]


def test_plain_http_to_another_host_is_a_warning(program, host):
    """0.0.0.0 reaches this machine and is not a loopback address."""
    elsewhere = f"http://0.0.0.0:{host.ecs.port}"
    warning = re.compile(rf"\[WARN\] {elsewhere}/: .*session token unencrypted; .*https")
    assert warning.search(program.run(AWS_ENDPOINT_URL_ECS=elsewhere, verbosity=None).stderr)
    assert "unencrypted" not in program.run(verbosity=None).stderr
    (found,) = checked(program, "ECS endpoint", AWS_ENDPOINT_URL_ECS=elsewhere)
    assert found["Status"] == "Warning" and "unencrypted" in found["Note"] and "https" in found["Fix"]


def checked(program, name, **settings):
    outcome = program.run("check", "--output", "json", **settings, verbosity=None)
    return [each for each in json.loads(outcome.stdout) if each["Check"] == name]


def test_an_endpoint_that_is_not_the_regions_is_named(program, host):
    outcome = program.run(verbosity=None)
    assert re.search(rf"\[INFO\] ECS endpoint: {host.ecs.url}/, by AWS_ENDPOINT_URL_ECS \(environment\)", outcome.stderr)


@pytest.mark.parametrize("name", ["ECS_START_TASK_AGENT_URL", "AWS_EC2_METADATA_SERVICE_ENDPOINT"])
def test_an_https_address_of_what_is_on_this_host_is_a_wrong_setting(name, program):
    outcome = program.run(**{name: "https://127.0.0.1:51678"}, verbosity=None)
    assert outcome.status == 78 and outcome.seconds < 10
    assert re.search(rf"{name}=https://127\.0\.0\.1:51678 is invalid: .*http://", outcome.stderr)


def test_a_signature_for_another_region_is_told_with_both(program, host, etc):
    """ECS's own words for a credential that is scoped to another Region."""
    name = "ecs.eu-west-1.amazonaws.com"
    (etc(program) / "hosts").write_text(f"127.0.0.1 {name}\n")
    host.always("StartTask", ecs_error("InvalidSignatureException", "Credential should be scoped to a valid region.", 403))
    outcome = program.run(AWS_ENDPOINT_URL_ECS=f"http://{name}:{host.ecs.port}", verbosity=None)
    assert outcome.status == 77
    assert f"the endpoint {name} is in eu-west-1, but this instance is in us-east-1" in outcome.stderr
    assert "AWS_ENDPOINT_URL_ECS" in outcome.stderr and "clock" not in outcome.stderr
