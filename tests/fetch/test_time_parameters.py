"""The request of a window: adjacent requests share no instant and miss no instant, in every form of parameter."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows_platform.columns.casting import cast_slice
from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.schema import Column, ColumnType, TableSchema
from flows_platform.domain.windows import Window
from flows_platform.fetch.out_of_window import inside
from flows_platform.fetch.range_templates import InstantText
from flows_platform.fetch.time_parameters import OUR_OWN, EpochTime, TimeParameters, Written

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ORIGIN = datetime(2024, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
FORMS: dict[str, dict[str, object]] = {
    "seconds": {"written": Written.SECONDS},
    "epoch milliseconds": {"written": Written.MILLISECONDS},
    "epoch microseconds": {"written": Written.MICROSECONDS},
    "epoch nanoseconds": {"written": Written.NANOSECONDS},
    "time": {},
    "time with an offset": {"suffix": "+00:00"},
    "time without a zone": {"written": Written.ISO_MILLISECONDS, "suffix": ""},
    "milliseconds": {"written": Written.ISO_MILLISECONDS},
    "microseconds": {"written": Written.ISO_MICROSECONDS},
    "date": {"written": Written.DATE},
}


def asking(form: str = "time", after: bool = True, before: bool = True, **keys: object) -> TimeParameters:  # noqa: FBT001, FBT002
    """Parameters of that form, whose bounds are inclusive or not."""
    bounds = {"after_inclusive": after, "before_inclusive": before}
    return TimeParameters(after="a", before="b", **bounds | FORMS[form] | keys)


def read(form: InstantText, text: str) -> datetime:
    """How an API reads a parameter. Independent of the code, so that it cannot have the same errors."""
    if isinstance(form, EpochTime):
        return form.epoch + timedelta(microseconds=int(text) * 10**6 // form.unit)
    instant = datetime.fromisoformat(text)
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def gives(parameters: TimeParameters, schema: TableSchema, query: dict[str, str], instant: datetime) -> bool:
    """Whether an API with these bounds gives a record of that instant."""
    form = parameters.text(schema)
    later, earlier = True, True
    if parameters.after in query:
        after = read(form, query[parameters.after])
        later = instant >= after if parameters.after_inclusive else instant > after
    if parameters.before in query:
        before = read(form, query[parameters.before])
        earlier = instant <= before if parameters.before_inclusive else instant < before
    return later and earlier


def kept(parameters: TimeParameters, schema: TableSchema, piece: Window, instant: datetime) -> tuple[int, int, int]:
    """How many rows, neighbours and rejects a record of that instant becomes, if it is in the piece's answer."""
    seconds = schema.column(schema.time).type is ColumnType.INT64
    value = int((instant - schema.epoch).total_seconds()) if seconds else instant
    casted = cast_slice(schema, [{"id": 1, "at": value}], 1)
    found = inside(casted, schema, piece, parameters.beyond(schema))
    neighbours = found.neighbours.num_rows if found.neighbours else 0
    return found.batch.num_rows, neighbours, len(found.rejects)


MICROSECOND = timedelta(microseconds=1)
LATER = datetime(2026, 1, 1, tzinfo=UTC)
BOOLEANS = st.tuples(st.booleans(), st.booleans())


def schema(kind: ColumnType) -> TableSchema:
    columns = (Column("id", ColumnType.INT64, ""), Column("at", kind, ""))
    return TableSchema("t", "", columns, key="id", time="at", epoch=ORIGIN - timedelta(days=3))


TIMES = schema(ColumnType.TIMESTAMP)


