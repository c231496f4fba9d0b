"""A clock moved by hand, and a plain client that knows nothing of the project."""

from collections.abc import Iterator

import pytest
import urllib3

from .serving import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def client() -> Iterator[urllib3.PoolManager]:
    with urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(60)) as pool:
        yield pool
