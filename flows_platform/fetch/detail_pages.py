"""Reads a range in two steps: the pages of the list for its ids, then the details of these ids, batch by batch."""

from collections.abc import Callable, Generator, Iterator, Mapping

from flows_platform.columns.casting import Casted, Slice, as_mappings
from flows_platform.domain.errors import NoRecords, StreamIncomplete
from flows_platform.domain.verification import Verification
from flows_platform.domain.windows import Window
from flows_platform.fetch.api import WindowedApi
from flows_platform.fetch.declared_request import Id
from flows_platform.fetch.details import AskedIds, Details, IdList
from flows_platform.fetch.fetch_plan import FetchPlan, Tally
from flows_platform.fetch.http.refusals import MISSING
from flows_platform.fetch.pages import Pages, Take
from flows_platform.fetch.proof import PageProof
from flows_platform.fetch.record_account import RecordAccount
from flows_platform.fetch.window_range import WindowRange


def listing(details: Details, ids: IdList) -> Take:
    """Takes the ids of a page of the list."""

    def take(records: Slice, proof: PageProof) -> None:
        found = details.ids_in(as_mappings(records))
        proof.records += len(found)
        proof.note_ends(found)
        ids.add(found)

    return take


class DetailPages:
    """Reads ranges of one try at a window whose list gives ids."""

    def __init__(self, plan: FetchPlan, details: Details, pages: Pages, account: RecordAccount, tally: Tally) -> None:
        self._api = api = plan.api
        self._most = plan.limit  # ids that are enough
        self._details = details
        self._detailed = api.of_details
        self._pages = pages
        self._account = account
        self._tally = tally
        self._values_of = _values_of_ids(api, details)

    def read(self, window: Window | None, whole: WindowRange) -> Iterator[Casted]:
        """The records of the ids that the list has for the range `window`.

        Raises:
            StreamIncomplete: an id has no record, or two.
            SourceRefused: a record was not asked for.
            PlatformError: a request fails.
        """
        with IdList() as ids:
            first, take = self._api.request(window), listing(self._details, ids)
            yield from self._pages.follow(first, whole, take, most=self._most)
            for batch in ids.batches(self._details.size):
                yield from self._batch(batch, window, whole)

    def _batch(self, ids: list[Id], window: Window | None, whole: WindowRange) -> Generator[Casted]:
        details, tally, asked = self._details, self._tally, AskedIds(ids, self._values_of)

        def take(records: Slice, proof: PageProof) -> Casted:
            asked.meet(as_mappings(records))
            return self._account.take(records, proof, whole)

        request = self._api.further_request(details, window, details.named(ids))
        try:
            read = yield from self._pages.read(self._detailed, request, take, several=False)
        except NoRecords:
            tally.missing += len(asked.left)
            return
        # An answer with a record for every id is whole, whatever it says around them.
        self._pages.require_read(self._detailed, read.headers, read.envelope, proven=not asked.left)
        if not asked.left:
            tally.level = min(tally.level, max(read.level, Verification.COUNT))
            return
        # guard: every id has a record
        if MISSING not in self._detailed.refusals.nothing.members:
            raise StreamIncomplete(
                f"{len(ids):,} ids were asked for, and {len(ids) - len(asked.left):,} records came: there is no record "
                f"for {', '.join(list(asked.left)[:3])}.",
                remedy="Where an id of the list may have no record, declare `nothing: [missing]` under `details`.",
            )
        tally.level = min(tally.level, read.level)
        tally.missing += len(asked.left)


def _values_of_ids(api: WindowedApi, details: Details) -> Callable[[Mapping[str, object]], list[object]]:
    """Finds what may be the id of a record: the values at the declared path, else those that it gives key columns."""
    if path := details.record_id:
        return path.find
    keys = api.schema.keys
    if api.mapping is None:
        return lambda record: [record.get(key) for key in keys]
    # A value of `for_each` may be the id of another record.
    sources = [column for column in api.mapping.columns if column.column in keys and not column.origin]
    return lambda record: [source.value(record) for source in sources]
