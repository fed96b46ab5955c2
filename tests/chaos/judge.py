"""What must hold of every schedule, by the tasks that exist and by what could be known of them.

A second task of one definition on one container instance is a fault unless one of these is so when its StartTask arrives:

- the first one is over, and it never ran;
- it ran and is over, and: it is foreign, or of another request, or a run that concludes it may have ended by then, or nobody could
  know that it ran (its answer was lost and ECS may not be asked), or its record was spoiled or could not be written;
- it is foreign, and the agent did not show it in time for the look before the sending;
- it is ours, the agent does not show it, its answer never came or could not be put on record, the agent was watched for 15 s
  by one run since, and ECS, where it may be asked, was asked and did not have it;
- it is ours, the agent does not show it, and its record was deleted: then nothing but the agent's list can be demanded.

A record that was cut, emptied or garbled is an open question and weakens only what takes the ARN or that the task ran. So
does one that a run without the duplicate guard has replaced. Such a run can start one more beside what is not its own open
question. A task that somebody has told to stop keeps only the process from sending that would replace it; what a process
that stays must do besides is in `staying`.
"""

import signal

from standin.program import CODES
from standin.task import beginning

from . import staying
from .fault import LOOK, Fault

#: The agent is watched for 15 s; on a busy machine the first look comes late, and the last one is some time before the sending.
WATCHED, LOOKS = 12, 8
#: From the end of a run's work to the end of its process, and from an answer's going to its being on record.
MOMENT = 3


class Known:
    """A task, by the clock of its world."""

    def __init__(self, world, task):
        self.task = task
        self.placed = task.placed - world.began
        self.shown = self.placed + (task.life[0][0] if task.life else float("inf"))
        self.over = self.placed + beginning(task.life, "STOPPED")
        self.ran = self.placed + task.ran_after()
        self.leftover = getattr(task, "leftover", False)
        self.unwanted = world.unwanted.get(task.arn, float("inf"))
        self.send = next((send for send in world.sends if send.task is task), None)

    def __str__(self):
        who = f"process {self.send.process.number}" if self.send else "foreign"
        return f"{self.task.arn[-6:]} ({self.task.family}:{self.task.revision}, {who})"

    def is_of(self, definition):
        family, _, revision = definition.rpartition("task-definition/")[2].partition(":")
        return self.task.family == family and revision in ("", str(self.task.revision))


def judge(world):
    tasks = [Known(world, task) for task in world.instance.tasks]
    return [
        *second_tasks(world, tasks),
        *false_successes(world, tasks),
        *wrong_codes(world, tasks),
        *never_well(world),
        *staying.faults(world, tasks),
    ]


# --- at most one ---


def second_tasks(world, tasks):
    for second in tasks:
        if not second.send:
            continue
        for first in tasks:
            earlier = first.send.arrived if first.send else first.placed
            same = first.is_of(second.send.definition) and first.task.instance == second.task.instance
            if first is second or first.leftover or not same or earlier >= second.send.arrived:
                continue
            if why := demanded(world, first, second.send):
                yield Fault("two tasks", f"{second} was started at {second.send.arrived:.2f} s beside {first}: {why}")


def demanded(world, first, send):
    """Why the task should have kept this StartTask from being sent; None when nothing did."""
    at = send.arrived
    if not guarded(world, first, send):
        return None
    if first.unwanted <= at < first.over:
        replaces = first.send and first.send.process is send.process and send.process.run.brings_back
        return "it is about to stop and has not stopped yet" if replaces else None
    if not first.send:
        return foreign(first, send)
    if first.over <= at:
        return ran_and_over(world, first, send) if first.ran < first.over else None
    paused = send.process.stopped_within(at - LOOK - 10, at)
    if first.shown <= at - 1 - (LOOK + 10) * paused:
        return f"the agent has shown it for {at - first.shown:.2f} s"
    return hidden(world, first, at)


def guarded(world, first, send):
    """Whether the task counts for this StartTask; without the guard only what is left open of the same request does."""
    process, mine = send.process, first.send
    replacing = process.run.brings_back and any(
        each.process is process and each.answered is not None and each.definition == send.definition and each.arrived < send.arrived
        for each in world.sends
    )
    if process.run.guarded or replacing:
        return True
    return bool(mine) and is_of_one_request(mine, send) and not concluded(world, first, send.arrived)


def is_of_one_request(one, other):
    return one.process.request == other.process.request and one.started_by == other.started_by


def foreign(first, send):
    at = send.arrived
    in_time = first.shown <= at - LOOK and not send.process.stopped_within(first.shown, at)
    return f"the agent has shown it for {at - first.shown:.2f} s" if in_time and first.over > at else None


def ran_and_over(world, first, send):
    mine = first.send
    may = spoiled(world, mine, send.arrived) or concluded(world, first, send.arrived) or staying.was_kept(world, first, send.arrived)
    if may or not is_of_one_request(mine, send):
        return None
    knowable = on_record(world, mine, send.arrived) or ("DescribeTasks" in world.schedule.allowed and not world.schedule.read_faults)
    return "it ran, and no run that has ended well concluded it" if knowable else None


