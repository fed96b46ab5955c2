"""Checks that every finding of `check` must pass, and the page that lists them all for reading."""

import re
import subprocess

from standin.program import ROOT

PAGE = ROOT / "target/messages-of-check.txt"
NOTES = PAGE.with_suffix(".new")
COMMAND = re.compile(r"\b(systemctl|journalctl|chronyc|mkdir|rm|aws (ecs|ec2)|docker (ps|system)) ")
# Texts from outside are quoted unchanged, with their full stops.
FLAW = re.compile(r"(?<!: )\{\}|(?<!\.)\.\.(?!\.)|[:;] ?;|  |[\x00-\x09\x0b-\x1f\x7f]")


def read(found):
    """Records the finding, and checks that its readers can understand it."""
    note, fix = found["Note"], found["Fix"]
    for text in (note, fix):
        assert not FLAW.search(text) and not text.endswith((";", ":", " ")), text
    assert not COMMAND.search(re.sub("`[^`]*`", "", fix)), f"a command without backquotes: {fix}"
    for command in re.findall("`([^`]*)`", fix):
        subprocess.run(["sh", "-n", "-c", command], check=True)
    with NOTES.open("a") as page:
        page.write(f"{found['Status']}\t{found['Check']}\t{note!r}\t{fix}\n")


def begin():
    NOTES.parent.mkdir(exist_ok=True)
    NOTES.unlink(missing_ok=True)


def end():
    """One of each kind, in order. Findings that differ only in numbers and paths are of one kind."""
    if NOTES.exists():
        kinds = {re.sub(r"\S*[\d/]\S*", "#", line): line for line in NOTES.read_text().splitlines(keepends=True)}
        PAGE.write_text("".join(sorted(kinds.values())))
        NOTES.unlink()
