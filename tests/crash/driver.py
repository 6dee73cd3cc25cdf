"""Runs lgx and keeps a log of what was brought to the disk: inode and size at each fsync.

python driver.py LOG run --source … --sink …
"""

import os
import stat
import sys

log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
real_fsync = os.fsync


def fsync(file: int) -> None:
    real_fsync(file)
    status = os.fstat(file)
    if stat.S_ISREG(status.st_mode):
        os.write(log, f"{status.st_ino} {status.st_size}\n".encode())


os.fsync = fsync  # type: ignore[assignment]
sys.argv = ["lgx", *sys.argv[2:]]

from lgx.cli import main  # noqa: E402 -- after the patch

main()
