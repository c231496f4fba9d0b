"""Gigabytes of Qualys XML through the shipped YAML, in constant memory: every row and the digest of all in BigQuery."""

import json
import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest
from google.cloud import bigquery

from flows_platform.local.emulator import Emulator
from flows_platform.warehouse.warehouse import emulator_client
from tests.fakes.qualys_history import History
from tests.fakes.qualys_objects import PRIME
from tests.fakes.qualys_server import QualysServer
from tests.faults.scale import scaled

SIZE = scaled(2_200_000_000, 12_000_000)  # bytes of XML
PEAK_MB = 512
CHILD = Path(__file__).resolve().parents[1] / "components" / "history_child.py"
TERM = (
    "MOD(((host_id * 1009 + qid) * 1013 + times_found) * 1019 + UNIX_SECONDS(last_updated) "
    f"+ LENGTH(COALESCE(results, '')), {PRIME})"
)


def fetched(tmp_path: Path, server: QualysServer, emulator: Emulator, dataset: str) -> dict[str, float]:
    """What the process that fetched it reports."""
    arguments = [str(tmp_path), server.origin, str(emulator.port), str(emulator.key_file), dataset]
    secrets = {"QUALYS_USERNAME": "acme_ab12", "QUALYS_PASSWORD": "passwd", "FLOWS_FETCH_DEADLINE": "7200"}
    done = subprocess.run(
        [sys.executable, CHILD, *arguments], env=os.environ | secrets, stdout=subprocess.PIPE, check=True
    )
    told: dict[str, float] = json.loads(done.stdout)
    return told


@pytest.mark.slow
@pytest.mark.faults
def test_a_long_history_arrives_whole_in_constant_memory(tmp_path: Path, emulator: Emulator) -> None:
    history, dataset = History(SIZE), f"test_{uuid4().hex}"
    with QualysServer(history, keep_alive_every=1000) as server:
        told = fetched(tmp_path, server, emulator, dataset)
        sent = server.sent
    print(json.dumps(told))  # noqa: T201 - the figures of a full run
    assert told["received_bytes"] >= SIZE
    assert told["peak_mb"] < PEAK_MB
    assert (told["rows"], told["inserted"], told["rejected"]) == (sent.rows, sent.rows, 0)
    assert told["requests"] == -(-history.count // 1000)
    sql = f"SELECT COUNT(*) AS n, COUNT(DISTINCT detection_key) AS keys, SUM({TERM}) AS digest FROM qualys_detections"
    config = bigquery.QueryJobConfig(default_dataset=f"local.{dataset}")
    with emulator_client(emulator.url, "local", "US", emulator.key_file) as client:
        (row,) = client.query_and_wait(sql, job_config=config)
    assert dict(row.items()) == {"n": sent.rows, "keys": sent.rows, "digest": sent.digest}
