"""One range of a window while it is read: the account of its pages, and where the next page continues."""

from dataclasses import dataclass, field

from flows_platform.domain.windows import Window
from flows_platform.fetch.api import WindowedApi
from flows_platform.fetch.continuing import ORDERED, Order
from flows_platform.fetch.paging import End
from flows_platform.fetch.past_window import PastWindow
from flows_platform.fetch.proof import RangeProof
from flows_platform.fetch.time_parameters import Stop


@dataclass(slots=True)
class WindowRange:
    """One range under way. `last` is the value that the next page continues from.

    `past` looks for the first record past the range, where the request names no end and paging stops there.
    """

    window: Window | None
    order: Order | None = None
    past: PastWindow | None = None
    proof: RangeProof = field(default_factory=RangeProof)
    last: object = None

    @classmethod
    def of(cls, api: WindowedApi, window: Window | None) -> "WindowRange":
        """The range before its first request."""
        column = api.paging.continues_from
        ordered = column and api.schema.column(column).type in ORDERED
        stops = window and api.time and api.time.stop is Stop.BEYOND
        return cls(
            window,
            Order(column) if column and ordered else None,
            PastWindow(api.schema, window) if window and stops else None,
        )

    def stopped(self) -> End | None:
        """Why paging stops, once a record past the range came.

        Where all records so far have one time, the latest may come first: the next page shows the order.
        """
        # guard: paging stops only where times have risen
        if self.past is None or self.past.first is None or not self.past.rose:
            return None
        self.proof.stopped = True
        return End(f"a record of {self.past.first} is past the window", stated=True)
