"""`flows source new`: what it drafts passes `flows source check`, and `flows source try` against the answer."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows_platform.cli.commands.source_check import run_check
from flows_platform.cli.commands.source_new import run_new
from flows_platform.cli.commands.source_try import run_try
from flows_platform.domain.errors import ConfigurationError
from tests.fakes.serving import Answer, Asked, VendorServer

TYPES = {
    "json": "application/json",
    "xml": "application/xml",
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "ndjson": "application/x-ndjson",
}
DAY = "2024-03-01"


class OneAnswer(VendorServer):
    """Gives the answer to every request, and the pages after it where there are some."""

    body = b""
    suffix = "json"
    later: dict[str, bytes] = {}  # noqa: RUF012 - set by each test; by a part of the query

    def answer(self, asked: Asked) -> Answer:
        query = "&".join(f"{name}={value}" for name, value in asked.parameters.items())
        body = next((body for part, body in self.later.items() if part in query), self.body)
        return Answer(200, {"Content-Type": TYPES[self.suffix]}, body)


def records(count: int = 3, first: int = 1) -> list[dict[str, Any]]:
    return [
        {
            "id": f"e{number}",
            "createdAt": f"{DAY}T0{number}:00:00.123Z",
            "severity": number,
            "score": number + 0.5,
            "open": number % 2 == 0,
            "actor": {"name": "ann", "ip": None},
            "tags": ["a", "b"],
            "1st": "x",
        }
        for number in range(first, first + count)
    ]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLOWS_HOME", str(tmp_path / "home"))
    for name in ("EVENTS_TOKEN", "EVENTS_KEY"):
        monkeypatch.setenv(name, "s3cr3t")


def drafted(
    capsys: pytest.CaptureFixture[str],
    body: bytes,
    *,
    suffix: str = "json",
    query: str = "",
    later: dict[str, bytes] | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The attributes of the draft, and what the try against the answer said."""
    sample = Path(f"answer.{suffix}")
    sample.write_bytes(body)
    with OneAnswer(clock=lambda: 0.0) as server:
        server.body, server.suffix, server.later = body, suffix, later or {}
        run_new("events", sample, f"{server.origin}/v1/events{query}", None)
        said = capsys.readouterr().out
        window = re.search(r"--window (\S+)", said)
        assert window
        assert run_check(["events.yaml"]), capsys.readouterr().out
        capsys.readouterr()
        code = run_try("events.yaml", window[1], limit=None, out=None, as_json=True)
    tried = json.loads(capsys.readouterr().out)
    assert code == 0, (Path("events.yaml").read_text(), tried)
    return yaml.safe_load(Path("events.yaml").read_text())["attributes"], tried


def as_json(**members: object) -> bytes:
    return json.dumps(members).encode()


def test_columns_types_time_and_key(capsys: pytest.CaptureFixture[str]) -> None:
    made, tried = drafted(capsys, as_json(data=records(), next=None))
    columns = {column["name"]: column for column in made["columns"]}
    assert {name: column.get("type", "string") for name, column in columns.items()} == {
        "id": "string",
        "created_at": "timestamp",
        "severity": "int64",
        "score": "float64",
        "open": "bool",
        "actor_name": "string",
        "actor_ip": "json",
        "tags": "json",
        "f_1st": "string",
        "extra_fields": "json",
    }
    assert columns["actor_name"]["path"] == "actor.name"
    assert columns["tags"]["path"] == "tags[]"
    assert (made["time"], made["key"], made["extra"]) == ("created_at", "id", "extra_fields")
    assert [name for name, column in columns.items() if column.get("required")] == ["id", "created_at"]
    assert made["api"]["paging"] == {"kind": "next_link", "link": "next"}
    assert (tried["rows"], tried["rejected"], tried["columns_not_taken"]) == (3, 0, [])


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("2024-03-01 02:00:00.123 UTC", "%Y-%m-%d %H:%M:%S.%f %Z"),
        ("01/Mar/2024:02:00:00 +0000", "%d/%b/%Y:%H:%M:%S %z"),
        ("Fri, 01 Mar 2024 02:00:00 GMT", "%a, %d %b %Y %H:%M:%S %Z"),
        ("Fri Mar  1 02:00:00 2024", "%a %b %e %H:%M:%S %Y"),
        ("13/03/2024 02:00", "%d/%m/%Y %H:%M"),
        ("3/13/2024 2:00:00 PM", "%-m/%-d/%Y %-I:%M:%S %p"),
        ("20240301T020000Z", "%Y%m%dT%H%M%SZ"),
        (20240301020000, "%Y%m%d%H%M%S"),
        (1709258400123456789, "nanoseconds"),
    ],
)
def test_times_as_other_apis_write_them(capsys: pytest.CaptureFixture[str], value: object, written: str) -> None:
    made, _ = drafted(capsys, as_json(data=[{"id": number, "at": value} for number in range(3)]))
    (column,) = (column for column in made["columns"] if column["name"] == "at")
    assert (column["type"], column["written"]) == ("timestamp", written)


