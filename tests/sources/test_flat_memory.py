"""Peak memory of generating, cleaning and loading does not grow with the rows: 100 thousand against 3 million."""

import subprocess
import sys
from pathlib import Path

import pytest

STAGES = {
    "generate": """
from flows_platform.sources.lanl_flows.sample.generator import generate
generate(folder / "flows.txt.gz", rows=rows, days=2)
""",
    "clean": """
from flows_platform.sources.lanl_flows.cleaning import clean
assert clean(folder / "flows.txt.gz", folder / "clean.csv", folder / "rejects.csv").kept == rows
""",
    "load": """
from flows_platform.sources.lanl_flows.schema import FLOWS
from flows_platform.flow_database.load import load
assert load(folder / "clean.csv", folder / "flows.db", FLOWS).loaded == rows
""",
}
# VmHWM and not ru_maxrss: that one keeps the parent's peak across exec.
PEAK = 'print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))'


def peak_mb(stage: str, folder: Path, rows: int) -> float:
    folder.mkdir(exist_ok=True)
    script = f"from pathlib import Path\nfolder, rows = Path({str(folder)!r}), {rows}\n{STAGES[stage]}\n{PEAK}"
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    return int(output) / 1024


@pytest.mark.slow
def test_memory_is_flat(tmp_path: Path) -> None:
    # Of these, 30 MB (clean) to 90 MB are the libraries' own files, more of them where the page cache is warm.
    ceilings = {"generate": 250, "clean": 80, "load": 220}
    for stage, ceiling in ceilings.items():
        small, large = (peak_mb(stage, tmp_path / str(rows), rows) for rows in (100_000, 3_000_000))
        assert large - small <= 64, stage
        assert large <= ceiling, stage
