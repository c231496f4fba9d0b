"""What browser tests share: the browser, and the folder of the pictures."""

import os
from pathlib import Path

import pytest

from tests.ui.chromium import Pictures, chromium


@pytest.fixture(scope="module")
def executable() -> str:
    found = chromium()
    if found is None:
        pytest.skip("Debian's chromium is not installed: the browser test did not run")
    return found


@pytest.fixture
def pictures(tmp_path: Path) -> Pictures:
    return Pictures(Path(os.environ.get("FLOWS_TEST_SCREENSHOTS", tmp_path)))
