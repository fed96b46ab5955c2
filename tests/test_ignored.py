"""Nothing that a user wrote is ignored silently: it is read as meant, or named in a warning with its file and line."""

import json
import re

import pytest

BOM = "\ufeff"


@pytest.fixture
def file_program(make_program, tmp_path):
    """A program whose settings file alone says what to start; `lines(...)` returns the options that name the file."""

    program = make_program()
    program.environment["ECS_START_TASK_DEFINITION"] = None

    def lines(*text):
        (tmp_path / "settings").write_text("\n".join(text) + "\n")
        return "--config", str(tmp_path / "settings")

    program.lines = lines
    return program


def families(program):
    return [task.family for task in program.host.instance.tasks]


def warnings(outcome):
    return re.findall(r"\[WARN\] (.*)", outcome.stderr)


def settings_of(program, *arguments):
    outcome = program.run("check", "--output", "json", *arguments, verbosity=None)
    return next(each for each in json.loads(outcome.stdout) if each["Check"] == "settings")


def test_a_line_that_a_later_one_overrides_is_named(file_program, tmp_path):
    options = file_program.lines("ECS_START_TASK_DEFINITION=my_task_def", "", "ECS_START_TASK_DEFINITION=log_agent")
    outcome = file_program.run(*options, verbosity=None)
    assert outcome.status == 0 and families(file_program) == ["log_agent"]
    (warning,) = warnings(outcome)
    assert warning.startswith(f"{tmp_path / 'settings'} line 1: ECS_START_TASK_DEFINITION is ignored")
    assert f"{tmp_path / 'settings'} line 3" in warning and "separated by commas" in warning
    finding = settings_of(file_program, *options)
    assert finding["Status"] == "Warning" and "line 1: ECS_START_TASK_DEFINITION is ignored" in finding["Note"]
    assert "separated by commas" in finding["Fix"]


def test_a_later_line_that_is_empty_is_named_and_a_repetition_is_not(file_program):
    outcome = file_program.run(
        *file_program.lines("ECS_START_TASK_DEFINITION=log_agent", "ECS_START_TASK_WAIT=running", "ECS_START_TASK_WAIT=running", "ECS_START_TASK_DEFINITION="),
        verbosity=None,
    )
    assert outcome.status == 0 and families(file_program) == ["log_agent"]
    (warning,) = warnings(outcome)
    assert re.search(r"line 4: ECS_START_TASK_DEFINITION is ignored.* line 1", warning)


@pytest.mark.parametrize("name", ["ECS_START_TASKDEFINITION", "ECS_STARTTASK_DEFINITION", "ECS_START_DEFINITION", "ecs_start_taskdefinition"])
def test_a_name_that_lacks_a_part_of_the_prefix_gets_a_tip(name, file_program):
    options = file_program.lines(f"{name}=log_agent")
    outcome = file_program.run(*options, verbosity=None)
    (warning,) = warnings(outcome)
    assert outcome.status == 78 and warning.endswith(f"{name} is ignored: it is not a setting of this program; did you mean ECS_START_TASK_DEFINITION?")
    assert "did you mean ECS_START_TASK_DEFINITION?" in settings_of(file_program, *options)["Note"]


def test_check_names_each_fix_beside_its_line_in_the_order_of_the_lines(file_program):
    options = file_program.lines("ECS_START_TASK_IF_RUNNING=start", "ECS_START_TASKTIMEOUT=5m", "ECS_START_TASK_IF_RUNNING=skip", "FOREIGN=1", "ECS_START_TASK_DEFINITION=log_agent")
    finding = settings_of(file_program, *options)
    assert finding["Status"] == "Warning" and finding["Fix"] == "fix the 3 warnings above"
    found = re.findall(r"line (\d): .* is ignored: .*?; (remove one|did you|the names)", finding["Note"])
    assert found == [("2", "did you"), ("4", "the names"), ("1", "remove one")]


