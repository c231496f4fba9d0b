"""Objects as files: created once, by one of many writers, durable when the call ends, listed in order."""

import os
import stat
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shutil import rmtree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows_platform.domain.errors import InputError, StorageError
from flows_platform.stores.file_store import OPEN_AT_ONCE, FileStore
from flows_platform.stores.object_store import Outcome, check_key


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "a" / "archive")


def test_an_object_is_created_once(store: FileStore, tmp_path: Path) -> None:
    assert store.create("webhooks/2024/id:1", b"one") is Outcome.CREATED
    assert store.create("webhooks/2024/id:1", b"one") is Outcome.SAME
    assert store.create("webhooks/2024/id:1", b"two") is Outcome.DIFFERS
    assert store.read("webhooks/2024/id:1") == b"one"
    assert (tmp_path / "a/archive/webhooks/2024/id:1").read_bytes() == b"one"
    assert store.read("webhooks/2024") is store.read("webhooks/x") is store.read("webhooks/2024/id:1/x") is None
    assert list((tmp_path / "a/archive/.new").iterdir()) == []


@pytest.mark.parametrize(
    "key", ["", "/", "a//b", "a/", "/a", "..", "a/../b", "./a", "a/.", "a b", "a\0", "ä", "a\n", ".new/a", "x" * 231]
)
def test_keys_that_could_leave_the_store_are_refused(store: FileStore, key: str) -> None:
    for act in (check_key, store.read, lambda key: store.create(key, b"")):
        with pytest.raises(InputError, match="is not the key of an object"):
            act(key)


def test_one_of_many_writers_creates_an_object(tmp_path: Path) -> None:
    stores = [FileStore(tmp_path / "archive") for _ in range(4)]
    for number in range(10):
        barrier = threading.Barrier(8)

        def create(writer: int, barrier: threading.Barrier = barrier, number: int = number) -> Outcome:
            barrier.wait()
            return stores[writer % 4].create(f"alerts/{number}/id", str(writer).encode())

        with ThreadPoolExecutor(8) as pool:
            outcomes = list(pool.map(create, range(8)))
        assert sorted(outcomes) == [Outcome.CREATED, *[Outcome.DIFFERS] * 7]
        winner = stores[0].read(f"alerts/{number}/id")
        assert winner == str(outcomes.index(Outcome.CREATED)).encode()


