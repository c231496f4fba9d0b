"""A window as an API is asked for it: adjacent requests share no instant and miss none, in every form of parameter."""

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
from flows_platform.fetch.time_parameters import EpochTime, InstantText, IsoDate, IsoTime, TimeParameters

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ORIGIN = datetime(2024, 1, 1, tzinfo=UTC)
FORMS: dict[str, InstantText] = {
    "seconds": EpochTime(),
    "seconds of our own epoch": EpochTime(1, ORIGIN - timedelta(days=3)),
    "epoch milliseconds": EpochTime(10**3),
    "epoch microseconds": EpochTime(10**6),
    "epoch nanoseconds": EpochTime(10**9),
    "time": IsoTime(),
    "time with an offset": IsoTime(0, "+00:00"),
    "time without a zone": IsoTime(3, ""),
    "milliseconds": IsoTime(3),
    "microseconds": IsoTime(6),
    "date": IsoDate(),
}


def read(form: InstantText, text: str) -> datetime:
    """What an API makes of a parameter; written anew, so that it cannot err as the code does."""
    if isinstance(form, EpochTime):
        return form.epoch + timedelta(microseconds=int(text) * 10**6 // form.unit)
    instant = datetime.fromisoformat(text)
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def gives(parameters: TimeParameters, query: dict[str, str], instant: datetime) -> bool:
    """Whether an API with these bounds gives a record of that instant."""
    form = parameters.text or EpochTime()
    later, earlier = True, True
    if parameters.after in query:
        after = read(form, query[parameters.after])
        later = instant >= after if parameters.after_inclusive else instant > after
    if parameters.before in query:
        before = read(form, query[parameters.before])
        earlier = instant <= before if parameters.before_inclusive else instant < before
    return later and earlier


def kept(parameters: TimeParameters, schema: TableSchema, piece: Window, instant: datetime) -> tuple[int, int, int]:
    """How many rows, neighbours and rejects a record of that instant becomes, where it is in the piece's answer."""
    seconds = schema.column(schema.time).type is ColumnType.INT64
    value = int((instant - schema.epoch).total_seconds()) if seconds else instant
    casted = cast_slice(schema, [{"id": 1, "at": value}], 1)
    found = inside(casted, schema, piece, parameters.beyond(schema))
    neighbours = found.neighbours.num_rows if found.neighbours else 0
    return found.batch.num_rows, neighbours, len(found.rejects)


MICROSECOND = timedelta(microseconds=1)
BOOLEANS = st.tuples(st.booleans(), st.booleans())


def schema(kind: ColumnType) -> TableSchema:
    columns = (Column("id", ColumnType.INT64, ""), Column("at", kind, ""))
    return TableSchema("t", "", columns, key="id", time="at", epoch=ORIGIN - timedelta(days=3))


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
    text, table = FORMS[form], schema(kind)
    finest = MICROSECOND if kind is ColumnType.TIMESTAMP else timedelta(seconds=1)
    step = max(text.resolution, finest)
    parameters = TimeParameters(
        "after", inclusive[0], "before", inclusive[1], text, longest=longest * step if longest else None
    )
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
        if gives(parameters, parameters.render(piece, table), instant)
    ]
    assert [sum(each) for each in found] == [1] * len(found)
    assert sum(rows for rows, _, _ in found) == (1 if ORIGIN <= instant < start else 0)
    assert sum(rejects for _, _, rejects in found) == 0


