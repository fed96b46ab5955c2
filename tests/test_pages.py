"""The man pages through man and mandoc's linter, the completions in the real shells."""

import os
import pty
import re
import shutil
import subprocess

import pytest

from standin.program import BINARY, ROOT
from terminal import read_all

PACKAGING = ROOT / "packaging"
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
PAGES = ["ecs-start-task.8", "ecs-start-task.conf.5"]


def run(*command, **more):
    assert shutil.which(command[0]), f"{command[0]} is missing: make e2e installs it"
    return subprocess.run(command, text=True, capture_output=True, **more)


@pytest.mark.parametrize("page", PAGES)
def test_man_shows_the_page_without_a_warning(page):
    shown = run("man", "--warnings", "--nj", "-l", PACKAGING / "man" / page, env=ENVIRONMENT)
    assert (shown.returncode, shown.stderr) == (0, "") and "SEE ALSO" in shown.stdout


@pytest.mark.parametrize("page", PAGES)
def test_mandoc_finds_no_error(page):
    linted = run("mandoc", "-T", "lint", "-W", "error", PACKAGING / "man" / page)
    assert (linted.returncode, linted.stdout) == (0, "")


def options(*command):
    """Every long option that the help lists."""
    text = subprocess.run([*command, "--help"], text=True, capture_output=True, check=True).stdout
    return set(re.findall(r"^ +(?:-\w, )?(--[a-z-]+)(?=[ .]|$)", text, re.MULTILINE))


def descriptions(*command):
    """{long option: its description} of the help, unwrapped."""
    text = subprocess.run([*command, "--help"], text=True, capture_output=True, check=True).stdout
    entries = re.findall(r"^ +(?:-\w, )?(--[a-z-]+)[^\n]*\n((?: {10,}\S.*\n|\n(?= {10}))+)", text, re.MULTILINE)
    return {option: " ".join(description.split()) for option, description in entries}


def test_the_manual_says_of_each_option_and_command_what_the_help_says():
    page = run("man", "--nj", "--nh", "-l", PACKAGING / "man/ecs-start-task.8", env=ENVIRONMENT | {"MANWIDTH": "1000"}).stdout
    page = " ".join(page.split())
    told = descriptions(BINARY)
    assert set(told) == options(BINARY) and len(told) > 20
    missing = {option: text for option, text in told.items() if text.partition(" Possible values")[0].partition(" [default: text]")[0] not in page}
    assert missing == {}
    for command in ("check", "status"):
        assert descriptions(BINARY, command).items() <= told.items()
        assert f" ecs-start-task {command} [OPTIONS]" in page


def in_bash(*words, **more):
    """What bash offers for these words, of which the last is being completed."""
    # What readline does with the option plusdirs; there is no readline here.
    script = f"""source {PACKAGING}/completions/ecs-start-task.bash
        compopt() {{ if [[ $2 = plusdirs ]]; then COMPREPLY+=($(compgen -d "$cur")); fi; }}
        COMP_WORDS=(ecs-start-task "$@") COMP_CWORD=$#
        $(complete -p ecs-start-task | sed 's/.*-F \\([^ ]*\\).*/\\1/') ecs-start-task "${{@: -1}}" "${{COMP_WORDS[$#-1]}}"
        printf '%s\\n' "${{COMPREPLY[@]}}" """
    completed = run("bash", "--norc", "-c", script, "bash", *words, **more)
    assert completed.returncode == 0, completed.stderr
    return set(completed.stdout.split())


def in_fish(line, **more):
    """What fish offers at the end of the line."""
    script = f"source {PACKAGING}/completions/ecs-start-task.fish; complete -C 'ecs-start-task {line}'"
    return {each.split("\t")[0] for each in run("fish", "--no-config", "-c", script, **more).stdout.splitlines()}