type Calls = list[tuple[str, str]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """What is synced and linked, by name, in order."""
    found: Calls = []
    real_sync, real_link = os.fsync, os.link

    def name_of(descriptor: int) -> str:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        return f"{path.name}/" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"

    def sync(descriptor: int) -> None:
        found.append(("sync", name_of(descriptor)))
        real_sync(descriptor)

    def link(source: Path, target: Path) -> None:
        found.append(("link", target.name))
        real_link(source, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "link", link)
    return found


def test_an_object_is_durable_when_the_call_ends(store: FileStore, calls: Calls) -> None:
    store.create("a1/b1/id", b"one")
    assert calls == [("sync", "archive/"), ("sync", "a1/"), ("sync", "file"), ("link", "id"), ("sync", "b1/")]
    calls.clear()
    store.create("a1/b1/other", b"one")
    assert calls == [("sync", "file"), ("link", "other"), ("sync", "b1/")]


def test_an_object_of_another_process_is_synced_before_it_counts(
    tmp_path: Path, store: FileStore, calls: Calls
) -> None:
    store.create("a1/b1/id", b"one")
    other = FileStore(tmp_path / "a" / "archive")
    calls.clear()
    assert other.create("a1/b1/id", b"one") is Outcome.SAME
    assert calls == [("sync", "archive/"), ("sync", "a1/"), ("sync", "b1/")]


def test_objects_together_are_synced_before_they_are_linked_and_each_folder_once(
    store: FileStore, calls: Calls
) -> None:
    store.create("a1/b1/id", b"one")
    calls.clear()
    objects = [("a1/b1/id", b"two"), ("a1/b1/x", b"x"), ("a1/b1/y", b"y"), ("a1/b1/x", b"x")]
    assert store.create_all(objects) == [Outcome.DIFFERS, Outcome.CREATED, Outcome.CREATED, Outcome.SAME]
    assert calls == [*[("sync", "file")] * 3, ("link", "x"), ("link", "y"), ("link", "x"), ("sync", "b1/")]


def test_an_object_that_cannot_be_stored_keeps_no_other_from_it(store: FileStore, tmp_path: Path) -> None:
    store.create("a1/id", b"one")
    failed, stored = store.create_all([("a1/id/below", b"two"), ("a1/other", b"three")])
    assert isinstance(failed, StorageError)
    assert (stored, store.read("a1/other")) == (Outcome.CREATED, b"three")
    assert list((tmp_path / "a/archive/.new").iterdir()) == []


def test_more_objects_than_files_may_be_open(store: FileStore) -> None:
    objects = [(f"a1/{number}", b"one") for number in range(2 * OPEN_AT_ONCE + 1)]
    assert store.create_all(objects) == [Outcome.CREATED] * len(objects)
    assert sorted(key for key, _ in objects) == list(store.keys())


def test_a_new_archive_is_durable(tmp_path: Path, calls: Calls) -> None:
    FileStore(tmp_path / "x" / "y")
    assert calls == [("sync", f"{tmp_path.name}/"), ("sync", "x/"), ("sync", "y/")]


@pytest.mark.parametrize("fault", ["fsync", "link", "mkdir"])
def test_a_write_that_fails_leaves_nothing(
    store: FileStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, fault, fail)
        with pytest.raises(StorageError, match=r"No space left on device\. Free space"):
            store.create("a1/id", b"one")
    assert list((tmp_path / "a/archive/.new").iterdir()) == []
    assert store.create("a1/id", b"two") in {Outcome.CREATED, Outcome.DIFFERS}


def test_leftovers_of_killed_writers_are_removed(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    leftover = tmp_path / ".new" / f".object.{'0' * 16}.tmp"
    leftover.write_bytes(b"half")
    assert list(store.keys()) == []
    FileStore(tmp_path)
    assert not leftover.exists()


KEYS = st.lists(
    st.lists(st.text("ab.-~:0", min_size=1, max_size=3), min_size=1, max_size=3)
    .map("/".join)
    .filter(lambda key: not key.startswith(".") and not {".", ".."} & set(key.split("/"))),
    max_size=12,
)


def without_folders(keys: list[str]) -> list[str]:
    """The keys that are not folders of others."""
    return sorted({key for key in keys if not any(other.startswith(f"{key}/") for other in keys)})


@given(keys=KEYS, prefix=st.text("ab./0", max_size=4), after=st.text("ab./~0", max_size=6))
def test_keys_are_listed_in_order(
    tmp_path_factory: pytest.TempPathFactory, keys: list[str], prefix: str, after: str
) -> None:
    folder = tmp_path_factory.mktemp("listed")
    held = without_folders(keys)
    for key in held:
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flows_platform.stores.file_store.sync", lambda _: None)  # a hundred stores
        store = FileStore(folder)
    assert list(store.keys()) == held
    assert list(store.keys(prefix, after)) == [key for key in held if key.startswith(prefix) and key > after]


def test_only_the_folders_of_a_range_are_read(store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for hour in range(4):
        for minute in range(3):
            store.create(f"webhooks/2024/{hour}/{minute}/id", b"")
    read: list[str] = []
    scandir: Callable[[Path], object] = os.scandir

    def noted(path: Path) -> object:
        read.append(str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", noted)
    assert len(list(store.keys("webhooks/2024/2/", after="webhooks/2024/2/1"))) == 2
    assert [path.partition("/2024/")[2] for path in read if "/2024/" in path] == ["2", "2/1", "2/2"]


def test_a_store_that_went_away_is_not_empty(store: FileStore, tmp_path: Path) -> None:
    store.create("webhooks/2024/id:1", b"one")
    (tmp_path / "a/archive").rename(tmp_path / "elsewhere")
    (tmp_path / "a/archive").mkdir()  # as a disk that is not mounted
    for read in (lambda: list(store.keys("webhooks/")), lambda: store.create("webhooks/2024/id:2", b"two")):
        with pytest.raises(StorageError, match="No such file or directory"):
            read()
    (tmp_path / "a/archive").rmdir()
    (tmp_path / "elsewhere").rename(tmp_path / "a/archive")
    assert list(store.keys("webhooks/")) == ["webhooks/2024/id:1"]
    assert store.create("webhooks/2024/id:2", b"two") is Outcome.CREATED


def test_a_folder_that_was_removed_is_made_again(store: FileStore, tmp_path: Path) -> None:
    store.create("webhooks/2024/id:1", b"one")
    rmtree(tmp_path / "a/archive/webhooks")
    with pytest.raises(StorageError, match="No such file or directory"):
        store.create("webhooks/2024/id:1", b"one")
    assert store.create("webhooks/2024/id:1", b"one") is Outcome.CREATED
    assert list((tmp_path / "a/archive/.new").iterdir()) == []


def test_a_folder_that_cannot_be_used_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="the archive cannot use"):
        FileStore(tmp_path / "file" / "archive")
