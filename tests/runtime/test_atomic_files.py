"""Atomic files: the old one or the new one after any fault; leftovers of killed writers are swept."""

import os
import signal
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from flows_platform.domain.errors import InputError, StorageError
from flows_platform.runtime.atomic_files import atomic_path, atomic_paths, sha256_file

DIE_HALFWAY = """
import os, signal, sys
from pathlib import Path
from flows_platform.runtime.atomic_files import atomic_path
with atomic_path(Path(sys.argv[1])) as draft:
    draft.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""

FILL_THE_DISK = """
import resource, sys
from pathlib import Path
from flows_platform.domain.errors import StorageError
from flows_platform.runtime.atomic_files import atomic_path
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    with atomic_path(Path(sys.argv[1])) as draft:
        draft.write_bytes(bytes(2000))
except StorageError as error:
    print(error)
"""


def run_python(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_new_file_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "new" / "file.txt"
    with atomic_path(target) as draft:
        draft.write_text("new")
        assert draft.parent == target.parent
        assert not target.exists()
    assert target.read_text() == "new"
    assert names(target.parent) == ["file.txt"]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_path(target) as draft:
        draft.write_text(f"half {1 / 0}")
    assert target.read_text() == "old"
    assert names(tmp_path) == ["file.txt"]


def test_two_files_appear_together_or_not_at_all(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    with pytest.raises(StorageError, match="No such file"), atomic_paths(first, second) as (_, gone):
        gone.unlink()
    assert names(tmp_path) == []


def test_a_killed_writer_leaves_the_old_file_and_the_next_one_sweeps(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    target.write_text("old")
    assert run_python(DIE_HALFWAY, target).returncode == -signal.SIGKILL
    assert target.read_text() == "old"
    assert len(names(tmp_path)) == 2
    with atomic_path(target) as draft:
        draft.write_text("new")
    assert names(tmp_path) == ["file.txt"]


def test_a_living_writer_of_the_same_file_is_not_swept(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    with atomic_path(target) as first:
        first.write_text("first")
        with atomic_path(target) as second:
            second.write_text("second")
        assert first.read_text() == "first"
    assert target.read_text() == "first"


def test_leftovers_of_other_files_stay(tmp_path: Path) -> None:
    other = tmp_path / f".file.txt.gz.{'0' * 16}.tmp"
    other.touch()
    with atomic_path(tmp_path / "file.txt") as draft:
        draft.touch()
    assert other.exists()


def test_a_full_disk_is_a_typed_error_that_keeps_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    target.write_text("old")
    result = run_python(FILL_THE_DISK, target)
    assert "cannot be written: File too large. Free space" in result.stdout
    assert target.read_text() == "old"
    assert names(tmp_path) == ["file.txt"]


def test_a_link_is_followed_and_kept(tmp_path: Path) -> None:
    target, link = tmp_path / "file.txt", tmp_path / "link"
    link.symlink_to(target)
    with atomic_path(link) as draft:
        draft.write_text("new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_a_device_or_folder_is_never_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"  # not /dev/null: a rename over that would outlive the test
    os.mkfifo(pipe)
    for target in (pipe, tmp_path):
        with pytest.raises(StorageError, match="not a regular file"), atomic_path(target):
            pass


def test_the_file_is_synced_before_its_rename_and_the_folder_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, seen = tmp_path / "file", []
    sync = os.fsync

    def watched(descriptor: int) -> None:
        seen.append((Path(f"/proc/self/fd/{descriptor}").readlink().name, target.exists()))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    with atomic_path(target) as temporary:
        temporary.touch()
    assert seen == [(temporary.name, False), (tmp_path.name, True)]


def test_sha256_and_its_progress(tmp_path: Path) -> None:
    path, told = tmp_path / "file", []
    path.write_bytes(b"flows" * 500_000)
    digest = sha256_file(path, lambda done, total: told.append((done, total)))
    assert digest == sha256(b"flows" * 500_000).hexdigest()
    assert told[-1] == (2_500_000, 2_500_000)
    with pytest.raises(InputError, match="missing"):
        sha256_file(tmp_path / "missing")


def test_who_reads_the_old_file_keeps_it_whole(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("old")
    with target.open() as reader:
        with atomic_path(target) as temporary:
            temporary.write_text("new")
        assert reader.read() == "old"
    assert target.read_text() == "new"
