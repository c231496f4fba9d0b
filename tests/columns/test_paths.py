"""Paths into nested records: what they lead to, which elements of a list they select, which texts are not paths."""

import pytest

from flows_platform.columns.paths import RecordPath, quoted, single
from flows_platform.domain.errors import ConfigurationError

RECORD: dict[str, object] = {
    "id": 7,
    "@odata.nextLink": "/2",
    "a.b": {"c[0]": 1},
    'say "a"': 2,
    "{urn:x.y/z}entry": {"@{urn:x}id": 3},
    "none": None,
    "empty": [],
    "descriptions": [
        {"lang": "es", "value": "uno"},
        {"lang": "en", "value": "one"},
        {"lang": "en", "value": "two"},
        "x",
    ],
    "metrics": {"v31": [{"score": 9.8, "type": "Primary"}, {"score": 5, "type": ""}]},
    "HOST": {"@id": "h1", "TAG": "solo", "#text": "t"},
    "lists": [[1, 2], [3]],
    "numbered": [{"n": 1, "v": "a"}, {"n": True, "v": "b"}],
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("id", [7]),
        ("id.more", []),
        ("missing.id", []),
        ("none", [None]),
        ("none.id", []),
        ("empty", []),
        ("empty[]", []),
        ("empty[0]", []),
        ("descriptions.value", ["uno", "one", "two"]),
        ("descriptions[lang=en].value", ["one", "two"]),
        ("descriptions[lang=fr].value", []),
        ("descriptions[0].value", ["uno"]),
        ("descriptions[3]", ["x"]),
        ("descriptions[9]", []),
        ("metrics.v31[type=].score", [5]),
        ("metrics.v31[type=Primary].score", [9.8]),
        ("HOST.@id", ["h1"]),
        ('"@odata.nextLink"', ["/2"]),
        ('"a.b"."c[0]"', [1]),
        ('HOST["@id"="h1"].TAG', ["solo"]),
        ("{urn:x.y/z}entry.@{urn:x}id", [3]),
        ('"say \\"a\\""', [2]),
        ("HOST.#text", ["t"]),
        ("HOST.TAG.#text", ["solo"]),
        ("id.#text", []),
        ('descriptions."#text"', ["x"]),
        ("HOST.TAG[]", ["solo"]),
        ("HOST[0].TAG[0]", ["solo"]),
        ("HOST[1].TAG", []),
        ("HOST[@id=h1].TAG", ["solo"]),
        ("lists", [[1, 2], [3]]),
        ("numbered[n=1].v", ["a"]),
    ],
)
def test_what_a_path_leads_to(path: str, found: list[object]) -> None:
    assert RecordPath.parse(path).find(RECORD) == found


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "a.",
        ".a",
        "a..b",
        "a[",
        "a]",
        "a[]b",
        "a[0",
        "a[-1]",
        "a[1234567]",
        "a[=x]",
        "a[b=[c]]",
        "a=b",
        "a[0][1]",
    ],
)
def test_a_text_that_is_not_a_path_is_refused(path: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a path into a record"):
        RecordPath.parse(path)


def test_a_path_knows_whether_it_lists_or_chooses() -> None:
    parsed = {text: RecordPath.parse(text) for text in ("a.b", "a[].b", "a.b[2]", "a[k=v.w].b")}
    assert {text: (path.lists, path.chooses) for text, path in parsed.items()} == {
        "a.b": (False, False),
        "a[].b": (True, False),
        "a.b[2]": (False, True),
        "a[k=v.w].b": (False, True),
    }
    assert {path.names for path in parsed.values()} == {("a", "b")}


def test_one_value_is_given_as_itself() -> None:
    assert [single([]), single([None]), single([1]), single([1, 2]), single([[]])] == [None, None, 1, [1, 2], []]


@pytest.mark.parametrize("name", ["id", "@odata.nextLink", 'say "a"', "{urn:x.y}entry", "a[0]", "a=b", "{"])
def test_a_name_is_quoted_where_a_path_needs_it(name: str) -> None:
    assert RecordPath.parse(f"a.{quoted(name)}.b").names == ("a", name, "b")
    assert quoted("next_cursor") == "next_cursor"
    assert quoted("@odata.nextLink") == '"@odata.nextLink"'
