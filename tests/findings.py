"""What holds for each finding of check whatever it is about, and the page for reading that shows them all."""

import re
import subprocess

from standin.program import ROOT

PAGE = ROOT / "target/messages-of-check.txt"
NOTES = PAGE.with_suffix(".new")
COMMAND = re.compile(r"\b(systemctl|journalctl|chronyc|mkdir|rm|aws (ecs|ec2)|docker (ps|system)) ")
# What others say is quoted as they say it, with their full stops.
FLAW = re.compile(r"(?<!: )\{\}|(?<!\.)\.\.(?!\.)|[:;] ?;|  |[\x00-\x09\x0b-\x1f\x7f]")


def read(found):
    """Notes what was found, and that it can be read by those whom it is for."""
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
    """One of each kind, in order; whatever differs in its numbers and paths only is one kind."""
    if NOTES.exists():
        kinds = {re.sub(r"\S*[\d/]\S*", "#", line): line for line in NOTES.read_text().splitlines(keepends=True)}
        PAGE.write_text("".join(sorted(kinds.values())))
        NOTES.unlink()
