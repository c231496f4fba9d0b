"""A window file that is not what was fetched, or is gone: never published, named, fetched again where needed."""

import random
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from flows_platform.domain.errors import InputError
from flows_platform.domain.windows import Window
from flows_platform.pipeline.compare import compare_counts, compare_rows
from flows_platform.pipeline.window_pipeline import WindowPipeline
from flows_platform.sources.lanl_flows.windows import flows_windows
from flows_platform.window_files.ledger import Fetched, Ledger, Recovered
from flows_platform.window_files.parquet import batches_of, file_digest
from tests.end_to_end.conftest import Platform
from tests.faults.scale import scaled

pytestmark = pytest.mark.slow

KEY = "2014-01-01-03:00"
FLIPS = scaled(full=600, ci=60)
HEADERS = 256  # bytes at the most of a column's page headers, where a bit may change nothing that is read


@pytest.fixture
def window(platform: Platform) -> Window:
    return flows_windows(platform.settings).grid.from_key(KEY)


@pytest.fixture
def pipeline(platform: Platform, window: Window) -> Iterator[WindowPipeline]:
    """One window fetched and published."""
    with platform.windows() as pipeline:
        pipeline.warehouse.ensure_table(pipeline.table)
        pipeline.fetch(window)
        pipeline.publish(window, "test")
        yield pipeline


def flipped(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_no_flipped_bit_is_published_counted_verified_or_reprocessed(pipeline: WindowPipeline, window: Window) -> None:
    path, pick = pipeline.path(window), random.Random(5)
    content, rows = path.read_bytes(), file_digest(path)
    seen_by_pages = 0
    for bit in pick.sample(range(len(content) * 8), FLIPS):
        path.write_bytes(flipped(content, bit))
        for way in (lambda: pipeline.publish(window, "test"), lambda: pipeline.proven_path(window)):
            with pytest.raises(InputError, match=rf"{path} is not the file that was fetched.*Fetch the window again"):
                way()
        seen_by_pages += not read_as(path, rows)
    with pytest.raises(InputError, match="is not the file that was fetched"):
        pipeline.counts(window)
    with pytest.raises(InputError, match="is not the file that was fetched"):
        pipeline.reprocess(window)
    (verified,) = compare_rows(pipeline, [window])
    assert "is not the file that was fetched" in verified.difference
    assert pipeline.warehouse.digest(pipeline.table, window) == rows
    assert seen_by_pages > FLIPS // 2  # the pages' checksums alone; the others lie in the footer
    path.write_bytes(content)
    assert pipeline.counts(window).agree


def read_as(path: Path, rows: object) -> bool:
    """Whether the file still reads, whatever it gives."""
    try:
        return file_digest(path) == rows
    except InputError:
        return False


def test_a_page_that_is_damaged_is_never_read(pipeline: WindowPipeline, window: Window, tmp_path: Path) -> None:
    """Without the file's digest: a bit within the data of each column's last page, at any offset."""
    content, rows = pipeline.path(window).read_bytes(), pq.read_metadata(pipeline.path(window)).row_group(0)
    damaged = tmp_path / "damaged.parquet"
    for number in range(rows.num_columns):
        chunk = rows.column(number)
        end = min(chunk.dictionary_page_offset or chunk.data_page_offset, chunk.data_page_offset)
        end += chunk.total_compressed_size
        for share in (1, 2, 3):
            back = max(share, share * (chunk.total_compressed_size - HEADERS) // 8)
            damaged.write_bytes(flipped(content, (end - back) * 8 - 4))
            with pytest.raises(InputError, match=r"damaged.parquet cannot be read as Parquet .*Fetch the window again"):
                list(batches_of(damaged))


def test_a_file_that_the_ledger_does_not_know_is_not_published(pipeline: WindowPipeline, window: Window) -> None:
    pipeline.ledger.path.unlink()
    with pytest.raises(InputError, match=r"the ledger has no fetch that made .*0300.parquet"):
        pipeline.publish(window, "test")


def test_a_file_that_is_gone_makes_no_difference_where_source_and_warehouse_agree(
    platform: Platform, pipeline: WindowPipeline, window: Window
) -> None:
    grid = flows_windows(platform.settings).grid
    pipeline.path(window).unlink()
    (by_count,), (by_rows,) = list(compare_counts(pipeline, grid, [window])), list(compare_rows(pipeline, [window]))
    assert (by_count.difference, by_rows.difference) == ("", "")
    assert by_rows.digests is not None
    assert by_rows.digests.keys() == {"source", "warehouse"}
    platform.query("DELETE FROM flows WHERE id IN (SELECT MIN(id) FROM flows)")
    (seen,) = compare_counts(pipeline, grid, [window])
    assert seen.difference.startswith("ledger ")
    never = grid.after(window)
    (unknown,) = compare_counts(pipeline, grid, [never])
    assert unknown.difference.endswith("it was never fetched here")


def test_the_ledger_knows_the_file_before_and_after_reprocessing(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.record(Fetched("w", "2014-01-01T00:00:01", "", "", "", 0, 5, 3, 1, "first"))
    assert list(ledger.window_files()["w"].rows) == ["first"]
    for number, digest in enumerate(("second", "third"), start=2):
        ledger.record(Recovered("w", f"2014-01-01T00:00:0{number}", 1, 1, 5 + number, digest))
    assert list(ledger.window_files("w")["w"].rows) == ["second", "third"]
    assert (ledger.window_files()["w"].last_rows, ledger.window_files()["w"].other_records) == (8, 1)
    ledger.record(Fetched("w", "2014-01-01T00:00:09", "", "", "", 0, 5, 0, 0, "new"))
    assert list(ledger.window_files("w")["w"].rows) == ["new"]
    assert ledger.window_files("other") == {}
