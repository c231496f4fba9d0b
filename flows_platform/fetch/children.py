"""Checks that the path of the rows leads to something: records without any row may mean a wrong path."""

from dataclasses import dataclass, field

from flows_platform.columns.mapping import RecordMapping
from flows_platform.columns.raw_records import Records, Unreadable
from flows_platform.domain.errors import SourceRefused


@dataclass(slots=True)
class Children:
    """Checks the records of a window whose rows are the records' children. A mapping without children passes."""

    mapping: RecordMapping | None
    _met: bool = False
    _others: set[str] = field(default_factory=set)  # lists of objects in records that have no such path

    def note(self, records: Records, sent: Records) -> None:
        """Note the records of a slice, and the objects that become rows."""
        if self._met or self.mapping is None or self.mapping.each is None:
            return
        others = None if any(not isinstance(record, Unreadable) for record in sent) else self.mapping.childless(records)
        self._met = others is None
        self._others |= others or set()

    def close(self) -> None:
        """Refuse a window whose records have lists of objects under other paths only.

        Raises:
            SourceRefused: no record has the path, and some have lists of objects that no column reads.
        """
        # guard: records without rows hold none elsewhere
        if self._met or not self._others or self.mapping is None or self.mapping.each is None:
            return
        named = ", ".join(sorted(self._others)[:10])
        raise SourceRefused(
            f"no record has {self.mapping.each.text!r}, from which rows are made, but there are lists at {named}.",
            remedy=f"Check `rows`; where {named} is not meant to be rows, declare it under `ignore`.",
        )
