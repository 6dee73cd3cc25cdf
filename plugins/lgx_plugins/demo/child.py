"""The server's process: `langgraph dev`, which ends when the process that started it ends.

Run as `python -m lgx_plugins.demo.child PORT JOBS` in the app's directory, leading a process
group of its own, with a pipe for standard input whose other end the starter holds. The
kernel closes that pipe however the starter ends, by SIGKILL too.
"""

from __future__ import annotations

import os
import signal
import sys
import threading


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os.killpg(os.getpid(), signal.SIGKILL)


def _main() -> None:
    port, jobs = sys.argv[1:]
    threading.Thread(target=_end_with_parent, daemon=True).start()

    from langgraph_cli.cli import cli

    cli(
        [
            *("dev", "--no-browser", "--no-reload", "--host", "127.0.0.1"),
            *("--port", port, "--n-jobs-per-worker", jobs),
        ]
    )


if __name__ == "__main__":
    _main()
