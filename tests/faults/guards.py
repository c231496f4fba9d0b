"""Each named guard is removed in turn, and a test must fail: a guard whose removal no test sees is not tested.

    python tests/faults/guards.py [--drawn N] [NAME…]      (or `make test-guards`)

A guard is a statement with `# guard: NAME` above it. The catalogue in `guard_list/` says for each name how the
statement is changed, and which tests must see that:

    drop = true                the statement becomes `pass`
    condition = false          the condition of its `if` becomes False
    replace = "A", by = "B"    in the statement as `ast.unparse` writes it, where A occurs once

The tests run once with all guards in place and must pass, then on a copy of the tree without each guard, two copies at
a time. Only a failing test has seen a removal: a collection error, a failing fixture, a hang or code broken by the
removal does not count. `--drawn N` takes N guards: half of them at most from the files that the branch changes, the
others from all files, drawn by the hash of the last commit. Prints a line for each guard; exits with 1 if one was not
seen.
"""

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import tomllib
from argparse import ArgumentParser
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

ROOT = Path(__file__).resolve().parents[2]
LISTS = Path(__file__).with_name("guard_list")
MARKED = ("flows_platform", "api_server")
MARK = re.compile(r" *# guard: (.+)")
COPIED = ("flows_platform", "api_server", "tests", "pyproject.toml", "README.md", "docs", "Makefile")
AT_ONCE = 2  # as many as CI has cores
TIMEOUT = 280  # seconds for the tests of one guard; the longest take 40. Above pytest's own, 300, a hang is a failure
ALL_TIMEOUT = 1200
FAILED = re.compile(r"^FAILED \S*?([^/\s]+::.*?)(?: - (.*))?$", re.MULTILINE)
BROKEN = ("NameError", "UnboundLocalError", "ImportError", "ModuleNotFoundError", "SyntaxError", "IndentationError")


@dataclass(frozen=True)
class Guard:
    """A name, the change that removes the guard, and the tests that must see it, as arguments of pytest."""

    name: str
    tests: str
    drop: bool = False
    condition: bool = True
    replace: str = ""
    by: str = ""

    def changed(self, statement: ast.stmt) -> list[ast.stmt]:
        """What replaces the statement without the guard.

        Raises:
            GuardError: the change does not fit the statement.
        """
        if self.drop:
            return [ast.Pass()]
        if not self.condition:
            if not isinstance(statement, ast.If):
                raise GuardError(f"{self.name}: `condition = false`, but the statement is not an `if`")
            return [ast.If(ast.Constant(value=False), statement.body, statement.orelse)]
        text = ast.unparse(statement)
        if text.count(self.replace) != 1:
            raise GuardError(f"{self.name}: {self.replace!r} occurs {text.count(self.replace)} times in\n{text}")
        return ast.parse(text.replace(self.replace, self.by)).body


class GuardError(Exception):
    """The catalogue and the code disagree."""


@dataclass(frozen=True)
class Marked:
    """A statement with a mark above it."""

    file: Path
    line: int


def marks() -> dict[str, list[Marked]]:
    """Where each mark is."""
    found: dict[str, list[Marked]] = defaultdict(list)
    for folder in MARKED:
        for file in sorted((ROOT / folder).rglob("*.py")):
            for line, name in _marks_of(file.read_text()):
                found[name].append(Marked(file.relative_to(ROOT), line))
    return found


