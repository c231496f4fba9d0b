"""Mistakes of authors, as `flows source check` reports them: file, line, key, and what to write instead."""

from pathlib import Path
from typing import NamedTuple

import pytest

from flows_platform.cli.commands.source_check import run_check

GOOD = """\
type: flows_platform.components.WindowedApiTable
attributes:
  name: door_events
  api:
    url: https://doors.example/v1/events/search
    method: POST
    format: json
    records: data.items
    auth: {kind: oauth2, token_url: 'https://id.example/token', client_id: {env: A}, client_secret: {env: B}}
    headers: {X-Tenant: {env: C}}
    parameters: {site: north, version: 2}
    body: {filter: {from: "{start}", to: "{end}"}, limit: 100}
    time: {written: iso, before_inclusive: false}
    paging: {kind: cursor, cursor: meta.next, into: {body: page.cursor}, more: meta.has_more}
    total: meta.total
    rate: {requests: 10, seconds: 60}
    errors: {message: error.text, code: error.code}
  columns:
    - {name: id, required: true}
    - {name: opened_at, type: timestamp, path: openedAt, required: true}
    - {name: floor, type: int64, path: "door[kind=main].floor"}
    - {name: extra_fields, type: json}
  time: opened_at
  key: id
  extra: extra_fields
  partitions: {cron: 0 */3 * * *, start: 2024-03-01T00:00:00}
  destination: {partition_by: day, cluster_by: [id]}
"""
REFUSED = "a secret does not belong in a file: write {env: NAME}, and set that variable"


class Mistake(NamedTuple):
    """`right` is replaced by `wrong`; the message begins with the line and `key`, and has the `remedy`."""

    right: str
    wrong: str
    line: int
    key: str
    remedy: str


