"""The man pages say what the program does: samples, JSON members and the grammar of the settings file are compared with the binary."""

import json
import re
import subprocess

import pytest

from package.test_settings import known
from standin import Program
from standin.program import ROOT
from standin.tls import Authority

MANUAL = (ROOT / "src/testing/pages/manual.txt").read_text()
SETTINGS = (ROOT / "src/testing/pages/settings.txt").read_text()


def section(heading, text=MANUAL, level="#"):
    """What is below a heading."""
    return re.search(rf"^{level} {heading}\n(.*?)(?=^#{{1,{len(level)}}} |\Z)", text, re.MULTILINE | re.DOTALL)[1]


def samples(heading, text=MANUAL, level="#"):
    """The blocks of commands or output below a heading."""
    blocks = section(heading, text, level).strip("\n").split("\n\n")
    return [re.sub("^    ", "", block, flags=re.MULTILINE) for block in blocks if block.startswith("    ")]


def form(value):
    """The names and types of a JSON value, without what they hold."""
    if isinstance(value, dict):
        return {name: form(each) for name, each in value.items()}
    if isinstance(value, list):
        return [form(each) for each in value]
    return type(value)


def documented(heading):
    """{member: its types} of one document."""
    rows = re.findall(r"^(\S+ \(.+\))$(?=\n: )", section(heading, level="##"), re.MULTILINE)
    return {name: set(types.split(" or ")) for row in rows for name, types in re.findall(r"(\S+) \(([^)]+)\)", row)}


TYPES = {str: "string", bool: "boolean", int: "number", float: "number", list: "array", dict: "object", type(None): "null"}


def members(value, name=""):
    """[(member, its type)] of a document, nested ones included."""
    if isinstance(value, list):
        return [pair for each in value for pair in members(each, f"{name}[]" if name else "")]
    if not isinstance(value, dict):
        return []
    below = [(f"{name}.{key}".lstrip("."), each) for key, each in value.items()]
    return [(path, TYPES[type(each)]) for path, each in below] + [pair for path, each in below for pair in members(each, path)]


def assert_documented(documents, known, only=None):
    """Every member of these documents is on the page with this type, and every member and type of the page is in one of them."""
    seen = {(name, kind) for document in documents for name, kind in members(document)}
    seen = {(name, kind) for name, kind in seen if not re.match(r"error\.|(requests|values|errors)\[\]\.", name)}
    listed = {(name, kind) for name, kinds in known.items() for kind in kinds}
    assert seen - listed == set()
    assert {(name, kind) for name, kind in listed - seen if only is None or name in only} == set()


def test_every_member_of_a_run_s_json_is_documented(program):
    runs = [{}, {"ECS_START_TASK_DEFINITION": "unknown_def"}, {"ECS_START_TASK_TIMEOUT": "soon"}]
    documents = [json.loads(program.run("-o", "json", verbosity=None, **each).stdout) for each in runs]
    assert_documented(documents, documented("A run"))
    (sample,) = samples("A run", level="##")
    assert form(documents[0]) == form(json.loads(sample))


def stopped_once(program):
    """The record of a task that was replaced after it had stopped."""
    (record,) = (program.directory / "state").glob("*.json")
    stop = {"at": "2026-11-24T12:02:41Z", "code": "EssentialContainerExited", "reason": "Essential container exited", "exit_codes": "a exited with 1"}
    return record, json.loads(record.read_text()) | {"last_stop": stop, "restarts": 1}


def test_every_member_of_status_s_json_is_documented(program, unit):
    def status(**settings):
        return json.loads(program.run("status", "-o", "json", verbosity=None, **settings).stdout)

    assert program.run().status == 0
    record, content = stopped_once(program)
    documents = [status()]
    for stop in (content["last_stop"], {"at": "2026-11-24T12:02:41Z"}):
        record.write_text(json.dumps(content | {"last_stop": stop}))
        documents.append(status())
    (sample,) = samples("status", level="##")
    assert form(documents[1]) == form(json.loads(sample))
    assert program.run("-t", "unknown_def", **unit).status == 76
    documents += [status(ECS_START_TASK_DEFINITION=name) for name in ("unknown_def", "x-{tag:Role}", "x-{tag}")]
    documents.append(status(ECS_START_TASK_AGENT_URL="http://127.0.0.1:1"))
    known = documented("status")
    shared = {name: kinds for name, kinds in documented("A run").items() if not name.startswith("tasks[].") or re.search("definition|error", name)}
    assert_documented(documents, shared | known, only=known)


