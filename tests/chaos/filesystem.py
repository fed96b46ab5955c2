"""A small file system for one state directory, that can be full or read-only for a while.

The mounts are in the mount namespace of this process (`make chaos` makes one) and end with it.
"""

import ctypes
import os

READ_ONLY, REMOUNT, BIND, DETACH = 1, 32, 4096, 2
LIBC = ctypes.CDLL(None, use_errno=True)


def call(result, what):
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


class FileSystem:
    def __init__(self, path):
        self.path = str(path)
        call(LIBC.mount(b"chaos", self.path.encode(), b"tmpfs", 0, b"size=64k,mode=700"), self.path)

    def spoil(self, how):
        if how == "read-only":
            # A second mount on top: the first one cannot become read-only while a run has the lock open.
            path = self.path.encode()
            call(LIBC.mount(path, path, None, BIND, None), self.path)
            call(LIBC.mount(path, path, None, REMOUNT | BIND | READ_ONLY, None), self.path)
            return
        with open(f"{self.path}/filler", "wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(bytes(4096))
            except OSError:
                pass  # full

    def restore(self, how):
        if how == "read-only":
            self.close()
        else:
            os.unlink(f"{self.path}/filler")

    def close(self):
        call(LIBC.umount2(self.path.encode(), DETACH), self.path)
