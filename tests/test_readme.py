"""The README: it is short, its commands run, and it agrees with the program, the unit and the man page."""

import json
import os
import re
import subprocess

from examples import EXAMPLES, REPOSITORY, script
from package.test_settings import known
from readme import README, command_blocks, readme_block
from standin.moto_ecs import FAMILY, ROLE
from standin.program import BINARY, ROOT
from test_examples import resource
from test_messages import AWS
from test_moto import launch  # noqa: F401 - a fixture

LONGEST = 150


def test_it_is_short():
    assert len(README.splitlines()) <= LONGEST


def test_it_has_what_a_user_needs_in_the_order_in_which_it_is_needed():
    headings = re.findall("^## (.*)", README, re.MULTILINE)
    assert headings == [
        "Get the package",
        "Quick start",
        "Switch from AWS's script",
        "My task is missing",
        "Settings",
        "Exit codes",
        "Compared with AWS's script",
        "Security, support, contributing",
    ]
    before = README.partition("## ")[0]
    assert before.index("Amazon Linux 2023") < before.index("past its end of life") < before.index("Managed Daemon") < before.index("`DAEMON`")
    steps = re.findall(r"^\*\*(\d\. \w+)", README, re.MULTILINE)
    assert steps == ["1. Permissions", "2. User", "3. Verify"]
    compared = README.partition("## Compared")[2].partition("## ")[0]
    assert len(re.findall(r"^\| (?!\|)", compared, re.MULTILINE)) == 5


def test_each_command_block_is_run_by_a_test():
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
    run = {(heading, int(number or 0)) for heading, number in re.findall(r'[ (\[]readme_block\("([^"]+)"(?:, (\d))?\)', tests)}
    assert run == set(command_blocks())


def test_links_lead_to_files():
    for link in re.findall(r"\]\(([^)]+)\)", README):
        assert (ROOT / link).exists(), link


def test_the_examples_are_where_readme_and_manual_say():
    (installed,) = re.findall(r"\$\(DESTDIR\)(/usr/share/doc/\S+/examples)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[:1]
    assert f"`{installed}`" in README and installed in (ROOT / "src/testing/pages/manual.txt").read_text()


def test_the_user_data_is_that_of_the_example_without_its_comments():
    example = re.sub(r"^(?:# .*)?\n", "", script(), flags=re.MULTILINE)
    assert command_blocks()["Quick start", 1].rstrip() == example and REPOSITORY in example


def aws_cli(program, block):
    """Run a block with the AWS CLI against moto, as an administrator."""
    keys = {name.upper(): value for name, value in program.moto.keys.items()}
    address = "http://{}:{}".format(*program.moto.address)
    environment = {"PATH": f"{AWS.parent}:{os.defpath}", "AWS_ENDPOINT_URL": address, "AWS_DEFAULT_REGION": "us-east-1"} | keys
    return subprocess.run(["sh", "-e", "-c", block], env=environment, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def test_the_commands_of_the_quick_start_give_the_role_what_it_needs_and_verify_the_fleet(launch, monkeypatch):
    monkeypatch.setattr("moto.ecs.responses.EC2ContainerServiceResponse._determine_resource", resource, raising=False)
    program = launch("ecs:Poll")
    assert program.run(ECS_START_TASK_TIMEOUT="2s").status == 77
    aws_cli(program, readme_block("Quick start"))
    assert program.moto.client("iam").get_role_policy(RoleName=ROLE, PolicyName="start-task")
    assert program.run().status == 0
    assert readme_block("Quick start", 2).startswith("ecs-start-task status\n#")
    fleet = readme_block("Quick start", 3).replace("your_cluster_name", "my-cluster")
    # moto accepts the filter and ignores it; AWS documents what it does.
    assert aws_cli(program, fleet).startswith("CONTAINERINSTANCEARNS") and f"family:{FAMILY})" in fleet


def test_the_sample_of_status_is_in_the_program_s_words(program):
    program.run()
    shown = " ".join(program.run("status", verbosity=None).stdout.split())
    sample = " ".join(re.findall(r"^#(.*)", readme_block("Quick start", 2), re.MULTILINE)).replace("your_cluster_name", "my-cluster")
    assert re.sub(r"\S*\d\S*", "#", shown) == re.sub(r"\S*\d\S*", "#", " ".join(sample.split()))


def test_the_three_settings_have_the_program_s_defaults():
    listed = dict(re.findall(r"^- `(ECS_START_TASK_\w+)(?:=(\w+))?`", README, re.MULTILINE))
    assert len(listed) == 3 and listed == {name: known()[name] for name in listed}


def test_the_exit_codes_are_those_of_the_source_and_of_help(program):
    listed = re.findall(r"^\| (\d+) \| (?=.*\|)", README, re.MULTILINE)
    source = re.findall(r"const \w+: u8 = (\d+);", (ROOT / "src/error/class.rs").read_text())
    _, _, told = program.run("--help").stdout.partition("Exit codes:\n")
    assert listed == ["0", *source] == re.findall(r"^  (\d+): ", told, re.MULTILINE)


def test_the_sed_of_the_runbook_takes_the_definition_out_of_the_script_of_the_page(tmp_path):
    (line,) = re.findall(r"^sed .*", command_blocks()["Switch from AWS's script", 0], re.MULTILINE)
    script = "\t# task_definition=old\n\ttask_definition=my_task_def\n\taws ecs start-task --task-definition $task_definition\n"
    (tmp_path / "ecs-start-task.sh").write_text(script)
    (tmp_path / "ecs-start-task.conf").write_text("#ECS_START_TASK_DEFINITION=\n")
    subprocess.run(["sh", "-e", "-c", line.replace("/etc/ecs", str(tmp_path))], check=True)
    assert (tmp_path / "ecs-start-task.conf").read_text() == "#ECS_START_TASK_DEFINITION=\nECS_START_TASK_DEFINITION=my_task_def\n"


def test_the_policy_has_what_starting_takes():
    policy = json.loads((EXAMPLES / "policy.json").read_text())
    assert {"ecs:StartTask", "iam:PassRole"} <= {each["Action"] for each in policy["Statement"]}
    assert all(each["Effect"] == "Allow" and "*" != each["Resource"] for each in policy["Statement"])


def test_make_has_the_targets_that_people_read_of():
    targets = re.findall(r"^([a-z0-9-]+)(?: [a-z0-9-]+)*:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for page in ("README.md", "CONTRIBUTING.md"):
        for target in re.findall(r"\bmake ([a-z][a-z-]+)", (ROOT / page).read_text()):
            assert target in targets, (page, target)
    assert BINARY.name in README
