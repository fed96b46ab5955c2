"""What may happen to an instance: drawn from a seed, and printed in full if the schedule fails.

Times are seconds since the beginning; those of a task's life, since its placement; those of a signal, since its trigger.
"""

import random
from dataclasses import dataclass, field, replace

from standin.instance import RUNS

FAMILY, OTHER = "my_task_def", "log_agent"
#: What only others start.
APP = "my_task_def_extra"
#: What a run may ask for; the second definition's revisions are 1 to 3.
DEFINITIONS = (FAMILY, f"{FAMILY}:3", f"{FAMILY}:2", OTHER)

#: Faults of StartTask: before or after the task is placed.
BEFORE = ("throttled", "AGENT", "RESOURCE:CPU", "lost-before", "500-before", "hangs-before")
AFTER = ("lost", "500", "cut", "unreadable", "hangs", "slow", "late")
OF_READS = ("500", "lost", "throttled")
OF_THE_AGENT = ("500", "lost", "garbage", "cut", "empty", "500-with-a-list")
OF_IMDS = ("500", "lost", "401")
#: How an instance leaves: by IMDS, and by what ECS calls it.
LEAVING = ("Terminated", "Terminated", "Standby", "spot", "DRAINING", "DRAINING")
#: A spot action comes so long before the end; at some time our tasks cannot wait for others any more.
SPOT_NOTICE = (120, 75)


@dataclass(frozen=True)
class Signal:
    number: str  # KILL, TERM, STOP
    trigger: str  # start, sent (StartTask has arrived), answered (its answer has gone)
    nth: int  # of these
    delay: float
    lasts: float = 0  # of STOP


@dataclass(frozen=True)
class Run:
    at: float
    definitions: tuple
    started_by: str | None
    unit: bool
    restarts: int
    timeout: int
    signals: tuple
    waits: bool = True
    guarded: bool = True  # ECS_START_TASK_IF_RUNNING=skip
    restart: str = "no"
    stops: bool = False  # ECS_START_TASK_WHEN_DRAINING=stop

    @property
    def brings_back(self):
        return self.restart != "no"

    @property
    def stays(self):
        return self.brings_back or self.stops


@dataclass(frozen=True)
class Foreign:
    at: float
    definition: str
    life: tuple
    leftover: bool = False  # of the previous boot


@dataclass(frozen=True)
class Tamper:
    """Something happens to all records: at a time, or so long after the nth StartTask has arrived."""

    how: str  # cut, garble, empty, delete
    trigger: str  # time, sent
    nth: int
    delay: float


@dataclass(frozen=True)
class UserStop:
    """Somebody calls StopTask for every task of the family that is there, whose containers run on for a while."""

    at: float
    family: str
    lasts: float


@dataclass(frozen=True)
class Leaving:
    """The instance leaves, and stays all the same when that is cancelled."""

    since: float
    to: float
    how: str
    notice: int = 0  # of a spot action


@dataclass
class Schedule:
    seed: int
    allowed: frozenset = frozenset()
    lives: dict = field(default_factory=dict)  # by family, one task after the other
    start_faults: list = field(default_factory=list)
    read_faults: list = field(default_factory=list)
    agent_faults: list = field(default_factory=list)  # (from, to, which)
    imds_faults: list = field(default_factory=list)
    runs: list = field(default_factory=list)
    foreign: list = field(default_factory=list)
    tampers: list = field(default_factory=list)
    state_faults: list = field(default_factory=list)  # (from, to, full or read-only)
    registers_anew_at: float | None = None
    ecs_lag: float = 0
    dies_early: bool = False  # of a task that dies the agent lists only a container that had started
    leaving: list = field(default_factory=list)
    user_stops: list = field(default_factory=list)
    exit_code: int = 1

    def __str__(self):
        return "\n".join(f"  {name} = {value}" for name, value in vars(self).items() if value)


def some(rng, probability, most=1):
    """How many, often none."""
    return rng.randint(1, most) if rng.random() < probability else 0


def seconds(rng, least, most):
    return round(rng.uniform(least, most), 2)