def test_the_order_of_day_and_month_is_a_guess_where_both_fit(capsys: pytest.CaptureFixture[str]) -> None:
    drafted(capsys, as_json(data=[{"id": 1, "at": "01/03/2024 02:00:00"}]))
    line = next(line for line in Path("events.yaml").read_text().splitlines() if "name: at" in line)
    assert "# guess: the day comes first; or %m/%d/%Y %H:%M:%S; taken for UTC" in line


def test_dates_and_amounts(capsys: pytest.CaptureFixture[str]) -> None:
    of_each = {
        "due": DAY,
        "seen": "13/03/2024",
        "amount": 12.5,
        "fee": "0.30",
        "version": "1.10",
        "since": "2024-03-01 to 2024-03-02",
        "huge": 2**70,
        "odd_day": "0000-00-00",
    }
    body = as_json(data=[record | of_each for record in records()]).replace(
        b'"huge"', b'"long": 12345678901234567890.105000001, "huge"'
    )
    made, tried = drafted(capsys, body)
    types = {column["name"]: column.get("type", "string") for column in made["columns"]}
    assert {name: types[name] for name in [*of_each, "long"]} == {
        "due": "date",
        "seen": "date",
        "amount": "numeric",
        "fee": "numeric",
        "version": "string",
        "since": "string",
        "huge": "numeric",
        "odd_day": "string",
        "long": "numeric",
    }
    assert [column.get("written") for column in made["columns"] if column["name"] in {"due", "seen"}] == [
        None,
        "%d/%m/%Y",
    ]
    assert tried["rejected"] == 0
    text = Path("events.yaml").read_text()
    assert text.count("# guess: an amount, which stays exact; 9 decimals at most") == 2
    assert "# more digits than a float64 holds" in text
    assert "# beyond 64 bits" in text


@pytest.mark.parametrize(
    ("day", "written"), [("2024-03-01", "date"), ("20240301", "%Y%m%d"), ("01.03.2024", "%d.%m.%Y")]
)
def test_a_day_cuts_windows_where_no_time_is_there(capsys: pytest.CaptureFixture[str], day: str, written: str) -> None:
    made, tried = drafted(capsys, as_json(data=[{"id": number, "date": day, "due": DAY} for number in range(3)]))
    columns = {column["name"]: column for column in made["columns"]}
    assert columns["date"] == {"name": "date", "type": "timestamp", "written": written, "required": True}
    assert columns["due"]["type"] == "date"
    assert (made["time"], tried["rows"]) == ("date", 3)
    assert "# guess: the day's midnight in UTC" in Path("events.yaml").read_text()


def test_every_guess_has_a_comment(capsys: pytest.CaptureFixture[str]) -> None:
    drafted(capsys, as_json(data=records(), total=3))
    lines = Path("events.yaml").read_text().splitlines()
    guessed = [line.strip().lstrip("# ").split(":")[0] for line in lines if "# guess" in line]
    assert guessed == ["auth", "time", "paging", "total", "time", "key", "partitions"]


def cursor(path: str, parameter: str) -> dict[str, object]:
    return {"kind": "cursor", "cursor": path, "into": {"query": parameter}}


