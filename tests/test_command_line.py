"""The command line and the settings: what is accepted, what is refused, and that nothing is sent after a refusal."""

import json
import re

import pytest

from standin.program import VERSION

OPTIONS = (
    "check",
    "--task-definition",
    "--cli-input-json",
    "--cluster",
    "--started-by",
    "--config",
    "--dry-run",
    "--no-wait",
    "--timeout",
    "--output",
    "--log-file",
    "--verbose",
    "--quiet",
    "--agent-url",
    "--endpoint-url",
    "--ca-bundle",
    "--version",
    "--help",
)
LONG = "x" * 37

#: An invalid setting, and what the error must contain besides its name.
WRONG = {
    "timeout-word": ({"ECS_START_TASK_TIMEOUT": "soon"}, "soon"),
    "timeout-negative": ({"ECS_START_TASK_TIMEOUT": "-5s"}, "-5s"),
    "timeout-zero": ({"ECS_START_TASK_TIMEOUT": "0s"}, "0s"),
    "timeout-without-unit": ({"ECS_START_TASK_TIMEOUT": "90"}, "90s"),
    "timeout-beyond-time": ({"ECS_START_TASK_TIMEOUT": "99999999999999999999y"}, "duration"),
    "started-by-too-long": ({"ECS_START_TASK_STARTED_BY": LONG}, "36"),
    "started-by-with-a-colon": ({"ECS_START_TASK_STARTED_BY": "arn:aws"}, "36"),
    "if-running": ({"ECS_START_TASK_IF_RUNNING": "maybe"}, "skip or start"),
    "wait": ({"ECS_START_TASK_WAIT": "forever"}, "running or none"),
    "log-level": ({"ECS_START_TASK_LOG_LEVEL": "loud"}, "debug"),
    "agent-url": ({"ECS_START_TASK_AGENT_URL": "localhost"}, "http://"),
    "agent-url-scheme": ({"ECS_START_TASK_AGENT_URL": "file:///etc/passwd"}, "http://"),
    "imds-url": ({"AWS_EC2_METADATA_SERVICE_ENDPOINT": "169.254.169.254"}, "http://"),
    "imds-mode": ({"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE": "IPv5"}, "IPv4 or IPv6"),
    "endpoint": ({"AWS_ENDPOINT_URL_ECS": "not a url"}, "https://host:port"),
    "fips-flag": ({"AWS_ENDPOINT_URL_ECS": None, "AWS_USE_FIPS_ENDPOINT": "maybe"}, "true or false"),
    "fips-with-an-endpoint": ({"AWS_USE_FIPS_ENDPOINT": "true"}, "endpoint"),
    "dualstack-with-an-endpoint": ({"AWS_USE_DUALSTACK_ENDPOINT": "True"}, "endpoint"),
    "misspelt-name": ({"ECS_START_TASK_TIMEUOT": "5s"}, "ECS_START_TASK_TIMEOUT"),
    "unknown-name": ({"ECS_START_TASK_COLOUR": "red"}, "unknown"),
    "control-characters": ({"ECS_START_TASK_TIMEOUT": "\x1b]0;owned\x07"}, "owned"),
    "nothing-to-start": ({"ECS_START_TASK_DEFINITION": None}, "nothing to start"),
    "only-commas": ({"ECS_START_TASK_DEFINITION": " , ,"}, "nothing to start"),
    "definition-with-spaces": ({"ECS_START_TASK_DEFINITION": "my task"}, "my task"),
    "definition-revision": ({"ECS_START_TASK_DEFINITION": "my_task_def:new"}, "my_task_def:new"),
    "definition-other-arn": ({"ECS_START_TASK_DEFINITION": "arn:aws:ecs:us-east-1:1:cluster/x"}, "cluster/x"),
}


def write(path, *lines):
    path.write_text("\n".join(lines) + "\n")
    return path


def preview(program, *arguments, **settings):
    """What --dry-run says would be sent."""
    outcome = program.run("--dry-run", "--output", "json", *arguments, **settings)
    assert outcome.status == 0
    return json.loads(outcome.stdout)["requests"][0]


def test_help_names_every_option_and_every_exit_code(program):
    outcome = program.run("--help", verbosity=None)
    assert outcome.status == 0 and not outcome.stderr
    assert [option for option in OPTIONS if option not in outcome.stdout] == []
    assert all(str(code) in outcome.stdout for code in (69, 70, 75, 76, 77, 78))


@pytest.mark.parametrize(("option", "level"), [("-v", "DEBUG"), ("-q", "WARN")])
def test_check_names_the_option_that_sets_the_level(option, level, program):
    outcome = program.run("check", "--output", "json", option, verbosity=None)
    assert f"ECS_START_TASK_LOG_LEVEL={level} (option {option})" in json.loads(outcome.stdout)[0]["Note"]


def test_version_is_that_of_the_package(program):
    outcome = program.run("--version", verbosity=None)
    assert (outcome.status, outcome.stdout) == (0, f"ecs-start-task {VERSION}\n")


