"""The `flows` command: arguments, help and exit codes. Each command imports what it runs only when it runs."""

import errno
import gc
import logging
import os
import sys

from flows_platform.runtime.imports import collector_paused

with collector_paused():
    import click

    from flows_platform.cli import files, serving, sources, tokens, windows
    from flows_platform.cli.app import FAILED, INTERRUPTED, WRONG_USE, app
    from flows_platform.domain.errors import ConfigurationError, PlatformError

__all__ = ["app", "files", "main", "serving", "sources", "tokens", "windows"]  # these modules register their commands

# What the system says of a disk that is full, or of a place where this user, or nobody, may write.
OF_STORAGE = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO),
    *(errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.EISDIR),
}
STORAGE_REMEDY = "Free space, mend permissions, or set FLOWS_HOME to another folder."


def main() -> None:
    """The command's entry: 0 when it did its work, 1 when it failed, 2 when it was used or configured wrongly."""
    if not sys.stderr.isatty():  # what is tried again is for who watches; a pipe gets the one last message
        logging.getLogger("flows_platform").addHandler(logging.NullHandler())
    try:
        code = app(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
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
        place = f"{error.filename}: " if error.filename else ""
        print(f"flows: {place}{error.strerror}. {STORAGE_REMEDY}", file=sys.stderr)  # noqa: T201 - likewise
        code = FAILED
    gc.freeze()  # all goes now: to look for garbage among it first takes a quarter of a second after BigQuery's clients
    sys.exit(code)
