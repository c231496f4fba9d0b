"""Casts the records of one try at a window and counts them: its own, those of other windows, and those that fail."""

from collections.abc import Mapping
from dataclasses import replace

from flows_platform.columns.casting import Casted, Slice, as_mappings, cast_slice
from flows_platform.columns.mapping import RecordMapping
from flows_platform.columns.raw_records import Records, Unreadable, raw_record
from flows_platform.columns.row_plan import RowPlan
from flows_platform.domain.rejects import RejectedRecord
from flows_platform.fetch.api import WindowedApi
from flows_platform.fetch.children import Children
from flows_platform.fetch.continuing import last_value
from flows_platform.fetch.fetch_plan import Tally
from flows_platform.fetch.out_of_window import inside
from flows_platform.fetch.proof import PageProof
from flows_platform.fetch.window_range import WindowRange


class RecordAccount:
    """Casts slices of records in the order they came, and counts them in `tally`."""

    _api: WindowedApi
    _row_plan: RowPlan | None
    _value: str | None

    def __init__(self, tally: Tally, mapping: RecordMapping | None) -> None:
        self._tally = tally
        self._children = Children(mapping)

    def turn_to(self, api: WindowedApi, value: str | None) -> None:
        """Take the records of another pull from here on, that of `value` of `for_each`."""
        self._api = api
        self._value = value
        self._row_plan = RowPlan(api.mapping) if api.mapping else None

    def take(self, records: Slice, proof: PageProof, whole: WindowRange) -> Casted:
        """The slice, cast and counted: the window's own records, with their positions in the stream."""
        api, first = self._api, self._tally.position + 1
        casted, sent, parents = self._cast(records, first)
        proof.add(casted, parents)
        if api.paging.continues_from:
            last = last_value(api, api.paging.continues_from, casted, sent, first)
            whole.last = whole.last if last is None else last
            if whole.order:
                whole.order.add(casted.batch.column(api.paging.continues_from))
        if whole.past:
            whole.past.add(casted.batch)
        if whole.window and not api.time_is_given:
            casted = inside(casted, api.schema, whole.window, api.beyond)
        self._tally.rows += casted.batch.num_rows
        self._tally.rejected += len(casted.rejects)
        self._tally.outside += casted.neighbours.num_rows if casted.neighbours else 0
        # guard: the quarantine holds what was sent
        if sent:
            casted.rejects = [_as_sent(reject, sent[reject.position - first]) for reject in casted.rejects]
        if self._value is not None:
            casted.rejects = [replace(reject, value=self._value) for reject in casted.rejects]
        return casted

    def close(self) -> None:
        """Check, once all records came, that the path of the rows leads to something.

        Raises:
            SourceRefused: it leads to nothing.
        """
        self._children.close()

    def _cast(self, records: Slice, first: int) -> tuple[Casted, Records, int | None]:
        """The cast slice, from position `first` on; for mapped rows also the objects sent and the number of parents."""
        api = self._api
        if self._row_plan is None or api.mapping is None:
            return cast_slice(api.schema, records, first, api.extra_column), [], None
        parents = as_mappings(records)
        sent = api.mapping.split(parents)
        self._children.note(parents, sent)
        return cast_slice(api.schema, self._row_plan.rows(sent), first, api.extra_column), sent, len(parents)


def _as_sent(reject: RejectedRecord, sent: Mapping[str, object] | Unreadable) -> RejectedRecord:
    """The reject as the source sent it, not as it was mapped, so that reprocessing can map it again."""
    return reject if isinstance(sent, Unreadable) else replace(reject, raw=raw_record(sent))
