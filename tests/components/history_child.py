"""A child process that loads one wide window of a shipped YAML into the warehouse and prints its peak memory.

Arguments: home, Qualys server's URL, emulator's port and key file, dataset. Prints JSON.
"""

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from flows_platform.components.build import windowed_table
from flows_platform.components.loader import DEFS, load_declaration
from flows_platform.domain.windows import Window
from flows_platform.orchestration.resources import build_resources
from flows_platform.settings import load_settings
from flows_platform.warehouse.replace_window import Published

WINDOW = Window(datetime(2023, 5, 1, tzinfo=UTC), datetime(2023, 6, 1, tzinfo=UTC))


def peak_mb() -> float:
    """VmHWM, not ru_maxrss, which keeps the parent's peak across exec."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) / 1024


def main(home: str, url: str, port: str, key: str, dataset: str) -> None:
    emulator = {"emulator_port": int(port), "emulator_key_file": Path(key)}
    settings = load_settings(home=Path(home), qualys_url=url, bigquery_dataset=dataset, **emulator)
    declaration = load_declaration(DEFS / "qualys_detections" / "defs.yaml", settings)
    with windowed_table(declaration, settings).pipeline(*build_resources(settings)) as pipeline:
        started = time.process_time()
        staged = pipeline.fetch(WINDOW)
        told = {"cpu_seconds": time.process_time() - started, "seconds": staged.seconds, "fetch_peak_mb": peak_mb()}
        pipeline.warehouse.ensure_table(pipeline.table)
        published = pipeline.publish(WINDOW, "test")
        assert isinstance(published, Published)
        told |= {
            "rows": staged.file.rows,
            "rejected": staged.file.rejected,
            "received_bytes": staged.answers.received_bytes,
        }
        told |= {
            "requests": staged.answers.requests,
            "file_bytes": staged.file.location.stat().st_size,
            "inserted": published.inserted,
        }
    sys.stdout.write(json.dumps(told | {"peak_mb": peak_mb()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
