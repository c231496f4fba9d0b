"""A finished window file as its writer knows it, so that it need not be read again."""

from dataclasses import dataclass
from pathlib import Path

from flows_platform.columns.batches import Time
from flows_platform.domain.windows import Window
from flows_platform.window_files.profile import Profile
from flows_platform.window_files.quarantine import quarantine_path


@dataclass(frozen=True, slots=True)
class WindowFile:
    """One window's Parquet file at `location`, filled by the sink while it writes.

    `rows`, `rejected` and `deduplicated` add up to the records that were received. `first_time` and `last_time` are in
    the source's own unit, None if there are no rows. `quarantine_sha256` is of the file of rejected records.

    `window` is None for all records of a source; `profile` is None if it was not asked for.
    """

    window: Window | None
    location: Path
    sha256: str
    rows: int
    rejected: int
    deduplicated: int
    first_time: Time | None
    last_time: Time | None
    quarantine_sha256: str
    profile: Profile | None = None

    @property
    def received(self) -> int:
        return self.rows + self.rejected + self.deduplicated

    @property
    def quarantine(self) -> Path | None:
        """Path of the rejected records; None if there are none."""
        return quarantine_path(self.location) if self.rejected else None
