"""The unit: one file for systemd 219 and 252, restricted as far as both allow, without an ordering cycle.

219 refuses or ignores what it does not support, so every directive is one that it supports, or one of the few that it may ignore.
systemd-analyze of a newer systemd scores the rest and orders a whole boot.
"""

import re

import pytest

from package.amazon_linux import UNITS, write_units
from package.tools import ROOT, UNIT, attempt, run

DROP_IN = ROOT / "packaging/examples/amazon-linux-2023.conf"
#: The directives of systemd 219 that a unit like this one may need.
KNOWN_TO_219 = set(
    """
    Unit.After Unit.Before Unit.ConditionPathExists Unit.Description Unit.Documentation Unit.Wants
    Install.Alias Install.WantedBy
    Service.CapabilityBoundingSet Service.DevicePolicy Service.Environment Service.ExecStart Service.LimitNOFILE
    Service.NoNewPrivileges Service.NotifyAccess Service.PrivateDevices Service.PrivateTmp Service.ProtectHome
    Service.ProtectSystem Service.ReadOnlyDirectories Service.ReadWriteDirectories Service.RemainAfterExit
    Service.Restart Service.RestartPreventExitStatus Service.RestartSec Service.RestrictAddressFamilies
    Service.StandardError Service.StandardOutput Service.StartLimitInterval Service.SyslogIdentifier
    Service.SystemCallArchitectures Service.SystemCallErrorNumber Service.SystemCallFilter Service.TimeoutStopSec
    Service.Type Service.UMask
    """.split()
)
#: 219 ignores these, with a line in its log at every reload.
WORTH_A_WARNING = {"Service.InaccessiblePaths", "Service.RestrictNamespaces"}
#: Values that 219 does not accept, although it supports the directive.
REFUSED_BY_219 = {
    "ProtectSystem": {"strict"},
    "Type": {"exec", "oneshot", "notify-reload"},  # oneshot only together with Restart=
    "ProtectHome": {"tmpfs"},
}
#: The units of systemd itself that affect the order.
TARGETS = {
    "network-online.target": "[Unit]",
    "sysinit.target": "[Unit]",
    "basic.target": "[Unit]\nRequires=sysinit.target\nAfter=sysinit.target",
    "multi-user.target": "[Unit]\nRequires=basic.target\nAfter=basic.target\nAllowIsolate=yes",
    "default.target": "[Unit]\nRequires=multi-user.target\nAfter=multi-user.target\nAllowIsolate=yes",
}


def directives(path):
    """[(section, name, value)], without comments."""
    section, found = None, []
    for line in path.read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            found.append((section, *line.split("=", 1)))
    return found


def test_219_knows_every_directive():
    used = {f"{section}.{name}" for section, name, _ in directives(UNIT)}
    assert used - KNOWN_TO_219 == WORTH_A_WARNING


def test_219_takes_every_value():
    assert [(name, value) for _, name, value in directives(UNIT) if value in REFUSED_BY_219.get(name, ())] == []


def test_a_system_call_group_is_only_ever_denied():
    # 219 ignores the names of groups: an allow-list of groups alone would allow nothing.
    filters = [value for _, name, value in directives(UNIT) if name == "SystemCallFilter"]
    assert filters and all(value.startswith("~") for value in filters)


def test_the_drop_in_is_for_what_219_does_not_know():
    unit = {name for _, name, value in directives(UNIT)}
    repeated = {(name, value) for _, name, value in directives(DROP_IN) if name in unit}
    assert repeated == {("ProtectSystem", "strict")}


@pytest.mark.parametrize("parts, most", [((UNIT,), 3.4), ((UNIT, DROP_IN), 2.0)], ids=["unit", "with the drop-in"])
def test_exposure(parts, most, tmp_path):
    unit = tmp_path / UNIT.name
    unit.write_text("\n".join(part.read_text() for part in parts))
    said = run("systemd-analyze", "security", "--offline=yes", f"--threshold={most * 10:.0f}", unit)
    assert float(re.search(r"Overall exposure level for \S+: ([\d.]+)", said)[1]) <= most


def boot_tree(directory, **changed):
    """A root whose boot is Amazon Linux's with our unit in it, all enabled."""
    changed = {name.replace("_", "-") + ".service": text for name, text in changed.items()}
    write_units(directory / "usr/lib/systemd/system", UNITS | TARGETS | {UNIT.name: UNIT.read_text()} | changed)
    return directory


def cycles(root):
    """What systemd reports about ordering cycles, for whole targets, because a single service shows none."""
    said = attempt("systemd-analyze", f"--root={root}", "verify", "default.target").stdout
    assert "Failed to load" not in said and "bad unit file" not in said, said
    return re.findall(r".*ordering cycle.*", said)


def test_no_ordering_cycle_in_a_boot_of_amazon_linux(tmp_path):
    assert cycles(boot_tree(tmp_path)) == []


def test_a_cycle_would_be_seen(tmp_path):
    ordered_late = UNITS["cloud-final.service"].replace("rc-local.service", "multi-user.target")
    assert cycles(boot_tree(tmp_path, cloud_final=ordered_late))
