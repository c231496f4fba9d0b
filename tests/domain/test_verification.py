"""The digest: the same for the same rows in any order, different for all other rows."""

from hypothesis import given
from hypothesis import strategies as st

from flows_platform.domain.verification import RowDigest, canonical

ROWS = st.lists(
    st.tuples(st.integers(-(2**63), 2**63 - 1), st.text(st.characters(exclude_categories=["Cs"])) | st.none())
)


@given(ROWS, st.randoms(use_true_random=False))
def test_order_and_grouping_do_not_matter(rows: list[tuple[int, str | None]], random: object) -> None:
    shuffled = rows.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    half = len(rows) // 2
    assert RowDigest.of(rows) == RowDigest.of(shuffled) == RowDigest.of(rows[:half]) + RowDigest.of(rows[half:])


@given(ROWS, ROWS)
def test_other_rows_have_another_digest(left: list[tuple[int, str]], right: list[tuple[int, str]]) -> None:
    assert (RowDigest.of(left) == RowDigest.of(right)) == (sorted(map(repr, left)) == sorted(map(repr, right)))


def test_the_canonical_form_keeps_fields_apart() -> None:
    assert canonical((1, "a,1:b", None, "", "é")) == "1,5:a,1:b,~,0:,2:é".encode()
    assert canonical(("1",)) != canonical((1,))


def test_a_known_digest() -> None:
    assert (
        str(RowDigest.of([(1, "C1"), (2, "C2")])) == "2:002f58acdc19d0ec"
    )  # the first 8 bytes of the SHA-256 of 1,2:C1 and of 2,2:C2
    assert str(RowDigest()) == "0:0000000000000000"
