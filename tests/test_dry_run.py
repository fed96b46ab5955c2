"""--dry-run: everything except sending, for the endpoints of every partition, and never a secret."""

import json

import pytest

from standin import Instance, Program

#: Partition, Region, and the four endpoints: plain, FIPS, dual-stack, both.
PARTITIONS = [
    ("aws", "eu-central-1", "amazonaws.com", "api.aws"),
    ("aws-cn", "cn-northwest-1", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    ("aws-us-gov", "us-gov-east-1", "amazonaws.com", "api.aws"),
    ("aws-eusc", "eusc-de-east-1", "amazonaws.eu", "api.amazonwebservices.eu"),
    ("aws-iso", "us-iso-east-1", "c2s.ic.gov", "api.aws.ic.gov"),
    ("aws-iso-b", "us-isob-east-1", "sc2s.sgov.gov", "api.aws.scloud"),
    ("aws-iso-e", "eu-isoe-west-1", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    ("aws-iso-f", "us-isof-south-1", "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
]


def test_text_names_all_that_would_be_used(program, host):
    outcome = program.run("--dry-run")
    assert outcome.status == 0
    for value in (host.ecs.url, "us-east-1", host.instance.cluster, host.instance.id, "ecsInstanceRole", '"taskDefinition"'):
        assert value in outcome.stdout


def test_json_holds_the_same(program, host):
    shown = json.loads(program.run("--dry-run", "--output", "json").stdout)
    assert shown["endpoint"].rstrip("/") == host.ecs.url
    assert (shown["region"], shown["cluster"], shown["role"]) == ("us-east-1", "my-cluster", "ecsInstanceRole")
    assert host.instance.id in shown["instance"]


def test_what_is_shown_is_what_is_sent(program, host):
    shown = json.loads(program.run("--dry-run", "--output", "json").stdout)["requests"][0]
    program.run()
    (sent,) = host.asked("StartTask")
    assert shown == json.loads(sent.body)


@pytest.mark.parametrize("output", ["text", "json"])
def test_nothing_is_sent_to_ecs_and_nothing_is_written(output, program, host, tmp_path):
    assert program.run("--dry-run", "--output", output).status == 0
    assert not [request for request in host.asked() if request.service == "ecs"]
    assert host.asked("credentials")
    assert not (tmp_path / "state").exists()


def test_whether_a_task_is_running_is_not_checked(program, host):
    assert program.run().status == 0 and host.instance.tasks
    host.requests.clear()
    shown = json.loads(program.run("--dry-run", "--output", "json").stdout)
    assert len(shown["requests"]) == 1 and not host.asked("tasks")
    assert program.run().status == 0 and host.asked("tasks") and not host.asked("StartTask")


def test_what_a_real_run_would_fail_on_fails_the_dry_run(make_program):
    assert make_program(closed=("imds",)).run("--dry-run", ECS_START_TASK_TIMEOUT="2s").status == 69


@pytest.mark.parametrize("fips", ["false", "true"])
@pytest.mark.parametrize(("partition", "region", "suffix", "dualstack_suffix"), PARTITIONS, ids=[row[0] for row in PARTITIONS])
def test_the_endpoint_is_the_partitions(partition, region, suffix, dualstack_suffix, fips, make_host, tmp_path):
    program = Program(make_host(instance=Instance(partition=partition, region=region)), tmp_path)
    for dualstack, ending in (("false", suffix), ("true", dualstack_suffix)):
        settings = {"AWS_ENDPOINT_URL_ECS": None, "AWS_USE_FIPS_ENDPOINT": fips, "AWS_USE_DUALSTACK_ENDPOINT": dualstack}
        shown = json.loads(program.run("--dry-run", "--output", "json", **settings).stdout)
        service = "ecs-fips" if fips == "true" else "ecs"
        assert shown["endpoint"].rstrip("/") == f"https://{service}.{region}.{ending}"


def test_the_endpoint_of_ecs_comes_before_the_one_of_all_services(program, host):
    shown = json.loads(program.run("--dry-run", "--output", "json", AWS_ENDPOINT_URL="http://127.0.0.1:1").stdout)
    assert shown["endpoint"].rstrip("/") == host.ecs.url
    shown = json.loads(
        program.run("--dry-run", "--output", "json", AWS_ENDPOINT_URL_ECS=None, AWS_ENDPOINT_URL=host.ecs.url).stdout
    )
    assert shown["endpoint"].rstrip("/") == host.ecs.url
