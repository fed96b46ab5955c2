"""Exactly one task, whatever a second run, another request or a foreign task does meanwhile.

Each test counts the tasks that exist. A hidden task is one whose payload is still on its way to the agent.
"""

import signal
import time
from dataclasses import replace

import pytest

from standin import Answer
from standin.answers import HANG_UP, failure, placed_then, stall
from standin.instance import ENDS, RUNS, UNSEEN
from test_situations import as_the_unit, wait_until

FAMILY = "my_task_def"
PENDING = ((0, "PENDING"),)
#: How long the agent is watched before StartTask is sent again.
WATCHED = 15


def of(host, family=FAMILY, revision=None):
    return [task for task in host.instance.tasks if task.family == family and revision in (None, task.revision)]


def own(host):
    return [task for task in of(host) if task.started_by == host.instance.id]


def shown_in(seconds, task, *then):
    """From now on the task behaves like this: shown so many seconds later."""
    task.life = ((task.age + seconds, "PENDING"), (task.age + seconds + 0.1, "RUNNING"), *then)


def killed(run):
    run.signal(signal.SIGKILL)
    run.finish(killed=True)


@pytest.mark.parametrize("definitions", [(FAMILY,), ("log_agent", FAMILY)], ids=["one-definition", "two-definitions"])
def test_waiting_for_the_lock_is_not_watching(definitions, program, host):
    """The first run holds the lock with its question open, and dies when the second has waited for the time that one watches."""
    host.instance.lives[FAMILY] = UNSEEN
    host.script("StartTask", placed_then(HANG_UP))
    silent = True
    host.always("tasks", lambda _, default: Answer(500) if silent and host.asked("StartTask") else default())
    first = program.start()
    wait_until(lambda: host.instance.tasks)
    second = program.start(*[argument for each in definitions for argument in ("-t", each)])
    time.sleep(WATCHED + 1.5)
    silent = False
    shown_in(6, host.instance.tasks[0])
    killed(first)
    assert second.finish().status == 0
    assert len(of(host)) == 1


def test_a_run_that_ends_leaves_the_record_of_another_run_alone(program, host):
    """The first run's task is only PENDING when another revision is requested and that response is lost."""
    host.instance.lives[FAMILY] = [PENDING, UNSEEN, RUNS]
    first = program.start()
    wait_until(lambda: of(host, revision=3) and host.asked("task", "tasks")[-1].at > of(host, revision=3)[0].placed + 0.5)
    host.script("StartTask", placed_then(HANG_UP))
    other = program.start("-t", f"{FAMILY}:2")
    wait_until(lambda: of(host, revision=2))
    killed(other)
    shown_in(0, of(host, revision=3)[0])
    assert first.finish().status == 0
    shown_in(4, of(host, revision=2)[0])
    assert program.run("-t", f"{FAMILY}:2").status == 0
    assert (len(of(host, revision=3)), len(of(host, revision=2))) == (1, 1)


def test_a_run_whose_end_takes_long_leaves_the_task_that_was_started_meanwhile_on_record(program, host):
    host.metadata_service.allowed.add("DescribeTasks")
    host.instance.lives[FAMILY] = [((0, "PENDING"), (1.5, "STOPPED")), UNSEEN, RUNS]
    host.script("DescribeTasks", stall(4))
    first = program.start()
    wait_until(lambda: host.asked("DescribeTasks"))
    assert program.run().status == 70
    second = program.start()
    wait_until(lambda: len(of(host)) == 2)
    time.sleep(0.5)
    killed(second)
    assert first.finish().status == 70
    shown_in(3, of(host)[1])
    assert program.run().status == 0
    assert len(of(host)) == 2


#: Our task when the response is lost: not shown yet, or stopped before the agent was polled.
OURS = {"hidden": ((4, "PENDING"), (4.1, "RUNNING")), "over": ENDS}


@pytest.mark.parametrize("life", OURS.values(), ids=OURS)
def test_a_dead_foreign_task_does_not_close_the_question(life, program, host):
    def with_a_dead_one_before_it(_, default):
        host.instance.place(FAMILY, "ecs-svc/1", life=((0, "STOPPED"),))
        default()
        return HANG_UP

    host.instance.lives[FAMILY] = life
    # Only ECS knows that a task ran if no run saw it RUNNING.
    host.metadata_service.allowed.add("DescribeTasks")
    host.script("StartTask", with_a_dead_one_before_it)
    assert as_the_unit(program, 3)[-1].status == 0
    assert len(own(host)) == 1


def test_the_death_of_an_adopted_task_opens_the_question_again(program, host):
    def with_a_foreign_one(_, default):
        host.instance.place(FAMILY, "ecs-svc/1", life=((0, "PENDING"), (4, "STOPPED")))
        default()
        return HANG_UP

    host.instance.lives[FAMILY] = ((9, "PENDING"), (9.1, "RUNNING"))
    host.script("StartTask", with_a_foreign_one)
    assert as_the_unit(program, 3)[-1].status == 0
    assert len(own(host)) == 1


