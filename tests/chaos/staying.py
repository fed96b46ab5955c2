"""What must hold of a process that stays, beside what holds of all.

- It stays: it ends by itself only when no task of its first start ran, or when another process stays already; that one is then
  no keeper, and nothing of this is demanded of it.
- It brings back what ran and ended, and nothing that ended well or by a user's hand where RESTART is on-failure and ECS tells.
- The brake: at least 5 s after the second death in a row, 10 s after the third, 20 s after the fourth, by the half of each pause
  that is not random. A task that the program stopped itself is no death.
- Nothing is started while the instance leaves: by IMDS, a moment after IMDS says so; by ECS, where the role may ask, when it
  drains already at one of the first deaths.
- It stops its own tasks only, when WHEN_DRAINING says so, while the instance is taken away, and after all others unless a spot
  instance has a minute left. It does stop them, where nothing else goes wrong.
"""

from .fault import Fault

#: IMDS and, while the instance leaves, the agent are asked at least as often as this; the agent's list otherwise.
POLL, LIST = 5.5, 11
#: A StartTask or a question to ECS without an answer holds everything up for so long.
HUNG = 8
#: The least pauses by the number of deaths in a row, and the longest.
LEAST, MOST = {2: 5, 3: 10, 4: 20}, {1: 0, 2: 10, 3: 20, 4: 40}
#: On a busy machine everything may be so much later.
BUSY = 12
#: A task that ran for so long was seen running.
SEEN = 3
#: Before a spot instance is taken away, our tasks get so long.
SPOT_MINUTE = 60
#: How an instance leaves that takes our tasks with it, and how IMDS tells it.
TAKEN = ("Terminated", "spot", "DRAINING")
TOLD_BY_IMDS = {"Terminated": "lifecycle_state", "Standby": "lifecycle_state", "spot": "spot_action"}


def faults(world, tasks):
    for process in world.processes:
        if process.run.stays:
            yield from stays(world, process)
    for process in filter(lambda process: is_keeper(world, process), world.processes):
        yield from started_while_leaving(world, process)
        for definition in process.run.definitions:
            kept = [each for each in tasks if each.send and each.send.process is process and each.send.definition == definition]
            yield from braked(world, process, kept)
            yield from brought_back(world, process, kept)
            yield from not_kept(world, tasks, process, kept)
            yield from not_stopped(world, tasks, process, kept)
    for stop in world.stops:
        yield from wrong_stop(world, tasks, stop)


def others_that_stay(world, process):
    return [
        each for each in world.processes if each is not process and each.run.stays and each.began < process.end and each.end > process.began
    ]


def is_keeper(world, process):
    return process.run.stays and not others_that_stay(world, process)


def was_kept(world, known, at):
    """Whether a process that brings tasks back may have done so with this one."""
    for process in world.processes:
        there = process.began < at and process.end > known.ran
        if process.run.brings_back and there and any(known.is_of(each) for each in process.run.definitions):
            return True
    return False


def stays(world, process):
    if process.status == 0 and not others_that_stay(world, process):
        yield Fault("does not stay", f"process {process.number} ended with 0 though it was to stay")


# --- bringing back ---


def ran_before(kept, at):
    """Tasks that this process knows to have run and that were over by then, without those that it stopped itself."""
    return [each for each in kept if each.send.answered is not None and each.ran < each.over <= at]


def after_deaths(world, kept):
    """Each task that followed others that died on the same container instance, with these."""
    stopped = {stop.arn for stop in world.stops}
    for next_one in kept:
        here = [each for each in kept if each.task.instance == next_one.task.instance]
        before = ran_before(here, next_one.send.arrived)
        if before and before[-1].task.arn not in stopped:
            yield next_one, [each for each in before if each.task.arn not in stopped]


def braked(world, process, kept):
    for next_one, dead in after_deaths(world, kept):
        at, last = next_one.send.arrived, dead[-1]
        noticed = min((look for look in process.looks if look >= last.over), default=last.over)
        if at < noticed + LEAST.get(min(len(dead), max(LEAST)), 0):
            yield Fault("no brake", f"{next_one} came {at - noticed:.2f} s after the end of {last} was seen, death {len(dead)} in a row")


def brought_back(world, process, kept):
    for next_one, dead in after_deaths(world, kept):
        at, last = next_one.send.arrived, dead[-1]
        if process.run.restart == "no":
            yield Fault("brought back", f"{next_one} was started after {last}, which was not to be brought back")
        if process.run.restart == "on-failure" and ended_well(world, last) and ecs_was_asked(world, "DescribeTasks", at):
            yield Fault("brought back", f"{next_one} was started after {last}, which ended well or by a user's hand")
        seen = last.over - last.ran > SEEN
        if seen and drains(world, last.over, at) and ecs_was_asked(world, "DescribeContainerInstances", at):
            yield Fault("leaving", f"{next_one} was started though ECS had the instance as DRAINING at the death of {last}")


