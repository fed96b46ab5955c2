"""One name, one default, one path: the shipped files and the program's source say the same."""

import re

from package.tools import ROOT, UNIT

SETTINGS = (ROOT / "packaging/ecs-start-task.conf").read_text()


def known():
    """The program's own list: {name: default}."""
    source = (ROOT / "src/config/keys.rs").read_text()
    names = dict(re.findall(r'pub\(crate\) const (\w+): &str = "(\w+)";', source))
    table = re.search(r"const KNOWN: .*?\[\n(.*?)\];", source, re.DOTALL)[1]
    return {names.get(name, name.strip('"')): default for name, default in re.findall(r'\((?:name::)?("?\w+"?), "(.*?)"\)', table)}


def test_the_settings_file_has_every_setting_with_its_default():
    listed = dict(re.findall(r"^#([A-Z_0-9]+)=(.*)$", SETTINGS, re.MULTILINE))
    assert len(listed) > 10 and listed == known()


def test_the_settings_file_sets_nothing():
    assert re.findall(r"^[^#\n].*$", SETTINGS, re.MULTILINE) == []


def test_the_directories_that_the_program_writes_are_the_ones_that_the_unit_opens():
    opened = re.findall(r"^ReadWriteDirectories=-(.*)$", UNIT.read_text(), re.MULTILINE)
    state, log = known()["ECS_START_TASK_STATE_DIR"], known()["ECS_START_TASK_LOG_FILE"]
    assert opened == [state, log.rpartition("/")[0]]
    assert f"d {state} 0700 root root" in (ROOT / "packaging/ecs-start-task.tmpfiles").read_text()
    assert (ROOT / "packaging/ecs-start-task.logrotate").read_text().splitlines()[2] == log + " {"


def test_the_exit_codes_that_no_restart_fixes():
    final = re.search(r"^RestartPreventExitStatus=(.*)$", UNIT.read_text(), re.MULTILINE)[1]
    rows = re.findall(r"^\| (\d+) \|.*\| (.*) \|$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert {code for code, restarted in rows if restarted.startswith("no")} == set(final.split())
