"""Each named guard is removed in turn, and a test must go red: a guard whose removal no test sees is not tested.

    python tests/faults/guards.py [NAME…]      (or `make test-guards`)

Works on a copy of the tree; prints a line a guard, and exits with 1 if one survived its removal.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("flows_platform", "api_server", "tests", "pyproject.toml", "README.md", "docs", "Makefile")


@dataclass(frozen=True)
class Guard:
    """A guard: the text in `file` that is it, what stands there without it, and the tests that must see that."""

    name: str
    file: str
    guard: str
    without: str
    tests: str


FETCH = "tests/fetch"
STREAM = "flows_platform/fetch/records.py"
PROOF = "flows_platform/fetch/proof.py"
COUNTS = 'counts = {"header": header, "footer": footer.count if footer else None}'

GUARDS = (
    Guard("header count", PROOF, COUNTS, 'counts = {"footer": footer.count if footer else None}', FETCH),
    Guard("footer count", PROOF, COUNTS, 'counts = {"header": header}', FETCH),
    Guard(
        "digest of the source",
        PROOF,
        "if footer.digest != self._digest.hex:",
        "if False:",
        f"{FETCH}",
    ),
    Guard(
        "least verification",
        PROOF,
        "if reached < least and not (note and reached is Verification.COUNT):",
        "if False:",
        FETCH,
    ),
    Guard(
        "content type",
        STREAM,
        "if wire is None or (self.api.format and wire is not self.api.format):",
        "if wire is None:",
        FETCH,
    ),
    Guard(
        "nothing follows the document",
        STREAM,
        "            if rest.strip():\n",
        "            if False:\n",
        f"{FETCH} tests/wire/test_decode.py",
    ),
    Guard(
        "XML root",
        "flows_platform/wire/decode/xml.py",
        "        if root.tag != self._root:",
        "        if False:",
        f"{FETCH} tests/wire/test_decode.py",
    ),
    Guard(
        "gzip end mark",
        "flows_platform/fetch/decompression.py",
        'raise StreamIncomplete("the gzip body ends before its end mark and checksum.")',
        "pass",
        FETCH,
    ),
    Guard(
        "zstd end mark",
        "flows_platform/fetch/decompression.py",
        'raise StreamIncomplete("the zstd body ends before its end mark.")',
        "pass",
        FETCH,
    ),
    Guard(
        "read transaction of the server",
        "api_server/database.py",
        'connection.execute("BEGIN")',
        "pass",
        "tests/api_server/test_stream_faults.py tests/api_server/test_database.py",
    ),
    Guard(
        "rows sent are the rows counted",
        "api_server/streams.py",
        "if sent.count != self.count:",
        "if False:",
        "tests/api_server/test_stream_faults.py tests/api_server/test_selection.py",
    ),
    Guard(
        "XML markup is escaped",
        "flows_platform/wire/encode/xml.py",
        'and count_of(data, "<") == rows * self._tags',
        "",
        "tests/end_to_end/test_readers.py",
    ),
    Guard(
        "facts are forgotten with a change",
        "flows_platform/stores/sqlite_layout.py",
        'for event in ("INSERT", "UPDATE", "DELETE")',
        'for event in ("UPDATE", "DELETE")',
        "tests/stores/test_sqlite_load.py tests/end_to_end/test_drift.py",
    ),
    Guard(
        "a failed load leaves the old database",
        "flows_platform/stores/files.py",
        "temporary.replace(final)",
        "final.write_bytes(temporary.read_bytes())",
        "tests/stores/test_files.py tests/api_server/test_stream_faults.py",
    ),
    Guard(
        "staged rows are the verified rows",
        "flows_platform/stores/bigquery_publish.py",
        "if job.output_rows != publication.rows:",
        "if False:",
        "tests/stores/test_bigquery_faults.py tests/stores/test_bigquery_warehouse.py",
    ),
    Guard(
        "the MERGE deletes the window's old rows",
        "flows_platform/stores/bigquery_sql.py",
        "WHEN NOT MATCHED BY SOURCE AND {in_window(table, 't.')} THEN DELETE",
        "WHEN NOT MATCHED BY SOURCE AND FALSE THEN DELETE",
        "tests/stores/test_bigquery_warehouse.py",
    ),
    Guard(
        "the MERGE deletes nothing else",
        "flows_platform/stores/bigquery_sql.py",
        "WHEN NOT MATCHED BY SOURCE AND {in_window(table, 't.')} THEN DELETE",
        "WHEN NOT MATCHED BY SOURCE THEN DELETE",
        "tests/stores/test_bigquery_warehouse.py",
    ),
    Guard(
        "publishers take turns",
        "flows_platform/stores/bigquery_publish.py",
        'with exclusive(locks / f"{chain}.lock"):',
        "if locks:",
        "tests/stores/test_bigquery_faults.py tests/stores/test_bigquery_warehouse.py",
    ),
    Guard(
        "a bad window fails alone",
        "flows_platform/windowed/assets.py",
        "except PlatformError as error:",
        "except ZeroDivisionError as error:",
        "tests/end_to_end/test_windows_run.py",
    ),
    Guard(
        "a failed window fails the run",
        "flows_platform/windowed/assets.py",
        "        if self.failed:",
        "        if False:",
        "tests/end_to_end/test_windows_run.py",
    ),
    Guard(
        "repeats that differ are refused",
        "flows_platform/stores/repeats.py",
        "if known != content:",
        "if False:",
        f"{FETCH}",
    ),
    Guard(
        "admission of streams",
        "api_server/admission.py",
        "if self.active >= self._places:",
        "if False:",
        "tests/api_server/test_limits.py",
    ),
    Guard(
        "tokens are compared with what is stored",
        "api_server/tokens.py",
        "if compare_digest(given, entry.sha256):",
        "if True:",
        "tests/api_server",
    ),
    Guard(
        "digits before ijson",
        "flows_platform/wire/decode/json_guard.py",
        "        self._check_digits(plain)\n",
        "",
        "tests/wire/test_guards.py",
    ),
    Guard("records lie in their window", STREAM, "if pc.all(inside).as_py() is not False:", "if True:", FETCH),
    Guard("a retry is for transient errors", "flows_platform/fetch/retry.py", "return False", "pass", FETCH),
)


def survives(guard: Guard) -> bool:
    """Whether the tests stay green without the guard."""
    with tempfile.TemporaryDirectory() as folder:
        for name in COPIED:
            source, target = ROOT / name, Path(folder) / name
            shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
        file = Path(folder) / guard.file
        text = file.read_text()
        if text.count(guard.guard) != 1:
            sys.exit(f"{guard.name}: {guard.file} holds its text {text.count(guard.guard)} times, not once")
        file.write_text(text.replace(guard.guard, guard.without))
        command = [sys.executable, "-m", "pytest", "-q", "-x", *guard.tests.split()]
        environment = os.environ | {"PYTHONPATH": folder}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        if done.returncode > 1:  # below 0 it died of a signal, which is seen well enough
            sys.exit(f"{guard.name}: the tests did not run:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.returncode == 0


def main(names: list[str]) -> None:
    chosen = [guard for guard in GUARDS if not names or guard.name in names]
    survivors = 0
    for guard in chosen:
        survived = survives(guard)
        survivors += survived
        print(f"{'SURVIVED' if survived else 'seen    '}  {guard.name}", flush=True)
    print(f"{len(chosen)} guards removed, {len(chosen) - survivors} removals seen by a test")
    sys.exit(1 if survivors or not chosen else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
