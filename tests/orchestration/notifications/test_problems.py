"""A problem is reported when it opens and when it is healed, and never in between."""

from hypothesis import given
from hypothesis import strategies as st

from flows_platform.orchestration.notifications.message import message_of
from flows_platform.orchestration.notifications.problems import Finding, Kind, Memory, OpenProblems, Story, applied

WINDOWS = [f"2014-01-01-{hour:02}:00" for hour in range(0, 24, 3)]


def found(failing: set[str], well: set[str], at: str = "t", error: str = "broken") -> Finding:
    story = Story(error, "fix it", "http://ui/runs/1", at, job="flows_windows_job", run_id="1")
    return Finding(Kind.RUN, "flows_windows", frozenset(failing), well.__contains__, story)


def test_the_first_failing_window_opens_and_the_last_healed_one_closes() -> None:
    problems, changes = applied({}, [found({WINDOWS[0], WINDOWS[1]}, set(), at="1")])
    assert [(change.healed, change.problem.members) for change in changes] == [(False, tuple(WINDOWS[:2]))]
    problems, changes = applied(problems, [found({WINDOWS[2]}, {WINDOWS[0]}, at="2", error="another")])
    assert changes == []
    (problem,) = problems.values()
    assert (problem.members, problem.story.at) == (tuple(WINDOWS[1:3]), "1")
    problems, changes = applied(problems, [found(set(), {WINDOWS[1], WINDOWS[2]}, at="3")])
    assert problems == {}
    assert [(change.healed, change.at, change.problem.story.at) for change in changes] == [(True, "3", "1")]


def test_what_comes_and_goes_within_one_look_is_not_told() -> None:
    assert applied({}, [found({""}, set()), found(set(), {""})]) == ({}, [])


def test_a_window_that_fails_again_stays_open() -> None:
    problems, _ = applied({}, [found({WINDOWS[0]}, set())])
    again, changes = applied(problems, [found({WINDOWS[0]}, set(WINDOWS))])
    assert (again, changes) == (problems, [])


looks = st.lists(st.lists(st.tuples(st.sets(st.sampled_from(WINDOWS)), st.sets(st.sampled_from(WINDOWS))), max_size=4))


@given(looks)
def test_openings_and_healings_alternate_and_tell_what_is_open(history: list[list[tuple[set[str], set[str]]]]) -> None:
    problems: OpenProblems = {}
    is_open, ill = False, set[str]()
    for look in history:
        memory = Memory.parse(Memory(1, problems).render())  # as the sensor's cursor keeps it
        assert memory.problems == problems
        problems, changes = applied(memory.problems, [found(failing, well) for failing, well in look])
        for failing, well in look:
            ill = (ill - well) | failing
        assert len(changes) <= 1
        for change in changes:
            assert change.healed is is_open
            is_open = not is_open
        assert is_open is bool(ill)
        assert {member for problem in problems.values() for member in problem.members} == ill


def test_the_message_holds_text_for_people_and_its_parts() -> None:
    _, changes = applied({}, [found(set(WINDOWS), set(), at="2014-01-02T00:00:00Z", error="<!channel> & so on")])
    (message,) = map(message_of, changes)
    assert message["text"] == (
        "Run failed: flows_windows (2014-01-01-00:00, 2014-01-01-03:00, 2014-01-01-06:00 and 5 more)\n"
        "&lt;!channel&gt; &amp; so on\nWhat to do: fix it\nhttp://ui/runs/1"
    )
    assert message["error"] == "<!channel> & so on"
    assert (message["count"], message["members"]) == (8, WINDOWS)
    assert (message["event"], message["kind"], message["since"]) == ("opened", "run", "2014-01-02T00:00:00Z")
