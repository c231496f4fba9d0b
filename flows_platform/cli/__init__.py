"""The `flows` command: arguments, help and exit codes. A command imports its code only when it runs."""

import errno
import gc
import io
import json
import logging
import os
import sys

from flows_platform.runtime.imports import collector_paused

with collector_paused():
    import click

    from flows_platform.cli import alerts, files, hooks, project, reports, serving, sources, tokens, windows
    from flows_platform.cli.app import FAILED, INTERRUPTED, WRONG_USE, app
    from flows_platform.domain.errors import ConfigurationError, PlatformError

__all__ = [
    "alerts",
    "app",
    "files",
    "hooks",
    "main",
    "project",
    "reports",
    "serving",
    "sources",
    "tokens",
    "windows",
]  # these modules register their commands

# The system's errors for a full or broken disk, and for paths that this user cannot write.
OF_STORAGE = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO),
    *(errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ENAMETOOLONG),
}
STORAGE_REMEDY = "Free space, correct the permissions, or set FLOWS_HOME to another folder."


def _print_as_json(message: str) -> None:
    """Where `--json` is among the arguments, what is wrong with them is the one object on standard output."""
    if "--json" in sys.argv[1:]:
        error = {"type": "UsageError", "message": message, "remedy": "Add --help to the command."}
        print(json.dumps({"error": error}))  # noqa: T201 - the command's output


def main() -> None:
    """Run the command and exit: with 0 if it succeeded, 1 if it failed, 2 if it was used or configured wrongly."""
    if not sys.stderr.isatty():  # log lines of retries are for a terminal; a pipe gets the final message only
        logging.getLogger("flows_platform").addHandler(logging.NullHandler())
    for stream in (sys.stdout, sys.stderr):  # what a terminal cannot write is escaped
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = app(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
        _print_as_json(error.format_message())
    except PlatformError as error:
        print(f"flows: {error}", file=sys.stderr)  # noqa: T201 - the one line a person needs
        code = WRONG_USE if isinstance(error, ConfigurationError) else FAILED
    except (KeyboardInterrupt, click.Abort):
        code = INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader of our output left
        code = FAILED
    except OSError as error:
        if error.errno not in OF_STORAGE:
            raise
        path = f"{error.filename}: " if error.filename else ""
        print(f"flows: {path}{error.strerror}. {STORAGE_REMEDY}", file=sys.stderr)  # noqa: T201 - as above
        code = FAILED
    gc.freeze()  # the process ends: a last collection would take a quarter of a second after loading BigQuery's clients
    sys.exit(code)