KEYS = [
    Mistake("  time: opened_at", "  tiem: opened_at", 23, "tiem", "did you mean time?"),
    Mistake("    records:", "    record_path:", 8, "api.record_path", "there is no such key; did you mean record"),
    Mistake("parameters: {", "params: {", 11, "api.params", "did you mean parameters?"),
    Mistake("headers: {", "Headers: {", 10, "api.Headers", "did you mean headers?"),
    Mistake("token_url:", "tokenUrl:", 9, "api.auth.tokenUrl", "did you mean token_url?"),
    Mistake("more: meta", "has_more: meta", 14, "api.paging.has_more", "did you mean more?"),
    Mistake("into: {body", "into: {bodyy", 14, "api.paging.into.bodyy", "did you mean body?"),
    Mistake("before_inclusive", "end_inclusive", 13, "api.time.end_inclusive", "did you mean"),
    Mistake("path: openedAt", "from_path: openedAt", 20, "columns.1.from_path", "did you mean path?"),
    Mistake("seconds: 60", "second: 60", 16, "api.rate.second", "did you mean seconds?"),
    Mistake("  key: id", "  primary_key: id", 24, "primary_key", "Allowed are name"),
    Mistake("  destination:", "destination:", 27, "destination", "belongs below `attributes:`, with more indentation"),
    Mistake("attributes:", "atributes:", 2, "atributes", "did you mean attributes?"),
    Mistake(
        "type: flows_platform.c",
        "kind: flows_platform.c",
        1,
        "kind",
        "no such key at the top. Allowed are type, attributes",
    ),
    Mistake("WindowedApiTable", "WindowApiTable", 1, "type", "write `type: flows_platform.components.Windowed"),
    Mistake("    time: {w", "    time: {after: a}\n    time: {w", 14, "api.time", "the key is in line 13 too"),
    Mistake("site: north,", "site: north, site: south,", 11, "api.parameters.site", "the key is in line 11 too"),
    Mistake("limit: 100", "on: 100", 12, "api.body.on", "write 'on' in quotes"),
    Mistake("limit: 100", "404: 100", 12, "api.body.404", "write '404' in quotes"),
]
VALUES = [
    Mistake("format: json", "format: jsn", 7, "api.format is 'jsn'", "did you mean json?"),
    Mistake("method: POST", "method: Post", 6, "api.method is 'Post'", "did you mean POST?"),
    Mistake("method: POST", "method: DELETE", 6, "api.method is 'DELETE'", "should be 'GET' or 'POST'"),
    Mistake("kind: cursor", "kind: curser", 14, "api.paging", "did you mean cursor?"),
    Mistake("kind: cursor, ", "", 14, "api.paging", "an object with a `kind` is needed; allowed are next_link"),
    Mistake("kind: oauth2", "kind: oauth", 9, "api.auth", "did you mean oauth2?"),
    Mistake("type: timestamp", "type: timestmp", 20, "columns.1.type", "did you mean timestamp?"),
    Mistake("type: int64", "type: integer", 21, "columns.2.type is 'integer'", "'int64'"),
    Mistake("partition_by: day", "partition_by: days", 27, "destination.partition_by", "did you mean day?"),
    Mistake(
        "required: true}\n    - {name: o", "required: ok}\n    - {name: o", 19, "columns.0.required", "true or false"
    ),
    Mistake("requests: 10", "requests: ten", 16, "api.rate.requests is 'ten'", "a whole number is needed"),
    Mistake("time: {written: iso", "time: {written: iso8601", 13, "api.time.written is 'iso8601'", "did you mean iso"),
    Mistake("written: iso", "written: '%Y-%m-%dT%H:%N'", 13, "api.time.written", "the directive '%N' is not known"),
    Mistake("written: iso", "written: date", 13, "api.time.written", "windows of whole days"),
    Mistake("name: door_events", "name: door events", 3, "name is 'door events'", "letters, digits and _"),
    Mistake("name: id,", "name: 1st,", 19, "columns.0.name is '1st'", "letters, digits and _"),
    Mistake("meta.total", "meta..total", 15, "api.total is 'meta..total'", "Separate names by dots"),
    Mistake("https://doors", "doors", 5, "api.url is 'doors.example/v1/events/search'", "Give the full endpoint"),
    Mistake("0 */3", "0 */7", 26, "partitions.cron is '0 */7 * * *'", "for months (D from 1 to 28)"),
    Mistake("0 */3 * * *", "'0 0 1,15 * *'", 26, "partitions.cron is '0 0 1,15 * *'", "for months (D from 1 to 28)"),
    Mistake("cron: ", "timezone: Europe/Berln, cron: ", 26, "partitions.timezone", "did you mean Europe/Berlin?"),
    Mistake("2024-03-01T00:00:00", "01.03.2024", 26, "partitions.start is '01.03.2024'", "such as 2024-03-01T00:00:00"),
    Mistake("T00:00:00", "T01:00:00", 26, "partitions.start", "Move the start to a time that the schedule names"),
    Mistake("  columns:\n", "  columns: {id: string}\n  ignore:\n", 18, "columns", "a list is needed"),
    Mistake(
        "time: {written: iso, before_inclusive: false}",
        "time: at",
        13,
        "api.time is 'at'",
        "its keys are after, before",
    ),
    Mistake("{name: id, r", "{path: id, r", 19, "columns.0.name", "this key is missing: The column's name"),
]
CONTRADICTIONS = [
    Mistake("method: POST", "method: GET", 12, "api.body", "write `method: POST`"),
    Mistake('"{start}"', '"{strat}"', 12, "api.body.filter.from", "did you mean {start}?"),
    Mistake('"{end}"', '"{END}"', 12, "api.body.filter.to", "did you mean {end}?"),
    Mistake('"{start}"', '"{begin:%Y-%m-%d}"', 12, "api.body.filter.from", "did you mean {start:%Y-%m-%d}?"),
    Mistake('"{end}"', '"{end:%Q}"', 12, "api.body.filter.to", "the directive '%Q' is not known"),
    Mistake('{from: "{start}", to: "{end}"}', "all", 13, "api.time", "name its parameter, or write {start} in url"),
    Mistake('"{end}"', "now", 13, "api.time", "`before` is missing: name its parameter, or write {end} in url"),
    Mistake(", into: {body: page.cursor}", "", 14, "api.paging.into", "this key is missing: Where the next request"),
    Mistake("into: {body: page.cursor}", "into: {}", 14, "api.paging.into", "one of `query` and `body` is needed"),
    Mistake(
        "token_url: 'https://id.example/token', ", "", 9, "api.auth.token_url", "this key is missing: The URL that"
    ),
    Mistake("  time: opened_at", "  time: opened", 23, "time", "did you mean opened_at?"),
    Mistake("  key: id", "  key: [id, flor]", 24, "key", "did you mean floor?"),
    Mistake("path: openedAt, required: true", "path: openedAt", 23, "time", "must be a required timestamp"),
    Mistake("  key: id", "  key: floor", 24, "key", "the column 'floor' must be required"),
    Mistake("{name: floor", "{name: Id", 21, "columns.2.name", "the column 'Id' is declared twice"),
    Mistake("cluster_by: [id]", "cluster_by: [ids]", 27, "destination.cluster_by", "did you mean id?"),
    Mistake("format: json", "format: ndjson", 7, "api.format", "ndjson has nothing around the records"),
    Mistake("records: data.items", "csv: {delimiter: ;}", 8, "api.csv", "the format is json"),
    Mistake("start: 2024", "end: 2024-01-01, start: 2024", 26, "partitions.end", "ends before the first starts"),
]
R = "    records: data.items"
URL = "https://doors.example/v1"
START = f"start: {{url: '{URL}/exports', id: export}}"
CHUNKS = f"{'parts'}: {{list: chunks, url: '{URL}/{{job}}/{{part}}'}}"
SHAPES = [
    Mistake(R, f"    job: {{{START}, {CHUNKS}}}\n{R}", 8, "api.job.status", "this key is missing: The request for its"),
    Mistake(R, f"    job: {{{START}, state: {{}}, {CHUNKS}}}\n{R}", 8, "api.job.state", "did you mean st"),
    Mistake(R, f"    snapshot: true\n{R}", 14, "api.time", "leave `time` out, or `snapshot`"),
    Mistake("    time: {written: iso, before_inclusive: false}\n", "", 4, "api", "`time` is missing: say how a range"),
    Mistake(R, f"    for_each: {{room: [a, b]}}\n{R}", 8, "api.for_each", "no request has {room}"),
    Mistake("path: openedAt", "from: room", 20, "columns.1.from", "window_start"),
    Mistake(R, f"    for_each: {{env: ROOMS}}\n{R}", 8, "api.for_each.env", "write {NAME: {env: …}}"),
    Mistake(R, f"    details: {{url: '{URL}/x'}}\n{R}", 8, "api.details", "one of {id} and {ids} is needed"),
    Mistake(
        R, f"    details: {{url: '{URL}/{{id}}', batches: 7}}\n{R}", 8, "api.details.batches", "did you mean batch?"
    ),
    Mistake(R, f"    tls: {{key: k.pem, ca: a.pem}}\n{R}", 8, "api.tls.key", "it needs `certificate`"),
    Mistake(R, f"    unpack: gz\n{R}", 8, "api.unpack is 'gz'", "Input should be 'gzip' or 'zip'"),
    Mistake(R, f"    names: [id, at]\n    record_key: id\n{R}", 9, "api.record_key", "they have no names"),
    Mistake(
        "format: json", "format: xml\n    names: [id, at]", 8, "api.names", "only json and ndjson have such records"
    ),
    Mistake("format: json", "format: csv\n    csv: {delimeter: ;}", 8, "api.csv.delimeter", "did you mean delimiter?"),
    Mistake(R, f"    nothing: [emtpy]\n{R}", 8, "api.nothing.0", "did you mean empty?"),
]
TEMPLATES = [
    Mistake(
        "meta.total", "'{{ settings.api_ur }}'", 15, "api.total", "there is no setting 'api_ur'; did you mean api_url?"
    ),
    Mistake("meta.total", "'{{ a b }}'", 15, "api.total", "cannot be replaced. Write {{ settings.NAME }}, or a text"),
    Mistake("cron: 0 */3 * * *", "cron: '{{'", 26, "partitions.cron is '{{'", "`M * * * *` for hours"),
    Mistake("cron: ", "timezone: '{{ settings.x }}', cron: ", 26, "partitions.timezone", "there is no setting 'x'"),
    Mistake("0 */3 * * *", "'{{ settings.x }}'", 26, "partitions.cron", "there is no setting 'x'"),
]
SECRETS = [
    Mistake("{env: B}", "hunter2hunter2", 9, "api.auth.client_secret", REFUSED),
    Mistake("{X-Tenant: {env: C}}", "{Authorization: Bearer hunter2}", 10, "api.headers.Authorization", REFUSED),
    Mistake("X-Tenant: {env: C}", "X-Api-Key: hunter2", 10, "api.headers.X-Api-Key", REFUSED),
    Mistake("site: north", "access_token: hunter2", 11, "api.parameters.access_token", REFUSED),
    Mistake("limit: 100", "auth: {password: hunter2}", 12, "api.body.auth.password", REFUSED),
    Mistake("events/search", "events?api_key=hunter2", 5, "api.url", "write {api_key: {env: NAME}} under `parameters`"),
    Mistake("https://doors", "https://me:hunter2@doors", 5, "api.url", "write `auth: {kind: basic, …}` instead"),
    Mistake("site: north", "key: '{{ env.HUNTER }}'", 11, "api.parameters.key", "write {env: HUNTER}"),
    Mistake("site: north", "key: '${HUNTER}'", 11, "api.parameters.key", "write {env: HUNTER}"),
    Mistake("    total", "    api_key: hunter2\n    total", 15, "api.api_key", "there is no such key"),
    Mistake("{env: A}", "{env: A, value: hunter2}", 9, "api.auth.client_id.value", "there is no such key"),
    Mistake("site: north", "password: [hunter2]", 11, "api.parameters.password.0", REFUSED),
]
YAML = [
    Mistake("    url:", "\turl:", 5, "this cannot be read as YAML", "Indent with spaces instead of tabs"),
    Mistake("records: data.items", "records: @value", 8, "this cannot be read as YAML", "begins with @ needs quotes"),
    Mistake("written: iso", "written: %Y-%m-%d", 13, "this cannot be read as YAML", "begins with % needs quotes"),
    Mistake("cron: 0 */3", "cron: */15", 26, "this cannot be read as YAML", "begins with * needs quotes"),
    Mistake("{env: A}", "!env A", 9, "this cannot be read as YAML", "begins with ! needs quotes"),
    Mistake(
        "records: data.items", "records: data: items", 8, "this cannot be read as YAML", "contains `: ` needs quotes"
    ),
    Mistake('"door[kind=main].floor"', "door[kind=main].floor", 21, "this cannot be read as YAML", "between brackets"),
    Mistake("cluster_by: [id]}", "cluster_by: [id}", 27, "this cannot be read as YAML", "Close every bracket"),
    Mistake(
        'from: "{start}"',
        "from: {start}",
        12,
        "api.body.filter.from.start",
        "such as '{start}'",
    ),
    Mistake("0 */3 * * *", "0 0 1,15 * *", 26, "partitions.15 * *", "quote a text with a comma or braces"),
    Mistake("  time: opened_at", " time: opened_at", 23, "this cannot be read as YAML", "have the same indentation"),
    Mistake("meta.total", "{{ settings.total }}", 15, "api.total", "write the text in quotes"),
    Mistake(
        "site: north", "site: no", 11, "api.parameters.site", "YAML reads no as false: write 'no' in quotes, or false"
    ),
    Mistake("limit: 100", "open: on", 12, "api.body.open", "YAML reads on as true: write 'on' in quotes, or true"),
    Mistake("version: 2", "version: 1.10", 11, "api.parameters.version", "YAML reads 1.10 as 1.1"),
    Mistake("version: 2", "zip: 01234", 11, "api.parameters.zip", "YAML reads 01234 as 668: write '01234' in quotes"),
    Mistake("limit: 100", "at: 12:30", 12, "api.body.at", "YAML reads 12:30 as 750: write '12:30' in quotes"),
    Mistake("requests: 10", "requests: 010", 16, "api.rate.requests", "YAML reads 010 as 8"),
    Mistake("name: id,", "name: no,", 19, "columns.0.name is 'False'", "write it in quotes, since YAML reads it as"),
    Mistake("records: data.items", "records:", 8, "api.records is 'None'", "a text is needed, and there is nothing"),
    Mistake("records: data.items", "records: {data}", 8, "api.records.data", "such as '{data}'"),
]
ALL = [*KEYS, *VALUES, *CONTRADICTIONS, *SHAPES, *TEMPLATES, *SECRETS, *YAML]