@pytest.mark.parametrize(("first", "second"), [(f"{FAMILY}:3", FAMILY), (FAMILY, f"{FAMILY}:3")], ids=["family", "revision"])
def test_the_open_question_of_another_request_is_ones_own(first, second, program, host):
    host.instance.lives[FAMILY] = UNSEEN
    host.script("StartTask", placed_then(HANG_UP))
    run = program.start("-t", first, "--started-by", "other")
    wait_until(lambda: host.instance.tasks)
    killed(run)
    shown_in(5, host.instance.tasks[0])
    assert program.run("-t", second).status == 0
    assert len(of(host)) == 1


def test_another_revision_that_ecs_lists_proves_nothing(program, host):
    """svc:5 belongs to the unit and is still PENDING when svc:3 is started by hand; ListTasks returns both."""
    host.instance.definitions["svc"] = 5
    host.instance.lives["svc"] = [PENDING, RUNS]
    host.metadata_service.allowed.add("ListTasks")
    assert program.run("-t", "svc", ECS_START_TASK_TIMEOUT="2s").status == 75
    outcome = program.run("-t", "svc:3")
    assert outcome.status == 0
    assert len(of(host, "svc", 3)) == 1 and of(host, "svc", 3)[0].arn in outcome.stdout
    assert len(of(host, "svc", 5)) == 1


def test_another_revision_that_ecs_alone_has_is_not_taken_for_the_one_that_was_sent(program, host):
    def never_comes(*_):
        host.instance.place("svc:5", "ecs-svc/1", life=UNSEEN)
        return HANG_UP

    host.instance.definitions["svc"] = 5
    host.metadata_service.allowed.add("ListTasks")
    host.script("StartTask", never_comes)
    outcome = program.run("-t", "svc:3")
    assert outcome.status == 0
    assert len(of(host, "svc", 3)) == 1 and of(host, "svc", 3)[0].arn in outcome.stdout


def test_the_guard_that_is_off_starts_one_more_each_time_also_without_waiting(program, host):
    for count in (1, 2):
        assert program.run("--no-wait", ECS_START_TASK_IF_RUNNING="start").status == 0
        assert len(of(host)) == count


def test_a_list_that_comes_with_an_error_is_no_empty_list(program, host):
    host.instance.place(FAMILY, life=((0, "RUNNING"),))
    host.script("tasks", *[Answer(500, b'{"Tasks":[]}')] * 3)
    assert program.run().status == 0
    assert len(of(host)) == 1 and not host.asked("StartTask")


def test_what_another_run_has_started_is_read_under_the_lock(program, host):
    """The second run began before anything was recorded, and waits for the first, which dies before its task is shown."""
    host.instance.lives[FAMILY] = UNSEEN
    host.script("tasks", Answer(body=b'{"Tasks":[]}', delay=4))
    first = program.start()
    wait_until(lambda: host.asked("tasks"))
    second = program.start()
    wait_until(lambda: f"process {first.process.pid}" in program.log_file.read_text())
    wait_until(lambda: host.instance.tasks)
    time.sleep(0.5)
    killed(first)
    shown_in(4, host.instance.tasks[0])
    assert second.finish().status == 0
    assert len(of(host)) == len(host.asked("StartTask")) == 1


def test_the_lock_is_held_until_the_task_is_visible(program, host):
    """The second run has another request, so that no record of its own could keep it from sending."""
    host.instance.lives[FAMILY] = UNSEEN
    first = program.start()
    wait_until(lambda: host.instance.tasks)
    second = program.start("--started-by", "other")
    wait_until(lambda: f"process {first.process.pid}" in program.log_file.read_text())
    time.sleep(1)
    shown_in(0, host.instance.tasks[0])
    assert [first.finish().status, second.finish().status] == [0, 0]
    assert len(of(host)) == 1


@pytest.mark.parametrize("stage", ["waiting", "watching"])
def test_a_new_registration_is_a_new_start(stage, program, host):
    """The agent responds with another ARN while the program waits for its connection, or for the task to run."""
    host.instance.lives[FAMILY] = [PENDING, RUNS] if stage == "watching" else RUNS
    if stage == "waiting":
        host.script("StartTask", failure("AGENT"))
    run = program.start(ECS_START_TASK_TIMEOUT="20s")
    wait_until(lambda: host.asked("StartTask"))
    if stage == "watching":
        wait_until(lambda: len(host.asked("task", "tasks")) > 3)
    host.instance.register_anew()
    outcome = run.finish()
    here = [task for task in of(host) if task.instance == host.instance.arn]
    assert outcome.status == 0
    assert len(here) == 1 and here[0].arn in outcome.stdout and here[0].started_by == host.instance.id


def test_an_answer_that_comes_just_after_the_deadline_is_read(program, host):
    """StartTask gets five seconds even if the run has fewer left, because the request would be in doubt otherwise."""
    host.instance.lives[FAMILY] = UNSEEN
    host.script("StartTask", lambda _, default: replace(default(), delay=3))
    outcome = program.run(ECS_START_TASK_TIMEOUT="1s")
    assert outcome.status == 75 and host.instance.tasks[0].arn in outcome.stdout