@given(st.sampled_from(list(FORMS)), BOOLEANS, BOOLEANS, st.integers(1, 9), st.data())
def test_bounds_that_are_not_known_miss_nothing_under_any_reading(
    form: str, declared: tuple[bool, bool], real: tuple[bool, bool], length: int, data: st.DataObject
) -> None:
    step, table = FORMS[form].resolution, schema(ColumnType.TIMESTAMP)
    parameters = TimeParameters("after", declared[0], "before", declared[1], FORMS[form], exact=False)
    window = Window(ORIGIN, ORIGIN + length * step)
    reading = replace(parameters, after_inclusive=real[0], before_inclusive=real[1])
    number = data.draw(
        st.integers(0, length * step // MICROSECOND - 1) | st.sampled_from([0, length * step // MICROSECOND - 1])
    )
    assert gives(reading, parameters.render(window, table), ORIGIN + number * MICROSECOND)


def test_an_inclusive_end_is_asked_for_as_itself_but_where_times_are_whole_seconds() -> None:
    window = Window(ORIGIN, ORIGIN + timedelta(hours=3))
    parameters = TimeParameters("a", True, "b", True, IsoTime())
    ends = {kind: parameters.render(window, schema(kind))["b"] for kind in (ColumnType.TIMESTAMP, ColumnType.INT64)}
    assert ends == {ColumnType.TIMESTAMP: "2024-01-01T03:00:00Z", ColumnType.INT64: "2024-01-01T02:59:59Z"}
    days = TimeParameters("a", True, "b", True, IsoDate()).render(
        Window(ORIGIN, ORIGIN + timedelta(days=1)), schema(ColumnType.INT64)
    )
    assert days["b"] == "2024-01-02"


def test_a_record_that_was_not_asked_for_is_a_reject() -> None:
    window, table = Window(ORIGIN, ORIGIN + timedelta(hours=3)), schema(ColumnType.TIMESTAMP)
    parameters = TimeParameters("a", False, "b", True, IsoTime())
    for offset, kind in ((-2, 2), (-1, 1), (0, 0), (3 * 3600 - 1, 0), (3 * 3600, 1), (3 * 3600 + 1, 2)):
        found = kept(parameters, table, window, ORIGIN + timedelta(seconds=offset))
        assert found.index(1) == kind
    finer = TimeParameters("a", True, "b", True, IsoTime(6))  # an API may compare whole seconds all the same
    for offset, kind in ((timedelta(microseconds=-1), 0), (timedelta(seconds=1) - MICROSECOND, 1), (timedelta(1), 2)):
        assert kept(finer, table, window, window.end + offset).index(1) == kind
    exact = TimeParameters("a", True, "b", False, IsoTime())
    assert kept(exact, table, window, window.end) == (0, 0, 1)


def test_pieces_ask_for_no_more_than_the_longest_range() -> None:
    day, window = timedelta(days=1), Window(ORIGIN, ORIGIN + timedelta(days=7))
    for after_inclusive in (True, False):
        for text in (IsoTime(), IsoTime(3), EpochTime(10**3)):
            parameters = TimeParameters("a", after_inclusive, "b", True, text, longest=day)
            for piece in parameters.pieces(window, TIMES):
                query = parameters.render(piece, schema(ColumnType.TIMESTAMP))
                assert read(text, query["b"]) - read(text, query["a"]) <= day
    with pytest.raises(ConfigurationError, match="shorter than a step"):
        list(TimeParameters("a", True, "b", True, IsoDate(), longest=day / 2).pieces(window, TIMES))


TIMES = schema(ColumnType.TIMESTAMP)


def test_how_each_form_is_written() -> None:
    window = Window(ORIGIN, ORIGIN + timedelta(days=1))
    written = {
        name: replace(TimeParameters("a", True, "b", False), text=text).render(window, TIMES)
        for name, text in FORMS.items()
    }
    assert written == {
        "seconds": {"a": "1704067200", "b": "1704153600"},
        "seconds of our own epoch": {"a": "259200", "b": "345600"},
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
    assert TimeParameters().render(window, replace(schema(ColumnType.INT64), epoch=ORIGIN)) == {
        "scanned_before": "86399"
    }


@pytest.mark.parametrize("form", [form for form in FORMS if FORMS[form].resolution > MICROSECOND])
def test_a_bound_that_the_form_cannot_say_is_refused_not_rounded(form: str) -> None:
    text = FORMS[form]
    off = text.resolution // 1000 * 999 if text.resolution > timedelta(milliseconds=1) else timedelta(microseconds=1)
    for window in (Window(ORIGIN + off, ORIGIN + timedelta(days=2)), Window(ORIGIN, ORIGIN + timedelta(days=2) + off)):
        with pytest.raises(ConfigurationError):
            TimeParameters("a", True, "b", False, text).render(window, TIMES)


def test_a_window_before_the_epoch_never_asks_for_all_there_is() -> None:
    for parameters in (TimeParameters("a", True, "b", True), TimeParameters("a", False, "b", False)):
        for seconds in (1, 2, 5):
            window = Window(EPOCH - timedelta(seconds=seconds), EPOCH)
            if parameters.before_inclusive or seconds > 1:
                with pytest.raises(ConfigurationError):
                    parameters.render(window, replace(schema(ColumnType.INT64), epoch=EPOCH))