def checked(capsys: pytest.CaptureFixture[str], path: Path, text: str) -> list[str]:
    """What `flows source check` says of the text, without its last line."""
    path.write_text(text)
    assert run_check([str(path)]) is (text == GOOD)
    return capsys.readouterr().out.splitlines()[:-1]


def test_the_file_without_a_mistake_has_no_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert checked(capsys, tmp_path / "doors.yaml", GOOD) == []


@pytest.mark.parametrize("mistake", ALL, ids=[f"{mistake.key}-{mistake.wrong}" for mistake in ALL])
def test_a_mistake_is_reported_by_file_line_key_and_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], mistake: Mistake
) -> None:
    assert GOOD.count(mistake.right) >= 1
    path = tmp_path / "doors.yaml"
    said = checked(capsys, path, GOOD.replace(mistake.right, mistake.wrong, 1))
    begins = f"{path}:{mistake.line}: {mistake.key}"
    found = [line for line in said if line.startswith((f"{begins}: ", f"{begins} is "))]
    assert len(found) == 1, said
    assert mistake.remedy in found[0]
    assert "hunter2" not in "".join(said)


def test_several_mistakes_are_reported_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = GOOD.replace("  time: opened_at", "  time: opened").replace("  key: id", "  key: ids")
    said = checked(capsys, tmp_path / "doors.yaml", wrong.replace('"{end}"', '"{ends}"'))
    assert [line.split(":")[1:3] for line in said] == [["23", " time"], ["24", " key"], ["12", " api.body.filter.to"]]


