"""What is said while the agent is not there, and the one case in which waiting would never end: user data.

systemctl is played by a script on the PATH; a bind mount makes the program see the control group of cloud-final.
"""

import re

import pytest
from conftest import mounted

USER_DATA = "0::/system.slice/cloud-final.service\n"
SERVICE = "0::/system.slice/ecs-start-task.service\n"


@pytest.fixture
def systemctl(tmp_path):
    """systemctl(program, active, sub) lets ecs.service be in that state."""

    def play(program, active, sub):
        script = tmp_path / "bin/systemctl"
        script.parent.mkdir()
        script.write_text(f"#!/bin/sh\necho ActiveState={active}\necho SubState={sub}\n")
        script.chmod(0o755)
        program.environment["PATH"] = f"{script.parent}:{program.environment['PATH']}"

    return play


def in_cgroup(program, text):
    path = program.directory / "cgroup"
    path.write_text(text)
    program.wrapper = mounted(path, "/proc/$$/cgroup")


def test_the_state_of_the_ecs_service_is_told(make_program, systemctl):
    program = make_program(closed=("agent",))
    systemctl(program, "activating", "auto-restart")
    outcome = program.run(ECS_START_TASK_TIMEOUT="7s", verbosity=None)
    assert outcome.status == 69
    assert re.search(r"waiting for the ECS agent.*refused.*ecs\.service is activating \(auto-restart\)", outcome.stderr)


def test_a_warm_pool_is_named_as_the_reason(make_program, etc):
    program = make_program(closed=("agent",))
    (etc(program) / "ecs/ecs.config").write_text("ECS_CLUSTER=my-cluster\nECS_WARM_POOLS_CHECK=true\n")
    outcome = program.run(ECS_START_TASK_TIMEOUT="7s", verbosity=None)
    assert outcome.status == 69
    assert re.search(r"ECS_WARM_POOLS_CHECK.*InService", outcome.stderr)


def test_in_user_data_with_a_silent_agent_it_ends_at_once_and_says_how_else(make_program, systemctl):
    program = make_program(closed=("agent",))
    systemctl(program, "inactive", "dead")
    in_cgroup(program, USER_DATA)
    outcome = program.run(verbosity=None)
    assert outcome.status == 78 and outcome.seconds < 10
    assert "systemctl enable --now --no-block ecs-start-task" in outcome.stderr
    assert not program.host.asked("StartTask")


@pytest.mark.parametrize(
    ("group", "active"), [(USER_DATA, "active"), (SERVICE, "inactive")], ids=["ecs-is-active", "a-unit-of-its-own"]
)
def test_waiting_goes_on_where_it_can_end(group, active, make_program, systemctl):
    program = make_program(closed=("agent",))
    systemctl(program, active, "x")
    in_cgroup(program, group)
    program.host.agent.open_after(0.5)
    assert program.run().status == 0
    assert len(program.host.instance.tasks) == 1


def test_in_user_data_an_agent_that_answers_is_all_it_takes(program, host, systemctl):
    systemctl(program, "inactive", "dead")
    in_cgroup(program, USER_DATA)
    assert program.run().status == 0
    assert len(host.instance.tasks) == 1