def test_every_status_that_status_can_show_is_documented():
    own = set(re.findall(r'"([A-Z][A-Z ]+)"', (ROOT / "src/status.rs").read_text()))
    assert len(own) > 5 and [each for each in own if each not in " ".join(section("status", level="##").split())] == []


def test_every_member_of_check_s_json_is_documented(program):
    document = json.loads(program.run("check", "-q", "-o", "json", verbosity=None).stdout)
    assert_documented([document], documented("check"))
    (sample,) = samples("check", level="##")
    unreachable = json.loads(program.run("check", "-o", "json", verbosity=None, ECS_START_TASK_AGENT_URL="http://127.0.0.1:1").stdout)
    (silent,) = [each for each in unreachable if each["Check"] == "agent"]
    assert [{name: text.replace("127.0.0.1:1/", "127.0.0.1:51678/") for name, text in silent.items()}] == json.loads(sample)
    listed = re.search(r"^Status .*\n: (.*)\.$", section("check", level="##"), re.MULTILINE)[1]
    source = (ROOT / "src/check/finding.rs").read_text()
    assert re.split(", | or ", listed) == re.findall(r"    (\w+),", re.search(r"enum Status \{(.*?)\}", source, re.DOTALL)[1])


def test_every_member_of_a_dry_run_s_json_is_documented(program):
    outcome = program.run("--dry-run", "-o", "json", verbosity=None, ECS_START_TASK_DEFINITION="a-{tag:Role:-b},c-{tag:Role}")
    document = json.loads(outcome.stdout)
    assert_documented([document], documented("--dry-run"))
    assert set(document["values"][0]) == {"reference", "value", "from"} and "reference, value and from" in section("--dry-run", level="##")
    assert set(document["errors"][0]) == {name.rpartition(".")[2] for name in documented("A run") if name.startswith("tasks[].error.")}


def test_check_exits_with_the_same_code_and_lists_the_same_with_q_and_o(program):
    for definition in ("my_task_def", "unknown_def"):
        outcomes = [program.run("check", *each, verbosity=None, ECS_START_TASK_DEFINITION=definition) for each in ((), ("-q",), ("-o", "json"), ("-q", "-o", "json"))]
        assert len({outcome.status for outcome in outcomes}) == 1
        quiet, whole, both = outcomes[1].stdout, outcomes[2].stdout, outcomes[3].stdout
        assert len(json.loads(whole)) == len(json.loads(both)) and "Success" not in quiet
    assert outcomes[0].status == 76


def test_the_exit_codes_of_status_are_those_of_the_manual(program, unit):
    told = re.search(r"^status exits with .*?(?=\n\n)", section("EXIT STATUS"), re.MULTILINE | re.DOTALL)[0]
    assert re.findall(r"\b\d+\b", told) == ["0", "69", "78", "75"]
    played = [
        ({}, 75),
        ({"ECS_START_TASK_AGENT_URL": "http://127.0.0.1:1"}, 69),
        ({"ECS_START_TASK_TIMEOUT": "soon"}, 78),
    ]
    for settings, code in played:
        assert program.run("status", verbosity=None, **settings).status == code
    program.run()
    assert program.run("status", verbosity=None).status == 0


def test_the_sample_of_status_is_in_the_program_s_words(program):
    program.run()
    (sample,) = samples("STATUS")
    told = " ".join(program.run("status", verbosity=None).stdout.split())
    assert re.sub(r"\S*\d\S*", "#", told) == re.sub(r"\S*\d\S*", "#", " ".join(sample.split()))


