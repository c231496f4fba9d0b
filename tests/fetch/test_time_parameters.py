"""A window as an API is asked for it: adjacent requests share no instant and miss none, in every form of parameter."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows_platform.domain.errors import ConfigurationError
from flows_platform.domain.windows import Window
from flows_platform.fetch.time_parameters import InstantText, IsoDate, IsoTime, Seconds, TimeParameters

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ORIGIN = datetime(2024, 1, 1, tzinfo=UTC)
FORMS: dict[str, InstantText] = {
    "seconds": Seconds(),
    "seconds of our own epoch": Seconds(ORIGIN - timedelta(days=3)),
    "time": IsoTime(),
    "time with an offset": IsoTime(0, "+00:00"),
    "time without a zone": IsoTime(3, ""),
    "milliseconds": IsoTime(3),
    "microseconds": IsoTime(6),
    "date": IsoDate(),
}


def read(form: InstantText, text: str) -> datetime:
    """What an API makes of a parameter; written anew, so that it cannot err as the code does."""
    if isinstance(form, Seconds):
        return form.epoch + timedelta(seconds=int(text))
    instant = datetime.fromisoformat(text)
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def gives(parameters: TimeParameters, query: dict[str, str], instant: datetime) -> bool:
    """Whether an API with these bounds gives a record of that instant."""
    form = parameters.text or Seconds(EPOCH)
    later, earlier = True, True
    if parameters.after in query:
        after = read(form, query[parameters.after])
        later = instant >= after if parameters.after_inclusive else instant > after
    if parameters.before in query:
        before = read(form, query[parameters.before])
        earlier = instant <= before if parameters.before_inclusive else instant < before
    return later and earlier


@given(
    st.sampled_from(list(FORMS)),
    st.tuples(st.booleans(), st.booleans()),
    st.lists(st.integers(1, 9), min_size=1, max_size=4),
    st.integers(1, 9) | st.none(),
    st.data(),
)
def test_each_instant_is_asked_for_once(
    form: str, inclusive: tuple[bool, bool], lengths: list[int], longest: int | None, data: st.DataObject
) -> None:
    text = FORMS[form]
    step = text.resolution
    parameters = TimeParameters(
        "after", inclusive[0], "before", inclusive[1], text, longest=longest * step if longest else None
    )
    windows, start = [], ORIGIN
    for length in lengths:
        windows.append(Window(start, start + length * step))
        start = windows[-1].end
    queries = [parameters.render(piece, EPOCH) for window in windows for piece in parameters.pieces(window)]
    number = data.draw(st.integers(-2, sum(lengths) + 1))
    given_by = [gives(parameters, query, ORIGIN + number * step) for query in queries]
    assert given_by.count(True) == (1 if 0 <= number < sum(lengths) else 0)


BOOLEANS = st.tuples(st.booleans(), st.booleans())


@given(st.sampled_from(list(FORMS)), BOOLEANS, BOOLEANS, st.integers(1, 9), st.data())
def test_bounds_that_are_not_known_miss_nothing_under_any_reading(
    form: str, declared: tuple[bool, bool], real: tuple[bool, bool], length: int, data: st.DataObject
) -> None:
    step = FORMS[form].resolution
    parameters = TimeParameters("after", declared[0], "before", declared[1], FORMS[form], exact=False)
    query = parameters.render(Window(ORIGIN, ORIGIN + length * step), EPOCH)
    reading = replace(parameters, after_inclusive=real[0], before_inclusive=real[1])
    number = data.draw(st.integers(0, length - 1))
    assert gives(reading, query, ORIGIN + number * step)


def test_how_each_form_is_written() -> None:
    window = Window(ORIGIN, ORIGIN + timedelta(days=1))
    written = {
        name: replace(TimeParameters("a", True, "b", False), text=text).render(window, EPOCH)
        for name, text in FORMS.items()
    }
    assert written == {
        "seconds": {"a": "1704067200", "b": "1704153600"},
        "seconds of our own epoch": {"a": "259200", "b": "345600"},
        "time": {"a": "2024-01-01T00:00:00Z", "b": "2024-01-02T00:00:00Z"},
        "time with an offset": {"a": "2024-01-01T00:00:00+00:00", "b": "2024-01-02T00:00:00+00:00"},
        "time without a zone": {"a": "2024-01-01T00:00:00.000", "b": "2024-01-02T00:00:00.000"},
        "milliseconds": {"a": "2024-01-01T00:00:00.000Z", "b": "2024-01-02T00:00:00.000Z"},
        "microseconds": {"a": "2024-01-01T00:00:00.000000Z", "b": "2024-01-02T00:00:00.000000Z"},
        "date": {"a": "2024-01-01", "b": "2024-01-02"},
    }
    assert TimeParameters().render(window, ORIGIN) == {"scanned_before": "86399"}


@pytest.mark.parametrize("form", [form for form in FORMS if form != "microseconds"])
def test_a_bound_that_the_form_cannot_say_is_refused_not_rounded(form: str) -> None:
    text = FORMS[form]
    off = text.resolution // 1000 * 999 if text.resolution > timedelta(milliseconds=1) else timedelta(microseconds=1)
    for window in (Window(ORIGIN + off, ORIGIN + timedelta(days=2)), Window(ORIGIN, ORIGIN + timedelta(days=2) + off)):
        with pytest.raises(ConfigurationError):
            TimeParameters("a", True, "b", False, text).render(window, EPOCH)


def test_a_window_before_the_epoch_never_asks_for_all_there_is() -> None:
    for parameters in (TimeParameters("a", True, "b", True), TimeParameters("a", False, "b", False)):
        for seconds in (1, 2, 5):
            window = Window(EPOCH - timedelta(seconds=seconds), EPOCH)
            if parameters.before_inclusive or seconds > 1:
                with pytest.raises(ConfigurationError):
                    parameters.render(window, EPOCH)
