"""NVD's real answers, fed through the server: they come back unchanged, in the same envelopes."""

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import urllib3

from .cve_objects import cves
from .nvd_server import NvdServer
from .serving import ManualClock

ESCAPED = rb"\/"


def nvd_pages(shared_data: Path) -> dict[str, bytes]:
    """The answers of the CVE API by file name."""
    found = {}
    for path in sorted((shared_data / "nvd").glob("*.json*")):
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        if json.loads(data).get("format") == "NVD_CVE":
            found[path.name] = data
    assert len(found) == 16
    return found


def cves_of(page: bytes) -> list[dict[str, Any]]:
    return [entry["cve"] for entry in json.loads(page).get("vulnerabilities", [])]


def paths(value: object, path: str = "") -> Iterator[str]:
    """The paths of all keys, and the kinds of the values there."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from paths(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from paths(inner, f"{path}[]")
    else:
        yield f"{path}: {type(value).__name__}"


def test_every_real_cve_comes_back_field_by_field(shared_data: Path, client: urllib3.PoolManager) -> None:
    for page in nvd_pages(shared_data).values():
        data = cves_of(page)
        with NvdServer(data, requests_per_window=1000) as server:
            found: list[dict[str, Any]] = []
            for start in range(0, len(data), 150):
                fields = {"startIndex": str(start), "resultsPerPage": "150"}
                found += cves_of(client.request("GET", server.url, fields=fields).data)
        assert found == data


def test_whole_answers_are_the_real_ones_byte_for_byte(shared_data: Path, client: urllib3.PoolManager) -> None:
    """Where the real answer was the whole result; two spellings of slashes among them."""
    names = ["nvdgo_cves-CVE-2023-0001.json", "search_47_20230314.json"]
    for page in map(nvd_pages(shared_data).__getitem__, names):
        clock = ManualClock(datetime.fromisoformat(json.loads(page)["timestamp"]).replace(tzinfo=UTC).timestamp())
        with NvdServer(cves_of(page), escape_slashes=ESCAPED in page, clock=clock) as server:
            assert client.request("GET", server.url).data == page.strip()


def test_envelopes_have_the_real_keys_in_the_real_order(shared_data: Path, client: urllib3.PoolManager) -> None:
    for page in nvd_pages(shared_data).values():
        real = json.loads(page)
        with NvdServer(cves_of(page), omit_empty_list=True) as server:
            served = client.request("GET", server.url).json()
        assert list(served) == list(real)
        assert {key: type(value) for key, value in served.items()} == {key: type(value) for key, value in real.items()}


def test_the_real_last_modified_window_is_selected_by_its_bounds(
    shared_data: Path, client: urllib3.PoolManager
) -> None:
    pages = nvd_pages(shared_data)
    wanted = cves_of(pages["lastmod_window_38_20231018.json"])
    earlier, later = "page_200_start200000_20230718.json.gz", "head15_20260201T1331.json"
    others = cves_of(pages[earlier]) + cves_of(pages[later])
    moments = sorted(cve["lastModified"] for cve in wanted)
    with NvdServer([*others, *wanted]) as server:
        fields = {"lastModStartDate": moments[0], "lastModEndDate": moments[-1]}
        assert cves_of(client.request("GET", server.url, fields=fields).data) == wanted


def test_two_snapshots_differ_in_all_200(shared_data: Path, client: urllib3.PoolManager) -> None:
    pages = nvd_pages(shared_data)
    old = cves_of(pages["page_200_start0_20230713.json.gz"])
    new = cves_of(pages["page_2000_start0_20250623.json.gz"])[:200]
    with NvdServer(old) as server:
        before = cves_of(client.request("GET", server.url).data)
        server.cves = new
        after = cves_of(client.request("GET", server.url).data)
    pairs = list(zip(before, after, strict=True))
    assert [one["id"] for one, _ in pairs] == [other["id"] for _, other in pairs]
    assert all(one["lastModified"] < other["lastModified"] for one, other in pairs)


def test_generated_cves_have_paths_of_real_ones_only(shared_data: Path) -> None:
    real = {path for page in nvd_pages(shared_data).values() for path in paths(cves_of(page))}
    made = set(paths(list(cves(500))))
    # The schema has these, no answer at hand does.
    unseen = {f"[].cveTags[].{name}: str" for name in ("sourceIdentifier", "tags[]")}
    unseen |= {f"[].metrics.cvssMetricV40[].{name}: float" for name in ("exploitabilityScore", "impactScore")}
    assert made - real <= unseen
    assert len(made & real) > 80
