"""The binary for aarch64, run by qemu: that it is static, and that it does its job."""

from package.tools import binary_of, need, run
from standin import Program


def test_it_is_static_and_for_aarch64():
    header = run("readelf", "--wide", "--file-header", "--program-headers", "--dynamic", binary_of("aarch64"))
    assert "AArch64" in header
    assert "INTERP" not in header and "(NEEDED)" not in header


def test_it_starts_a_task_and_the_second_run_finds_it(host, tmp_path):
    need("qemu-aarch64-static")
    program = Program(host, tmp_path, binary=binary_of("aarch64"))
    program.wrapper = ["qemu-aarch64-static"]
    first, second = program.run(), program.run()
    assert (first.status, second.status) == (0, 0)
    assert len(host.asked("StartTask")) == 1
    assert [task.family for task in host.instance.tasks] == ["my_task_def"]
    assert host.instance.tasks[0].arn in first.stdout
