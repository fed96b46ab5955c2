"""One schedule: a host, the runs on it, and what happens to them and to their records.

The rule: everything that the judge needs is recorded as it happens, by the clock of this process and on the side of the services.
Of what the program itself reports, only the exit code and the result are used.
"""

import asyncio
import json
import math
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone

from standin.agent import Agent
from standin.answers import HANG_UP, SERVER_ERROR, THROTTLED, as_json, failure, stall
from standin.ecs import Ecs
from standin.imds import Imds, refusal
from standin.instance import NEVER, RUNS, Container, Instance
from standin.task import beginning
from standin.wire import Answer
from situations import BOOT

from .filesystem import FileSystem
from .schedule import Run, Signal
from .wire import Port

#: Longer than the program waits for a response from ECS.
HANGS = 7
#: How late a task is placed if its StartTask was cut off.
LATE = 4
#: systemd waits 30 s.
RESTART_AFTER = 0.3
NOT_RESTARTED = (0, 2, 78)
#: How much longer than its timeout a run may take: the last request in doubt, and the unit's first two pauses.
GRACE, PAUSES = 25, 70
#: The containers of a task that died before all of them were created.
DIED_EARLY = (Container("init", started=0), Container("main", created=NEVER, started=NEVER))
#: When the unit and all that stay are stopped, so that no schedule waits for a long pause.
STOPPED_AT = 45
#: Once all faults are over, each request is made by hand until it succeeds, at most so many times.
LAST_ATTEMPTS, LAST_TIMEOUT = 3, 45

OF_THE_AGENT = {
    "500": Answer(500),
    "lost": HANG_UP,
    "garbage": Answer(body=b"\x00garbage"),
    "empty": as_json({}),
    "500-with-a-list": as_json({"Tasks": []}, 500),
}
OF_READS = {"500": SERVER_ERROR, "lost": HANG_UP, "throttled": THROTTLED}
OF_IMDS = {"500": refusal(500), "lost": HANG_UP, "401": refusal(401)}
INSTEAD = {"throttled": THROTTLED, "lost-before": HANG_UP, "500-before": SERVER_ERROR, "hangs-before": stall(HANGS)}
AFTERWARDS = {"lost": HANG_UP, "500": SERVER_ERROR, "unreadable": Answer(body=b"{}"), "hangs": stall(HANGS)}


@dataclass
class Send:
    """A StartTask that arrived."""

    process: "Process"
    definition: str
    started_by: str
    arrived: float
    fault: str | None
    task: object = None
    answered: float | None = None  # when an answer that names the task has gone


@dataclass
class Process:
    """One execution of the program."""

    run: Run
    number: int
    began: float
    arn: str  # of the container instance when it began
    ended: float | None = None
    status: int | None = None
    stdout: str = ""
    overdue: bool = False
    looks: list = field(default_factory=list)  # when it was given a list of tasks
    told: list = field(default_factory=list)  # (when, what) IMDS told it of the instance's leaving
    signals: list = field(default_factory=list)  # (number, from, to)
    popen: object = None

    @property
    def request(self):
        return self.run.definitions, self.run.started_by

    @property
    def end(self):
        return math.inf if self.ended is None else self.ended

    def last_look(self, at):
        """When it was given the last list of tasks before that."""
        return max((look for look in self.looks if look < at), default=-math.inf)


@dataclass
class Stop:
    """A StopTask of the program that arrived."""

    process: Process
    arn: str
    at: float