@pytest.mark.parametrize(
    "arguments", [["--tsk-definition", "x"], ["--output", "yaml"], ["-t"], ["-v", "-q"], ["surplus"], ["--timeout"]], ids=" ".join
)
def test_a_wrong_command_line_is_2_and_sends_nothing(arguments, program, host):
    outcome = program.run(*arguments, verbosity=None)
    assert outcome.status == 2
    assert arguments[0] in outcome.stderr and "--help" in outcome.stderr
    assert not outcome.stdout and not host.requests


@pytest.mark.parametrize(("settings", "reason"), [pytest.param(*row, id=name) for name, row in WRONG.items()])
def test_a_wrong_setting_is_78_and_starts_nothing(settings, reason, program, host):
    outcome = program.run(**settings, verbosity=None)
    assert outcome.status == 78
    assert reason in outcome.stderr
    assert not host.asked("StartTask")
    wrong = [name for name, value in settings.items() if value]
    assert "nothing" in reason or any(name in outcome.stderr or settings[name] in outcome.stderr for name in wrong)


def test_the_file_counts_when_neither_option_nor_environment_does(program, tmp_path):
    config = str(
        write(
            tmp_path / "settings",
            "# what to start",
            "",
            'ECS_START_TASK_DEFINITION = "my_task_def:2"',
            "ECS_START_TASK_STARTED_BY='from-file'",
        )
    )
    assert preview(program, "--config", config, ECS_START_TASK_DEFINITION=None)["taskDefinition"] == "my_task_def:2"
    assert preview(program, "--config", config, ECS_START_TASK_STARTED_BY="")["startedBy"] == "from-file"
    assert preview(program, "--config", config, ECS_START_TASK_STARTED_BY="from-environment")["startedBy"] == "from-environment"
    assert (
        preview(program, "--config", config, "--started-by", "from-option", ECS_START_TASK_STARTED_BY="x")["startedBy"]
        == "from-option"
    )


def test_the_usual_file_is_read_without_being_named(program, etc):
    write(etc(program) / "ecs/ecs-start-task.conf", "ECS_START_TASK_STARTED_BY=usual-file")
    assert preview(program)["startedBy"] == "usual-file"


def test_the_option_replaces_the_configured_definitions(program, host):
    assert program.run("-t", "log_agent").status == 0
    assert [task.family for task in host.instance.tasks] == ["log_agent"]


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["ECS_START_TASK_TIMEUOT=5s"], "line 1.*ECS_START_TASK_TIMEUOT.*ECS_START_TASK_TIMEOUT"),
        (["# fine", "ECS_START_TASK_TIMEOUT 5s"], "line 2.*KEY=VALUE"),
        (["", "ECS_START_TASK_WAIT=long"], "line 2.*ECS_START_TASK_WAIT=long"),
    ],
    ids=["misspelt", "no-pair", "bad-value"],
)
def test_a_wrong_line_of_the_file_is_named_by_file_and_number(lines, reason, program, tmp_path):
    config = write(tmp_path / "settings", *lines)
    outcome = program.run("--config", str(config), ECS_START_TASK_TIMEOUT=None, ECS_START_TASK_WAIT=None, verbosity=None)
    assert outcome.status == 78
    assert re.search(f"{re.escape(str(config))}.*{reason}", outcome.stderr)


@pytest.mark.parametrize("make", ["mkdir", "nothing", "binary"])
def test_a_file_that_cannot_be_read_is_named(make, program, tmp_path):
    config = tmp_path / "settings"
    if make == "mkdir":
        config.mkdir()
    if make == "binary":
        config.write_bytes(b"ECS_START_TASK_WAIT=\xff\xfe\n")
    outcome = program.run("--config", str(config))
    assert outcome.status == 78 and str(config) in outcome.stderr


def test_a_name_in_the_file_that_means_nothing_is_said_to_be_ignored(program, tmp_path):
    config = write(tmp_path / "settings", "ECS_CLUSTER=other")
    outcome = program.run("--config", str(config), verbosity=None)
    assert outcome.status == 0
    assert re.search(r"ECS_CLUSTER.*ignored|ignor.*ECS_CLUSTER", outcome.stderr)


def test_a_family_that_comes_twice_fails_the_later_one(program, host):
    outcome = program.run(ECS_START_TASK_DEFINITION="my_task_def:1,my_task_def:2")
    assert outcome.status == 78
    assert [task.revision for task in host.instance.tasks] == [1]


def test_a_state_directory_that_cannot_be_written_is_78_for_a_start_and_not_for_a_dry_run(program, host, tmp_path):
    (tmp_path / "file").touch()
    directory = str(tmp_path / "file/state")
    outcome = program.run(ECS_START_TASK_STATE_DIR=directory)
    assert outcome.status == 78 and directory in outcome.stderr
    assert not host.instance.tasks
    assert preview(program, ECS_START_TASK_STATE_DIR=directory)["taskDefinition"] == "my_task_def"


