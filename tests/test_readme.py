"""The README says what the program does: its tables, its JSON and its log are held against the binary and the source."""

import json
import re
import subprocess

from package.test_settings import known
from standin import Program
from standin.program import BINARY, ROOT
from standin.tls import Authority

README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def form(value):
    """The names and types of a JSON value, without what they hold."""
    if isinstance(value, dict):
        return {name: form(each) for name, each in value.items()}
    if isinstance(value, list):
        return [form(each) for each in value]
    return type(value)


def test_the_settings_table_has_the_program_s_names_and_defaults():
    rows = dict(re.findall(r"^\| `(ECS_START_TASK_\w+)` \| (.*?) \|", README, re.MULTILINE))
    ours = {name: default for name, default in known().items() if name.startswith("ECS_START_TASK_")}
    said = {name: default.strip("`") for name, default in rows.items()}
    assert said | {"ECS_START_TASK_DEFINITION": "", "ECS_START_TASK_STARTED_BY": ""} == ours
    for name in known():
        assert f"`{name}`" in README


def test_the_exit_codes_are_those_of_the_source_and_of_help(program):
    listed = re.findall(r"^\| (\d+) \| (?=.*\|)", README, re.MULTILINE)
    source = re.findall(r"const \w+: u8 = (\d+);", (ROOT / "src/error/class.rs").read_text())
    told = re.search(r"Exit codes: (.*?)\.\n", program.run("--help").stdout, re.DOTALL)[1]
    assert listed == ["0", *source] == re.findall(r"(?:^|,\s)(\d+) ", told)


def test_the_json_example_has_the_form_of_a_real_result(program):
    (example,) = [json.loads(text) for text in blocks("json") if '"tasks"' in text]
    assert form(json.loads(program.run("--output", "json").stdout)) == form(example)


def test_a_failed_task_has_no_arn_and_an_error_with_code_message_and_exit_code(program):
    outcome = program.run("-t", "unknown_def", "--output", "json")
    (task,) = json.loads(outcome.stdout)["tasks"]
    assert (task["outcome"], task["taskArn"], task["status"]) == ("failed", None, None)
    assert task["error"]["code"] == "ClientException" and task["error"]["exitCode"] == outcome.status == 76
    assert task["error"]["message"] in outcome.log


def test_a_run_that_tried_nothing_still_prints_one_document(program):
    outcome = program.run("-t", "my_task_def", "--timeout", "soon", "--output", "json")
    result = json.loads(outcome.stdout)
    assert (result["instance"], result["cluster"], result["region"], result["tasks"]) == (None, None, None, [])
    assert result["error"]["exitCode"] == outcome.status == 78


def test_the_log_sample_is_in_the_program_s_words(program, host):
    outcome = program.run(verbosity=None)
    (sample,) = [text for text in blocks("text") if "begins" in text]
    # The sample is of the region's endpoint, which is not said.
    for said in (line for line in outcome.log.splitlines() if "ECS endpoint: " not in line):
        words = re.sub(r"\S*\d\S*", "#", said.partition("] ")[2])
        assert words in re.sub(r"\S*\d\S*", "#", sample), said


def test_the_sample_of_check_is_in_the_program_s_words(make_host, tmp_path):
    authority = Authority(tmp_path)
    program = Program(make_host(tls=authority.context), tmp_path)
    program.host.metadata_service.allowed.add("DescribeTaskDefinition")
    outcome = program.run("check", "--output", "json", verbosity=None, AWS_CA_BUNDLE=authority.bundle)
    found = {each["Check"]: each["Note"] for each in json.loads(outcome.stdout)}
    (sample,) = [text for text in blocks("text") if "Success" in text]
    names = re.findall(r"^(?:Success|Failed)\s+(.+?)\s{2,}", sample, re.MULTILINE)
    assert names == list(found)
    same = " ".join(re.sub(r"\S*[\d/]\S*", "#", sample).split())
    # The rest is of the host's own: the issuer, the units, what was ignored or refused.
    for name in ("registered", "IMDS token", "role", "clock", "proxy", "signature", "task definition", "already running", "log"):
        assert f"{name} " + " ".join(re.sub(r"\S*[\d/]\S*", "#", found[name]).split()) in same, name
    assert sample.splitlines()[-1].startswith(f"{len(found)} checks: {sample.count('Failed ')} failed")


def test_the_sample_of_check_names_the_line_that_the_commands_above_it_write(program, tmp_path):
    config = tmp_path / "ecs-start-task.conf"
    config.write_bytes((ROOT / "packaging" / config.name).read_bytes())
    (line,) = re.findall(r"^echo .*", "".join(blocks("sh")), re.MULTILINE)
    subprocess.run(["sh", "-c", line.replace("/etc/ecs", str(tmp_path))], check=True)
    outcome = program.run("check", "--config", config, "--output", "json", verbosity=None, ECS_START_TASK_DEFINITION=None)
    (said,) = re.findall(r"ECS_START_TASK_DEFINITION=my_task_def \(.* line \d+\)", json.loads(outcome.stdout)[0]["Note"])
    assert said.replace(str(tmp_path), "/etc/ecs") in README


def test_no_color_is_in_readme_and_manual():
    for page in ("README.md", "packaging/man/ecs-start-task.8"):
        assert "NO_COLOR" in (ROOT / page).read_text().replace("\\_", "_")


def test_the_policy_is_json_with_the_actions_that_starting_takes():
    (policy,) = [json.loads(text) for text in blocks("json") if '"Statement"' in text]
    assert [each["Action"] for each in policy["Statement"]] == ["ecs:StartTask", "ecs:DescribeTasks", "iam:PassRole"]
    assert all(each["Effect"] == "Allow" and "*" != each["Resource"] for each in policy["Statement"])


def test_the_commands_of_the_readme_are_targets():
    targets = re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for target in re.findall(r"\bmake ([a-z-]+)", README):
        assert target in targets
    assert BINARY.name in README
