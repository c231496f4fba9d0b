"""What every store of objects does alike: an object is created once, by one of many writers, and listed in order."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from flows_platform.domain.errors import InputError
from flows_platform.stores.object_store import ObjectTooLarge, Outcome
from flows_platform.stores.opening import open_store
from tests.fakes.s3_servers import SECRET

WRITERS = 16
ROUNDS = 10


def test_an_object_is_created_once(store_url: str) -> None:
    store = open_store(store_url)
    for body in (b"", b"one", bytes(range(256)) * 4096, random.Random(1).randbytes(9 << 20)):
        key = f"webhooks/2024/03/01/{len(body)}~a:B_c"
        assert store.read(key) is None
        assert store.create(key, body) is Outcome.CREATED
        assert store.create(key, body) is Outcome.SAME
        assert store.create(key, body + b"!") is Outcome.DIFFERS
        assert open_store(store_url).read(key) == body
        assert store.read(f"{key}/x") is None
        assert store.read(key, len(body)) == body
        if body:
            with pytest.raises(ObjectTooLarge):
                store.read(key, len(body) - 1)
    assert store.read("webhooks/none", 1) is None


def test_stores_of_one_place_have_one_name(store_url: str) -> None:
    name = open_store(store_url).name
    assert open_store(store_url).name == name
    assert name.startswith(store_url)
    assert open_store(f"{store_url}2").name != name
    assert SECRET not in name


def test_an_object_says_when_it_was_created(store_url: str) -> None:
    store = open_store(store_url)
    store.create("alerts/5a/3c/5a3c", b"one")
    found = store.dated("alerts/5a/3c/5a3c")
    assert found is not None
    assert found.body == b"one"
    assert abs(found.created - datetime.now(UTC)) < timedelta(hours=1)
    store.create("alerts/5a/3c/5a3c", b"two")
    assert open_store(store_url).dated("alerts/5a/3c/5a3c") == found
    assert store.dated("alerts/none") is None
    with pytest.raises(ObjectTooLarge):
        store.dated("alerts/5a/3c/5a3c", 2)


def test_one_of_many_writers_creates_an_object(store_url: str) -> None:
    stores = [open_store(store_url) for _ in range(4)]
    for number in range(ROUNDS):
        barrier = threading.Barrier(WRITERS)

        def create(writer: int, barrier: threading.Barrier = barrier, number: int = number) -> Outcome:
            barrier.wait()
            return stores[writer % 4].create(f"alerts/{number}/id", str(writer).encode())

        with ThreadPoolExecutor(WRITERS) as pool:
            outcomes = list(pool.map(create, range(WRITERS)))
        assert sorted(outcomes) == [Outcome.CREATED, *[Outcome.DIFFERS] * (WRITERS - 1)]
        assert stores[0].read(f"alerts/{number}/id") == str(outcomes.index(Outcome.CREATED)).encode()


KEYS = [
    "alerts/5a/3c/5a3c",
    *(f"webhooks/2024/03/01/{hour}/{minute}/id-{number}" for hour in ("09", "10", "11")
      for minute in ("00", "05", "59") for number in range(2)),
    "webhooks/2024/03/01/12/00/5a3c",
    "webhooks/2024/03/01/12/00/5a3c~0123abcd",
    "webhooks/2024/03/01/12/00/5a3c.1",
    "webhooks/2024/03/01/12/00/5a3c:1",
    "webhooks/2024/03/10/00/00/5a3c",
    "webhooks/2025/01/01/00/00/5a3c",
]  # fmt: skip
TEXTS = [
    "",
    "w",
    "webhooks/2024/03/01/1",
    "webhooks/2024/03/01/10",
    "webhooks/2024/03/01/10/",
    "webhooks/2024/03/01/10/05/id-0",
    "webhooks/2024/03/01/10/05/id-1",
    "webhooks/2024/03/01/12/00/5a3c",
    "webhooks/2024/03/01/12/00/5a3c~",
    "webhooks/2024/03/0",
    "webhooks/2024/",
    "webhooks/2024/03/01/10//",
    "webhooks/2024/03/01/10/./x",
    "zebra",
]


def test_keys_are_listed_by_texts_and_in_order(store_url: str) -> None:
    store = open_store(store_url)
    assert list(store.keys()) == []
    for key in random.Random(2).sample(KEYS, len(KEYS)):
        store.create(key, key.encode())
    held = sorted(KEYS)
    for prefix in TEXTS:
        for after in TEXTS:
            expected = [key for key in held if key.startswith(prefix) and key > after]
            assert list(store.keys(prefix, after)) == expected, (prefix, after)
    beside = open_store(store_url.removesuffix("archive") + "arch")
    assert list(beside.keys()) == []


@pytest.mark.parametrize("key", ["", "/", "a//b", "a/", "/a", "..", "a/../b", "a b", "ä", ".new/a", "x" * 231])
def test_keys_that_could_leave_the_store_are_refused(store_url: str, key: str) -> None:
    store = open_store(store_url)
    for act in (store.read, lambda key: store.create(key, b"")):
        with pytest.raises(InputError, match="is not the key of an object"):
            act(key)
