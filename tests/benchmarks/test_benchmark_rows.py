"""Every row once, tiny, but those that need a warehouse. Their times mean nothing."""

import pytest

from benchmarks.catalog import ROWS
from benchmarks.sizes import Sizes
from tests.benchmarks.one_trial import WITH_EMULATOR, check_row

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def sizes(tmp_path_factory: pytest.TempPathFactory) -> Sizes:
    return Sizes(rows=4000, repeats=1, work=tmp_path_factory.mktemp("benchmarks"), quiet_seconds=0)


@pytest.mark.parametrize("name", [name for name in ROWS if name not in WITH_EMULATOR])
def test_a_row_runs_and_what_it_compares_is_equal(name: str, sizes: Sizes) -> None:
    check_row(name, sizes)