def in_zsh(line, tmp_path):
    """The line after zsh has completed its end."""
    (tmp_path / "completed").unlink(missing_ok=True)
    ours, theirs = pty.openpty()
    setup = f"""fpath=({PACKAGING}/completions $fpath); autoload -U compinit; compinit -u -D
        complete-and-end() {{ zle complete-word; print -r -- "$BUFFER" >completed; exit }}
        zle -N complete-and-end; bindkey '^I' complete-and-end"""
    (tmp_path / ".zshrc").write_text(setup)
    environment = ENVIRONMENT | {"TERM": "dumb", "ZDOTDIR": str(tmp_path)}
    shell = subprocess.Popen(["zsh", "-i"], cwd=tmp_path, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    os.write(ours, f"ecs-start-task {line}\t".encode())
    read_all(ours)
    shell.wait(60)
    return (tmp_path / "completed").read_text().rstrip("\n").removeprefix("ecs-start-task ")


#: Options, and their known values.
VALUES = {
    "--output": {"text", "json"},
    "--if-running": {"skip", "start"},
    "--restart": {"no", "on-failure", "always"},
    "--when-draining": {"keep", "stop"},
    "--log-level": {"error", "warn", "info", "debug", "trace"},
}
#: Options whose values are files or directories, and some whose values are neither.
FILES = ["--config", "--cli-input-json", "--ca-bundle", "--log-file"]
DIRECTORIES = ["--state-dir"]
NO_FILES = ["--task-definition", "--cluster", "--started-by", "--timeout", "--agent-url", "--endpoint-url", "--dry-run"]


def test_every_option_with_a_value_is_among_them():
    text = subprocess.run([BINARY, "--help"], text=True, capture_output=True, check=True).stdout
    named = set(re.findall(r"^ +(?:-\w, )?(--[a-z-]+) <", text, re.MULTILINE))
    assert named == {*VALUES, *FILES, *DIRECTORIES, *NO_FILES} - {"--dry-run"}


@pytest.fixture
def somewhere(tmp_path):
    """A directory with a file and a directory whose names begin with so."""
    (tmp_path / "some.json").touch()
    (tmp_path / "sort.d").mkdir()
    return tmp_path


def test_bash_completes_values_and_files_only_where_they_belong(somewhere):
    assert {option: in_bash(option, "", cwd=somewhere) for option in VALUES} == VALUES
    assert [option for option in FILES if "some.json" not in in_bash(option, "so", cwd=somewhere)] == []
    assert {option: in_bash(option, "so", cwd=somewhere) for option in DIRECTORIES} == {option: {"sort.d"} for option in DIRECTORIES}
    assert [option for option in NO_FILES if {"some.json", "sort.d"} & in_bash(option, "so", cwd=somewhere)] == []
    assert in_bash("so", cwd=somewhere) == set()
    registered = run("bash", "--norc", "-c", f"source {PACKAGING}/completions/ecs-start-task.bash; complete -p ecs-start-task").stdout
    assert "default" not in registered, "bash offers files where nothing else matches"


def test_fish_completes_values_and_files_only_where_they_belong(somewhere):
    assert {option: in_fish(f"{option} ", cwd=somewhere) for option in VALUES} == VALUES
    assert [option for option in FILES if "some.json" not in in_fish(f"{option} so", cwd=somewhere)] == []
    assert {option: in_fish(f"{option} so", cwd=somewhere) for option in DIRECTORIES} == {option: {"sort.d/"} for option in DIRECTORIES}
    assert [option for option in NO_FILES if {"some.json", "sort.d/"} & in_fish(f"{option} so", cwd=somewhere)] == []
    assert not {"some.json", "sort.d/"} & in_fish("so", cwd=somewhere)


def test_zsh_completes_values_and_files_only_where_they_belong(somewhere):
    values = {f"{option} {value[:-1]}": f"{option} {value} " for option, of_option in VALUES.items() for value in of_option if len(value) > 2}
    files = {f"{option} som": f"{option} some.json " for option in FILES}
    directories = {f"{option} so": f"{option} sort.d/" for option in DIRECTORIES}
    nothing = {typed: typed for typed in [f"{option} som" for option in NO_FILES] + ["som"]}
    expected = values | files | directories | nothing
    assert {typed: in_zsh(typed, somewhere) for typed in expected} == expected


def test_bash_completes_every_option_and_command():
    assert in_bash("--") == options(BINARY)
    assert in_bash("check", "--") == options(BINARY, "check")
    assert in_bash("ch") == {"check"}


def test_fish_completes_every_option_and_command():
    assert {word for word in in_fish("--") if word.startswith("--")} == options(BINARY)
    assert {word for word in in_fish("check --") if word.startswith("--")} == options(BINARY, "check")
    assert "check" in in_fish("")


def test_zsh_loads_the_completion():
    script = f"""fpath=({PACKAGING}/completions $fpath); autoload -U compinit; compinit -u -D
        print $_comps[ecs-start-task]; autoload +X _ecs-start-task && functions _ecs-start-task"""
    completed = run("zsh", "-f", "-c", script)
    assert completed.returncode == 0 and completed.stdout.startswith("_ecs-start-task\n")
    assert all(word in completed.stdout for word in options(BINARY) | {"check"})