def concluded(world, first, at):
    """Whether a run of which this may be said may have concluded it: the unit's, or the one that started it."""
    definition = first.send.definition
    for process in world.processes:
        mine = process is first.send.process or process.run.unit
        ended_by = process.ended if process.status == 0 else killed_at(process)
        if not mine or ended_by is None or not any(each == definition for each in process.run.definitions):
            continue
        slack = MOMENT + sum(to - since for number, since, to in process.signals if number == "STOP")
        begun = first.ran if process.run.waits else first.placed
        if begun <= ended_by and ended_by - slack <= at:
            return True
    return False


def killed_at(process):
    return process.ended if process.status is not None and process.status < 0 else None


def hidden(world, first, at):
    mine = first.send
    if any(how == "delete" and mine.arrived - 1 < when < at for how, when in world.tampered) or replaced(world, mine, at):
        return None
    if on_record(world, mine, at):
        return "ECS had accepted it, and the answer was on record"
    if "ListTasks" in world.schedule.allowed:
        asked = [when for when in world.listed if mine.arrived < when < at]
        if not asked:
            return "ECS was never asked, which the role may do"
        if first.placed < max(asked):
            return "ECS had it on its list"
    if not any(watched(process, mine.arrived, at) for process in world.processes):
        return "the agent was not watched for 15 s by any run"
    return None


def watched(process, since, to):
    looks = [look for look in process.looks if since < look < to]
    return len(looks) >= LOOKS and looks[-1] - looks[0] >= WATCHED


def on_record(world, send, at):
    """Whether its answer reached a process that lived long enough to write it down, and nothing happened to the record."""
    process = send.process
    if send.answered is None or spoiled(world, send, at) or process.overdue:
        return False
    end = process.ended if process.ended is not None else float("inf")
    hit = any(since < send.answered + MOMENT for _, since, _ in process.signals)
    return not hit and end > send.answered and at > send.answered + MOMENT


def spoiled(world, send, at):
    tampered = any(send.arrived - 1 < when < at for _, when in world.tampered)
    return tampered or replaced(world, send, at) or any(since < at and send.arrived < to for since, to in world.spoiled)


def replaced(world, send, at):
    """A run without the guard may have written its own task down in place of this one."""
    between = (each for each in world.sends if send.arrived < each.arrived < at and not each.process.run.guarded)
    return any(is_of_one_request(send, each) for each in between)


# --- no success that is none ---


def false_successes(world, tasks):
    for process in world.processes:
        good = [each for each in tasks if is_good(world, process, each)]
        for definition in process.run.definitions:
            if process.status == 0 and not any(each.is_of(definition) for each in good):
                yield Fault("false success", f"process {process.number} ended with 0, and no task of {definition} ran")
        for line in process.stdout.splitlines():
            definition, outcome, rest = line.split("\t", 2)
            arn = next((word for word in rest.split() if word.startswith("arn:")), "none")
            if outcome != "failed" and not any(each.task.arn == arn and each.is_of(definition) for each in good):
                yield Fault("false success", f"process {process.number} names {arn[-6:]} as {definition}, which is not one that ran")


def is_good(world, process, known):
    """It ran, or was there for a run that does not wait."""
    begun = known.ran if process.run.waits else known.placed
    return begun <= process.ended and not known.leftover and is_here(world, process, known)


def is_here(world, process, known):
    """On the container instance that the agent named when the process began, or on a later one."""
    return known.task.instance == process.arn or known.task.instance == world.instance.arn


# --- exit codes ---


def wrong_codes(world, tasks):
    for process in world.processes:
        if process.overdue:
            yield Fault("hangs", f"process {process.number} did not end in time")
        elif process.status < 0:
            if not any(-getattr(signal, f"SIG{number}") == process.status for number, *_ in process.signals):
                yield Fault("crash", f"process {process.number} ended by signal {-process.status}, which nobody sent")
        elif process.status not in CODES or not may_end_with(process.status, world, process, tasks):
            yield Fault("exit code", f"process {process.number} ended with {process.status}, and nothing that happened explains it")


def may_end_with(code, world, process, tasks):
    schedule = world.schedule
    if code == 0:
        return True
    if code == 70:
        died = [each for each in tasks if each.over <= process.ended and each.ran > each.over]
        return any(each.is_of(definition) for each in died for definition in process.run.definitions)
    faults = schedule.start_faults or schedule.read_faults or schedule.agent_faults or schedule.imds_faults
    hit = faults or world.tampered or any(other.signals for other in world.processes) or schedule.registers_anew_at is not None
    if code == 69:
        return bool(hit)
    slow = any(each.ran - each.placed > 4 for each in tasks) or len(world.processes) > 1
    return code == 75 and bool(hit or slow or world.spoiled)


def never_well(world):
    """When all faults are over, each request comes to 0."""
    last = {process.request: process for process in world.processes if world.healed and process.began >= world.healed}
    for process in last.values():
        if process.status != 0:
            yield Fault("never well", f"process {process.number} ended with {process.status} long after the last fault")
