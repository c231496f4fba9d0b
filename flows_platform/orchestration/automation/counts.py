"""Whether the source still counts a window as it was loaded. Counting itself is `fetch/count.py`'s."""

from dataclasses import dataclass

from flows_platform.domain.windows import Window
from flows_platform.orchestration.resources import FetchResource
from flows_platform.orchestration.table import WindowedTable


@dataclass(frozen=True, slots=True)
class SourceCounts:
    """The source's own counts; it is asked `tries` times."""

    declaration: WindowedTable
    fetch: FetchResource
    tries: int

    def differs(self, window: Window, received: int) -> bool:
        """Whether the source holds another number of records than were `received`; False where it tells none.

        Raises:
            Transient: it gives no answer.
        """
        # Imported here: what reads records takes half a second that loading the definitions must not.
        from flows_platform.fetch.count import count_records  # noqa: PLC0415

        with self.fetch.client(self.declaration.gate) as client:
            counted = count_records(client, self.declaration.api(), window, tries=self.tries)
        return counted not in {None, received}