STARTING = {"kind": "continue_from", "parameter": "starting_after", "column": "id", "step": 0, "more": "has_more"}
OFFSET = {"kind": "offset", "start": "startIndex", "first": 0, "size_parameter": "resultsPerPage", "size": 3}
NUMBERED = {"kind": "page", "parameter": "page", "first": 1, "size_parameter": "per_page", "size": 3}
RELATIONS = [{"rel": "self", "href": "/v1/events"}, {"rel": "next", "href": "/v1/events?n=2"}]
REST = records(2, 5)
PAGINGS: list[tuple[dict[str, object], str, dict[str, bytes], dict[str, object]]] = [
    (
        {"links": {"next": "/v1/events?page=2"}},
        "",
        {"page=2": as_json(links={}, data=REST)},
        {"paging": {"kind": "next_link", "link": "links.next"}},
    ),
    (
        {"@odata.nextLink": "/v1/events?skip=2"},
        "",
        {"skip=2": as_json(data=REST)},
        {"paging": {"kind": "next_link", "link": '"@odata.nextLink"'}},
    ),
    (
        {"meta": {"next_cursor": "abc"}},
        "",
        {"cursor=abc": as_json(meta={"next_cursor": ""}, data=REST)},
        {"paging": cursor("meta.next_cursor", "cursor")},
    ),
    (
        {"meta": {"next": "abc"}},
        "",
        {"cursor=abc": as_json(meta={"next": ""}, data=REST)},
        {"paging": cursor("meta.next", "cursor")},
    ),
    (
        {"nextPageToken": "t"},
        "",
        {"pageToken=t": as_json(data=REST)},
        {"paging": cursor("nextPageToken", "pageToken")},
    ),
    (
        {"has_more": True, "cursor": "abc"},
        "",
        {"cursor=abc": as_json(has_more=False, cursor="end", data=REST)},
        {"paging": cursor("cursor", "cursor") | {"more": "has_more"}},
    ),
    ({"has_more": True}, "", {"starting_after=e3": as_json(has_more=False, data=REST)}, {"paging": STARTING}),
    (
        {"startIndex": 0, "resultsPerPage": 3, "totalResults": 5},
        "",
        {"startIndex=3": as_json(startIndex=3, totalResults=5, data=REST)},
        {"paging": OFFSET, "total": "totalResults"},
    ),
    ({}, "?page=1&per_page=3", {"page=2": as_json(data=[])}, {"paging": NUMBERED}),
    (
        {"links": RELATIONS},
        "",
        {"n=2": as_json(links=[], data=REST)},
        {"paging": {"kind": "next_link", "link": "links[rel=next].href"}},
    ),
    ({"next_update": "2024-03-02T00:00:00Z"}, "", {}, {"ignore_envelope": ["next_update"]}),
]


@pytest.mark.parametrize(("around", "query", "later", "expected"), PAGINGS, ids=[str(case[0]) for case in PAGINGS])
def test_paging_is_recognised_and_read_to_its_end(
    capsys: pytest.CaptureFixture[str],
    around: dict[str, object],
    query: str,
    later: dict[str, bytes],
    expected: dict[str, object],
) -> None:
    made, tried = drafted(capsys, as_json(**around, data=records()), query=query, later=later)
    found = {name: value for name, value in made["api"].items() if name in {"paging", "total", "ignore_envelope"}}
    assert found == expected
    assert tried["rows"] == 3 + sum(2 for body in later.values() if b"e5" in body)


def test_the_url_gives_the_range_its_form_the_size_and_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    query = "?since=1709251200&until=1709337600&kind=a%20b&api_key=hunter2&limit=50"
    made, _ = drafted(capsys, as_json(data=records()), query=query)
    assert made["api"]["time"] == {"after": "since", "before": "until", "written": "seconds", "exact": False}
    assert made["api"]["parameters"] == {"kind": "a b", "limit": "50"}
    assert made["api"]["auth"] == {"kind": "query", "name": "api_key", "value": {"env": "EVENTS_KEY"}}
    assert "hunter2" not in Path("events.yaml").read_text()


@pytest.mark.parametrize(
    ("query", "time", "parameters"),
    [
        (
            "?$filter=createdAt ge 2024-03-01T00:00:00Z and createdAt lt 2024-03-02T00:00:00Z",
            {"written": "iso", "exact": False},
            {"$filter": "createdAt ge {start} and createdAt lt {end}"},
        ),
        ("?q=at:[2024-03-01 TO 2024-03-02]", {"written": "date", "exact": False}, {"q": "at:[{start} TO {end}]"}),
        ("?since=2024-03-01T00:00:00Z&sort_key=id", {"after": "since", "stop": "never", "written": "iso"}, None),
        ("?sort_key=id&cursor=abc&author=me", {"after": "start_time", "before": "end_time", "exact": False}, None),
    ],
)
def test_a_range_is_found_wherever_the_url_has_it(
    capsys: pytest.CaptureFixture[str], query: str, time: dict[str, object], parameters: dict[str, str] | None
) -> None:
    made, tried = drafted(capsys, as_json(data=records()), query=query.replace(" ", "%20"))
    assert made["api"]["time"] == time
    others = {"sort_key": "id"} | ({"author": "me"} if "author" in query else {})
    assert made["api"]["parameters"] == (parameters or others)
    assert (tried["rows"], made["api"].get("auth")) == (3, None)


