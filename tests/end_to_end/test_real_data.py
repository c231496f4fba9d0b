"""Real LANL rows through the whole path: 218 raw ones, and the million that was published in bins."""

import csv
import gzip
from pathlib import Path

import pytest

from flows_platform.sources.lanl_flows.schema import FLOWS
from tests.end_to_end.conftest import MakePlatform, Platform


def arrived(platform: Platform) -> list[tuple[object, ...]]:
    """The table's rows in order of id, as the raw file's fields."""
    fields = ", ".join(FLOWS.names[1:])
    return platform.query(f"SELECT {fields} FROM flows ORDER BY id")


def run_all(platform: Platform) -> None:
    assert platform.build_database().success
    platform.start_api()
    run = platform.run_windows()
    assert run.success
    assert all(platform.checks(run.run_id).values())
    assert platform.table_digest() == platform.database_digest()


@pytest.mark.slow
@pytest.mark.timeout(1200)  # 290 windows, each with two statements in the emulator
def test_the_218_raw_rows_arrive_as_they_are(shared_data: Path, make_platform: MakePlatform) -> None:
    raw = shared_data / "lanl" / "flows_excerpt.txt"
    lines = raw.read_text().splitlines()
    last = int(lines[-1].split(",")[0])
    platform = make_platform(raw_file=raw, days=last // 86400 + 1, api_format="xml")
    run_all(platform)
    assert [",".join(map(str, row)) for row in arrived(platform)] == lines
    assert platform.metadata("rejected_flows")["dagster/row_count"] == 0


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_decoded_million_arrives_whole(shared_data: Path, tmp_path: Path, make_platform: MakePlatform) -> None:
    raw = tmp_path / "million.txt"
    with gzip.open(shared_data / "lanl" / "flows_1m_decoded.csv.gz", "rt") as decoded, raw.open("w") as lines:
        for row in csv.DictReader(decoded):
            ports = row["src_computer"], row["src_port"], row["dst_computer"], row["dst_port"]
            volumes = row["protocol"], row["packets_lo"], row["bytes_lo"]
            lines.write(",".join((row["time"], row["duration_lo"], *ports, *volumes)) + "\n")
    platform = make_platform(raw_file=raw)
    run_all(platform)
    assert platform.table_digest().count == 1_000_000
    assert platform.query("SELECT MAX(time), COUNT(DISTINCT src_comp) FROM flows") == [(25_962, 3_581)]
