"""The commands that messages tell people to type: each stands in backquotes, and can be pasted as it is."""

import os
import re
import shutil
import subprocess

import pytest

from standin.program import ROOT

AWS = ROOT / "target/venv/bin/aws"
#: Of a usage that the AWS CLI does not know, before it asks anybody.
USAGE = (2, 252)


def commands():
    code = "".join(path.read_text() for path in sorted((ROOT / "src").rglob("*.rs")))
    code = re.sub(r"^\s*//.*\n", "", code, flags=re.MULTILINE)
    return sorted(set(re.findall(r"`(aws [^`]+)`", code)))


@pytest.mark.parametrize("command", commands())
def test_the_aws_cli_takes_what_messages_tell_people_to_type(command):
    nobody = "--region us-east-1 --endpoint-url http://127.0.0.1:1 --no-sign-request"
    environment = {"PATH": f"{AWS.parent}:{os.defpath}", "AWS_MAX_ATTEMPTS": "1"}
    ended = subprocess.run(["sh", "-c", f"{command} {nobody}"], env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode not in USAGE and "usage:" not in ended.stderr, ended.stderr
    assert ended.returncode == 0 or "Could not connect" in ended.stderr, ended.stderr


def test_there_are_some():
    assert len(commands()) >= 3 and shutil.which(AWS)