def ended_well(world, known):
    return known.task.arn in world.unwanted or world.schedule.exit_code == 0


def ecs_was_asked(world, action, at):
    """At the first three deaths in a row, of which an earlier process may have seen some."""
    few = sum(send.arrived < at for send in world.sends) <= 3
    return few and action in world.schedule.allowed and not is_troubled(world)


def not_kept(world, tasks, process, kept):
    """What died long ago is back, where nothing hindered it."""
    if process.run.restart != "always" or not kept or world.left or is_troubled(world):
        return
    ended, last, deaths = process.end, kept[-1], len(world.sends)
    due = last.over + LIST + MOST.get(deaths, 900) + BUSY
    beside = [each for each in tasks if each is not last and each.task.family == last.task.family and each.over > last.over]
    if ended > due and last.ran < last.over and not beside and not process.signals[:-1]:
        yield Fault("not kept", f"{last} ended at {last.over:.2f} s and was not brought back until {ended:.2f} s")


def is_troubled(world):
    schedule = world.schedule
    faults = schedule.start_faults or schedule.read_faults or schedule.agent_faults or schedule.imds_faults
    return bool(faults or schedule.state_faults or schedule.tampers or schedule.registers_anew_at is not None)


# --- leaving ---


def slack(world):
    """Within this IMDS is asked, whatever else happens."""
    schedule = world.schedule
    hung = HUNG * len(schedule.start_faults + schedule.read_faults)
    return POLL * (1 + len(schedule.imds_faults)) + hung + BUSY


def started_while_leaving(world, process):
    for send in (send for send in world.sends if send.process is process):
        at = send.arrived
        for each in world.left:
            told = any(each.since < when < min(at, each.to) and what == TOLD_BY_IMDS.get(each.how) for when, what in process.told)
            stood_still = any(number == "STOP" for number, *_ in process.signals)
            late = each.how in TOLD_BY_IMDS and at > max(each.since, process.began) + slack(world) and not stood_still
            if at < each.to and (told or late):
                yield Fault("leaving", f"process {process.number} started {send.definition} at {at:.2f} s, {at - each.since:.2f} s after {each.how}")


def drains(world, since, to):
    return any(each.how == "DRAINING" and each.since <= since and to <= each.to for each in world.left)


def wrong_stop(world, tasks, stop):
    known = next((each for each in tasks if each.task.arn == stop.arn), None)
    name = f"process {stop.process.number} stopped {known or stop.arn} at {stop.at:.2f} s"
    taken = [each for each in world.left if each.how in TAKEN and each.since <= stop.at <= until(world, each)]
    if known is None or not known.send:
        yield Fault("stops others", f"{name}, which this program had not started")
    elif not stop.process.run.stops:
        yield Fault("stops", f"{name} though WHEN_DRAINING is keep")
    elif not taken:
        yield Fault("stops", f"{name} though the instance is not taken away")
    elif not any(is_last_minute(each, stop.at) for each in taken):
        yield from not_last(tasks, known, stop, name)


def until(world, leaving):
    """That the instance comes back is seen a moment later, and by ECS's word only when it is asked again."""
    return float("inf") if leaving.how == "DRAINING" else leaving.to + slack(world)


def is_last_minute(leaving, at):
    return leaving.how == "spot" and at >= leaving.since + leaving.notice - SPOT_MINUTE - 1


def not_last(tasks, known, stop, name):
    look = stop.process.last_look(stop.at)
    for other in tasks:
        here = other.task.instance == known.task.instance and not other.leftover
        if not other.send and here and other.shown <= look < other.over:
            yield Fault("not last", f"{name}, and {other} was there still")


def not_stopped(world, tasks, process, kept):
    """Where nothing else goes wrong, the tasks are stopped when the instance is terminated and nobody else is there."""
    one = len(process.run.definitions) == 1 and not process.signals[:-1]
    if not process.run.stops or "StopTask" not in world.schedule.allowed or is_troubled(world) or not one:
        return
    for leaving in world.left:
        by = max(leaving.since, process.began) + 2 * POLL + LIST + BUSY
        if leaving.how not in ("Terminated", "spot") or by > min(process.end, leaving.to):
            continue
        for each in kept:
            alone = not any(other.over > by - LIST - BUSY for other in tasks if not other.send and not other.leftover)
            if each.ran < by - LIST - BUSY and each.over > by and alone and reported(process):
                yield Fault("not stopped", f"{each} runs on at {by:.2f} s, and the instance was taken away at {leaving.since:.2f} s")


def reported(process):
    return bool(process.stdout)
