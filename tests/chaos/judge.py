"""What every schedule must satisfy, given the tasks that exist and what could be known about them.

A second task of one definition on one container instance is a bug unless one of these is true when its StartTask arrives:

- the first one is over, and it never ran;
- it ran and is over, and: it is foreign, or of another request, or a run that concludes it may have ended by then, or nobody could
  know that it ran (its answer was lost and ECS may not be asked), or its record was spoiled or could not be written;
- it is foreign, and was not on the list that the sender was given last;
- it is ours, the agent does not show it, its answer never came or could not be put on record, the agent was watched for 15 s
  by one run since, and ECS, where it may be asked, was asked and did not have it;
- another process started it, the agent does not show it, and its record was deleted: then nothing but the agent's list can be demanded.

A record that was truncated, emptied or garbled is in doubt, and weakens only what depends on the ARN or on the task having run. The
same is true of one that a run without the duplicate guard has replaced. Such a run is allowed one more task, in addition to what is
not its own request in doubt. A task that was told to stop prevents only the process that would replace it from sending. What else a
process that stays must do is in `staying`.
"""

import signal

from standin.program import CODES
from standin.task import beginning

from . import staying
from .fault import Fault

#: The agent is watched for 15 s; on a busy machine the first look comes late, and the last one is some time before the sending.
WATCHED, LOOKS = 12, 4
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
        *blind_sends(world),
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


def blind_sends(world):
    """Before every StartTask the agent's list is read."""
    last = {}
    for send in world.sends:
        if send.process.last_look(send.arrived) <= last.get(send.process.number, send.process.began):
            yield Fault("did not look", f"process {send.process.number} sent at {send.arrived:.2f} s and had not read the list before")
        last[send.process.number] = send.arrived


def demanded(world, first, send):
    """Why this StartTask should not have been sent, given the task; None if it was right."""
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
    if first.shown <= send.process.last_look(at):
        return "the agent had shown it"
    return hidden(world, first, send)


def guarded(world, first, send):
    """Whether the task counts for this StartTask; without the guard only what is left open of the same request does. A process that
    stays is without it until a task of its own has run."""
    process, mine = send.process, first.send
    own = (each for each in world.sends if each.process is process and each.definition == send.definition and each.arrived < send.arrived)
    replacing = process.run.brings_back and any(each.task and has_run(each.task) for each in own)
    if process.run.guarded or replacing:
        return True
    if not mine or not is_of_one_request(mine, send) or forgotten(world, mine, send):
        return False
    return not concluded(world, first, send.arrived) and not has_ended_well(world, mine, send.arrived)


def has_run(task):
    return task.ran_after() < beginning(task.life, "STOPPED")


def has_ended_well(world, send, at):
    """Whether a run of the same request has, with whichever task; that run concluded it."""
    of_the_request = (each for each in world.processes if each.request == send.process.request and each.status == 0)
    return any(send.arrived < each.ended < at + MOMENT for each in of_the_request)


def forgotten(world, mine, send):
    """Whether its record was deleted. What a process has sent itself it knows without the record."""
    deleted = any(how == "delete" and mine.arrived - 1 < when < send.arrived for how, when in world.tampered)
    return deleted and mine.process is not send.process


def is_of_one_request(one, other):
    return one.process.request == other.process.request and one.started_by == other.started_by


def foreign(first, send):
    return "the agent had shown it" if first.shown <= send.process.last_look(send.arrived) < first.over else None


def ran_and_over(world, first, send):
    mine = first.send
    may = spoiled(world, mine, send.arrived) or concluded(world, first, send.arrived) or staying.was_kept(world, first, send.arrived)
    if may or not is_of_one_request(mine, send):
        return None
    knowable = on_record(world, mine, send.arrived) or ("DescribeTasks" in world.schedule.allowed and not world.schedule.read_faults)
    return "it ran, and no run that has ended well concluded it" if knowable else None


def concluded(world, first, at):
    """Whether such a run may have concluded it: one of the unit, or the one that started it."""
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


def hidden(world, first, send):
    mine, at = first.send, send.arrived
    if forgotten(world, mine, send) or replaced(world, mine, at):
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
    """Whether its response reached a process that lived long enough to record it, and nothing happened to the record."""
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


# --- no false success ---


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
        died = [each for each in tasks if each.over <= process.ended and (each.ran > each.over or not is_known_to_run(world, each))]
        return any(each.is_of(definition) for each in died for definition in process.run.definitions)
    faults = schedule.start_faults or schedule.read_faults or schedule.agent_faults or schedule.imds_faults
    hit = faults or world.tampered or any(other.signals for other in world.processes) or schedule.registers_anew_at is not None
    if code == 69:
        return bool(hit)
    slow = any(each.ran - each.placed > 4 for each in tasks) or len(world.processes) > 1
    return code == 75 and bool(hit or slow or world.spoiled)


def is_known_to_run(world, known):
    """Whether somebody tells it who has not seen it: ECS, or the containers that it named in its answer."""
    named = known.send is not None and known.send.answered is not None
    return named or ("DescribeTasks" in world.schedule.allowed and not world.schedule.read_faults)


def never_well(world):
    """Once all faults are over, each request exits with 0."""
    last = {process.request: process for process in world.processes if world.healed and process.began >= world.healed}
    for process in last.values():
        if process.status != 0:
            yield Fault("never well", f"process {process.number} ended with {process.status} long after the last fault")