def life(rng):
    """Shown at once, late, or after the watch is over; then it runs, runs and exits, or dies."""
    shown = rng.choices([0.05, seconds(rng, 0.5, 6), seconds(rng, 6, 14), seconds(rng, 16, 20)], [8, 6, 3, 1])[0]
    after = rng.choices([0.1, seconds(rng, 0.5, 4)], [3, 1])[0]
    if rng.random() < 0.2:
        return ((shown, "PENDING"), (shown + after, "STOPPED"))
    runs = ((shown, "PENDING"), (shown + after, "RUNNING"))
    if rng.random() < 0.25:
        return (*runs, (shown + after + rng.choice([0.3, seconds(rng, 1, 8)]), "STOPPED"))
    return runs


def signals(rng):
    drawn = []
    for _ in range(some(rng, 0.45, 2)):
        number = rng.choices(["KILL", "TERM", "STOP"], [5, 2, 3])[0]
        trigger = rng.choices(["start", "sent", "answered"], [1, 3, 3])[0]
        delay = rng.choice([0, seconds(rng, 0, 0.3), seconds(rng, 0, 4), seconds(rng, 4, 16)])
        drawn.append(Signal(number, trigger, rng.choice([1, 1, 1, 2]), delay, seconds(rng, 0.5, 8) if number == "STOP" else 0))
    return tuple(drawn)


def runs(rng):
    """One to three at nearly the same time or one after the other, of the unit and by hand."""
    first = rng.choices(DEFINITIONS, [6, 2, 1, 1])[0]
    drawn = []
    for number in range(rng.choices([1, 2, 3], [3, 5, 2])[0]):
        wanted = first if number == 0 or rng.random() < 0.6 else rng.choice(DEFINITIONS)
        several = rng.random() < 0.15 and not wanted.startswith(OTHER)
        unit = rng.random() < (0.7 if number == 0 else 0.4)
        at = 0 if number == 0 else rng.choice([0, seconds(rng, 0, 1), seconds(rng, 0, 12), seconds(rng, 8, 25)])
        drawn.append(
            Run(
                at,
                (wanted, OTHER) if several else (wanted,),
                "other" if number and rng.random() < 0.15 else None,
                unit,
                rng.choice([1, 2, 3]) if unit else 0,
                rng.choice([6, 12, 20, 20, 30]),
                signals(rng),
                waits=rng.random() > 0.12,
                guarded=rng.random() > 0.12,
            )
        )
    return drawn


def foreign(rng):
    definition = rng.choice([FAMILY, FAMILY, f"{FAMILY}:3", f"{FAMILY}:2", OTHER])
    if rng.random() < 0.3:
        return Foreign(0, definition, ((0, "RUNNING"), (seconds(rng, 0.5, 12), "STOPPED")), True)
    if rng.random() < 0.4:
        return Foreign(seconds(rng, 0, 10), definition, ((0, "STOPPED"),))
    return Foreign(rng.choice([0, seconds(rng, 0, 15)]), definition, life(rng))


def windows(rng, kinds, count, longest):
    drawn = []
    for _ in range(count):
        begins = rng.choice([0, seconds(rng, 0, 20)])
        drawn.append((begins, round(begins + seconds(rng, 0.5, longest), 2), rng.choice(kinds)))
    return drawn


def tamper(rng):
    how = rng.choice(["cut", "garble", "empty", "delete"])
    if rng.random() < 0.5:
        return Tamper(how, "time", 0, seconds(rng, 0.2, 20))
    return Tamper(how, "sent", rng.choice([1, 1, 2]), rng.choice([0, seconds(rng, 0, 1), seconds(rng, 0, 12)]))


def anything(rng, seed):
    return Schedule(
        seed,
        frozenset(each for each in ("ListTasks", "DescribeTasks") if rng.random() < 0.35),
        {family: [life(rng) for _ in range(3)] for family in (FAMILY, OTHER)},
        [rng.choice(AFTER if rng.random() < 0.65 else BEFORE) for _ in range(some(rng, 0.7, 3))],
        [rng.choice(OF_READS) for _ in range(some(rng, 0.3, 3))],
        windows(rng, OF_THE_AGENT, some(rng, 0.3, 2), 8),
        [rng.choice(OF_IMDS) for _ in range(some(rng, 0.15, 3))],
        runs(rng),
        [foreign(rng) for _ in range(some(rng, 0.3, 2))],
        [tamper(rng) for _ in range(some(rng, 0.2, 2))],
        windows(rng, ("full", "read-only"), some(rng, 0.2, 2), 6),
        seconds(rng, 0.5, 12) if rng.random() < 0.08 else None,
        rng.choice([0, 0, 1.5]),
        rng.random() < 0.5,
    )


