"""References survive the tools that people write user data with: shells, CloudFormation, Terraform, cloud-init's jinja."""

import json
import re
import subprocess
import sys
from pathlib import Path

import boto3
import jinja2
import moto.settings
import pytest
from moto import mock_aws

from examples import EXAMPLES
from package.tools import run
from standin.moto_ecs import REGION

REFERENCES = [
    "{imds:instance-id}",
    "{imds:placement/availability-zone}",
    "{imds:network/interfaces/macs/02:29:96:8f:6a:2d/vpc-id}",
    "{imds:subnet-id}",
    "{tag:Role}",
    "{tag:Role:-default}",
    "{tag:Role:-}",
    "{tag:aws:autoscaling:groupName}",
    "{ecs:cluster}",
    "{ecs:container-instance-arn}",
    "agent-{tag:Role:-default},log_agent",
]
WHOLE = [(EXAMPLES / name).read_text() for name in ("host-values.json", "awsvpc.json", "role.conf")]
TEXT = "\n".join([*REFERENCES, *WHOLE])


def test_the_text_holds_every_kind():
    assert {"{imds:", "{tag:", "{ecs:", ":-"} <= set(re.findall(r"\{imds:|\{tag:|\{ecs:|:-", TEXT))


@pytest.mark.parametrize("shell", ["sh", "bash", "zsh"])
def test_an_unquoted_heredoc(shell):
    script = f"set -eu\ncat <<EOF\n{TEXT}\nEOF\n"
    printed = subprocess.run([shell], input=script, check=True, capture_output=True, text=True).stdout
    assert printed == TEXT + "\n"


@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize("reference", REFERENCES)
def test_an_unquoted_word(shell, reference, tmp_path):
    script = f"set -eu\necho ECS_START_TASK_DEFINITION={reference}"
    printed = subprocess.run([shell, "-c", script], check=True, capture_output=True, text=True, cwd=tmp_path).stdout
    assert printed == f"ECS_START_TASK_DEFINITION={reference}\n"


def template(text):
    """A CloudFormation template whose one resource has the text in Fn::Sub, as user data has it."""
    parameter = {"Name": "user-data", "Type": "String", "Value": {"Fn::Sub": "${AWS::Region}\n" + text}}
    return json.dumps({"Resources": {"Parameter": {"Type": "AWS::SSM::Parameter", "Properties": parameter}}})


def test_fn_sub(tmp_path, monkeypatch):
    # Other tests in this process make moto check permissions.
    monkeypatch.setattr(moto.settings, "INITIAL_NO_AUTH_ACTION_COUNT", float("inf"))
    (tmp_path / "template.json").write_text(template(TEXT))
    run(Path(sys.executable).parent / "cfn-lint", "--include-checks", "I", "--", tmp_path / "template.json")
    with mock_aws():
        boto3.client("cloudformation", REGION).create_stack(StackName="references", TemplateBody=template(TEXT))
        value = boto3.client("ssm", REGION).get_parameter(Name="user-data")["Parameter"]["Value"]
    assert value == f"{REGION}\n{TEXT}"


def test_jinja_of_cloud_init():
    # cloud-init renders user data that begins with "## template: jinja" with these options.
    rendered = jinja2.Template("{{ v1.region }}\n" + TEXT, trim_blocks=True).render(v1={"region": REGION})
    assert rendered == f"{REGION}\n{TEXT}".removesuffix("\n")


def test_templatefile_of_terraform():
    # By its documented rules: ${ begins an interpolation and %{ a directive; $${ and %%{ escape them; all else is literal.
    assert not re.search(r"[$%]\{", TEXT)
