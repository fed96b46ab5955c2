"""What people see: nothing is wider than their terminal, and nothing is repeated."""

import re

import pytest

from standin.answers import THROTTLED
from terminal import show

WIDTHS = [40, 60, 80, 200]
COLOUR = re.compile(r"\x1b\[\d*m")
#: The text in front of the note of a check.
NAME = re.compile(r"^(Success|Warning|Failed |Skipped)  .{16}  ")


def too_wide(text, columns):
    """Lines that are wider although they could be broken; one word, or a command in backquotes, stays whole."""
    wide = [line for line in COLOUR.sub("", text).splitlines() if len(line) > columns]
    said = {line: re.sub(r"`[^`]*`", "``", NAME.sub("", line).strip()) for line in wide}
    return [line for line in wide if " " in said[line]]


@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.parametrize("command", [("-h",), ("--help",), ("check", "--help"), ("status", "--help")], ids=" ".join)
def test_help(command, columns, program):
    shown, status = show([program.binary, *command], program.environment, columns)
    assert status == 0
    assert [line for line in too_wide(shown, columns) if not line.startswith("Usage: ")] == []


def test_help_is_grouped_and_ends_with_examples_files_and_who_may(program):
    shown = program.run("-h", verbosity=None).stdout
    headings = re.findall(r"^(\w[\w ]*):$", shown, re.MULTILINE)
    assert headings == ["Commands", "Options", "What to start", "How to start it", "Where things are", "Output", "Examples", "Files", "Settings", "Exit codes"]
    assert "need root" in shown and "/etc/ecs/ecs-start-task.conf" in shown


@pytest.mark.parametrize("columns", WIDTHS)
def test_check(columns, make_program):
    program = make_program(closed=("agent", "imds"))
    shown, status = show([program.binary, "check"], program.environment, columns, stderr=False)
    assert status == 69 and "checks: " in shown
    assert too_wide(shown, columns) == []


@pytest.mark.parametrize("columns", WIDTHS)
def test_the_progress_line_fits_and_counts_down_to_the_next_attempt(columns, program):
    program.host.script("StartTask", THROTTLED, THROTTLED, THROTTLED)
    shown, status = show([program.binary], program.environment, columns, stdout=False)
    lines = re.findall(r"\r\x1b\[K([^\r\n]+)(?=\r)", shown)
    assert status == 0 and max(map(len, lines)) < columns
    assert [line for line in lines if re.fullmatch(r"my_task_def: next attempt in \d+s", line)]


@pytest.mark.parametrize("columns", WIDTHS)
def test_the_table_of_a_run_and_of_status(columns, make_program):
    program = make_program()
    for command in ((), ("status",)):
        shown, _ = show([program.binary, *command, "-t", "my_task_def", "-t", "unknown_def"], program.environment, columns, stderr=False)
        assert "\t" not in shown and "my_task_def" in shown and "unknown_def" in shown
        assert too_wide(shown, columns) == []
    (word, *rest) = [line.split()[1] for line in shown.splitlines() if re.match(r"(my_task|unknown)_def ", line)]
    assert (word, rest) == ("RUNNING", ["NOT"])


def test_the_result_is_said_once_on_a_terminal_and_whole_in_a_pipe(program, host):
    shown, status = show([program.binary], program.environment, 200)
    (task,) = host.instance.tasks
    ended = [line.removeprefix("\x1b[K") for line in shown.splitlines() if task.arn in line and "accepted" not in line]
    assert status == 0 and ended == [f"my_task_def  started  {task.arn} RUNNING"]
    assert f"my_task_def: started: {task.arn}" in program.log_file.read_text()
    piped = program.run(verbosity=None)
    assert piped.stdout == f"my_task_def\talready-running\t{task.arn}\tRUNNING\n" and task.arn in piped.stderr
