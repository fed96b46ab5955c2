"""A small file system for one state directory, that can be full or read-only for a while.

The mounts are in the mount namespace of this process (`make chaos` makes one) and end with it.
"""

import subprocess

#: What brings each fault about, and what ends it.
FAULTS = {
    # A second mount on top: the first one cannot become read-only while a run has the lock open.
    "read-only": ('mount --bind "$0" "$0" && mount -o remount,bind,ro "$0"', 'umount --lazy "$0"'),
    "full": ('! cat /dev/zero > "$0/filler"', 'rm "$0/filler"'),
}


class FileSystem:
    def __init__(self, path):
        self.path = path
        self.sh('mount -t tmpfs -o size=64k,mode=700 chaos "$0"')

    def sh(self, command):
        subprocess.run(["sh", "-c", command, self.path], check=True, stderr=subprocess.DEVNULL)

    def spoil(self, how):
        self.sh(FAULTS[how][0])

    def restore(self, how):
        self.sh(FAULTS[how][1])

    def close(self):
        self.sh('umount --lazy "$0"')