@pytest.mark.parametrize(
    ("path", "url", "cron"),
    [
        ("/2024/03/01", "/{start:%Y/%m/%d}", "0 0 * * *"),
        ("-2024-03-01-3", "-{start:%Y-%m-%d-%-H}", "0 * * * *"),
        ("/20240301_03", "/{start:%Y%m%d_%H}", "0 * * * *"),
    ],
)
def test_a_path_with_the_date_of_its_records(
    capsys: pytest.CaptureFixture[str], path: str, url: str, cron: str
) -> None:
    hourly = cron == "0 * * * *"
    made, tried = drafted(capsys, as_json(data=records(1, 3) if hourly else records()), query=path)
    assert made["api"]["url"].endswith(f"/v1/events{url}")
    assert (made["api"]["time"], made["partitions"]["cron"]) == ({"stop": "never"}, cron)
    assert tried["rows"] == (1 if hourly else 3)


AUTHS: list[tuple[dict[str, str], dict[str, object] | None, list[str]]] = [
    ({"auth": "bearer"}, {"kind": "bearer", "token": {"env": "EVENTS_TOKEN"}}, ["EVENTS_TOKEN"]),
    ({"auth": "none"}, None, []),
    (
        {"token_url": "https://id.example/token", "scope": "a b"},
        {
            "kind": "oauth2",
            "token_url": "https://id.example/token",
            "client_id": {"env": "EVENTS_CLIENT_ID"},
            "client_secret": {"env": "EVENTS_CLIENT_SECRET"},
            "scope": "a b",
        },
        ["EVENTS_CLIENT_ID", "EVENTS_CLIENT_SECRET"],
    ),
]


@pytest.mark.parametrize(("options", "auth", "variables"), AUTHS, ids=[str(case[0]) for case in AUTHS])
def test_the_auth_that_is_asked_for(
    capsys: pytest.CaptureFixture[str], options: dict[str, str], auth: dict[str, object] | None, variables: list[str]
) -> None:
    Path("a.json").write_bytes(as_json(data=records()))
    run_new("events", Path("a.json"), None, None, **options)
    said = capsys.readouterr().out.splitlines()
    assert [line for line in said if line.startswith("Set ")] == [f"Set {name}." for name in variables]
    text = Path("events.yaml").read_text()
    assert yaml.safe_load(text)["attributes"]["api"].get("auth") == auth
    assert "# auth:" not in text


def test_without_a_word_on_auth_the_draft_has_its_forms_as_comments() -> None:
    Path("a.json").write_bytes(as_json(data=records()))
    run_new("events", Path("a.json"), None, None)
    commented = re.findall(r"# auth: {kind: (\w+)", Path("events.yaml").read_text())
    assert commented == ["bearer", "header", "basic", "oauth2"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"auth": "oauth"}, "--auth is 'oauth'; did you mean oauth2.*Use bearer, header"),
        ({"auth": "basic", "token_url": "https://id.example"}, "--token-url is an option of oauth2"),
        ({"token_url": "id.example"}, "--token-url: this is not an http"),
    ],
)
def test_options_of_auth_that_do_not_fit(options: dict[str, str], message: str) -> None:
    Path("a.json").write_bytes(as_json(data=records()))
    with pytest.raises(ConfigurationError, match=message):
        run_new("events", Path("a.json"), None, None, **options)
    assert not list(Path().glob("*.yaml"))


def test_several_secrets_in_a_url_are_variables_each(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.json").write_bytes(as_json(data=records()))
    url = "http://me:hunter2@api.example/v1?api_key=hunter3&access-token=hunter4&q=x"
    run_new("events", Path("a.json"), url, None)
    text = Path("events.yaml").read_text()
    made = yaml.safe_load(text)["attributes"]["api"]
    assert made["auth"]["kind"] == "basic"
    others = {"api_key": {"env": "EVENTS_API_KEY"}, "access-token": {"env": "EVENTS_ACCESS_TOKEN"}, "q": "x"}
    assert (made["url"], made["parameters"]) == ("http://api.example/v1", others)
    assert "hunter" not in text
    said = capsys.readouterr().out
    assert re.findall(r"Set (\w+)\.", said) == [
        *("EVENTS_USER", "EVENTS_PASSWORD", "EVENTS_API_KEY", "EVENTS_ACCESS_TOKEN")
    ]


def test_numbers_as_times(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"key": number, "ts": 1709251200 + number, "updated": 1709251200000 + number} for number in range(3)]
    made, tried = drafted(capsys, as_json(data=rows))
    written = {column["name"]: column.get("written") for column in made["columns"]}
    assert (written["ts"], written["updated"]) == ("seconds", "milliseconds")
    assert (made["time"], made["key"], tried["rows"]) == ("ts", "key", 3)