class World:
    def __init__(self, schedule, directory, binary, notify):
        self.schedule, self.directory, self.binary, self.notify = schedule, directory, binary, notify
        self.state = directory / "state"
        self.state.mkdir(parents=True, mode=0o700)
        self.instance = Instance(lives={family: [*lives, RUNS] for family, lives in schedule.lives.items()})
        self.instance.ecs_lag = schedule.ecs_lag
        self.metadata = Imds()
        self.metadata.allowed |= schedule.allowed
        self.services = {"agent": Agent(self.instance), "imds": self.metadata, "ecs": Ecs(self.instance, self.metadata, time.time)}
        self.faults = {name: list(getattr(schedule, f"{name}_faults")) for name in ("start", "read", "imds")}
        self.began = time.monotonic()
        self.healed = None
        self.sends, self.processes, self.listed, self.tampered, self.spoiled = [], [], [], [], []
        self.stops, self.unwanted = [], {}  # when a task was told to stop, by its ARN
        self.left = []  # what came of schedule.leaving, by this clock
        self.sent_by, self.notes, self.background = {}, [], set()
        self.file_system = FileSystem(self.state) if schedule.state_faults else None

    def now(self):
        return time.monotonic() - self.began

    def note(self, text):
        self.notes.append(f"{self.now():7.3f} s  {text}")

    def later(self, seconds, action, *arguments):
        async def wait():
            await asyncio.sleep(seconds)
            action(*arguments)

        task = asyncio.create_task(wait())
        self.background.add(task)
        task.add_done_callback(self.background.discard)

    # --- the services ---

    async def exchange(self, process, request):
        service = self.services[request.service]
        request.operation = service.operation(request)
        if request.operation == "StartTask":
            return await self.start_task(process, request)
        fault = self.fault_of(request)
        if request.operation == "StopTask":
            self.program_stops(process, json.loads(request.body)["task"])
        answer = fault if fault else service.answer(request)
        if fault == "cut":
            answer = service.answer(request)
            answer = replace(answer, cut=len(answer.body) // 2)
        elif not fault and request.operation == "tasks":
            process.looks.append(self.now())
        elif not fault and request.operation in ("lifecycle_state", "spot_action"):
            process.told.append((self.now(), request.operation))
        elif not fault and request.operation == "ListTasks":
            self.listed.append(self.now())
        if request.service == "ecs":
            self.note(f"process {process.number}: {request.operation} -> {answer}")
        return answer

    def fault_of(self, request):
        if self.healed:
            return None
        if request.service == "agent":
            found = [which for since, to, which in self.schedule.agent_faults if since <= self.now() < to]
            return OF_THE_AGENT.get(found[0], found[0]) if found else None
        if request.service == "ecs":
            return OF_READS[self.faults["read"].pop(0)] if self.faults["read"] else None
        return OF_IMDS[self.faults["imds"].pop(0)] if self.faults["imds"] else None

    def program_stops(self, process, arn):
        self.stops.append(Stop(process, arn, self.now()))
        self.unwanted.setdefault(arn, self.now())

    async def start_task(self, process, request):
        fault = self.faults["start"].pop(0) if self.faults["start"] and not self.healed else None
        body = json.loads(request.body)
        send = Send(process, body["taskDefinition"], body.get("startedBy", ""), self.now(), fault)
        self.sends.append(send)
        self.happened("sent", process)
        self.note(f"process {process.number}: StartTask {send.definition} arrives, fault {fault}")
        await asyncio.sleep(0)
        if fault in ("AGENT", "RESOURCE:CPU"):
            return failure(fault)(request, None)
        if fault in INSTEAD:
            return INSTEAD[fault]
        if fault == "late":
            self.later(LATE, self.place, send, request)
            return HANG_UP
        answer = self.place(send, request)
        if fault in AFTERWARDS:
            return AFTERWARDS[fault]
        if fault == "cut":
            return replace(answer, cut=60)
        delay = 2 if fault == "slow" else 0
        self.later(delay, self.has_answered, send, answer)
        return replace(answer, delay=delay)

    def place(self, send, request):
        before = len(self.instance.tasks)
        answer = self.services["ecs"].answer(request)
        if len(self.instance.tasks) > before:
            send.task = self.instance.tasks[-1]
            self.settle(send.task)
            self.note(f"task {send.task.arn[-6:]} of {send.task.family}:{send.task.revision} placed, lives {send.task.life}")
        else:
            self.note(f"nothing placed: {answer}")
        return answer

    def settle(self, task):
        early = self.schedule.dies_early and beginning(task.life, "RUNNING") == NEVER
        task.containers = DIED_EARLY if early else (Container(exit_code=self.schedule.exit_code),)

    def has_answered(self, send, answer):
        if send.task:
            send.answered = self.now()
        self.happened("answered", send.process)

    # --- what happens to the runs ---

    def happened(self, trigger, process):
        """Signals and damaged records that are triggered by this."""
        count = self.sent_by[process.run, trigger] = self.sent_by.get((process.run, trigger), 0) + 1
        for each in process.run.signals:
            if (each.trigger, each.nth) == (trigger, count) and not self.healed:
                self.later(each.delay, self.signal, process, each)
        for each in self.schedule.tampers:
            if (each.trigger, each.nth) == (trigger, len(self.sends)) and not self.healed:
                self.later(each.delay, self.tamper, each.how)

    def signal(self, process, drawn):
        if process.popen is None or process.popen.poll() is not None or self.healed:
            return
        self.note(f"process {process.number}: SIG{drawn.number}, {drawn.lasts} s")
        process.signals.append((drawn.number, self.now(), self.now() + drawn.lasts))
        process.popen.send_signal(getattr(signal, f"SIG{drawn.number}"))
        if drawn.number == "STOP":
            self.later(drawn.lasts, process.popen.send_signal, signal.SIGCONT)

    def records(self):
        return [path for path in self.state.rglob("*") if path.is_file() and path.name not in ("lock", "keeper", "filler")]

    def tamper(self, how):
        if self.healed:
            return
        for path in self.records():
            try:
                tampering(how, path)
                self.tampered.append((how, self.now()))
                self.note(f"{path.name}: {how}")
            except OSError as error:
                self.note(f"{path.name}: {how} failed: {error}")

    async def spoil(self, since, to, how):
        await asyncio.sleep(since - self.now())
        self.note(f"the state directory is {how}")
        begun = self.now()
        self.spoiled.append((begun, math.inf))
        self.file_system.spoil(how)
        await asyncio.sleep(to - since)
        self.file_system.restore(how)
        self.spoiled[-1] = (begun, self.now() + 1)
        self.note(f"the state directory is {how} no more")

    async def spoil_in_turn(self):
        """One after the other, as they may overlap."""
        for since, to, how in sorted(self.schedule.state_faults):
            await self.spoil(since, to, how)

    def appear(self, foreign):
        more = {"created": BOOT - 3600} if foreign.leftover else {}
        task = self.instance.place(foreign.definition, "ecs-svc/1", life=foreign.life, **more)
        task.leftover = foreign.leftover
        self.settle(task)
        self.note(f"foreign task {task.arn[-6:]} of {task.family}:{task.revision}, lives {task.life}, leftover: {foreign.leftover}")

    def user_stops(self, drawn):
        for task in self.instance.known():
            if task.family == drawn.family and task.status() != "STOPPED" and not self.healed:
                task.stop("a user", drawn.lasts)
                self.unwanted.setdefault(task.arn, self.now())
                self.note(f"a user stops task {task.arn[-6:]}, which takes {drawn.lasts} s")

    def leave(self, drawn):
        if drawn.how == "spot":
            at = datetime.now(timezone.utc) + timedelta(seconds=drawn.notice)
            self.metadata.spot_action = {"action": "terminate", "time": at.strftime("%Y-%m-%dT%H:%M:%SZ")}
        elif drawn.how == "DRAINING":
            self.instance.status = "DRAINING"
        else:
            self.metadata.lifecycle_state = drawn.how
        self.left.append(replace(drawn, since=self.now(), to=math.inf))
        self.note(f"the instance leaves: {drawn.how}")

    def come_back(self):
        self.metadata.lifecycle_state, self.metadata.spot_action, self.instance.status = "InService", None, "ACTIVE"
        self.left = [replace(each, to=min(each.to, self.now())) for each in self.left]
        self.note("the instance is in service")

    def register_anew(self):
        self.instance.register_anew()
        self.note(f"registered anew as {self.instance.id}")

    # --- the runs ---

    async def play(self):
        for foreign in self.schedule.foreign:
            self.later(foreign.at, self.appear, foreign)
        for each in self.schedule.tampers:
            if each.trigger == "time":
                self.later(each.delay, self.tamper, each.how)
        if self.schedule.registers_anew_at is not None:
            self.later(self.schedule.registers_anew_at, self.register_anew)
        for each in self.schedule.user_stops:
            self.later(each.at, self.user_stops, each)
        for each in self.schedule.leaving:
            self.later(each.since, self.leave, each)
            self.later(each.to, self.come_back)
        try:
            await asyncio.gather(self.spoil_in_turn(), *map(self.in_turn, self.schedule.runs))
            await self.heal()
        finally:
            for task in list(self.background):
                task.cancel()
            if self.file_system:
                self.file_system.close()

    async def in_turn(self, run):
        """A run, and its restarts when it is the unit's."""
        await asyncio.sleep(run.at)
        for _ in range(run.restarts + 1):
            if self.now() > STOPPED_AT:
                return
            process = await self.execute(run)
            if not run.unit or process.status in NOT_RESTARTED:
                return
            await asyncio.sleep(RESTART_AFTER)

    async def heal(self):
        """All faults are over: what each request comes to when it is made by hand once more."""
        await asyncio.sleep(max([0, *(foreign.at - self.now() for foreign in self.schedule.foreign)]))
        if self.schedule.registers_anew_at is not None:
            await asyncio.sleep(max(0, self.schedule.registers_anew_at + 0.1 - self.now()))
        self.note("all faults are over")
        self.healed = self.now()
        if self.schedule.leaving:
            self.come_back()
        self.instance.lives.clear()
        for definitions, started_by in dict.fromkeys((run.definitions, run.started_by) for run in self.schedule.runs):
            run = Run(self.now(), definitions, started_by, False, 0, LAST_TIMEOUT, ())
            for _ in range(LAST_ATTEMPTS):
                process = await self.execute(run)
                if process.status == 0:
                    break

    async def execute(self, run):
        process = Process(run, len(self.processes) + 1, self.now(), self.instance.arn)
        self.processes.append(process)
        ports = [
            await Port(name, lambda request: self.exchange(process, request)).open() for name in ("agent", "imds", "ecs")
        ]
        out = self.directory / f"{process.number}.out"
        with out.open("wb") as stdout, (self.directory / f"{process.number}.err").open("wb") as stderr:
            command = [self.binary, *[text for each in run.definitions for text in ("-t", each)], "-v"]
            if run.started_by:
                command += ["--started-by", run.started_by]
            process.popen = subprocess.Popen(
                command, env=self.settings(process, ports), cwd=self.directory, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr
            )
        self.note(f"process {process.number} begins: {run.definitions} by {run.started_by}, {'unit' if run.unit else 'by hand'}")
        if run.unit or run.stays:
            self.later(max(0, STOPPED_AT - self.now()), self.signal, process, Signal("TERM", "time", 0, 0))
        self.happened("start", process)
        await self.end_of(process)
        process.ended, process.status, process.stdout = self.now(), process.popen.returncode, out.read_text()
        self.note(f"process {process.number} ends with {process.status}: {process.stdout.strip()}")
        for port in ports:
            port.close()
        return process

    def settings(self, process, ports):
        agent, imds, ecs = (port.url for port in ports)
        notify = {"NOTIFY_SOCKET": self.notify} if process.run.unit else {}
        run = process.run
        changed = {
            "ECS_START_TASK_WAIT": None if run.waits else "none",
            "ECS_START_TASK_IF_RUNNING": None if run.guarded else "start",
            "ECS_START_TASK_RESTART": run.restart if run.brings_back else None,
            "ECS_START_TASK_WHEN_DRAINING": "stop" if run.stops else None,
        }
        return notify | {name: value for name, value in changed.items() if value} | {
            "HOME": str(self.directory),
            "ECS_START_TASK_AGENT_URL": agent,
            "ECS_START_TASK_STATE_DIR": str(self.state),
            "ECS_START_TASK_LOG_FILE": "/dev/null",
            "ECS_START_TASK_TIMEOUT": f"{process.run.timeout}s",
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": imds,
            "AWS_ENDPOINT_URL_ECS": ecs,
        }

    async def end_of(self, process):
        loop, descriptor = asyncio.get_running_loop(), os.pidfd_open(process.popen.pid)
        ended = loop.create_future()
        loop.add_reader(descriptor, lambda: ended.done() or ended.set_result(None))
        limit = process.run.timeout + GRACE + (PAUSES if process.run.unit else 0)
        limit += sum(each.lasts for each in process.run.signals)
        limit += max(0, STOPPED_AT - self.now()) * process.run.stays
        try:
            await asyncio.wait_for(ended, limit)
        except asyncio.TimeoutError:
            process.overdue = True
            process.popen.kill()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
            if process.popen.poll() is None and not process.overdue and not ended.done():
                process.popen.kill()  # this schedule is given up
            process.popen.wait()

    def remove(self):
        shutil.rmtree(self.directory, ignore_errors=True)


def tampering(how, path):
    if how == "delete":
        path.unlink()
    elif how == "cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        path.write_bytes(b"" if how == "empty" else b"\x00{garbage")
