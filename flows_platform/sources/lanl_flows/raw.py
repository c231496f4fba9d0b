"""The raw file: the configured one, or a generated sample."""

from dataclasses import dataclass
from pathlib import Path

from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.progress import Progress, silent
from flows_platform.flow_database.line_blocks import first_lines
from flows_platform.runtime.atomic_files import sha256_file
from flows_platform.settings import Settings
from flows_platform.sources.lanl_flows.sample.generator import generate

FIRST_ROWS = 5


@dataclass(frozen=True, slots=True)
class RawFile:
    """The raw file and what identifies it; `generated` says whether it is the project's own sample."""

    path: Path
    size: int
    sha256: str
    first_rows: tuple[str, ...]
    generated: bool


def raw_file(settings: Settings, progress: Progress = silent) -> RawFile:
    """The raw file that the settings name, or a generated one if they name none; progress in rows.

    Raises:
        ConfigurationError: the named file does not exist.
        InputError: it cannot be read.
    """
    path = settings.raw_file or settings.files.sample
    if settings.raw_file is None:
        generate(path, rows=settings.sample_rows, seed=settings.sample_seed, days=settings.days, progress=progress)
    elif not path.is_file():
        raise ConfigurationError(
            f"FLOWS_RAW_FILE is {str(path)!r}, which is not a file.", remedy="Set it to the path of flows.txt."
        )
    rows = tuple(line.decode(errors="replace") for line in first_lines(path, FIRST_ROWS))
    return RawFile(path, path.stat().st_size, sha256_file(path), rows, settings.raw_file is None)
