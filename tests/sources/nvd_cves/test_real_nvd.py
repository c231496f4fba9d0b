"""NVD's own answers, every CVE and field: the tables agree with the documents, which other code reads."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from flows_platform.sources.nvd_cves.cve_id import key_of
from flows_platform.sources.nvd_cves.rows import rows_of
from flows_platform.sources.nvd_cves.store import Counts, CveStore
from tests.sources.nvd_cves.documents import NEW, OLD, answer, answers, check, newest_of, stored


def test_every_cve_and_field(shared_data: Path, store: CveStore, engine: Engine) -> None:
    pages = list(answers(shared_data))
    for page in pages:
        store.upsert(page)
    newest = newest_of(cve for page in pages for cve in page)
    assert store.total() == len(newest) > 2_200
    held = stored(engine)
    for cve in newest.values():
        check(held[key_of(cve["id"])], cve)


@pytest.mark.parametrize("kept", [0, 120, 200])
def test_two_snapshots_give_exactly_the_changed_rows(
    shared_data: Path, store: CveStore, engine: Engine, kept: int
) -> None:
    """All 200 CVEs of the later snapshot are newer; if `kept` of them are unchanged, only the others are."""
    old, new = answer(shared_data / "nvd" / OLD), answer(shared_data / "nvd" / NEW)[:200]
    assert [document["id"] for document in old] == [document["id"] for document in new]
    assert store.upsert(old) == Counts(inserted=200)
    later = old[:kept] + new[kept:]
    assert store.newer(rows_of(document).version for document in later) == {document["id"] for document in new[kept:]}
    assert store.upsert(later) == Counts(updated=200 - kept, unchanged=kept)
    held = stored(engine)
    for cve in later:
        check(held[key_of(cve["id"])], cve)
    assert store.upsert(old) == Counts(unchanged=200)
