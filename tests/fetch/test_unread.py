"""What counts as read around the records: the paths that are declared, and the attributes of a text that is read."""

import pytest

from flows_platform.columns.paths import RecordPath
from flows_platform.fetch.unread import unread_values

TOKEN = {"List": {"resumptionToken": {"@cursor": "40", "#text": "next-9"}, "@next": "3"}}


@pytest.mark.parametrize(
    ("read", "left"),
    [
        ([], ["List.resumptionToken.@cursor", "List.resumptionToken.#text", "List.@next"]),
        (["List.resumptionToken.#text"], ["List.@next"]),
        (["List.resumptionToken.@cursor"], ["List.resumptionToken.#text", "List.@next"]),
        (["#text"], ["List.resumptionToken.@cursor", "List.resumptionToken.#text", "List.@next"]),
    ],
)
def test_the_attributes_of_a_text_are_read_with_it(read: list[str], left: list[str]) -> None:
    found = unread_values(TOKEN, {}, [RecordPath.parse(path) for path in read])
    assert [value.text for value in found] == left
