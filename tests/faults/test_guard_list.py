"""The list of guards keeps up with the code."""

from tests.faults.guards import listed, require_found


def test_every_guard_stands_where_the_list_says() -> None:
    guards = listed([])
    assert len({guard.name for guard in guards}) == len(guards) > 200
    require_found(guards)