def test_the_sample_of_the_journal_is_the_line_of_the_log():
    log, journal = samples("THE LOG")
    (process,) = {line.split(" ")[1] for line in log.splitlines()}
    assert journal.partition(f" ecs-start-task[{process}]: ")[2] == log.splitlines()[-1].partition(f" {process} ")[2]


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
    sample, _ = samples("THE LOG")
    # The sample uses the Region's endpoint, which is not logged.
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
    # The rest differs from host to host: the issuer, the units, what was ignored or refused.
    for name in ("registered", "IMDS token", "role", "clock", "proxy", "signature", "task definition", "already running", "log"):
        assert f"{name} " + " ".join(re.sub(r"\S*[\d/]\S*", "#", found[name]).split()) in same, name
    assert f"\n{len(found)} checks: {sample.count('Failed ')} failed" in sample


def test_the_sample_of_check_ends_with_the_first_thing_to_do(program):
    program.host.metadata_service.allowed.discard("StartTask")
    outcome = program.run("check", verbosity=None)
    (sample,) = samples("CHECK")
    first = " ".join(outcome.stdout.partition("\nFirst: ")[2].split())
    assert outcome.status == 77 and first == " ".join(sample.partition("\nFirst: ")[2].split())
    fix = sample.partition("Fix: ")[2].partition("Success")[0]
    assert first == "permission: " + " ".join(fix.split())


def test_the_sample_of_check_names_the_line_that_the_example_writes(program, tmp_path):
    config = tmp_path / "ecs-start-task.conf"
    config.write_bytes((ROOT / "packaging" / config.name).read_bytes())
    (line,) = re.findall(r"^echo .*", samples("EXAMPLES")[0], re.MULTILINE)
    subprocess.run(["sh", "-c", line.replace("/etc/ecs", str(tmp_path))], check=True)
    outcome = program.run("check", "--config", config, "--output", "json", verbosity=None, ECS_START_TASK_DEFINITION=None)
    (said,) = re.findall(r"ECS_START_TASK_DEFINITION=my_task_def \(.* line \d+\)", json.loads(outcome.stdout)[0]["Note"])
    assert said.replace(str(tmp_path), "/etc/ecs") in samples("CHECK")[0]


def test_the_exit_codes_are_those_of_the_source():
    source = re.findall(r"const \w+: u8 = (\d+);", (ROOT / "src/error/class.rs").read_text())
    assert re.findall(r"^(\d+)\n: ", section("EXIT STATUS"), re.MULTILINE) == ["0", *source]


def test_the_page_on_settings_has_all_of_them():
    page = (ROOT / "packaging/man/ecs-start-task.conf.5").read_text().replace("\\", "")
    assert [name for name in known() if f"{name}=" not in page] == []


def test_the_example_of_precedence_is_what_check_shows(program, tmp_path):
    file, command = samples("PRECEDENCE", SETTINGS)
    (tmp_path / "conf").write_text(file + "\n")
    *environment, name, option, value = command.split()
    assert name == "ecs-start-task"
    environment = dict(each.split("=") for each in environment)
    shown = program.run("check", "--config", tmp_path / "conf", option, value, "-o", "json", verbosity=None, ECS_START_TASK_DEFINITION=None, **environment)
    note = json.loads(shown.stdout)[0]["Note"]
    assert re.search(r"^ECS_START_TASK_DEFINITION=log_agent \(.*conf line 1\)$", note, re.MULTILINE)
    assert re.search(r"^ECS_START_TASK_STARTED_BY=me \(environment\)$", note, re.MULTILINE)
    assert re.search(r"^ECS_START_TASK_LOG_LEVEL=debug \(option --log-level\)$", note, re.MULTILINE)
    assert note.count("LOG_LEVEL") == 1


