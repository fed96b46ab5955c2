"""Instructions of a whole run, counted by callgrind: always the same, whatever else the machine does."""

from . import meters
from .bars import Bar
from .sides import Scene

MOST = {"plain HTTP": 3_000_000, "TLS 1.3 and the system's roots": 12_000_000}


def count(directory):
    """{path to ECS: instructions}."""
    return {way: run(way, directory / way.replace(" ", "-")) for way in MOST}


def run(way, directory):
    with Scene(directory, tls=way != "plain HTTP") as scene:
        status, counted = meters.instructions(*scene.sides["program"], scene.directory)
        scene.check("program", status)
    return counted


def table(result):
    yield "instructions of a run: " + ", ".join(f"{counted:,} over {way}" for way, counted in result.items())


def bars(result):
    for way, counted in result.items():
        yield Bar(f"instructions of a run over {way}", counted, MOST[way])
