"""Fixtures that every test may use."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from flows_platform.local.emulator import Emulator, running

# No test asserts a time: examples may take as long as a busy machine makes them. Each run draws other ones, and
# `make test-slow` draws Hypothesis's usual number, 100; ten are for `make test`.
settings.register_profile("many", deadline=None)
settings.register_profile("few", settings.get_profile("many"), max_examples=10)
settings.load_profile("few")

# Tests run under the defaults, whatever the shell has set; FLOWS_TEST_… is addressed to them.
for name in [name for name in os.environ if name.startswith("FLOWS_") and not name.startswith("FLOWS_TEST_")]:
    del os.environ[name]

# A shell's background job ignores Ctrl-C, and so would every process that the tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data that FLOWS_TEST_DATA names; tests that need it skip where it is not set or absent."""
    given = os.environ.get("FLOWS_TEST_DATA")
    if not given:
        pytest.skip("FLOWS_TEST_DATA is not set: it names the folder of real data")
    folder = Path(given).resolve()
    if not folder.is_dir():
        pytest.skip(f"FLOWS_TEST_DATA is {given}, which is not a folder")
    return folder


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """One emulator for the whole run, started when the first test asks; take a dataset of your own in it."""
    with running(Emulator.at(tmp_path_factory.mktemp("emulator") / "data")) as started:
        yield started
