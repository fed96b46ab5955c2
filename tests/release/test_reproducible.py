"""Built again from the same sources, elsewhere and later: binary, package and SBOM are identical bit for bit.

Elsewhere is another directory with another CARGO_HOME, later is a hundred days by the clock that the tools see: all of them but
rustc, whose allocator hangs under faketime; it writes no time.
"""

import os
import shutil
from pathlib import Path

import pytest

from package.tools import ARCHITECTURES, ROOT, SOURCES, binary_of, rpm_of, run

MOST_SECONDS = 3600


@pytest.fixture(scope="module")
def again(tmp_path_factory):
    """A tree in which everything was built again."""
    tree, home = tmp_path_factory.mktemp("elsewhere") / "tree", tmp_path_factory.mktemp("cargo-home")
    for name in (*SOURCES, "Cargo.lock", "src", "target/tools"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        copy(ROOT / name, tree / name)
    cargo_home = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
    for part in ("index", "cache"):
        shutil.copytree(cargo_home / "registry" / part, home / "registry" / part)
    # cargo's own directory of programs comes first in PATH, for rustup's cargo too.
    rustc = home / "bin/rustc"
    rustc.parent.mkdir()
    rustc.write_text(f'#!/bin/sh\nunset LD_PRELOAD\nexec {shutil.which("rustc")} "$@"\n')
    rustc.chmod(0o755)
    settings = {"CARGO_HOME": str(home), "CARGO_NET_OFFLINE": "true", "PATH": f"{rustc.parent}:{os.environ['PATH']}"}
    run("faketime", "+100 days", "make", "sbom", cwd=tree, environment=settings, timeout=MOST_SECONDS)
    return tree


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_it_is_the_same_bit_for_bit(architecture, again):
    binary, package = binary_of(architecture), rpm_of(architecture)
    for file in (binary, package, package.with_suffix(".cdx.json")):
        assert (again / file.relative_to(ROOT)).read_bytes() == file.read_bytes(), file
