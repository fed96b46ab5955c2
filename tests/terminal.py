"""A program on a terminal of a given width."""

import fcntl
import os
import pty
import struct
import subprocess
import termios


def show(command, environment, columns, stdout=True, stderr=True):
    """What was written to the terminal, and the exit code. Other output is discarded."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    places = [theirs if wanted else subprocess.DEVNULL for wanted in (stdout, stderr)]
    child = subprocess.Popen(
        command, env={"TERM": "xterm"} | environment, stdin=subprocess.DEVNULL, stdout=places[0], stderr=places[1]
    )
    os.close(theirs)
    shown = read_all(ours)
    return shown.replace("\r\n", "\n"), child.wait(60)


def read_all(terminal):
    """What was written to the terminal until its other end closed."""
    shown = b""
    try:
        while piece := os.read(terminal, 4096):
            shown += piece
    except OSError:
        pass  # On Linux, EIO means that the other end is closed
    finally:
        os.close(terminal)
    return shown.decode()
