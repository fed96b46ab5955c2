"""No false success: what the real agent lists when a task never ran, and when it did.

The agent lists a container only once it tries to create it, so a task that stopped early has only containers that started.
"""


import pytest

from situations import BOOT
from standin.instance import ENDS, NEVER, RUNS, UNSEEN, Container
from test_situations import wait_until

FAMILY = "my_task_def"
NEVER_CREATED = Container("main", created=NEVER, started=NEVER)
#: The containers of a task that never reached RUNNING: the one that did start, and the one that was never created.
STOPPED_EARLY = {
    "init-container-fails": (Container("init", started=0.1, exit_code=1), NEVER_CREATED),
    "sidecar-dies-while-the-image-is-pulled": (NEVER_CREATED, Container("sidecar", started=0.05, exit_code=1)),
}
STOPS_EARLY = ((0.05, "PENDING"), (0.4, "STOPPED"))
PERMISSIONS = {"may-describe": {"DescribeTasks"}, "may-not-describe": set()}


@pytest.mark.parametrize("permissions", PERMISSIONS.values(), ids=PERMISSIONS)
@pytest.mark.parametrize("containers", STOPPED_EARLY.values(), ids=STOPPED_EARLY)
def test_a_task_of_which_a_container_never_came_to_be_did_not_run(containers, permissions, program, host):
    host.metadata_service.allowed |= permissions
    host.instance.containers[FAMILY] = containers
    host.instance.lives[FAMILY] = [STOPS_EARLY, RUNS]
    host.instance.ecs_lag = 0.5
    outcome = program.run()
    assert outcome.status == 70
    assert "failed" in outcome.stdout and host.instance.tasks[0].arn in outcome.said


def test_the_next_run_does_not_take_it_for_one_that_ran_either(program, host):
    host.instance.containers[FAMILY] = STOPPED_EARLY["init-container-fails"]
    host.instance.lives[FAMILY] = [STOPS_EARLY, RUNS]
    assert program.run("--no-wait").status == 0
    wait_until(lambda: host.instance.tasks[0].status() == "STOPPED")
    statuses = [program.run().status]
    if statuses == [70]:
        statuses.append(program.run().status)
    assert statuses[-1] == 0 and [task.ran() for task in host.instance.tasks] == [False, True]


def test_a_job_of_which_only_ecs_knows_that_it_ran_did_run(program, host):
    host.metadata_service.allowed.add("DescribeTasks")
    host.instance.lives[FAMILY] = ENDS
    host.always("StartTask", lambda _, default: [default(), of_an_old_agent(host)][0])
    assert program.run().status == 0
    assert len(host.instance.tasks) == 1


def of_an_old_agent(host):
    host.instance.tasks[-1].tells_starts = False


def test_a_job_of_which_nobody_knows_that_it_ran_is_none(program, host):
    host.instance.lives[FAMILY] = ENDS
    host.always("StartTask", lambda _, default: [default(), of_an_old_agent(host)][0])
    assert program.run().status == 70


def test_a_job_of_two_containers_that_both_started_ran(program, host):
    host.instance.containers[FAMILY] = (Container("init", started=0.06, exit_code=0), Container("main", exit_code=0))
    host.instance.lives[FAMILY] = ENDS
    assert program.run().status == 0


def test_an_accepted_task_that_stops_without_being_shown_is_told_and_started_anew(program, host):
    """DescribeTasks shows that the task stopped; the agent never received it."""
    host.metadata_service.allowed.add("DescribeTasks")
    host.instance.lives[FAMILY] = [UNSEEN, RUNS]
    host.always("StartTask", lambda _, default: [default(), stops_at_ecs(host.instance.tasks[-1])][0])
    outcome = program.run(ECS_START_TASK_TIMEOUT="30s")
    assert outcome.status == 70 and "Essential container in task exited" in outcome.said
    assert program.run().status == 0
    assert len(host.instance.tasks) == 2


def stops_at_ecs(task):
    if task.life == UNSEEN:
        task.ecs_life = ((0, "PENDING"), (2, "STOPPED"))


@pytest.mark.parametrize("seconds", [8, 13])
def test_a_leftover_of_the_previous_boot_is_no_success_until_the_agent_has_had_time_to_correct_it(seconds, program, host):
    host.instance.place(FAMILY, created=BOOT - 3600, life=((0, "RUNNING"), (seconds, "STOPPED")))
    outcome = program.run()
    assert outcome.status == 0
    leftover, *started = host.instance.tasks
    assert len(started) == 1 and started[0].arn in outcome.stdout and leftover.arn not in outcome.stdout


def test_a_start_writes_nothing_into_the_agents_log(program, host):
    host.instance.lives[FAMILY] = ((3, "PENDING"), (4, "RUNNING"))
    assert program.run().status == 0
    assert host.instance.error_lines == 0


def test_nor_does_one_that_another_run_takes_up(program, host):
    host.instance.lives[FAMILY] = ((4, "PENDING"), (4.1, "RUNNING"))
    assert program.run(ECS_START_TASK_TIMEOUT="1s").status == 75
    assert program.run().status == 0
    assert host.instance.error_lines == 0 and len(host.instance.tasks) == 1


@pytest.mark.parametrize("cluster", ["eu-west-1:123456789012", "us-east-1:210987654321"], ids=["region", "account"])
def test_a_cluster_of_another_region_or_account_is_another_cluster(cluster, program, host):
    assert program.run("--cluster", f"arn:aws:ecs:{cluster}:cluster/{host.instance.cluster_name}").status == 78
    assert not host.asked("StartTask")


def test_this_cluster_is_known_by_its_arn(program, host):
    assert program.run("--cluster", host.instance.arn_of(f"cluster/{host.instance.cluster_name}")).status == 0
