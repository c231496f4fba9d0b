"""The marks in the code and the catalogue of guards agree."""

from tests.faults.guards import faults_of, listed


def test_every_guard_is_marked_once_and_its_removal_fits_the_statement() -> None:
    guards = listed([])
    assert len({guard.name for guard in guards}) == len(guards) > 280
    assert faults_of(guards) == []
