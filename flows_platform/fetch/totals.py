"""The number of records that a document declares for its whole range. `proof.py` compares it."""

from collections.abc import Mapping

from flows_platform.columns.paths import RecordPath, single
from flows_platform.domain.errors import SourceRefused
from flows_platform.formats.protocol.envelope import COUNT_TEXT

INEXACT = "Where the API has no exact total, leave `total` out: paging then ends by an empty page, a flag or a link."


def total_count(value: object) -> int:
    """A total that a document gives as a number or as text.

    Raises:
        SourceRefused: it is something else.
    """
    # guard: the total is a number
    if type(value) in {int, str} and COUNT_TEXT.fullmatch(str(value)):
        return int(str(value))
    raise SourceRefused(f"the total number of records is {str(value)[:40]!r}, not a number.", remedy=INEXACT)


def total_in(path: RecordPath, envelope: Mapping[str, object]) -> object:
    """The value at the path of the total; None if there is no value.

    Raises:
        SourceRefused: `relation` beside it says that there may be more, as search engines do that stop counting.
    """
    total = single(path.find(envelope))
    beside = RecordPath("", path.steps[:-1]).find(envelope)
    relation = single([holder.get("relation") for holder in beside if isinstance(holder, Mapping)])
    # guard: a lower bound is not a total
    if len(path.steps) > 1 and relation in {"gt", "gte"}:
        raise SourceRefused(
            f"the total at {path.text} is {str(total)[:40]} or more ({relation!r} is beside it), which is not a total.",
            remedy=f"Ask the API to count all records. {INEXACT}",
        )
    return total