def test_check_does_not_name_what_follows_from_an_error(file_program):
    finding = settings_of(file_program, *file_program.lines("ECS_START_TASK_DEFINITON=my_task_def"))
    assert "nothing to start" not in finding["Note"] and finding["Fix"] == "did you mean ECS_START_TASK_DEFINITION?"
    finding = settings_of(file_program, *file_program.lines("ECS_START_TASK_WAIT=soon"))
    assert "nothing to start" in finding["Note"] and finding["Fix"] == "fix the 2 errors above"


def test_what_the_command_line_replaces_is_not_named(file_program):
    options = file_program.lines("ECS_START_TASK_DEFINITION=my_task_def", "ECS_START_TASK_DEFINITION=log_agent")
    outcome = file_program.run(*options, "-t", "my_task_def", verbosity=None)
    assert outcome.status == 0 and not warnings(outcome)


def test_a_secret_in_a_line_that_is_overridden_is_not_shown(file_program):
    options = file_program.lines("ECS_START_TASK_DEFINITION=log_agent", "HTTPS_PROXY=http://me:pass-word@x:1", "HTTPS_PROXY=http://me:pass-word@y:1")
    outcome = file_program.run(*options, "--dry-run", verbosity=None)
    assert len(warnings(outcome)) == 1 and "pass-word" not in outcome.said


@pytest.mark.parametrize("line", [BOM + "ECS_START_TASK_DEFINITION=log_agent", "export ECS_START_TASK_DEFINITION=log_agent", "export\tECS_START_TASK_DEFINITION='log_agent'"])
def test_a_byte_order_mark_and_export_are_read_as_meant(line, file_program):
    outcome = file_program.run(*file_program.lines(line), verbosity=None)
    assert outcome.status == 0 and families(file_program) == ["log_agent"] and not warnings(outcome)


def test_a_document_with_a_byte_order_mark_is_read(program, tmp_path):
    (tmp_path / "a.json").write_text(BOM + '{"taskDefinition": "log_agent"}')
    assert program.run("--cli-input-json", str(tmp_path / "a.json")).status == 0
    assert families(program) == ["log_agent"]


#: Other files in the directory of request documents: named in a warning, named by `check` only, or not at all.
OTHERS = {
    "log.yaml": "warned",
    "log.JSON": "warned",
    "log.json.disabled": "warned",
    "json": "warned",
    "README": "checked",
    "README.md": "checked",
    "a.json.rpmsave": "checked",
    "a.json.rpmnew": "checked",
    "a.json~": "checked",
    "old.json/": "checked",
    "._a.json": "skipped",
    ".#a.json": "skipped",
    ".a.json.swp": "skipped",
}


@pytest.mark.parametrize(("name", "said"), OTHERS.items())
def test_a_file_that_is_no_document_is_named(name, said, program, etc):
    directory = etc(program) / "ecs/ecs-start-task.d"
    directory.mkdir()
    (directory / "b.json").write_text('{"taskDefinition": "log_agent"}')
    if name.endswith("/"):
        (directory / name).mkdir()
    else:
        (directory / name).write_text("\0\5\26\7")
    outcome = program.run(verbosity=None)
    assert outcome.status == 0 and families(program) == ["my_task_def", "log_agent"]
    path = f"/etc/ecs/ecs-start-task.d/{name.rstrip('/')}"
    named = [f"{path} is ignored" in warning and "*.json" in warning for warning in warnings(outcome)]
    assert named == ([True] if said == "warned" else [])
    finding = settings_of(program)
    assert (path + " is ignored" in finding["Note"], path in finding["Note"]) == (said == "warned", said != "skipped")
    assert finding["Status"] == ("Warning" if said == "warned" else "Success")


def test_a_hidden_file_does_not_reach_the_terminal_raw(program, etc):
    directory = etc(program) / "ecs/ecs-start-task.d"
    directory.mkdir()
    (directory / "\x1b]0;owned\x07").write_text("")
    assert program.run(verbosity=None).status == 0
    assert settings_of(program)["Status"] == "Warning"