@given(
    st.sampled_from(list(FORMS)),
    BOOLEANS,
    st.sampled_from([ColumnType.TIMESTAMP, ColumnType.INT64]),
    st.lists(st.integers(1, 9), min_size=1, max_size=4),
    st.integers(1, 9) | st.none(),
    st.data(),
)
def test_each_instant_is_asked_for_and_kept_once(  # noqa: PLR0917 - what is drawn
    form: str,
    inclusive: tuple[bool, bool],
    kind: ColumnType,
    lengths: list[int],
    longest: int | None,
    data: st.DataObject,
) -> None:
    """Whatever digits records' times have, and whatever an API's parameters have."""
    table = schema(kind)
    finest = MICROSECOND if kind is ColumnType.TIMESTAMP else timedelta(seconds=1)
    step = max(asking(form).text(table).resolution, finest)
    parameters = asking(form, *inclusive, longest_days=longest * step / DAY if longest else None)
    windows, start = [], ORIGIN
    for length in lengths:
        windows.append(Window(start, start + length * step))
        start = windows[-1].end
    pieces = [piece for window in windows for piece in parameters.pieces(window, table)]
    edges = st.sampled_from([edge for piece in pieces for edge in (piece.start, piece.end)])
    near = st.builds(lambda edge, off: edge + off * finest, edges, st.integers(-2, 2))
    anywhere = st.builds(lambda number: ORIGIN + number * finest, st.integers(-9, (start - ORIGIN) // finest + 9))
    instant = data.draw(near | anywhere)
    found = [
        kept(parameters, table, piece, instant)
        for piece in pieces
        if gives(parameters, table, parameters.render(piece, table), instant)
    ]
    assert [sum(counts) for counts in found] == [1] * len(found)
    assert sum(rows for rows, _, _ in found) == (1 if ORIGIN <= instant < start else 0)
    assert sum(rejects for _, _, rejects in found) == 0


@given(st.sampled_from(list(FORMS)), BOOLEANS, BOOLEANS, st.integers(1, 9), st.data())
def test_bounds_that_are_not_known_miss_nothing_under_any_reading(
    form: str, declared: tuple[bool, bool], real: tuple[bool, bool], length: int, data: st.DataObject
) -> None:
    step, parameters = asking(form).text(TIMES).resolution, asking(form, *declared, exact=False)
    window = Window(ORIGIN, ORIGIN + length * step)
    reading = asking(form, *real, exact=False)
    number = data.draw(
        st.integers(0, length * step // MICROSECOND - 1) | st.sampled_from([0, length * step // MICROSECOND - 1])
    )
    assert gives(reading, TIMES, parameters.render(window, TIMES), ORIGIN + number * MICROSECOND)


def test_an_inclusive_end_is_asked_for_as_itself_but_where_times_are_whole_seconds() -> None:
    window = Window(ORIGIN, ORIGIN + timedelta(hours=3))
    parameters = asking("time")
    ends = {kind: parameters.render(window, schema(kind))["b"] for kind in (ColumnType.TIMESTAMP, ColumnType.INT64)}
    assert ends == {ColumnType.TIMESTAMP: "2024-01-01T03:00:00Z", ColumnType.INT64: "2024-01-01T02:59:59Z"}
    days = asking("date").render(Window(ORIGIN, ORIGIN + timedelta(days=1)), schema(ColumnType.INT64))
    assert days["b"] == "2024-01-02"


def test_a_record_that_was_not_asked_for_is_a_reject() -> None:
    window, table = Window(ORIGIN, ORIGIN + timedelta(hours=3)), schema(ColumnType.TIMESTAMP)
    parameters = asking("time", after=False)
    for seconds, kind in ((-2, 2), (-1, 1), (0, 0), (3 * 3600 - 1, 0), (3 * 3600, 1), (3 * 3600 + 1, 2)):
        found = kept(parameters, table, window, ORIGIN + timedelta(seconds=seconds))
        assert found.index(1) == kind
    finer = asking("microseconds")  # an API may compare whole seconds all the same
    for offset, kind in ((timedelta(microseconds=-1), 0), (timedelta(seconds=1) - MICROSECOND, 1), (timedelta(1), 2)):
        assert kept(finer, table, window, window.end + offset).index(1) == kind
    exact = asking("time", before=False)
    assert kept(exact, table, window, window.end) == (0, 0, 1)
    unknown = asking("time", exact=False)  # and an API that ignores its range gives its newest records
    for instant, kind in ((window.start - 900 * DAY, 1), (window.end + DAY, 1), (window.end + 2 * DAY, 2), (LATER, 2)):
        assert kept(unknown, table, window, instant).index(1) == kind


def test_pieces_ask_for_no_more_than_the_longest_range() -> None:
    day, window = timedelta(days=1), Window(ORIGIN, ORIGIN + timedelta(days=7))
    for after_inclusive in (True, False):
        for form in ("time", "milliseconds", "epoch milliseconds"):
            parameters = asking(form, after=after_inclusive, longest_days=1)
            text = parameters.text(TIMES)
            for piece in parameters.pieces(window, TIMES):
                query = parameters.render(piece, schema(ColumnType.TIMESTAMP))
                assert read(text, query["b"]) - read(text, query["a"]) <= day
    with pytest.raises(ConfigurationError, match="shorter than a step"):
        list(asking("date", longest_days=0.5).pieces(window, TIMES))


def test_how_each_form_is_written() -> None:
    window = Window(ORIGIN, ORIGIN + timedelta(days=1))
    written = {form: asking(form, before=False).render(window, TIMES) for form in FORMS}
    assert written == {
        "seconds": {"a": "259200", "b": "345600"},
        "epoch milliseconds": {"a": "1704067200000", "b": "1704153600000"},
        "epoch microseconds": {"a": "1704067200000000", "b": "1704153600000000"},
        "epoch nanoseconds": {"a": "1704067200000000000", "b": "1704153600000000000"},
        "time": {"a": "2024-01-01T00:00:00Z", "b": "2024-01-02T00:00:00Z"},
        "time with an offset": {"a": "2024-01-01T00:00:00+00:00", "b": "2024-01-02T00:00:00+00:00"},
        "time without a zone": {"a": "2024-01-01T00:00:00.000", "b": "2024-01-02T00:00:00.000"},
        "milliseconds": {"a": "2024-01-01T00:00:00.000Z", "b": "2024-01-02T00:00:00.000Z"},
        "microseconds": {"a": "2024-01-01T00:00:00.000000Z", "b": "2024-01-02T00:00:00.000000Z"},
        "date": {"a": "2024-01-01", "b": "2024-01-02"},
    }
    since_1970 = asking("seconds", before=False).render(window, replace(TIMES, epoch=EPOCH))
    assert since_1970 == {"a": "1704067200", "b": "1704153600"}
    assert OUR_OWN.render(window, replace(schema(ColumnType.INT64), epoch=ORIGIN)) == {"scanned_before": "86399"}


@pytest.mark.parametrize("form", [form for form in FORMS if asking(form).text(TIMES).resolution > MICROSECOND])
def test_a_bound_that_the_form_cannot_say_is_refused_not_rounded(form: str) -> None:
    text = asking(form).text(TIMES)
    off = text.resolution // 1000 * 999 if text.resolution > timedelta(milliseconds=1) else timedelta(microseconds=1)
    for window in (Window(ORIGIN + off, ORIGIN + timedelta(days=2)), Window(ORIGIN, ORIGIN + timedelta(days=2) + off)):
        with pytest.raises(ConfigurationError):
            asking(form, before=False).render(window, TIMES)


def test_a_window_before_the_epoch_never_asks_for_all_there_is() -> None:
    for parameters in (asking("seconds"), asking("seconds", after=False, before=False)):
        for seconds in (1, 2, 5):
            window = Window(EPOCH - timedelta(seconds=seconds), EPOCH)
            if parameters.before_inclusive or seconds > 1:
                with pytest.raises(ConfigurationError):
                    parameters.render(window, replace(schema(ColumnType.INT64), epoch=EPOCH))
