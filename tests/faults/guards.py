"""Each named guard is removed in turn, and a test must go red: a guard whose removal no test sees is not tested.

    python tests/faults/guards.py [NAME…]      (or `make test-guards`)

The guards are in `guard_list/`: the text in a file that is the guard, what stands there without it, and the tests that
must see that. Those tests run once with all guards, and must pass; then, on a copy of the tree, without each. Only a
test that fails has seen a removal: not one that could not be collected or set up, that hangs, or that meets code broken
by the removal. Prints a line a guard; ends with 1 if one was not seen.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LISTS = Path(__file__).with_name("guard_list")
COPIED = ("flows_platform", "api_server", "tests", "pyproject.toml", "README.md", "docs", "Makefile")
TIMEOUT = 120  # seconds for the tests of one guard; the longest take 40
ALL_TIMEOUT = 1200
FAILED = re.compile(r"^FAILED \S*?([^/\s]+::.*?)(?: - (.*))?$", re.MULTILINE)
BROKEN = ("NameError", "UnboundLocalError", "ImportError", "ModuleNotFoundError", "SyntaxError", "IndentationError")


@dataclass(frozen=True)
class Guard:
    """A guard: the text in `file` that is it, what stands there without it, and the tests that must see that."""

    name: str
    file: str
    guard: str
    without: str
    tests: str


def listed(names: Sequence[str]) -> list[Guard]:
    lists = [tomllib.loads(path.read_text()) for path in sorted(LISTS.glob("*.toml"))]
    guards = [Guard(**entry) for entries in lists for entry in entries["guards"]]
    return [guard for guard in guards if not names or guard.name in names]


@contextmanager
def copy_of_the_tree() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        for name in COPIED:
            source, target = ROOT / name, Path(folder) / name
            shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
        yield Path(folder)


def run(folder: Path, tests: Sequence[str], timeout: float) -> subprocess.CompletedProcess[str]:
    """Pytest on the copy, to its first failure. What it started goes with it, also when it hangs."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-n0", "-p", "no:cacheprovider", *tests]
    environment = os.environ | {"PYTHONPATH": str(folder), "COLUMNS": "300"}
    process = subprocess.Popen(  # a session of its own, to be ended as a whole
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=timeout)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, 9)
            process.communicate()
    return subprocess.CompletedProcess(command, process.returncode, output)


def require_found(guards: Sequence[Guard]) -> None:
    """Each text stands in its file once; the code may have moved on."""
    counts = {guard: (ROOT / guard.file).read_text().count(guard.guard) for guard in guards}
    lost = [f"{guard.name}: {guard.file} holds its text {count} times" for guard, count in counts.items() if count != 1]
    if lost:
        sys.exit("\n".join(lost))


def remove(guard: Guard, folder: Path) -> None:
    file = folder / guard.file
    file.write_text(file.read_text().replace(guard.guard, guard.without))


def outcome(guard: Guard) -> tuple[bool, str]:
    """Whether the removal was seen, and by what."""
    with copy_of_the_tree() as folder:
        remove(guard, folder)
        try:
            done = run(folder, shlex.split(guard.tests), TIMEOUT)
        except subprocess.TimeoutExpired:
            return False, f"HANGS for more than {TIMEOUT} s"
    if done.returncode < 0:
        return True, f"died of signal {-done.returncode}"
    if done.returncode == 0:
        return False, "SURVIVED"
    failure = FAILED.search(done.stdout)
    if done.returncode > 1 or failure is None:
        return False, f"NOT RUN: {done.stdout[-1500:]}"
    test, reason = failure[1], failure[2] or ""
    return not reason.startswith(BROKEN), f"{test} {reason[:80]}"


def require_green(guards: Sequence[Guard]) -> None:
    """With all guards in place every test passes; otherwise a failure without one would say nothing."""
    ways = sorted({guard.tests for guard in guards})
    with copy_of_the_tree() as folder:
        for way in ways:
            done = run(folder, shlex.split(way), ALL_TIMEOUT)
            if done.returncode:
                sys.exit(f"{way} does not pass with all guards in place:\n{done.stdout[-2000:]}")


def main(names: list[str]) -> None:
    guards = listed(names)
    require_found(guards)
    require_green(guards)
    seen = 0
    for guard in guards:
        was_seen, by = outcome(guard)
        seen += was_seen
        print(f"{'seen  ' if was_seen else 'UNSEEN'}  {guard.name}: {by}", flush=True)
    print(f"{len(guards)} guards removed, {seen} removals seen by a test that failed")
    sys.exit(0 if guards and seen == len(guards) else 1)


if __name__ == "__main__":
    main(sys.argv[1:])
