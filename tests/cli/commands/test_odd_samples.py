"""`flows source new` from odd samples: what a run could not read is refused, and what is guessed is read to its end."""

import json
from pathlib import Path
from typing import Any

import pytest

from flows_platform.cli.commands.source_new import run_new
from flows_platform.domain.errors import ConfigurationError
from tests.cli.commands.test_source_new import drafted, home

__all__ = ["home"]  # a fixture

AT = "2024-03-01T01:00:00Z"
LINE = f'{{"id": 1, "at": "{AT}"}}'
NESTED = b"[" * 200 + b"]" * 200
PAGE = b"<!DOCTYPE html><html><body><p>Log in</p></body></html>"
REFUSED = [
    ("a.json", b" \n", "cannot be read as json: it is empty"),
    ("a.csv", b"", "cannot be read as csv: it is empty"),
    ("a.json", PAGE, "is a page in HTML: most likely one for people, or a login. Check the URL"),
    ("a.xml", PAGE.lower(), "is a page in HTML"),
    ("a.csv", b"\n" + PAGE, "is a page in HTML"),
    ("a.json", b'{"error": {"code": 401}}', "has no records, but an object with error, and no array of objects"),
    ("a.json", b"[1, 2]", "has no records, but an array of 2 elements that are not objects"),
    ("a.json", b"[[1, 2], [3]]", "has no records, but an array of 2 elements that are not objects"),
    ("a.json", b"null", "has no records"),
    ("a.json", b'[{"id": 1, "v": NaN}]', "cannot be read as json: NaN is not JSON"),
    ("a.json", b'[{"id": "caf\xe9"}]', "cannot be read as json: .*can't decode byte 0xe9"),
    ("a.json", b"[" * 100_000, "cannot be read as json: maximum recursion depth"),
    ("a.json", b'[{"id": 1, "v": %b}]' % NESTED, "as a run would: the JSON document is nested deeper than 128"),
    ("a.json", f'[{{"id": 1, {LINE[1:]}]'.encode(), "as a run would: the document's records repeat keys"),
    ("a.json", f"[{LINE}]".encode("utf-16"), "as a run would: the answer is not valid JSON"),
    ("a.ndjson", f"{LINE}\n{{".encode(), "cannot be read as ndjson: line 2: "),
    ("a.ndjson", f"[{LINE}]".encode(), "has no records; a JSON document has the suffix .json"),
    ("a.csv", b"id,id,at\n1,2,3\n", "as a run would: the CSV answer has no header of distinct names"),
    ("a.csv", b"id,at\n", "has no records"),
    ("a.xml", f"<e><id>1</id><at>{AT}</at></e>".encode(), "has no records, but one element without elements"),
    ("a.xml", b"<!DOCTYPE r [<!ENTITY a 'x'>]><r><e><id>&a;</id><b/></e></r>", "as a run would: .*declares names of"),
    ("a.json", b'[{"a": null}, {"b": 1}]', "no field of the sample has a value in every record"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "message"), REFUSED, ids=[case[2] for case in REFUSED])
def test_a_sample_that_no_run_could_read_is_refused(name: str, content: bytes, message: str) -> None:
    Path(name).write_bytes(content)
    with pytest.raises(ConfigurationError, match=message) as caught:
        run_new("events", Path(name), None, None)
    assert str(caught.value).startswith((name, "no field"))
    assert caught.value.remedy
    assert not Path("events.yaml").exists()


def xml(records: str) -> bytes:
    return f"<list>{records}</list>".encode()


ROWS = f"1,{AT},x\n2,{AT},y\n"
HEADER = "id,at,t\n"
READ: list[tuple[str, str | bytes, int, dict[str, object]]] = [
    ("csv", ROWS, 2, {"csv": {"names": ["column_1", "column_2", "column_3"]}}),
    ("csv", f"# made today\n# id,at,t\n{ROWS}", 2, {"csv": {"comment": "#", "names": ["id", "at", "t"]}}),
    ("csv", f"Report of doors\n\n{HEADER}{ROWS}", 2, {"csv": {"skip": 2}}),
    ("csv", f'{HEADER}1,{AT},"a\n# b"\n# a comment\n2,{AT},y\n', 2, {"csv": {"comment": "#"}}),
    ("csv", f"at\n{AT}\n2024-03-01T02:00:00Z\n", 2, {"csv": None, "records": None}),
    ("tsv", (HEADER + ROWS).replace(",", "\t"), 2, {"content_types": ["text/tab-separated-values"]}),
    ("ndjson", f'{LINE}\r\n{{"id": 2, "at": "{AT}", "t": "a\u2028b"}}\r\n', 2, {"format": "ndjson"}),
    ("json", f"{LINE}\n{LINE.replace('1', '2', 1)}\n", 2, {"format": "ndjson"}),
    ("json", f'{{"included": [{{"a": 1}}, {{"a": 2}}], "events": [{LINE}]}}', 1, {"records": "events"}),
    ("xml", xml(f"<e id='1' at='{AT}'/><e id='2' at='{AT}'/>"), 2, {"records": "list", "record": "e"}),
    ("xml", xml(f"<!-- x --><e><id>1</id><at>{AT}</at></e><?pi?><e><id>2</id><at>{AT}</at></e>"), 2, {"record": "e"}),
    ("json", f"\ufeff[{LINE}]", 1, {"records": ""}),
    ("json", f'[["a", "{AT}"], ["b", "{AT}"]]', 2, {"records": "", "names": ["column_1", "column_2"]}),
    (
        "json",
        f'{{"columns": ["id", "at"], "rows": [["a", "{AT}"], ["b", "{AT}"], ["c", "{AT}"]]}}',
        3,
        {"records": "rows", "names": "columns"},
    ),
    (
        "json",
        f'{{"t": {{"columns": [{{"name": "id"}}, {{"name": "at"}}], "data": [["a", "{AT}"]]}}}}',
        1,
        {"records": "t.data", "names": "t.columns[].name"},
    ),
    ("json", f'{{"rows": [["a", "{AT}"]], "columns": ["id", "at"]}}', 1, {"records": "rows", "names": ["id", "at"]}),
    ("json", f'{{"a": {{"at": "{AT}"}}, "b": {{"at": "{AT}"}}}}', 2, {"records": "", "record_key": "key"}),
    (
        "json",
        f'{{"hosts": {{"a": {{"key": 1, "at": "{AT}"}}, "b": {{"key": 2, "at": "{AT}"}}}}}}',
        2,
        {"records": "hosts", "record_key": "key_0"},
    ),
]