def test_a_document_that_is_the_array(capsys: pytest.CaptureFixture[str]) -> None:
    made, tried = drafted(capsys, json.dumps(records()).encode())
    assert (made["api"]["records"], tried["rows"]) == ("", 3)


def test_ndjson(capsys: pytest.CaptureFixture[str]) -> None:
    body = "".join(json.dumps(record) + "\n" for record in records()).encode()
    made, tried = drafted(capsys, body, suffix="ndjson")
    assert (made["api"]["format"], made["api"]["verification"], tried["rows"]) == ("ndjson", "unverified", 3)


def test_csv_with_comments_semicolons_and_empty_cells(capsys: pytest.CaptureFixture[str]) -> None:
    body = f"# a dump\nHost;First Seen;Port;Zip\na;{DAY} 01:00:00;80;01234\nb;{DAY} 02:00:00;;01235\n".encode()
    made, tried = drafted(capsys, body, suffix="csv")
    assert made["api"]["csv"] == {"delimiter": ";", "comment": "#"}
    assert [(column["name"], column.get("type"), column.get("written")) for column in made["columns"][:4]] == [
        ("host", None, None),
        ("first_seen", "timestamp", "iso_utc"),
        ("port", "int64", None),
        ("zip", None, None),
    ]
    assert (made["key"], tried["rows"], tried["rejected"]) == ("host", 2, 0)


def test_xml(capsys: pytest.CaptureFixture[str]) -> None:
    item = "<ITEM n='{0}'><ID>{0}</ID><AT>{1}T0{0}:00:00Z</AT><NET><IP>::1</IP></NET><T>a</T><T>b</T></ITEM>"
    items = "".join(item.format(number, DAY) for number in (1, 2))
    made, tried = drafted(capsys, f"<OUT><RESPONSE><LIST>{items}</LIST></RESPONSE></OUT>".encode(), suffix="xml")
    assert (made["api"]["records"], made["api"]["record"]) == ("OUT", "RESPONSE/LIST/ITEM")
    paths = {column["name"]: column.get("path") for column in made["columns"]}
    assert paths == {"n": "@n", "id": "ID", "at": "AT", "net_ip": "NET.IP", "t": "T[]", "extra_fields": None}
    assert (made["time"], made["key"], tried["rows"], tried["rejected"]) == ("at", "id", 2, 0)


def test_a_key_of_several_columns(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"host": host, "port": port, "seen": f"{DAY}T00:00:00Z"} for host in "ab" for port in (1, 2)]
    made, tried = drafted(capsys, as_json(data=rows))
    assert (sorted(made["key"]), tried["rows"]) == (["host", "port"], 4)


@pytest.mark.parametrize(
    ("name", "file", "content", "message"),
    [
        ("a b", "a.json", "[]", "is not a table's name"),
        ("n" * 201, "a.json", "[]", "is not a table's name. Use letters, digits and underscores, at most 200"),
        ("events", "a.txt", "", "is not of a known format"),
        ("events", "a.json", "{", "cannot be read as json"),
        ("events", "a.json", '{"data": []}', "has no records"),
        ("events", "absent.json", None, "No such file"),
        ("events", "a.xml", "<a><b/></a>", "has no records"),
        ("nvd_cves", "a.json", '[{"id": 1, "at": "2024-03-01T00:00:00Z"}]', "there is a table 'nvd_cves' already"),
    ],
)
def test_what_cannot_be_drafted_writes_nothing(name: str, file: str, content: str | None, message: str) -> None:
    if content is not None:
        Path(file).write_text(content)
    with pytest.raises(ConfigurationError, match=message):
        run_new(name, Path(file), None, None)
    assert not list(Path().glob("*.yaml"))


def test_it_goes_into_the_projects_folder_and_replaces_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("mine").mkdir()
    Path("a.json").write_bytes(as_json(data=records()))
    monkeypatch.setenv("FLOWS_SOURCES", "mine")
    run_new("events", Path("a.json"), None, None)
    assert "url: https://api.example/v1/events # guess" in Path("mine/events.yaml").read_text()
    with pytest.raises(ConfigurationError, match=r"mine/events\.yaml exists"):
        run_new("events", Path("a.json"), None, None)
