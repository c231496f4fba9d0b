"""Compares the source's counts and digest with ours. The result is the level of verification that they prove."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from flows_platform.columns.batches import batch_digest
from flows_platform.columns.casting import Casted
from flows_platform.domain.errors import SourceRefused, StreamIncomplete
from flows_platform.domain.verification import RowDigest, Verification
from flows_platform.fetch.totals import total_count
from flows_platform.formats.protocol.envelope import DeclaredTotal
from flows_platform.formats.protocol.names import RECORD_COUNT_HEADER

LACKING = {
    Verification.UNVERIFIED: "nothing marks its end, and no count was declared: an early end would pass",
    Verification.FRAMING: f"it declares no count (no {RECORD_COUNT_HEADER} header, no footer): gaps would pass",
    Verification.COUNT: "it declares no digest",
}
IGNORED = "Check the parameters under `paging`: the API seems to ignore them."


@dataclass(slots=True)
class PageProof:
    """The account of one page: its records and, where `digesting`, the digest of its rows as they were sent.

    `compared` says that it is one of several pages, which must not hold the same records.
    """

    digesting: bool
    extra_column: str | None = None
    compared: bool = False
    records: int = 0
    note: str = ""  # why the digest could not be compared
    _digest: RowDigest = field(default_factory=RowDigest)
    _ends: tuple[object, object] = (None, None)

    def add(self, casted: Casted, records: int | None = None) -> None:
        """Count a slice, before records outside the window are removed: those were sent too.

        `records` is their number where a record is not one row.
        """
        self.records += casted.batch.num_rows + len(casted.rejects) if records is None else records
        if self.compared:
            self.note_ends(_ends(casted))
        if not self.digesting or self.note:
            return
        batch = casted.batch
        if casted.rejects:
            first = casted.rejects[0]
            self.note = f"no digest of rows that cannot be cast, such as record {first.position:,}: {first.reason}"
        elif self.extra_column and batch.column(self.extra_column).null_count < batch.num_rows:
            self.note = "no digest of rows with fields unknown to the schema"
        else:
            sent = [name for name in batch.schema.names if name != self.extra_column]
            self._digest += batch_digest(batch.select(sent))

    def level(
        self,
        header: int | None,
        footer: DeclaredTotal | None,
        *,
        enclosed: bool,
        lines: RowDigest | None = None,
    ) -> Verification:
        """The level this page reaches.

        Args:
            header: The number of records that the answer's header declares.
            footer: What the document's footer declares.
            enclosed: Whether the document, or the file that it was packed in, marked its end.
            lines: The digest of the lines that came, where the source's digest is that of its lines.

        Raises:
            StreamIncomplete: a count or the digest that the source declares differs from ours.
        """
        # guard: footer count
        # guard: header count
        counts = {"header": header, "footer": footer.count if footer else None}
        for declared_in, count in counts.items():
            if count is not None and count != self.records:
                raise StreamIncomplete(
                    f"the source's {declared_in} declares {count:,} records, but {self.records:,} came."
                )
        ours = lines or (self._digest if self.digesting and not self.note else None)
        if ours and footer and footer.digest:
            # guard: digest of the source
            if footer.digest != ours.hex:
                of = "lines" if lines else "rows"
                raise StreamIncomplete(
                    f"the source's digest is {footer.digest}, but that of the received {of} is {ours.hex}."
                )
            return Verification.DIGEST
        if header is not None or footer:
            return Verification.COUNT
        return Verification.FRAMING if enclosed else Verification.UNVERIFIED

    def note_ends(self, ends: Sequence[object]) -> None:
        """Keep the first and the last record of the page, to recognize it: `ends` are those of a slice."""
        first, last = self._ends
        self._ends = first or ends[:1], ends[-1:] or last

    @property
    def face(self) -> object:
        """A value that two pages share only if they hold the same records; None for an empty page."""
        return (self.records, *self._ends) if self.records else None


def _ends(casted: Casted) -> list[object]:
    """The first and the last good record, and the first and the last reject, if there are any."""
    rows, rejects = casted.batch, casted.rejects
    good = [str(rows.slice(index, 1).to_pylist()) for index in {0, rows.num_rows - 1}] if rows.num_rows else []
    return [*good, *(rejects[index].raw for index in {0, len(rejects) - 1} if rejects)]


@dataclass(slots=True)
class RangeProof:
    """The account of one range's pages: their lowest level, the total they declare, the records that came."""

    level: Verification = Verification.DIGEST
    seen: int = 0
    total: int | None = None
    face: object = None  # of the last page
    same: int = 0  # the pages before the last that held the same records
    flagged: bool = False  # a page had the flag that says whether there is more
    promised: bool = False  # the last page says that there is another, which has records
    empty: int = 0  # the number of empty pages since the last record
    surplus: int = 0  # records beyond the total
    stopped: bool = False  # paging stopped at the first record past the range

    def add(self, level: Verification, records: int, total: object) -> None:
        """Count a page.

        Raises:
            StreamIncomplete: its total differs from that of the first page: the records changed meanwhile.
            SourceRefused: the total is not a number.
        """
        self.level = min(self.level, level)
        self.seen += records
        self.empty = 0 if records else self.empty + 1
        if total is None:
            return
        count = total_count(total)
        # guard: the total stays the same
        if self.total not in {None, count}:
            raise StreamIncomplete(f"the source declared {self.total:,} records, and {count:,} a page later.")
        self.total = count

    def require_other(self, page: PageProof, most: int) -> None:
        """Refuse a page that holds the same records as the `most` before it.

        Raises:
            StreamIncomplete: the page does. The API ignores a parameter, or its pages moved by a whole page.
        """
        self.same = self.same + 1 if page.face is not None and page.face == self.face else 0
        # guard: pages that do not change are found out
        if self.same >= most:
            raise StreamIncomplete(
                f"{'two' if most == 1 else self.same + 1} pages in a row hold the same {page.records:,} records.",
                remedy=IGNORED,
            )
        self.face = page.face

    def close(self) -> Verification:
        """The level that the range reaches: a total proves its count, even if its pages prove less.

        Where paging `stopped`, a total counts records that were not read.

        More records than the total may be repeats, which their keys show: they are in `surplus`.

        Raises:
            StreamIncomplete: the source counted more records than arrived.
        """
        if self.total is None or self.stopped:
            return self.level
        # guard: the total equals what came
        if self.total > self.seen:
            raise StreamIncomplete(f"the source declares {self.total:,} records in all, but {self.seen:,} came.")
        self.surplus = self.seen - self.total
        return max(self.level, Verification.COUNT)


def require(reached: Verification, least: Verification, note: str) -> None:
    """Refuse a window that proves less than the API requires.

    A digest that could not be compared because of rejected records (`note`) passes: those are counted and kept.

    Raises:
        SourceRefused: the window proves less.
    """
    # guard: least verification
    if reached < least and not (note and reached is Verification.COUNT):
        raise SourceRefused(
            f"the stream is verified to {reached.label} only, not {least.label}: {LACKING[reached]}.",
            remedy="Declare a lower verification for this API if it has no better.",
        )