@pytest.mark.parametrize(("suffix", "content", "rows", "keys"), READ, ids=[str(case[1])[:30] for case in READ])
def test_an_odd_answer_is_read_to_its_end(
    capsys: pytest.CaptureFixture[str], suffix: str, content: str | bytes, rows: int, keys: dict[str, object]
) -> None:
    body = content if isinstance(content, bytes) else content.encode()
    made, tried = drafted(capsys, body, suffix=suffix)
    assert {key: made["api"].get(key) for key in keys} == keys
    assert (tried["rows"], tried["rejected"]) == (rows, 0)


def test_names_of_all_kinds_become_columns(capsys: pytest.CaptureFixture[str]) -> None:
    record: dict[str, Any] = {
        "a b": 1,
        "c.d": 2,
        "e-f": 3,
        "Ünïcode": 4,
        "a[0]": 5,
        'q"uote': 6,
        "": 7,
        "ID": 8,
        "Id": 9,
        "extra_fields": 10,
        "_flows_x": 11,
        "at": AT,
    }
    made, tried = drafted(capsys, json.dumps([record]).encode())
    names = [column["name"] for column in made["columns"]]
    assert len(names) == len({name.lower() for name in names}) == len(record)
    assert tried["columns_not_taken"] == [""]
    assert "# also fields whose names no path can hold: ''" in Path("events.yaml").read_text()


def test_200_columns(capsys: pytest.CaptureFixture[str]) -> None:
    record = {f"c{number}": number for number in range(200)} | {"id": "x", "at": AT}
    made, tried = drafted(capsys, json.dumps([record]).encode())
    assert (len(made["columns"]), tried["rows"], tried["columns_not_taken"]) == (203, 1, [])


def test_records_without_a_time_are_a_snapshot(capsys: pytest.CaptureFixture[str]) -> None:
    made, tried = drafted(capsys, b'{"hosts": [{"id": "a"}, {"id": "b"}]}')
    assert made["api"]["snapshot"] is True
    assert made["columns"][0] == {"name": "window_at", "type": "timestamp", "from": "window_start", "required": True}
    assert (made["time"], made["key"], tried["rows"]) == ("window_at", "id", 2)


def test_objects_around_the_records_are_not_records(capsys: pytest.CaptureFixture[str]) -> None:
    links = {"self": {"href": "/v1/hosts"}, "last": {"href": "/v1/hosts"}}
    body = json.dumps({"_links": links, "box": [[1, 2], [3, 4]], "hosts": [{"id": "a"}, {"id": "b"}]})
    made, tried = drafted(capsys, body.encode())
    assert (made["api"]["records"], tried["rows"]) == ("hosts", 2)


def test_records_without_a_time_under_a_url_with_a_range(capsys: pytest.CaptureFixture[str]) -> None:
    query = "?since=2024-03-01T00:00:00Z&until=2024-03-02T00:00:00Z"
    made, tried = drafted(capsys, b'{"hosts": [{"id": "a"}, {"id": "b"}]}', query=query)
    assert "snapshot" not in made["api"]
    assert made["api"]["time"]["before_inclusive"] is False
    assert (made["time"], tried["rows"]) == ("window_at", 2)


def test_what_a_run_would_reject_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.json").write_text(f'[{LINE}, 7, "x", null]')
    run_new("events", Path("a.json"), None, None)
    assert "# A run would reject 3 of its records: not a JSON object." in Path("events.yaml").read_text()


def test_other_arrays_of_the_document_are_named() -> None:
    Path("a.json").write_text(f'{{"included": [{{"a": 1}}], "data": {{"events": [{LINE}]}}}}')
    run_new("events", Path("a.json"), None, None)
    assert "records: data.events # guess: or included" in Path("events.yaml").read_text()


def test_a_key_that_is_not_one_is_said() -> None:
    Path("a.json").write_text(f"[{LINE}, {LINE}]")
    run_new("events", Path("a.json"), None, None)
    assert "# guess: not every record of the sample differs" in Path("events.yaml").read_text()


def test_a_sample_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("a.json").open("wb") as file:
        file.truncate((1 << 26) + 1)
    with pytest.raises(ConfigurationError, match="has 67,108,865 bytes; a sample has at most 67,108,864"):
        run_new("events", Path("a.json"), None, None)
