"""The crates that should be in the binary, and those that the binary lists."""

import json
import re
import zlib

from package.tools import ROOT, binary_of, run


def locked():
    """{(name, version)} of Cargo.lock."""
    return set(re.findall(r'^name = "(.+)"\nversion = "(.+)"$', (ROOT / "Cargo.lock").read_text(), re.MULTILINE))


def direct(kind):
    """The names below [dependencies] or [dev-dependencies] in Cargo.toml."""
    section = re.search(rf"^\[{kind}\]\n(.*?)^$", (ROOT / "Cargo.toml").read_text(), re.MULTILINE | re.DOTALL)[1]
    return re.findall(r"^(\S+) = ", section, re.MULTILINE)


def linked(architecture):
    """{(name, version)} of what is linked into the binary, according to cargo."""
    target = f"--target={architecture}-unknown-linux-musl"
    tree = run("cargo", "tree", "--locked", "--edges=normal,no-proc-macro", "--prefix=none", "--format={p}", target, cwd=ROOT)
    return set(re.findall(r"^(\S+) v(\S+)", tree, re.MULTILINE))


def embedded(architecture):
    """{(name, version)} of the list in the binary, which cargo-auditable adds: compressed JSON in a separate section."""
    sections = run("readelf", "--wide", "--section-headers", binary_of(architecture))
    place = re.search(r" \.dep-v0 +PROGBITS +\w+ (\w+) (\w+) ", sections)
    assert place, f"the binary has no section .dep-v0:\n{sections}"
    offset, size = (int(number, 16) for number in place.groups())
    packages = json.loads(zlib.decompress(binary_of(architecture).read_bytes()[offset : offset + size]))["packages"]
    return {(package["name"], package["version"]) for package in packages}