#: An option with a value that it does not take, and what is said of it.
REFUSED = {
    "--restart": ("sometimes", "expected no, on-failure or always"),
    "--if-running": ("maybe", "expected skip or start"),
    "--when-draining": ("wait", "expected keep or stop"),
    "--timeout": ("abc", "expected a duration such as 90s"),
    "--log-level": ("loud", "expected error, warn, info, debug or trace"),
    "--started-by": ("a:b", "expected at most 36 characters"),
    "--agent-url": ("localhost", "expected an address such as http://"),
    "--endpoint-url": ("localhost", "expected an address such as https://"),
}


@pytest.mark.parametrize(("option", "value", "said"), [(option, *row) for option, row in REFUSED.items()])
def test_the_value_of_an_option_is_refused_as_the_option_s(option, value, said, program, host):
    for command in [(), ("check",), ("status",)] if option != "--timeout" else [()]:
        outcome = program.run(*command, option, value, verbosity=None)
        assert outcome.status == 2 and not host.requests and not outcome.stdout
        assert outcome.stderr.startswith(f"error: invalid value '{value}' for '{option}': {said}")
        assert "ECS_START_TASK" not in outcome.stderr and "AWS_" not in outcome.stderr and "--help" in outcome.stderr


def test_the_same_value_in_a_file_is_78_and_named_by_its_line(program, tmp_path):
    config = write(tmp_path / "settings", "# ours", "ECS_START_TASK_RESTART=sometimes")
    outcome = program.run("--config", str(config), verbosity=None)
    assert outcome.status == 78
    assert f"{config} line 2: ECS_START_TASK_RESTART=sometimes is invalid: expected no, on-failure or always" in outcome.stderr


DEFINITION = "ECS_START_TASK_DEFINITION"
DIRECTORY = "/etc/ecs/ecs-start-task.d has no *.json file"
#: The lines of a settings file, the environment, the options; what was searched, and where a task can be named.
NOTHING = {
    "empty-file": ([""], None, [], f"nothing to start: FILE does not set {DEFINITION}, and {DIRECTORY}; set {DEFINITION} in FILE, add"),
    "empty-line": (["", f"{DEFINITION}="], None, [], f"nothing to start: {DEFINITION} is empty in FILE line 2, and {DIRECTORY}; set"),
    "empty-variable": ([""], "", [], f"nothing to start: {DEFINITION} is empty in the environment, and {DIRECTORY}; set"),
    "only-commas": ([f"{DEFINITION}= ,"], " , ,", [], f"{DEFINITION} is empty in the environment, {DEFINITION} is empty in FILE line 1, and"),
    "empty-option": ([f"{DEFINITION}=a"], "b", ["-t", ""], "nothing to start: --task-definition is empty; set"),
}


@pytest.mark.parametrize(("lines", "variable", "options", "said"), NOTHING.values(), ids=NOTHING)
def test_nothing_to_start_says_what_was_read(lines, variable, options, said, program, tmp_path):
    config = write(tmp_path / "settings", *lines)
    outcome = program.run("--config", str(config), *options, verbosity=None, ECS_START_TASK_DEFINITION=variable)
    assert outcome.status == 78 and said.replace("FILE", str(config)) in outcome.stderr


def test_nothing_to_start_without_a_settings_file(program):
    outcome = program.run(verbosity=None, ECS_START_TASK_DEFINITION=None)
    assert outcome.status == 78
    assert f"nothing to start: there is no settings file /etc/ecs/ecs-start-task.conf, and {DIRECTORY}; set {DEFINITION} in /etc/ecs/ecs-start-task.conf," in outcome.stderr


#: A value of each option that is a setting too, in the form in which `check` shows it.
VALUES = {
    "--task-definition": "log_agent",
    "--started-by": "me",
    "--if-running": "start",
    "--restart": "always",
    "--when-draining": "stop",
    "--log-level": "warn",
    "--agent-url": None,
    "--endpoint-url": None,
    "--ca-bundle": "/missing.pem",
    "--log-file": "/dev/null",
    "--state-dir": "/nonexistent",
}


def test_each_option_says_its_setting_and_has_it(program):
    text = " ".join(program.run("--help", verbosity=None).stdout.split())
    options = {name: rest for name, rest in re.findall(r"(--[a-z-]+)(?: <[^>]+>)?(?!\S)((?:(?! --[a-z-]+ ).)*)", text)}
    named = {option: found[0] for option, rest in options.items() if (found := re.findall(r"\[setting: (\S+)\]", rest))}
    assert named.pop("--no-wait") == "ECS_START_TASK_WAIT=none" and named.pop("--timeout") == "ECS_START_TASK_TIMEOUT"
    assert set(named) == set(VALUES)
    values = VALUES | {"--agent-url": program.host.agent.url, "--endpoint-url": program.host.ecs.url}
    given = [word for option in named for word in (option, values[option])]
    outcome = program.run("check", "-o", "json", *given, verbosity=None)
    (settings,) = [each for each in json.loads(outcome.stdout) if each["Check"] == "settings"]
    assert [option for option, key in named.items() if f"{key}={values[option]} (option {option})" not in settings["Note"]] == []
