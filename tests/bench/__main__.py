"""python -m bench: runs everything, prints the table, writes target/bench.json, and fails if a limit is exceeded by too much."""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

from standin.program import ROOT

from . import bars, compare, fleet, outage, reaction, sizes, sweep, waiting, work

NEEDED = ("bash", "curl", "jq", "awk", "time", "strace", "valgrind", "rpmbuild")


def arguments():
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=15, help="of each side, in turn")
    parser.add_argument("--wait", type=int, default=waiting.WHOLE, metavar="SECONDS", help="to wait for an agent")
    parser.add_argument("--fleet", type=int, default=400, metavar="PROCESSES")
    parser.add_argument("--output", type=Path, default=ROOT / "target/bench.json")
    return parser.parse_args()


def measure(options, directory):
    """(section, its figures, the modules that describe them), one after the other, while one run waits for its agent."""
    waits = waiting.Waiting(options.wait, directory / "waiting")
    outages = outage.Outages(directory / "outage")
    sides = compare.compare(options.runs, directory / "compare")
    yield "run", sides, compare
    yield "reaction", reaction.react(options.runs, directory / "reaction"), reaction
    yield "instructions", work.count(directory / "work"), work
    yield "sizes", sizes.sizes(directory / "sizes"), sizes
    yield "fleet", fleet.launch(options.fleet, directory / "fleet", sides["page"]["wall_s"]), fleet
    yield "sweep", sweep.sweep(), sweep
    yield "outage", outages.finish(), outage
    print(f"\nwaiting until {options.wait} s of waiting are over", file=sys.stderr)
    yield "waiting", waits.finish(), waiting


def main():
    options = arguments()
    missing = [tool for tool in NEEDED if not shutil.which(tool)]
    if missing:
        sys.exit(f"not installed: {', '.join(missing)}")
    result, judged = {"runs": options.runs}, []
    with tempfile.TemporaryDirectory() as directory:
        for section, figures, teller in measure(options, Path(directory)):
            print("", *teller.table(figures), sep="\n", flush=True)
            result[section] = figures
            judged += teller.bars(figures)
    print("", bars.table(judged), sep="\n")
    options.output.write_text(json.dumps(result | {"bars": [bar.record() for bar in judged]}, indent=1) + "\n")
    sys.exit(any(bar.verdict == "FAILED" for bar in judged))


if __name__ == "__main__":
    main()