#: What the page says of a line of the settings file: the line, the exit status of a dry run, and what was read or said.
GRAMMAR = {
    "carriage-return": ("ECS_START_TASK_DEFINITION=log_agent\r", 0, '"taskDefinition": "log_agent"'),
    "spaces": ("  ECS_START_TASK_DEFINITION =  log_agent  ", 0, '"taskDefinition": "log_agent"'),
    "double-quotes": ('ECS_START_TASK_DEFINITION="log_agent"', 0, '"taskDefinition": "log_agent"'),
    "single-quotes": ("ECS_START_TASK_DEFINITION='log_agent'", 0, '"taskDefinition": "log_agent"'),
    "comment-after-the-value": ("ECS_START_TASK_DEFINITION=log_agent # text", 78, "line 1 has a comment after the value"),
    "quoted-number-sign": ("ECS_START_TASK_LOG_FILE='a #b'\nECS_START_TASK_DEFINITION=log_agent", 0, '"taskDefinition": "log_agent"'),
    "one-quote": ('ECS_START_TASK_DEFINITION="log_agent', 78, "line 1 has a quote at only one end"),
    "semicolon": ("; x\nECS_START_TASK_DEFINITION=log_agent", 0, '"taskDefinition": "log_agent"'),
    "case": ("ecs_start_task_definition=log_agent", 78, "unknown setting ecs_start_task_definition"),
    "unknown-of-ours": ("ECS_START_TASK_TIMEOUTS=1m", 78, "line 1: unknown setting"),
    "unknown-of-others": ("EDITOR=vi\nECS_START_TASK_DEFINITION=log_agent", 0, "EDITOR is ignored"),
    "variables": ("ECS_START_TASK_DEFINITION=$HOME", 78, "$HOME"),
    "continuation": ("ECS_START_TASK_DEFINITION=log_\\\nagent", 78, "line 2 is neither a comment nor KEY=VALUE"),
    "twice": ("ECS_START_TASK_DEFINITION=a\nECS_START_TASK_DEFINITION=b", 0, "line 1: ECS_START_TASK_DEFINITION is ignored"),
    "empty": ("ECS_START_TASK_DEFINITION=", 78, "nothing to start"),
    "no-pair": ("log_agent", 78, "line 1 is neither a comment nor KEY=VALUE"),
}


@pytest.mark.parametrize(("lines", "status", "said"), GRAMMAR.values(), ids=GRAMMAR)
def test_the_settings_file_has_the_grammar_of_the_page(lines, status, said, program, tmp_path):
    (tmp_path / "conf").write_bytes(lines.encode() + b"\n")
    outcome = program.run("--config", tmp_path / "conf", "--dry-run", "-o", "json", verbosity=None, ECS_START_TASK_DEFINITION=None)
    assert outcome.status == status and said in outcome.stdout + outcome.stderr


def test_no_color_is_in_the_manual():
    assert "NO_COLOR\n: " in MANUAL


def test_the_policies_of_the_examples_are_the_permissions_of_the_manual():
    policies = [json.loads((ROOT / "packaging/examples" / name).read_text()) for name in ("policy.json", "policy-optional.json")]
    given = {action for policy in policies for each in policy["Statement"] for action in each["Action"].split()}
    assert given <= set(re.findall(r"^(\w+:\w+)\n: ", section("IAM PERMISSIONS"), re.MULTILINE))


def test_the_manual_tells_what_keeps_tasks_running_and_when_to_take_which():
    text = " ".join(MANUAL.split())
    for said in (
        "the restartPolicy of a container definition restarts that container within its task",
        "ECS_START_TASK_RESTART replaces the whole task",
        "A DAEMON service does both, for tasks that the host need not choose and that need not come before others",
        'placement constraint memberOf("task:group == family:my_task_def") is placed only where the task runs',
        "With managed scaling, this can keep the group from scaling out",
        "in the query language that AWS documents: `aws ecs list-container-instances --cluster your_cluster_name --status ACTIVE --filter 'not(task:group == family:my_task_def)'`",
    ):
        assert said in text
    # systemd restarts the unit after all others.
    (never,) = re.findall(r"^RestartPreventExitStatus=(\d+) (\d+)$", (ROOT / "packaging/ecs-start-task.service").read_text(), re.MULTILINE)
    assert "OnFailure= of the unit is triggered for exit status {} and {} only".format(*never) in text
