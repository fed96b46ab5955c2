"""make bench: one run of the program beside the page's own commands, against the same stand-in, in turn.

Wall and CPU time are the whole process tree's, peak memory is that of its largest process (GNU time's %M). Both do the
same work: find out who the instance is, get the role's credentials, send StartTask; neither waits for the task to run.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .host import Host
from .program import BINARY, ROOT, Program

PAGE = """
until curl -s $AGENT/v1/metadata; do sleep 1; done
instance_arn=$(curl -s $AGENT/v1/metadata | jq -r '. | .ContainerInstanceArn' | awk -F/ '{print $NF}' )
cluster=$(curl -s $AGENT/v1/metadata | jq -r '. | .Cluster' | awk -F/ '{print $NF}' )
region=$(curl -s $AGENT/v1/metadata | jq -r '. | .ContainerInstanceArn' | awk -F: '{print $4}')
task_definition=my_task_def
aws ecs start-task --cluster $cluster --task-definition $task_definition --container-instances $instance_arn \
  --started-by $instance_arn --region $region
"""
NEEDED = ("bash", "curl", "jq", "awk", "time")
#: The most that the program may use of what the page's commands use, and its largest size in bytes.
LIMITS = {"cpu_s": 1 / 50, "memory_kib": 1 / 5}
LARGEST = 4 * 1024 * 1024


def measured(command, environment, host, directory):
    """One run on a host without tasks: wall and CPU seconds, peak KiB of the largest process."""
    host.instance.tasks.clear()
    shutil.rmtree(directory / "state", ignore_errors=True)
    began = time.monotonic()
    # Not Popen's own child: a forked child's peak memory begins with that of this large process.
    timed = ["time", "-f", "%M", "-o", directory / "peak", *command]
    child = subprocess.Popen(timed, env=environment, cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    wall = time.monotonic() - began
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0 and len(host.instance.tasks) == 1, f"{command} did not do its job:\n{host}"
    peak = int((directory / "peak").read_text().split()[-1])
    return {"wall_s": wall, "cpu_s": used.ru_utime + used.ru_stime, "memory_kib": peak}


def compare(runs, directory):
    """The medians of both sides, measured in turn; the first round warms the caches."""
    with Host() as host:
        ours = Program(host, directory)
        path = os.pathsep.join([str(Path(sys.executable).parent), os.defpath])
        theirs = ours.environment | {"PATH": path, "AGENT": host.agent.url}
        sides = {"program": ([BINARY, "--no-wait"], ours.environment), "page": (["bash", "-c", PAGE], theirs)}
        rows = {name: [] for name in sides}
        for _ in range(runs + 1):
            for name, (command, environment) in sides.items():
                rows[name].append(measured(command, environment, host, directory))
                host.requests.clear()
    return {name: medians(measurements[1:]) for name, measurements in rows.items()}


def medians(measurements):
    return {key: statistics.median(each[key] for each in measurements) for key in measurements[0]}


def table(result):
    print(f"{'median of ' + str(result['runs']):16}{'program':>12}{'page':>12}{'page / program':>18}")
    for key, unit in (("wall_s", "s"), ("cpu_s", "s"), ("memory_kib", "KiB")):
        ours, theirs = result["program"][key], result["page"][key]
        print(f"{key.split('_')[0] + ', ' + unit:16}{ours:12.4g}{theirs:12.4g}{theirs / ours:18.1f}")
    print(f"{'binary, bytes':16}{result['binary_bytes']:12}")


def misses(result):
    for key, most in LIMITS.items():
        if result["program"][key] > most * result["page"][key]:
            yield f"{key} is more than 1/{1 / most:.0f} of the page's"
    if result["binary_bytes"] > LARGEST:
        yield f"the binary is larger than {LARGEST} bytes"


def main():
    parser = argparse.ArgumentParser(prog="python -m standin.bench")
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--output", type=Path, default=ROOT / "target/bench.json")
    options = parser.parse_args()
    missing = [tool for tool in NEEDED if not shutil.which(tool)]
    if missing:
        sys.exit(f"not installed: {', '.join(missing)} (apt-get or dnf install {' '.join(missing)})")
    with tempfile.TemporaryDirectory() as directory:
        result = {"runs": options.runs, "binary_bytes": BINARY.stat().st_size} | compare(options.runs, Path(directory))
    options.output.write_text(json.dumps(result, indent=1) + "\n")
    table(result)
    complaints = list(misses(result))
    sys.exit("; ".join(complaints) if complaints else 0)


if __name__ == "__main__":
    main()
