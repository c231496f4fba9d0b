"""Runs a command and dies with its parent: `python -I -S guard.py GRACE COMMAND…`. Standard library only.

Its standard input is the parent's lifeline: when the parent dies, however it dies, the pipe ends, and the guard ends
the whole process group. (Linux's PR_SET_PDEATHSIG would not do: it fires when the *thread* that started the child
ends, and it does not reach grandchildren.) The guard leads the group; it outlives the group's SIGTERM so that it can
report the command's exit code.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time


def _end_group_with_parent(grace: float, gone: threading.Event) -> None:
    """Wait until the parent is gone, then end the group."""
    while os.read(0, 4096):
        pass
    gone.set()
    os.killpg(0, signal.SIGTERM)
    time.sleep(grace)
    os.killpg(0, signal.SIGKILL)


def main(grace: str, *command: str) -> int:
    """The command's exit code, 128 + n if signal n ended it, 127 if it could not be started."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)  # not SIG_IGN: the command would inherit that
    try:
        # close_fds off: a lock that the parent hands down is the command's to hold.
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, close_fds=False)  # noqa: S603 - the parent's own
    except OSError as error:
        sys.stderr.write(f"{command[0]} cannot be started: {error}\n")
        return 127
    gone = threading.Event()
    ending = threading.Thread(target=_end_group_with_parent, args=(float(grace), gone), daemon=True)
    ending.start()
    code = process.wait()
    if gone.is_set():  # what the command started may need longer than the command
        ending.join()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    exit_code = main(*sys.argv[1:])
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    os._exit(exit_code)  # the thread that watches the parent must not delay the exit
