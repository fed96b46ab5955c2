"""The README followed literally on a machine that boots: its blocks unchanged, except for the names to replace."""

from boot.machine import ETC_UNIT, PAGE_UNIT, REPO_FILE, REPO_KEY, REPOSITORY, UNIT, until
from boot.test_user_data import CONFIGURE, ENABLE, INSTALL
from examples import REPOSITORY as SHIPPED
from readme import README, readme_block

#: The script that the user data of AWS's page writes, with its tabs. Here it only waits.
PAGE_SCRIPT = "\tsleep infinity\n\n\t# Specify the task definition to run at launch\n\ttask_definition=my_task_def\n"


def as_root(machine, block):
    """Run a block as if root typed it, and stop at the first failure."""
    return machine.run("sh", "-e", "-c", block)


def test_the_quick_start_works_from_top_to_bottom(machine):
    for file in (REPO_FILE, REPO_KEY):
        machine.write(file, "")
    machine.user_data(readme_block("Quick start", 1).replace(SHIPPED, f"http://{REPOSITORY}"))
    assert machine.boot() == "running"
    machine.wait_for("active exited")
    [task] = machine.tasks()
    assert machine.read("/etc/ecs/ecs.config") == "ECS_CLUSTER=your_cluster_name\n"
    said = as_root(machine, f"[ -d {examples_directory()} ] && systemctl status {UNIT}")
    assert task.arn in said


def test_status_shows_the_task(machine):
    machine.user_data(INSTALL + CONFIGURE + ENABLE)
    machine.boot()
    machine.wait_for("active exited")
    status = readme_block("My task is missing").splitlines()[0]
    assert status in readme_block("Quick start", 2)
    assert machine.tasks()[0].arn in as_root(machine, status)


def examples_directory():
    (directory,) = [word.strip("`.,") for word in README.split() if "/usr/share/doc" in word]
    return directory


def test_switching_from_the_script_of_the_page_keeps_its_definition_and_starts_no_second_task(machine):
    machine.write("/etc/ecs/ecs-start-task.sh", PAGE_SCRIPT)
    machine.write(ETC_UNIT, PAGE_UNIT)
    machine.user_data(f"#!/bin/sh\n{ENABLE}")
    machine.boot()
    assert machine.state() == "active running"
    as_root(machine, readme_block("Switch from AWS's script"))
    machine.wait_for("active exited")
    assert machine.show(UNIT, "FragmentPath")[0].endswith("/lib/systemd/system/ecs-start-task.service")
    assert machine.read("/etc/ecs/ecs-start-task.conf").endswith("\nECS_START_TASK_DEFINITION=my_task_def\n")
    assert len(machine.tasks()) == 1
    as_root(machine, readme_block("Switch from AWS's script").partition("systemctl daemon-reload\n")[2])
    assert len(machine.tasks()) == 1


def test_a_task_that_is_missing_is_found_and_brought_back(machine):
    machine.user_data(INSTALL + CONFIGURE.replace("my_task_def", "unknown_def") + ENABLE)
    machine.boot()
    until("the unit says what failed", lambda: "unknown_def" in machine.log())
    _, check, log, restart = readme_block("My task is missing").splitlines()
    assert "unknown_def" in machine.attempt("sh", "-e", "-c", check).stdout
    assert "unknown_def" in as_root(machine, log)
    machine.run("sed", "-i", "s/unknown_def/my_task_def/", "/etc/ecs/ecs-start-task.conf")
    as_root(machine, restart)
    machine.wait_for("active exited")
    assert len(machine.tasks()) == 1
