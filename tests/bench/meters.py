"""What one run of a command costs: time and memory from the kernel, system calls from strace, instructions from callgrind."""

import os
import re
import subprocess
import time

CALL = re.compile(r"^\d+ +(\w+)\((.*)", re.MULTILINE)
FORKS = {"clone", "clone3", "fork", "vfork"}
QUIET = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def costs(command, environment, directory):
    """(status, wall and CPU seconds of the whole process tree)."""
    began = time.monotonic()
    status, used = wait(subprocess.Popen(command, env=environment, cwd=directory, **QUIET))
    return status, {"wall_s": time.monotonic() - began, "cpu_s": used.ru_utime + used.ru_stime}


def memory(command, environment, directory):
    """(status, peak KiB of the largest process), by GNU time, as a child's peak begins with that of its parent."""
    peak = directory / "peak"
    timed = ["time", "--quiet", "-f", "%M", "-o", peak, *command]
    status = subprocess.run(timed, env=environment, cwd=directory, **QUIET).returncode
    return status, {"memory_kib": int(peak.read_text().split()[-1])}


def wait(child):
    """The exit code and what the child and all its children have used."""
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return child.returncode, used


def calls(command, environment, directory):
    """(status, system calls of the whole process tree, processes started in it)."""
    trace = directory / "trace"
    traced = ["strace", "-f", "-qq", "-o", trace, *command]
    status = subprocess.run(traced, env=environment, cwd=directory, **QUIET).returncode
    found = CALL.findall(trace.read_text(errors="replace"))
    processes = [name for name, arguments in found if name in FORKS and "CLONE_THREAD" not in arguments]
    return status, {"system_calls": len(found), "processes": len(processes)}


def instructions(command, environment, directory):
    """(status, instructions executed in user space)."""
    counted = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", f"--log-file={directory / 'valgrind'}"]
    status = subprocess.run([*counted, *command], env=environment, cwd=directory, **QUIET).returncode
    return status, int(re.search(r"Collected : (\d+)", (directory / "valgrind").read_text())[1])