def _marks_of(text: str) -> Iterator[tuple[int, str]]:
    """The marks of a file, each with the line of the statement below it; other comments may be between."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if match := MARK.fullmatch(line):
            below = (after for after in range(number + 1, len(lines)) if not lines[after].lstrip().startswith("#"))
            yield next(below) + 1, match[1]


def statement_at(guard: Guard, tree: ast.Module, line: int) -> ast.stmt:
    """The guard's statement, which begins at `line`.

    Raises:
        GuardError: no statement begins there.
    """
    starts = (node for node in ast.walk(tree) if isinstance(node, ast.stmt) and _first_line(node) == line)
    statement = next(starts, None)
    if statement is None:
        raise GuardError(f"{guard.name}: no statement begins at line {line}")
    return statement


def without(guard: Guard, text: str, line: int) -> str:
    """The source of a file without its guard at `line`.

    Raises:
        GuardError: no statement begins there, or the change does not fit it.
    """
    tree = ast.parse(text)
    statement = statement_at(guard, tree, line)
    _Exchange(statement, guard.changed(statement)).visit(tree)
    return ast.unparse(ast.fix_missing_locations(tree))


def _first_line(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


class _Exchange(ast.NodeTransformer):
    def __init__(self, statement: ast.stmt, others: list[ast.stmt]) -> None:
        self._statement, self._others = statement, others

    def visit(self, node: ast.AST) -> ast.AST | list[ast.stmt]:
        return self._others if node is self._statement else self.generic_visit(node)


def listed(names: Sequence[str]) -> list[Guard]:
    lists = [tomllib.loads(path.read_text()) for path in sorted(LISTS.glob("*.toml"))]
    guards = [Guard(**entry) for entries in lists for entry in entries["guards"]]
    return [guard for guard in guards if not names or guard.name in names]


def drawn(guards: Sequence[Guard], count: int) -> list[Guard]:
    """Guards drawn by the last commit: the same ones for the same commit, others for the next."""
    dice = Random(_git("rev-parse", "HEAD"))
    shuffled = dice.sample(list(guards), len(guards))
    files, found = changed_files(), marks()
    changed = [guard for guard in shuffled if any(str(marked.file) in files for marked in found[guard.name])]
    first = changed[: count // 2]
    return (first + [guard for guard in shuffled if guard not in first])[:count]


def changed_files() -> set[str]:
    """Files that the branch changes, or the last commit where the branch is the trunk; none in a clone without both."""
    for commits in ("origin/HEAD...HEAD", "HEAD^1..HEAD"):
        if files := _git("diff", "--name-only", commits):
            return set(files.splitlines())
    return set()


def _git(*arguments: str) -> str:
    """What git prints; nothing where it fails."""
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()


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


def faults_of(guards: Sequence[Guard]) -> list[str]:
    """What is wrong with the marks or the catalogue: each mark once, each name known, each change applicable."""
    found = marks()
    wrong = [f"{guard.name}: {len(found[guard.name])} marks" for guard in guards if len(found[guard.name]) != 1]
    wrong += [
        f"{name}: a mark without an entry in guard_list" for name in found.keys() - {known.name for known in listed([])}
    ]
    trees: dict[Path, ast.Module] = {}
    for guard in guards:
        for marked in found[guard.name]:
            if (tree := trees.get(marked.file)) is None:
                tree = trees[marked.file] = ast.parse((ROOT / marked.file).read_text())
            try:
                guard.changed(statement_at(guard, tree, marked.line))
            except GuardError as error:
                wrong.append(f"{marked.file}: {error}")
    return wrong


def remove(guard: Guard, folder: Path) -> None:
    (marked,) = marks()[guard.name]
    (folder / marked.file).write_text(without(guard, (ROOT / marked.file).read_text(), marked.line))


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
    with copy_of_the_tree() as folder, ThreadPoolExecutor(AT_ONCE) as pool:
        done = list(pool.map(lambda way: run(folder, shlex.split(way), ALL_TIMEOUT), ways))
    for way, run_of_it in zip(ways, done, strict=True):
        if run_of_it.returncode:
            sys.exit(f"{way} does not pass with all guards in place:\n{run_of_it.stdout[-2000:]}")


def main(arguments: list[str]) -> None:
    parser = ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--drawn", type=int, default=0)
    asked = parser.parse_args(arguments)
    guards = listed(asked.names)
    if asked.drawn:
        guards = drawn(guards, asked.drawn)
    if wrong := faults_of(guards):
        sys.exit("\n".join(wrong))
    require_green(guards)
    seen = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for guard, (was_seen, by) in zip(guards, pool.map(outcome, guards), strict=True):
            seen += was_seen
            print(f"{'seen  ' if was_seen else 'UNSEEN'}  {guard.name}: {by}", flush=True)
    print(f"{len(guards)} guards removed, {seen} removals seen by a test that failed")
    sys.exit(0 if guards and seen == len(guards) else 1)


if __name__ == "__main__":
    main(sys.argv[1:])
