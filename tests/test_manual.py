"""The man page says what the program does: its samples of log, JSON and check are held against the binary."""

import json
import re
import subprocess

from package.test_settings import known
from standin import Program
from standin.program import ROOT
from standin.tls import Authority

MANUAL = (ROOT / "src/testing/pages/manual.txt").read_text()


def samples(heading):
    """The blocks of commands or output below a heading."""
    section = re.search(rf"^# {heading}\n(.*?)(?=^# |\Z)", MANUAL, re.MULTILINE | re.DOTALL)[1]
    return [re.sub("^    ", "", block, flags=re.MULTILINE) for block in section.split("\n\n") if block.startswith("    ")]


def form(value):
    """The names and types of a JSON value, without what they hold."""
    if isinstance(value, dict):
        return {name: form(each) for name, each in value.items()}
    if isinstance(value, list):
        return [form(each) for each in value]
    return type(value)


def test_the_json_sample_has_the_form_of_a_real_result(program):
    (sample,) = samples("RESULT AS JSON")
    assert form(json.loads(program.run("--output", "json").stdout)) == form(json.loads(sample))


def test_a_failed_task_has_no_arn_and_an_error_with_code_message_and_exit_code(program):
    outcome = program.run("-t", "unknown_def", "--output", "json")
    (task,) = json.loads(outcome.stdout)["tasks"]
    assert (task["outcome"], task["taskArn"], task["status"]) == ("failed", None, None)
    assert task["error"]["code"] == "ClientException" and task["error"]["exitCode"] == outcome.status == 76
    assert task["error"]["message"] in outcome.log


def test_a_run_that_tried_nothing_still_prints_one_document(program):
    outcome = program.run("-t", "my_task_def", "--output", "json", ECS_START_TASK_TIMEOUT="soon")
    result = json.loads(outcome.stdout)
    assert (result["instance"], result["cluster"], result["region"], result["tasks"]) == (None, None, None, [])
    assert result["error"]["exitCode"] == outcome.status == 78


def test_the_log_sample_is_in_the_program_s_words(program):
    (sample,) = samples("THE LOG")
    # The sample is of the region's endpoint, which is not said.
    for said in (line for line in program.run(verbosity=None).log.splitlines() if "ECS endpoint: " not in line):
        words = re.sub(r"\S*\d\S*", "#", said.partition("] ")[2])
        assert words in re.sub(r"\S*\d\S*", "#", sample), said


def test_the_sample_of_check_is_in_the_program_s_words(make_host, tmp_path):
    authority = Authority(tmp_path)
    program = Program(make_host(tls=authority.context), tmp_path)
    program.host.metadata_service.allowed.add("DescribeTaskDefinition")
    outcome = program.run("check", "--output", "json", verbosity=None, AWS_CA_BUNDLE=authority.bundle)
    found = {each["Check"]: each["Note"] for each in json.loads(outcome.stdout)}
    (sample,) = samples("CHECK")
    names = re.findall(r"^(?:Success|Failed)\s+(.+?)\s{2,}", sample, re.MULTILINE)
    assert names == list(found)
    same = " ".join(re.sub(r"\S*[\d/]\S*", "#", sample).split())
    # The rest is of the host's own: the issuer, the units, what was ignored or refused.
    for name in ("registered", "IMDS token", "role", "clock", "proxy", "signature", "task definition", "already running", "log"):
        assert f"{name} " + " ".join(re.sub(r"\S*[\d/]\S*", "#", found[name]).split()) in same, name
    assert f"\n{len(found)} checks: {sample.count('Failed ')} failed" in sample


def test_the_sample_of_check_names_the_line_that_the_example_writes(program, tmp_path):
    config = tmp_path / "ecs-start-task.conf"
    config.write_bytes((ROOT / "packaging" / config.name).read_bytes())
    (line,) = re.findall(r"^echo .*", samples("EXAMPLES")[0], re.MULTILINE)
    subprocess.run(["sh", "-c", line.replace("/etc/ecs", str(tmp_path))], check=True)
    outcome = program.run("check", "--config", config, "--output", "json", verbosity=None, ECS_START_TASK_DEFINITION=None)
    (said,) = re.findall(r"ECS_START_TASK_DEFINITION=my_task_def \(.* line \d+\)", json.loads(outcome.stdout)[0]["Note"])
    assert said.replace(str(tmp_path), "/etc/ecs") in samples("CHECK")[0]


def test_the_exit_codes_are_those_of_the_source():
    section = MANUAL.partition("# EXIT STATUS")[2].partition("\n# ")[0]
    source = re.findall(r"const \w+: u8 = (\d+);", (ROOT / "src/error/class.rs").read_text())
    assert re.findall(r"^(\d+)\n: ", section, re.MULTILINE) == ["0", *source]


def test_the_page_on_settings_has_all_of_them():
    page = (ROOT / "packaging/man/ecs-start-task.conf.5").read_text().replace("\\", "")
    assert [name for name in known() if f"{name}=" not in page] == []


def test_no_color_is_in_the_manual():
    assert "NO_COLOR\n: " in MANUAL


def test_the_policies_of_the_examples_are_the_permissions_of_the_manual():
    section = MANUAL.partition("# IAM PERMISSIONS")[2].partition("\n# ")[0]
    policies = [json.loads((ROOT / "packaging/examples" / name).read_text()) for name in ("policy.json", "policy-optional.json")]
    given = {action for policy in policies for each in policy["Statement"] for action in each["Action"].split()}
    assert given <= set(re.findall(r"^(\w+:\w+)\n: ", section, re.MULTILINE))
