"""What is logged while the agent is missing, and the one case in which waiting would never end: user data.

A script replaces systemctl, and the program is in the control group of cloud-final, both by bind mounts.
"""

import re

import pytest

from test_situations import wait_until

USER_DATA = "0::/system.slice/cloud-final.service\n"
SERVICE = "0::/system.slice/ecs-start-task.service\n"


def play_ecs_service(program, active, sub):
    """Puts ecs.service into that state."""
    program.play_systemctl(f"echo ActiveState={active}; echo SubState={sub}")


def in_cgroup(program, text):
    path = program.directory / "cgroup"
    path.write_text(text)
    program.mounts["/proc/$$/cgroup"] = path


def waiting(program, **settings):
    """What the first line of the log about waiting says."""
    run = program.start(verbosity=None, **settings)
    wait_until(lambda: program.log_file.exists() and "waiting for the ECS agent" in program.log_file.read_text())
    run.signal()
    (said,) = re.findall(r"waiting for the ECS agent \(\d+s\): (.*)", run.finish(killed=True).log)
    return said


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("ActiveState=activating SubState=auto-restart", "ecs.service is activating (auto-restart)"),
        (
            "LoadState=not-found ActiveState=inactive SubState=dead",
            "ecs.service is not installed: use an ECS-optimized AMI, or install ecs-init",
        ),
    ],
    ids=["activating", "not-installed"],
)
def test_the_state_of_the_ecs_service_is_told(state, said, make_program):
    program = make_program(closed=("agent",))
    program.play_systemctl(f"printf '%s\\n' {state}")
    assert re.fullmatch(rf".*refused.*; {re.escape(said)}", waiting(program))


def test_under_the_unit_whose_sandbox_keeps_it_out_systemctl_is_not_run(make_program, unit, tmp_path):
    program = make_program(closed=("agent",))
    program.play_systemctl(f'echo "$@" >> {tmp_path}/asked')
    assert "refused" in waiting(program, **unit)
    assert not (tmp_path / "asked").exists()


def test_a_warm_pool_is_named_as_the_reason(make_program, etc):
    program = make_program(closed=("agent",))
    (etc(program) / "ecs/ecs.config").write_text("ECS_CLUSTER=my-cluster\nECS_WARM_POOLS_CHECK=true\n")
    assert re.search(r"ECS_WARM_POOLS_CHECK.*InService", waiting(program))


def test_in_user_data_with_a_silent_agent_it_ends_at_once_and_says_how_else(make_program):
    program = make_program(closed=("agent",))
    play_ecs_service(program, "inactive", "dead")
    in_cgroup(program, USER_DATA)
    outcome = program.run(verbosity=None)
    assert outcome.status == 78 and outcome.seconds < 10
    assert "systemctl enable --now --no-block ecs-start-task" in outcome.stderr
    assert not program.host.asked("StartTask")


@pytest.mark.parametrize(
    ("group", "active"), [(USER_DATA, "active"), (SERVICE, "inactive")], ids=["ecs-is-active", "a-unit-of-its-own"]
)
def test_waiting_goes_on_where_it_can_end(group, active, make_program):
    program = make_program(closed=("agent",))
    play_ecs_service(program, active, "x")
    in_cgroup(program, group)
    program.host.agent.open_after(0.5)
    assert program.run().status == 0
    assert len(program.host.instance.tasks) == 1


def test_in_user_data_an_agent_that_answers_is_all_it_takes(program, host):
    play_ecs_service(program, "inactive", "dead")
    in_cgroup(program, USER_DATA)
    assert program.run().status == 0
    assert len(host.instance.tasks) == 1