def a_question(rng, seed):
    """A response is lost and its task hidden, while a second run waits for the lock and the first one dies or hangs."""
    drawn = anything(rng, seed)
    drawn.start_faults = [rng.choice(AFTER), *drawn.start_faults[:1]]
    hidden = rng.choice([seconds(rng, 3, 9), seconds(rng, 9, 15), seconds(rng, 16, 20)])
    drawn.lives[FAMILY][0] = ((hidden, "PENDING"), (hidden + 0.1, "RUNNING"))
    wanted = rng.choice(DEFINITIONS[:3])
    others = [rng.choice((wanted, wanted, FAMILY, f"{FAMILY}:3")) for _ in range(rng.choice([1, 1, 2]))]
    hit = Signal(rng.choice(["KILL", "KILL", "TERM", "STOP"]), rng.choice(["sent", "answered"]), 1, seconds(rng, 0, 17), seconds(rng, 1, 9))
    drawn.runs = [Run(0, (wanted,), None, rng.random() < 0.5, 2, 30, (hit,))]
    drawn.runs += [Run(seconds(rng, 0, 3), (each,), None, rng.random() < 0.5, 2, 30, signals(rng)) for each in others]
    return drawn


def a_job(rng, seed):
    """A job that ran and exited, in a unit that cannot succeed yet, and runs by hand in between."""
    drawn = anything(rng, seed)
    ends = rng.choice([0.3, seconds(rng, 0.3, 3)])
    drawn.lives[OTHER] = [((0.05, "PENDING"), (0.1, "RUNNING"), (0.1 + ends, "STOPPED"))] * 3
    slow = seconds(rng, 8, 20)
    drawn.lives[FAMILY][0] = ((0.05, "PENDING"), (slow, "RUNNING"))
    drawn.start_faults = [rng.choice(AFTER + BEFORE) for _ in range(some(rng, 0.3, 2))]
    drawn.runs = [Run(0, (OTHER, FAMILY), None, True, 3, 6, signals(rng))]
    for _ in range(rng.choice([1, 2])):
        wanted, by = rng.choice([((OTHER,), None), ((OTHER,), "other"), ((OTHER, FAMILY), None)])
        drawn.runs.append(Run(seconds(rng, 2, 15), wanted, by, rng.random() < 0.2, 1, 6, signals(rng)))
    return drawn


def strangers(rng, seed):
    """Other tasks of the family, of any revision and fate, appear while a response is missing."""
    drawn = anything(rng, seed)
    drawn.start_faults = [rng.choice(AFTER) for _ in range(rng.choice([1, 2]))]
    drawn.foreign = [foreign(rng), *(Foreign(seconds(rng, 0, 6), FAMILY, ((0, "STOPPED"),)) for _ in range(some(rng, 0.6)))]
    return drawn


def short_life(rng):
    """Mostly it dies before long."""
    shown = rng.choices([0.05, seconds(rng, 0.5, 6)], [5, 1])[0]
    runs = ((shown, "PENDING"), (shown + 0.1, "RUNNING"))
    died = (shown + 0.1 + rng.choice([0.3, seconds(rng, 1, 6), seconds(rng, 4, 15)]), "STOPPED")
    return rng.choices([(*runs, died), runs, (runs[0], (shown + 0.1, "STOPPED"))], [8, 3, 1])[0]


def hits(rng, probability):
    """What kills a process that stays, or makes it hang."""
    drawn = []
    for _ in range(some(rng, probability, 2)):
        number = rng.choices(["KILL", "TERM", "STOP"], [5, 2, 2])[0]
        trigger = rng.choices(["start", "sent", "answered"], [3, 2, 2])[0]
        delay = rng.choice([seconds(rng, 0, 0.5), seconds(rng, 0, 12), seconds(rng, 8, 30)])
        drawn.append(Signal(number, trigger, rng.choice([1, 1, 2]), delay, seconds(rng, 1, 8) if number == "STOP" else 0))
    return tuple(drawn)


def staying(rng, wanted, signals=(), **more):
    restart = rng.choices(["always", "on-failure"], [3, 2])[0]
    return Run(0, wanted, None, True, 3, rng.choice([12, 20, 30]), signals, restart=restart, stops=rng.random() < 0.4, **more)


