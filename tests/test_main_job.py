"""The main job: from an instance that has just booted to one started task.

What is sent is compared with what the AWS CLI sends for the page's own command line.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from standin import Answer, Instance, Program
from standin.program import VERSION

OLD_ID = "4d5a3f1c-9c2e-4b53-a3f5-0f1e2d3c4b5a"


def start_task_by_cli(host, directory):
    """The page's last line, by the real AWS CLI."""
    host.instance.announced = True
    settings = {
        "PATH": str(Path(sys.executable).parent),
        "HOME": str(directory),
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": host.imds.url,
        "AWS_METADATA_SERVICE_TIMEOUT": "30",
        "AWS_ENDPOINT_URL_ECS": host.ecs.url,
    }
    identity = [
        "--cluster",
        host.instance.cluster_name,
        "--container-instances",
        host.instance.id,
        "--started-by",
        host.instance.id,
    ]
    command = ["aws", "ecs", "start-task", *identity, "--task-definition", "my_task_def", "--region", host.instance.region]
    subprocess.run(command, env=settings, check=True, capture_output=True)
    (request,) = host.asked("StartTask")
    return request


def signed_headers(request):
    return re.search(r"SignedHeaders=([^,]+)", request.headers["Authorization"])[1]


def test_one_task_is_started_on_this_instance(program, host):
    outcome = program.run()
    assert outcome.status == 0
    (task,) = host.instance.tasks
    assert (task.family, task.revision, task.started_by) == ("my_task_def", 3, host.instance.id)
    assert task.arn in outcome.stdout
    assert host.instance.id in outcome.said and host.instance.cluster in outcome.said


def test_each_request_is_made_once(program, host):
    program.run()
    once = [request.operation for request in host.asked("metadata", "token", "role", "credentials", "StartTask")]
    assert sorted(once) == ["StartTask", "credentials", "metadata", "role", "token"]
    assert {request.service for request in host.asked() if request.operation not in once} <= {"agent"}


def test_the_request_is_the_one_the_aws_cli_sends(program, host, make_host, tmp_path):
    program.run()
    (ours,) = host.asked("StartTask")
    theirs = start_task_by_cli(make_host(), tmp_path)
    assert json.loads(ours.body) == json.loads(theirs.body)
    assert signed_headers(ours) == signed_headers(theirs)
    for name in ("X-Amz-Target", "Content-Type"):
        assert ours.headers[name] == theirs.headers[name]


def test_the_user_agent_is_name_and_version_everywhere(program, host):
    program.run()
    assert {request.headers["User-Agent"] for request in host.asked()} == {f"ecs-start-task/{VERSION}"}


def test_credentials_are_fetched_before_the_agent_answers(program, host):
    host.always("metadata", lambda _, default: default() if host.asked("credentials") else Answer(500, b"{}"))
    assert program.run().status == 0
    assert len(host.instance.tasks) == 1


def test_several_definitions_share_agent_and_credentials(program, host):
    outcome = program.run(ECS_START_TASK_DEFINITION="my_task_def:2, log_agent")
    assert outcome.status == 0
    assert [(task.family, task.revision) for task in host.instance.tasks] == [("my_task_def", 2), ("log_agent", 1)]
    assert len(host.asked("credentials")) == 1
    assert all(task.arn in outcome.stdout for task in host.instance.tasks)


def test_the_json_result_is_one_document_about_each_task(program, host):
    outcome = program.run("--output", "json", "-t", "my_task_def", "-t", "unknown_def")
    result = json.loads(outcome.stdout)
    (task,) = host.instance.tasks
    assert outcome.status == 76
    assert (result["cluster"], result["region"]) == (host.instance.cluster, "us-east-1")
    assert [each["outcome"] for each in result["tasks"]] == ["started", "failed"]
    assert result["tasks"][0]["taskArn"] == task.arn
    assert result["tasks"][1]["error"]["code"] == "ClientException"


def test_started_by_can_be_chosen(program, host):
    program.run("--started-by", "boot/my-host_1")
    assert host.instance.tasks[0].started_by == "boot/my-host_1"


def test_an_arn_names_the_definition_as_well(program, host):
    arn = host.instance.arn_of("task-definition/my_task_def:2")
    assert program.run(ECS_START_TASK_DEFINITION=arn).status == 0
    assert json.loads(host.asked("StartTask")[0].body)["taskDefinition"] == arn


@pytest.mark.parametrize(
    "instance",
    [
        pytest.param(Instance(cluster="arn:aws:ecs:us-east-1:123456789012:cluster/my-cluster"), id="cluster-as-arn"),
        pytest.param(Instance(cluster="default"), id="default-cluster"),
        pytest.param(Instance(long_arn=False, id=OLD_ID), id="old-arn"),
        pytest.param(Instance(partition="aws-cn", region="cn-north-1"), id="china"),
        pytest.param(Instance(partition="aws-us-gov", region="us-gov-west-1"), id="govcloud"),
        pytest.param(Instance(partition="aws-iso-b", region="us-isob-east-1"), id="iso-b"),
        pytest.param(Instance(region="eu-central-2"), id="another-region"),
    ],
)
def test_identity_comes_from_the_agent(instance, make_host, tmp_path):
    host = make_host(instance=instance)
    assert Program(host, tmp_path).run().status == 0
    (request,) = host.asked("StartTask")
    body = json.loads(request.body)
    assert body["cluster"] == instance.cluster and body["containerInstances"] == [instance.id]
    assert f"/{instance.region}/ecs/" in request.headers["Authorization"]
    assert host.instance.tasks[0].started_by == instance.id


def arn_of_cluster(region="us-east-1", account="123456789012", name="my-cluster", partition="aws"):
    return f"arn:{partition}:ecs:{region}:{account}:cluster/{name}"


#: ARNs of other clusters with the same name as the instance's.
OTHERS = {
    "region": arn_of_cluster(region="eu-west-1"),
    "account": arn_of_cluster(account="210987654321"),
    "partition": arn_of_cluster(partition="aws-cn"),
    "name": arn_of_cluster(name="other"),
}


@pytest.mark.parametrize("cluster", ["my-cluster", arn_of_cluster()], ids=["name", "arn"])
@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_a_cluster_is_asserted_by_its_whole_arn(other, cluster, make_host, tmp_path):
    host = make_host(instance=Instance(cluster=cluster))
    program = Program(host, tmp_path)
    document = tmp_path / "a.json"
    document.write_text(json.dumps({"taskDefinition": "my_task_def", "cluster": other}))
    by_option, by_document = program.run("--cluster", other), program.run("--cli-input-json", str(document))
    assert (by_option.status, by_document.status) == (78, 78) and not host.asked("StartTask")
    assert other in by_option.stderr and arn_of_cluster() in by_option.stderr
    assert program.run("--cluster", arn_of_cluster()).status == 0


def test_the_cluster_option_is_an_assertion(program, host):
    assert program.run("--cluster", "my-cluster").status == 0
    outcome = program.run("--cluster", "other")
    assert outcome.status == 78
    assert "other" in outcome.stderr and "my-cluster" in outcome.stderr
    assert len(host.asked("StartTask")) == 1
