"""IPv4 and IPv6: which endpoint an instance uses according to its default routes, and at which address it finds IMDS.

The program runs in a network namespace in which IMDS and ECS have their real addresses, names and ports.
"""

import json
import re

import pytest

from standin.tls import Authority

PLAIN, DUAL_STACK = "ecs.us-east-1.amazonaws.com", "ecs.us-east-1.api.aws"
IMDS_4, IMDS_6, ECS_6 = "169.254.169.254", "fd00:ec2::254", "fd00::ec5"


@pytest.fixture
def instance(make_networked):
    """instance(default) is the program on an instance with these default routes; IMDS is where `imds` says."""

    def make(default, imds=IMDS_4, tls=None):
        at = {"agent_at": ("127.0.0.1", 51678), "imds_at": (imds, 80), "ecs_at": (ECS_6, 443 if tls else 0)}
        program = make_networked(imds, ECS_6, default=default, tls=tls, **at)
        etc = program.mounts["/etc"]
        (etc / "hosts").write_text(f"127.0.0.1 localhost\n{ECS_6} {DUAL_STACK}\n")
        program.ecs_config = etc / "ecs/ecs.config"
        for name in ("ECS_START_TASK_AGENT_URL", "AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_ENDPOINT_URL_ECS"):
            del program.environment[name]
        return program

    return make


def endpoint(program, **settings):
    """(host name of the endpoint, why it is that one)"""
    outcome = program.run("--dry-run", "--output", "json", verbosity=None, **settings)
    assert outcome.status == 0
    shown = json.loads(outcome.stdout)
    return shown["endpoint"].removeprefix("https://").rstrip("/"), shown["endpointReason"]


@pytest.mark.parametrize(("default", "name"), [((6,), DUAL_STACK), ((4, 6), PLAIN), ((4,), PLAIN), ((), PLAIN)])
def test_only_an_instance_without_an_ipv4_default_route_takes_the_dual_stack_endpoint(default, name, instance):
    found, why = endpoint(instance(default))
    assert found == name
    assert ("default route" in why) == (name == DUAL_STACK)


def test_what_is_set_goes_before_the_routes(instance):
    program = instance((6,))
    for settings, ecs_config, name, why in [
        ({"AWS_USE_DUALSTACK_ENDPOINT": "false"}, "", PLAIN, "AWS_USE_DUALSTACK_ENDPOINT=false (environment)"),
        ({"AWS_USE_DUALSTACK_ENDPOINT": "false"}, "ECS_INSTANCE_IP_COMPATIBILITY=ipv6", PLAIN, "AWS_USE_DUALSTACK_ENDPOINT=false"),
        ({}, "AWS_USE_DUALSTACK_ENDPOINT=false", PLAIN, "AWS_USE_DUALSTACK_ENDPOINT=false (/etc/ecs/ecs.config line 1)"),
        ({}, "ECS_INSTANCE_IP_COMPATIBILITY=ipv4", PLAIN, "ECS_INSTANCE_IP_COMPATIBILITY=ipv4 (/etc/ecs/ecs.config line 1)"),
        ({"ECS_INSTANCE_IP_COMPATIBILITY": "ipv4"}, "ECS_INSTANCE_IP_COMPATIBILITY=ipv6", PLAIN, "ipv4 (environment)"),
        ({}, "ECS_INSTANCE_IP_COMPATIBILITY=", DUAL_STACK, "default route"),
        ({}, "ECS_INSTANCE_IP_COMPATIBILITY=ipv5", DUAL_STACK, "default route"),
        ({"AWS_ENDPOINT_URL_ECS": "https://vpce.test"}, "", "vpce.test", "AWS_ENDPOINT_URL_ECS"),
    ]:
        program.ecs_config.write_text(f"{ecs_config}\n")
        found, reason = endpoint(program, **settings)
        assert found == name and why in reason


def test_the_agents_word_makes_an_instance_ipv6_only_that_has_both(instance):
    program = instance((4, 6))
    program.ecs_config.write_text("ECS_INSTANCE_IP_COMPATIBILITY=ipv6\n")
    assert endpoint(program) == (DUAL_STACK, "dual-stack by ECS_INSTANCE_IP_COMPATIBILITY=ipv6 (/etc/ecs/ecs.config line 1)")


def test_an_ipv6_only_instance_starts_its_task(instance, tmp_path):
    authority = Authority(tmp_path, DUAL_STACK)
    program = instance((6,), tls=authority.context)
    assert program.run(AWS_CA_BUNDLE=authority.bundle).status == 0
    checked = program.run("check", "--output", "json", AWS_CA_BUNDLE=authority.bundle, verbosity=None)
    (found,) = [each for each in json.loads(checked.stdout) if each["Check"] == "ECS endpoint"]
    assert found["Status"] == "Success" and DUAL_STACK in found["Note"] and "a default route for IPv6 and none for IPv4" in found["Note"]


def test_imds_is_found_by_its_other_address_where_there_is_no_route_to_the_first(instance):
    program = instance((6,), imds=IMDS_6)
    outcome = program.run("--dry-run")
    assert outcome.status == 0 and program.host.asked("credentials")


def test_where_neither_address_of_imds_is_reached_the_setting_is_named(instance):
    program = instance((6,), imds=IMDS_6)
    program.host.imds.close()
    outcome = program.run(ECS_START_TASK_TIMEOUT="1s", verbosity=None)
    assert outcome.status == 69
    assert re.search(r"http://169\.254\.169\.254/\S+: Network.*unreachable", outcome.stderr)
    assert "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE" in outcome.stderr


def test_without_a_route_to_ecs_the_setting_that_finds_one_is_named(instance):
    """The plain endpoint is IPv4 only."""
    program = instance((6,))
    (program.ecs_config.parents[1] / "hosts").write_text(f"203.0.113.1 {PLAIN}\n")
    outcome = program.run(ECS_START_TASK_TIMEOUT="1s", AWS_USE_DUALSTACK_ENDPOINT="false", verbosity=None)
    assert outcome.status == 69 and re.search("Network.*unreachable.*set AWS_USE_DUALSTACK_ENDPOINT=true", outcome.stderr)


@pytest.mark.parametrize("setting", ["AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"])
def test_a_name_that_does_not_exist_in_the_region_is_blamed_on_the_setting(setting, instance):
    program = instance((4,))
    (program.ecs_config.parents[1] / "hosts").write_text("127.0.0.1 localhost\n")
    outcome = program.run(ECS_START_TASK_TIMEOUT="1s", **{setting: "true"}, verbosity=None)
    assert outcome.status == 69 and re.search(rf"does not resolve.*{setting}", outcome.stderr)