def that_stays(rng, seed):
    """A unit that stays, on a host with few faults."""
    drawn = anything(rng, seed)
    more = {"StopTask": 0.85, "DescribeTasks": 0.6, "DescribeContainerInstances": 0.7}
    drawn.allowed |= {each for each, probability in more.items() if rng.random() < probability}
    drawn.lives = {family: [short_life(rng) for _ in range(3)] for family in (FAMILY, OTHER)}
    drawn.start_faults = [rng.choice(AFTER + BEFORE) for _ in range(some(rng, 0.3, 2))]
    drawn.read_faults, drawn.imds_faults = drawn.read_faults[:1], drawn.imds_faults[:1]
    drawn.exit_code = rng.choice([1, 1, 0])
    drawn.state_faults = drawn.state_faults if rng.random() < 0.3 else []
    drawn.tampers = drawn.tampers if rng.random() < 0.5 else []
    return drawn


def deaths(rng, seed):
    """Tasks that are kept die, as does their keeper; others start, stop and look."""
    drawn = that_stays(rng, seed)
    wanted = rng.choice([(FAMILY,), (FAMILY,), (f"{FAMILY}:3",), (FAMILY, OTHER)])
    drawn.runs = [staying(rng, wanted, hits(rng, 0.6), guarded=rng.random() > 0.1)]
    if rng.random() < 0.5:
        at, hand = seconds(rng, 1, 30), rng.choice([wanted, wanted, (FAMILY,)])
        drawn.runs.append(rng.choice([Run(at, hand, None, False, 0, 12, ()), replace(staying(rng, wanted), at=at, unit=False, restarts=0)]))
    drawn.foreign = [foreign(rng) for _ in range(some(rng, 0.3))]
    if rng.random() < 0.4:
        # Somebody else brings one back first, as a service does.
        first_end = drawn.lives[FAMILY][0][-1][0]
        drawn.foreign.append(Foreign(round(first_end + seconds(rng, 0, 10), 2), FAMILY, ((0, "PENDING"), (0.1, "RUNNING"))))
    drawn.user_stops = [UserStop(seconds(rng, 2, 30), FAMILY, rng.choice([0.1, seconds(rng, 1, 15)])) for _ in range(some(rng, 0.3))]
    return drawn


def a_departure(rng, seed):
    """The instance leaves while tasks are kept, and some tasks of others end before ours may; or it comes back."""
    drawn = that_stays(rng, seed)
    drawn.registers_anew_at = None
    drawn.lives = {FAMILY: [rng.choice([life(rng), RUNS, RUNS]), short_life(rng), RUNS], OTHER: [RUNS]}
    run = staying(rng, rng.choice([(FAMILY,), (FAMILY, OTHER)]), hits(rng, 0.25))
    restart, stops = rng.choice([(run.restart, False), (run.restart, True), (run.restart, True), ("no", True)])
    drawn.runs = [replace(run, restart=restart, stops=stops)]
    how, since = rng.choice(LEAVING), rng.choice([0, seconds(rng, 1, 15)])
    to = round(since + seconds(rng, 8, 15), 2) if rng.random() < 0.3 else 1000
    drawn.leaving = [Leaving(since, to, how, rng.choice(SPOT_NOTICE))]
    # A DAEMON's never ends by itself.
    ends = [rng.choice([seconds(rng, 0, 8), seconds(rng, 5, 15), 1000]) for _ in range(rng.choice([0, 1, 1, 2]))]
    apps = [Foreign(0, rng.choice([APP, APP, OTHER, FAMILY]), ((0, "RUNNING"), (since + end, "STOPPED"))) for end in ends]
    drawn.foreign = [*apps, *(foreign(rng) for _ in range(some(rng, 0.1)))]
    drawn.user_stops = [UserStop(since + seconds(rng, 0, 3), APP, seconds(rng, 0.1, 6))] if rng.random() < 0.7 else []
    return drawn


KINDS = {anything: 5, a_question: 3, a_job: 2, strangers: 2, deaths: 4, a_departure: 4}


def draw(seed):
    rng = random.Random(seed)
    return rng.choices(list(KINDS), list(KINDS.values()))[0](rng, seed)
