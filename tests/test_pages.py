"""The man pages through man and mandoc's linter, the completions in the real shells."""

import shutil
import subprocess

import pytest

from standin.program import BINARY, ROOT

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
    return {word.strip(",.") for line in text.splitlines() for word in line.split() if line.strip().startswith("-") and word.startswith("--")}


def in_bash(*words):
    """What bash offers when these words are on the line and the last is being completed."""
    script = f"""source {PACKAGING}/completions/ecs-start-task.bash
        COMP_WORDS=(ecs-start-task "$@") COMP_CWORD=$#
        $(complete -p ecs-start-task | sed 's/.*-F \\([^ ]*\\).*/\\1/') ecs-start-task "${{@: -1}}" "${{COMP_WORDS[$#-1]}}"
        printf '%s\\n' "${{COMPREPLY[@]}}" """
    completed = run("bash", "--norc", "-c", script, "bash", *words)
    assert completed.returncode == 0, completed.stderr
    return set(completed.stdout.split())


def in_fish(line):
    """What fish offers at the end of the line."""
    script = f"source {PACKAGING}/completions/ecs-start-task.fish; complete -C 'ecs-start-task {line}'"
    return {each.split("\t")[0] for each in run("fish", "--no-config", "-c", script).stdout.splitlines()}


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