def test_two_tables_of_one_name_are_reported_with_both_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("one.yaml", "two.yaml"):
        (tmp_path / name).write_text(GOOD)
    assert not run_check([str(tmp_path)])
    said = capsys.readouterr().out
    assert said.startswith(f"{tmp_path}/one.yaml:3: name: 'door_events' is declared in {tmp_path}/one.yaml:3 and ")
    assert f"{tmp_path}/two.yaml:3. Give one of them another name." in said


ODD: list[tuple[bytes, str]] = [
    (b"", "doors.yaml:1: `type: flows_platform.components.WindowedApiTable` and `attributes:` are needed"),
    (b"# nothing\n", "doors.yaml:1: `type:"),
    (b"- a\n- b\n", "doors.yaml:1: `type:"),
    (b"type: flows_platform.components.WindowedApiTable\nattributes:\n", "doors.yaml:2: attributes is 'None': an"),
    (b"type: flows_platform.components.WindowedApiTable\nattributes: []\n", "doors.yaml:2: attributes: "),
    (b"\xff\xfe\x00", "doors.yaml cannot be read as YAML: byte 0 is not UTF-8. Save the file as UTF-8."),
    (b"name: caf\xe9\n", "byte 9 is not UTF-8"),
    (b"a: \x00b\n", "this cannot be read as YAML"),
    (b"a: &a [*a]\n", "doors.yaml:1: a.0.0: this nests too deep, or repeats itself by an alias."),
    (b"[" * 5000, "doors.yaml"),
    (b"a: 1\n" * 300_000, "has 1,500,000 bytes, and a source has at most 1,048,576. If it is an answer of an API"),
    (b"a: &a [1,1,1,1,1,1,1,1,1,1]\n" + b"".join(
        b"%c: &%c [%b]\n" % (99 + n, 99 + n, b",".join([b"*%c" % (98 + n if n else 97)] * 10)) for n in range(8)
    ), "this nests too deep, or repeats itself by an alias"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "message"), ODD, ids=[content[:20].decode("latin1") for content, _ in ODD])
def test_what_is_not_a_source_is_one_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, message: str
) -> None:
    (tmp_path / "doors.yaml").write_bytes(content)
    assert not run_check([str(tmp_path / "doors.yaml")])
    assert message in capsys.readouterr().out
