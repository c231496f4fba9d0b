"""A mistake in a source's YAML is reported with file, line, key and what is allowed; secrets are never shown."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flows_platform.components.build import windowed_table
from flows_platform.components.loader import DEFS, TABLE, load_declaration
from flows_platform.domain.errors import ConfigurationError
from flows_platform.formats.protocol.names import Parser
from flows_platform.settings import Settings
from flows_platform.sources.lanl_flows.windows import flows_windows
from tests.components.mistaken import fault_of, mistaken

GOOD = """\
type: flows_platform.components.WindowedApiTable
attributes:
  name: sightings
  api:
    url: https://feed.example/v1/sightings
    format: json
    auth: {kind: bearer, token: {env: FEED_TOKEN}}
    time: {after: from, before: to, written: iso}
    paging: {kind: next_link, link: next}
    rate: {requests: 10, seconds: 60}
  columns:
    - {name: id, required: true}
    - {name: seen_at, type: timestamp, required: true}
    - {name: score, type: int64, path: "scores[kind=a].value"}
    - {name: extra_fields, type: json}
  time: seen_at
  key: id
  extra: extra_fields
  partitions: {cron: 0 */3 * * *, start: 2024-03-01T00:00:00}
  destination: {partition_by: day, cluster_by: [id]}
  look_back: 2
"""
FAULTS = [  # a text, its replacement, and the line and words of the message
    ("look_back: 2", "look_bak: 2", "21: look_bak is '2': there is no such key; did you mean look_back? Allowed are"),
    ("look_back: 2", "zzz: 2", "21: zzz is '2': there is no such key. Allowed are"),
    ("requests: 10", "request: 10", "10: api.rate.request is '10': there is no such key; did you mean requests?"),
    ("link: next}", "linc: next}", "9: api.paging.linc is 'next': there is no such key; did you mean link?"),
    ("kind: next_link", "kind: nextlink", "9: api.paging: kind is 'nextlink'; allowed are 'next_link', 'link_header'"),
    (
        "format: json",
        "format: jsonl",
        "6: api.format is 'jsonl': Input should be 'json', 'xml', 'ndjson', 'csv', 'arrow' or 'auto'; did you mean",
    ),
    ("    auth", "    parser: quick\n    auth", "7: api.parser is 'quick': Input should be 'template' or 'reference'"),
    (
        "    auth",
        "    parameters: {k: 'a {{ env.FEED_KEY }}'}\n    auth",
        "7: api.parameters.k: the variable FEED_KEY would be shown; write {env: FEED_KEY}, which",
    ),
    (
        "    auth",
        "    headers: {X-K: \"{{ env('FEED_KEY') }}\"}\n    auth",
        "7: api.headers.X-K: the variable FEED_KEY",
    ),
    (
        "    auth",
        "    headers: {X-K: {env: 7 up}}\n    auth",
        "7: api.headers.X-K.env: a name has letters, digits and _",
    ),
    ("v1/sightings", "v1/{{env.FEED_KEY}}", "5: api.url: the variable FEED_KEY would be shown"),
    ("written: iso", "written: unix", "8: api.time.written is 'unix': Input should be 'seconds', 'milliseconds'"),
    ("type: int64", "type: int", "14: columns.2.type is 'int': Input should be 'int64', 'string', 'timestamp'"),
    ("partition_by: day", "partition_by: week", "20: destination.partition_by is 'week': Input should be 'hour'"),
    ("requests: 10", "requests: many", "10: api.rate.requests is 'many': a whole number is needed"),
    ("requests: 10", "requests: 0", "10: api.rate.requests is '0': Input should be greater than or equal to 1"),
    ("look_back: 2", "look_back: often", "21: look_back is 'often': a whole number is needed"),
    ("required: true}", "required: maybe}", "12: columns.0.required is 'maybe': true or false is needed"),
    ("    format: json\n", "", "4: api.format: this key is missing: auto leaves the choice"),
    (
        "before: to, ",
        "",
        "8: api.time: `before` is missing: name its parameter, or write {end} in url, parameters, headers or body, or",
    ),
    ("before: to", "stop: soon", "8: api.time.stop is 'soon': Input should be 'beyond' or 'never'"),
    ("before: to", "before: to, stop: never", "8: api.time.stop: the request names its end by `before`: leave one of"),
    ("after: from, ", "", "8: api.time: `after` is missing: name its parameter, or write {start}"),
    ("written: iso", "written: '%Y-%m-%d %Q'", "8: api.time.written is '%Y-%m-%d %Q': '%Y-%m-%d %Q' is not a strftime"),
    ("written: iso", "written: '%Y %H'", "8: api.time.written is '%Y %H': '%Y %H' does not say the month of a time"),
    ("written: iso", "written: '%Y-%m-%d'", "8: api.time.written: 2024-03-01T03:00:00.000000Z is not the start of a"),
    (
        "seen_at, type: timestamp",
        "seen_at, type: timestamp, written: unix",
        "13: columns.1.written is 'unix': Input should be 'iso', 'iso_utc', 'date', 'seconds', 'milliseconds'",
    ),
    (
        "name: score, type: int64",
        "name: score, type: int64, written: seconds",
        "14: columns.2.written: a column of type int64 has no form; a timestamp or date has",
    ),
    (
        "name: score, type: int64",
        "name: score, type: date, finer: truncate",
        "14: columns.2.finer: a column of type date has no fraction of a second",
    ),
    (
        "name: score, type: int64",
        "name: score, type: date, written: iso_utc",
        "14: columns.2.written: iso_utc is a time; a date is written as iso, in a strftime text or a number",
    ),
    (
        "name: score, type: int64",
        "name: score, type: decimal",
        "14: columns.2.type is 'decimal': Input should be 'int64', 'string', 'timestamp', 'float64', 'bool', 'json',",
    ),
    (
        "seen_at, type: timestamp",
        "seen_at, type: timestamp, written: '%H:%M'",
        "13: columns.1.written is '%H:%M': '%H:%M' does not say the year of a time",
    ),
    (
        "seen_at, type: timestamp",
        "seen_at, type: timestamp, written: '%-m%-d%Y'",
        "13: columns.1.written is '%-m%-d%Y': '%-m%-d%Y' may be read in two ways: digits follow %-m",
    ),
    ("{name: id,", "{name: id, form: id,", "12: columns.0.form is 'id': there is no such key; did you mean from?"),
    ("v1/sightings", "v1/{start:%Y}", "8: api.time: 2024-03-01T00:00:00.000000Z is not the start of a year"),
    ("v1/sightings", "v1/{start:today}", "5: api.url: 'today' is not a strftime text: it says nothing of a time"),
    (
        "{kind: bearer, token: {env: FEED_TOKEN}}",
        "{kind: oauth2, token_url: 'https://id.example/token', client_id: {env: A}, client_secret: s3cret}",
        "7: api.auth.client_secret: a secret does not belong in a file: write {env: NAME}",
    ),
    (
        "{kind: bearer, token: {env: FEED_TOKEN}}",
        "{kind: oauth2, token_url: id.example, client_id: {env: A}, client_secret: {env: B}}",
        "7: api.auth.token_url: an http(s) URL without user and password is needed",
    ),
    (
        "{kind: bearer, token: {env: FEED_TOKEN}}",
        "{kind: oauth2, token_url: 'https://id.example/token', client_id: {env: A}}",
        "7: api.auth.client_secret: this key is missing: The client's secret",
    ),
    (
        "{kind: bearer, token: {env: FEED_TOKEN}}",
        "{kind: oauth2, token_url: 'https://i.example', client_id: {env: A}, client_secret: {env: B}, scopes: x}",
        "7: api.auth.scopes: there is no such key; did you mean scope?",
    ),
    (
        "{kind: bearer, token: {env: FEED_TOKEN}}",
        "{kind: hmac, secret: {env: A}, sign: '{path}'}",
        "7: api.auth: the signature is sent nowhere: write {signature} into one of `headers`, or declare `user`",
    ),
    (
        "{kind: bearer, token: {env: FEED_TOKEN}}",
        "{kind: hmac, secret: {env: A}, sign: '{date}', user: {env: B}}",
        "7: api.auth.sign: {date} is signed and not sent: write it into one of `headers`",
    ),
    (
        "{kind: bearer, token: {env: FEED_TOKEN}}",
        "{kind: hmac, secret: {env: A}, sign: '{path}', user: {env: B}, hash: md5}",
        "7: api.auth.hash: Input should be 'sha1', 'sha256'",
    ),
    (
        "{kind: bearer, token: {env: FEED_TOKEN}}",
        "{kind: hmac, secret: s3cret, sign: '{path}', user: {env: B}}",
        "7: api.auth.secret: a secret does not belong in a file",
    ),
    (
        "{kind: bearer, token: {env: FEED_TOKEN}}",
        "{kind: aws, service: cloudtrail}",
        "7: api.auth.region: this key is missing: The region",
    ),
    ("    auth", "    method: PUT\n    auth", "7: api.method is 'PUT': Input should be 'GET' or 'POST'"),
    ("    auth", "    body: {a: 1}\n    auth", "7: api.body: a GET has no body; write `method: POST`"),
    ("    auth", "    body_form: form\n    auth", "7: api.body_form: there is no `body`"),
    ("    auth", "    method: POST\n    body: 7\n    auth", "8: api.body: an object is needed: {name: value}"),
    (
        "    auth",
        "    method: POST\n    body: [1]\n    body_form: form\n    auth",
        "8: api.body: a form has names; an array has not",
    ),
    (
        "    paging: {kind: next_link, link: next}",
        "    method: POST\n    body: [1]\n    paging: {kind: cursor, cursor: next, into: {body: a}}",
        "11: api.paging.into.body: `body` is an array, which has no members by name",
    ),
    (
        "    auth",
        "    method: POST\n    body: [{k: {env: 7 up}}]\n    auth",
        "8: api.body.0.k.env: String should match pattern",
    ),
    (
        "    auth",
        "    method: POST\n    body: {a: {b: 1}}\n    body_form: form\n    auth",
        "8: api.body.a: a form holds texts, numbers, true and false; JSON holds others",
    ),
    (
        "    auth",
        "    method: POST\n    body: {a: [{k: {env: 7 up}}]}\n    auth",
        "8: api.body.a.0.k.env: String should match pattern",
    ),
    (
        "    auth",
        "    method: POST\n    body: {k: '{{ env.FEED_KEY }}'}\n    auth",
        "8: api.body.k: the variable FEED_KEY would be shown; write {env: FEED_KEY}, which",
    ),
    ("    auth", "    tls: {}\n    auth", "7: api.tls: `ca`, or `certificate` and `key`, are needed"),
    ("    auth", "    tls: {key: k.pem, ca: a.pem}\n    auth", "7: api.tls.key: it needs `certificate`"),
    (
        "    auth",
        "    tls: {certificate: c.pem, key_password: s3cret}\n    auth",
        "7: api.tls.key_password: a secret does not belong in a file",
    ),
    (
        "    auth",
        '    tls: {certificate: c.pem, key: "-----BEGIN PRIVATE KEY-----\\ns3cret"}\n    auth',
        "7: api.tls.key: write the path of a PEM file: what the file holds does not belong here",
    ),
    (
        "    auth",
        "    tls: {cert: c.pem}\n    auth",
        "7: api.tls.cert: there is no such key; did you mean certificate? Allowed are",
    ),
    (
        "url: https://feed.example/v1/sightings",
        "url: http://feed.example/v1\n    tls: {ca: ca.pem}",
        "6: api.tls: http://feed.example/v1 is not https",
    ),
    ("    auth", "    parameters: {k: [1]}\n    auth", "7: api.parameters.k: a text is needed"),
    (
        "    auth",
        "    details: {url: https://feed.example/v1/x}\n    auth",
        "7: api.details: one of {id} and {ids} is needed in `url` or `body`: one id, or several",
    ),
    (
        "    auth",
        "    details: {url: 'https://feed.example/v1/{id}?ids={ids}'}\n    auth",
        "7: api.details: one of {id} and {ids} is needed",
    ),
    (
        "    auth",
        "    details: {url: 'https://{id}.feed.example/v1'}\n    auth",
        "7: api.details.url is 'https://{id}.feed.example/v1': {id} is in the host: secrets would go wherever the",
    ),
    (
        "    auth",
        "    details: {url: 'https://feed.example/v1/{id}', batch: 7}\n    auth",
        "7: api.details.batch: {id} is one id; write {ids} to ask for several at once",
    ),
    (
        "    auth",
        "    details: {url: 'feed.example/v1/{id}'}\n    auth",
        "7: api.details.url is 'feed.example/v1/{id}': an http(s) URL without user and password is needed",
    ),
    (
        "    auth",
        "    details: {url: 'https://feed.example/v1', method: POST, body: {ids: '{ids}', k: {env: 7 up}}}\n    auth",
        "7: api.details.body.k.env: String should match pattern",
    ),
    (
        "    auth",
        "    details: {url: 'https://feed.example/v1', body: {ids: '{ids}'}}\n    auth",
        "7: api.details.body: a GET has no body; write `method: POST`",
    ),
    (
        "    auth",
        "    details: {url: 'https://feed.example/{start:today}/{id}'}\n    auth",
        "7: api.details.url: 'today' is not a strftime text",
    ),
    (
        "after: from, before: to, written: iso}",
        "after: from, written: iso}\n    details: {url: 'https://feed.example/{id}/{end}'}",
        "8: api.time: `before` is missing",
    ),
    (
        "after: from, before: to, written: iso}",
        "after: from, stop: beyond}\n    details: {url: 'https://feed.example/{id}'}",
        "8: api.time.stop: the list has ids only: it does not show which record is past the window",
    ),
    (
        "    paging: {kind: next_link, link: next}",
        "    details: {url: 'https://feed.example/{id}'}\n    paging: {kind: continue_from, parameter: a, column: id}",
        "10: api.paging.kind: the list has ids only: pages cannot continue from a column",
    ),
    ("    url: https://feed.example/v1/sightings\n", "", "4: api: `url` is missing: give the full endpoint"),
    ("requests: 10, ", "", "10: api.rate.requests: this key is missing"),
    (", link: next", "", "9: api.paging.link: this key is missing: Path of the link"),
    ("next_link, link: next", "offset, size: 7", "9: api.paging.start: this key is missing"),
    ("next_link, link: next", "offset, start: s, size_parameter: n", "9: api.paging.size_parameter: `size` is missing"),
    ("next_link, link: next", "page, parameter: p, ends: short", "9: api.paging.ends: `size` is missing"),
    (
        "next_link, link: next",
        "next_link, link: n, ends: short",
        "9: api.paging.ends is 'short': Input should be 'empty'",
    ),
    ("link: next", "link: n, truncated: t, more: m", "9: api.paging.more: `truncated` says the same"),
    ("next_link, link: next", "cursor, cursor: c, into: {body: c}", "9: api.paging.into.body: there is no `body`"),
    ("next_link, link: next", "cursor, cursor: c, into: {}", "9: api.paging.into: one of `query` and `body` is needed"),
    (
        "next_link, link: next",
        "cursor, cursor: c, into: {query: a, body: b}",
        "9: api.paging.into: one of `query` and `body` is needed",
    ),
    (
        "next_link, link: next",
        "cursor, cursor: c, into: {body: 'a[0].b'}",
        "9: api.paging.into.body: it is written as names with points between them",
    ),
    ("next_link, link: next", "cursor, cursor: a..b, into: {query: c}", "9: api.paging.cursor is 'a..b': 'a..b' is"),
    ("key: id", "key: [id, score]", "17: key: the column 'score' must be required"),
    ("key: id", "key: [id, ident]", "17: key: 'ident' is not one of the columns"),
    ("key: id", "key: [id, id]", "17: key: a column is listed twice"),
    ("[kind=a]", "[kind=a", "14: columns.2.path is 'scores[kind=a.value': 'scores[kind=a.value' is not a path"),
    ("link: next", "link: a..b", "9: api.paging.link is 'a..b': 'a..b' is not a path into a record"),
    ("0 */3 * * *", "0 */5 * * *", "19: partitions.cron is '0 */5 * * *': the cron schedule '0 */5 * * *' does not"),
    ("0 */3 * * *", '"@daily"', "19: partitions.cron is '@daily': the cron schedule '@daily' does not define"),
    (
        "0 */3 * * *",
        "0 0 31 * *",
        "19: partitions.cron is '0 0 31 * *': the cron schedule '0 0 31 * *' does not define windows. Use `*/N *",
    ),
    ("0 */3 * * *", "0 0 2 * *", "19: partitions.start: the first window's start 2024-03-01 00:00 does not match"),
    (
        "0 */3 * * *, start: 2024-03-01T00:00:00}\n  destination: {partition_by: day",
        "0 0 1 3 *, start: 2024-03-01T00:00:00}\n  destination: {partition_by: hour",
        "20: destination.partition_by: a window has 8,784 partitions of one hour, and BigQuery changes at most 4,000",
    ),
    (
        "start: 2024-03-01T00:00:00}\n  destination: {partition_by: day, cluster_by: [id]}",
        "start: 2024-03-01T00:00:00, end: 2025-04-22T00:00:00}",
        "2: attributes: from start to end there are 10,008 partitions of one hour, and a table in BigQuery",
    ),
    ("T00:00:00", "T01:00:00", "19: partitions.start: the first window's start 2024-03-01 01:00 does not match"),
    (
        "0 */3 * * *, start: 2024-03-01T00:00:00",
        "0 0 * * *, timezone: Europe/Berlin, start: 0001-01-01T00:00:00",
        "19: partitions.start: 0001-01-01 00:00:00 has no time in UTC from year 1 to 9999",
    ),
    (
        "0 */3 * * *, start: 2024-03-01T00:00:00",
        "0 0 * * *, timezone: America/Lima, start: 2024-03-01T00:00:00, end: 9999-12-31T23:00:00",
        "19: partitions.end: 9999-12-31 23:00:00 has no time in UTC from year 1 to 9999",
    ),
    ("look_back: 2", "grace_minutes: -5", "21: grace_minutes"),
    ("look_back: 2", "grace_minutes: 99999999999", "21: grace_minutes"),
    ("look_back: 2", "look_back: -1", "21: look_back"),
    ("written: iso}", "written: iso, longest_days: 1e300}", "8: api.time.longest_days"),
    ("v1/sightings", "v1#/sightings", "5: api.url: what follows # is not sent: leave it out, or write %23"),
    (
        "    auth",
        "    details: {url: 'https://feed.example/v1#{id}'}\n    auth",
        "7: api.details.url: what follows # is not sent",
    ),
    ("2024-03-01T00:00:00", "soon", "19: partitions.start is 'soon': a time is needed, such as 2024"),
    ("start: 2024", "end: 2024-02-01, start: 2024", "19: partitions.end: the last window ends before the first starts"),
    ("cron: ", "timezone: Mars/Base, cron: ", "19: partitions.timezone is 'Mars/Base': 'Mars/Base' is not a time zone"),
    ("cron: ", "timezone: Asia/Tokyo, cron: ", "19: partitions.start: windows of 3:00:00 from 2024-03-01"),
    ("time: seen_at", "time: seen", "16: time: 'seen' is not one of the columns (id, seen_at, score, extra_fields)"),
    ("time: seen_at", "time: id", "16: time: the column 'id' must be a required timestamp"),
    ("key: id", "key: ident", "17: key: 'ident' is not one of the columns"),
    ("key: id", "key: score", "17: key: the column 'score' must be required"),
    ("extra: extra_fields", "extra: others", "18: extra: 'others' is not one of the columns"),
    ("extra: extra_fields", "extra: score", "18: extra: the column 'score' must be a json or string that is not"),
    ("cluster_by: [id]", "cluster_by: [idd]", "20: destination.cluster_by: 'idd' is not one of the columns"),
    ("- {name: score", "- {name: id", "14: columns.2.name: the column 'id' is declared twice"),
    ("- {name: score", "- {name: ID", "14: columns.2.name: the column 'ID' is declared twice"),
    ("- {name: score", "- {name: _File_name", "14: columns.2.name: names that begin with _FILE_ are BigQuery's own"),
    ("  key: id\n", "", "2: attributes: columns, time and key: all three are needed"),
    (
        "format: json",
        "format: json\n    nothing: [200]",
        "7: api.nothing.0: 200 does not say whether there are records",
    ),
    ("format: json", "format: json\n    nothing: [404, 429]", "7: api.nothing.1: 429 does not say whether"),
    ("format: json", "format: json\n    nothing: [99]", "7: api.nothing.0: 99 is not a status of an HTTP answer"),
    ("format: json", "format: auto\n    unpack: gzip", "7: api.unpack: name the `format` of the packed file"),
    ("format: json", "format: json\n    unpack: zip", "7: api.unpack: each file of a zip file has its own values"),
    ("format: json", "format: json\n    unpack: tar", "7: api.unpack is 'tar'"),
    ("format: json", "format: json\n    flows_protocol: true\n    unpack: gzip", "8: api.unpack: servers of"),
    (
        "format: json",
        "format: csv\n    csv: {delimiter: ';', comment: ';#'}",
        "7: api.csv.comment: records may also start with ';'",
    ),
    ("format: json", "format: ndjson", "6: api.format: ndjson has nothing around the records: no total"),
    ("written: iso", "written: date", "8: api.time.written: dates need windows of whole days"),
    ("https://feed", "ftp://feed", "5: api.url is 'ftp://feed.example/v1/sightings': this is not an http(s) URL"),
    (
        "https://feed.example/v1/sightings",
        '"{{ settings.feed }}"',
        "5: api.url: the template '{{ settings.feed }}' cannot be replaced: there is no setting",
    ),
    (TABLE.component, "flows_platform.Table", "1: type: write `type: flows_platform.components.WindowedApiTable`"),
    (
        TABLE.component,
        "flows_platform.components.WebhookTables",
        "1: type: write `type: flows_platform.components.WebhookTable`",
    ),
    ("look_back: 2", "look_back: [", "22: this cannot be read as YAML: "),
]


DEFINITIONS = """\
from pathlib import Path

from dagster import definitions, load_from_defs_folder


@definitions
def defs():
    return load_from_defs_folder(project_root=Path(__file__).parent.parent)
"""


def test_secrets_by_name_go_into_parameters_and_headers_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "defs.yaml"
    named = "    parameters: {k: {env: FEED_KEY}, q: x, o: {env: FEED_OTHER, required: false}}\n"
    path.write_text(GOOD.replace("    auth", f"{named}    headers: {{X-K: {{env: FEED_KEY}}, X-O: y}}\n    auth"))
    table = windowed_table(load_declaration(path, Settings()), Settings())
    monkeypatch.setenv("FEED_TOKEN", "token")
    with pytest.raises(ConfigurationError, match="FEED_KEY is not set"):
        table.api()
    monkeypatch.setenv("FEED_KEY", "canary+7")
    api = table.api()
    request = api.request(None)
    url = request.target
    assert "k=canary%2B7" in url
    assert "q=x" in url
    assert "o=" not in url
    assert request.headers["X-K"] == "canary+7"
    assert request.headers["X-O"] == "y"
    assert "k=***" in api.shown_url(url)
    assert "canary" not in api.shown_url(url.replace("k=", "other=")) + repr(api)


def test_the_declaration_that_the_mistakes_are_made_in_is_a_good_one(tmp_path: Path) -> None:
    path = tmp_path / "defs.yaml"
    path.write_text(GOOD)
    assert windowed_table(load_declaration(path, Settings()), Settings()).table.name == "sightings"


@pytest.mark.parametrize("parser", Parser)
def test_the_parser_that_is_set_reads_the_flows(parser: Parser) -> None:
    assert flows_windows(Settings(api_parser=parser)).api().parser is parser


@pytest.mark.parametrize(("right", "wrong", "message"), FAULTS, ids=[f"{wrong or right}" for right, wrong, _ in FAULTS])
def test_a_mistake_is_told_with_its_line_its_key_and_what_is_allowed(
    tmp_path: Path, right: str, wrong: str, message: str
) -> None:
    told = fault_of(tmp_path, mistaken(GOOD, right, wrong))
    assert any(line.removeprefix(f"{tmp_path}/defs.yaml:").startswith(message) for line in told.splitlines())


START = "start: {method: POST, url: 'https://f.example/x', body: {since: '{start}'}, id: id}"
STATUS = "status: {url: 'https://f.example/x/{job}', state: state, done: DONE, failed: [ERROR]}"
CHUNK = "part"
CHUNKS = f"{CHUNK}s: {{list: chunks, url: 'https://f.example/x/{{job}}/{{{CHUNK}}}'}}"
JOB = f"    job:\n      {START}\n      {STATUS}\n      {CHUNKS}\n"
EXPORT = (
    GOOD.replace("    url: https://feed.example/v1/sightings\n", JOB)
    .replace("after: from, before: to, written: iso", "written: seconds, stop: never")
    .replace("    paging: {kind: next_link, link: next}\n", "")
)
FAULTS_OF_JOBS = [
    (
        "job:\n",
        "url: https://f.example\n    job:\n",
        "5: api.url: the first request is that of `job.start`: leave this key out, and write it there",
    ),
    ("job:\n", "method: POST\n    job:\n", "5: api.method: the first request is that of `job.start`"),
    ("job:\n", "body: {a: 1}\n    job:\n", "5: api.body: the first request is that of `job.start`"),
    (
        "job:\n",
        "details: {url: 'https://f.example/{id}'}\n    job:\n",
        "5: api.details: the status of the `job` says what there is to read: leave one of the two out",
    ),
    (
        "    format",
        "    paging: {kind: page, parameter: p}\n    format",
        "9: api.paging: the status of the `job` says what there is to read",
    ),
    ("stop: never", "stop: beyond", "11: api.time.stop: a job writes all records, in any order: write `never`"),
    (", stop: never", "", "11: api.time: `before` is missing"),
    ("since: '{start}'", "since: 1", "11: api.time: `after` is missing"),
    ("x/{job}'", "x'", "7: api.job.status.url: {job} is not in `url` or `body`: every request would ask for the same"),
    ("{job}/{part}", "{job}", f"8: api.job.{CHUNK}s.url: {{{CHUNK}}} is not in `url` or `body`"),
    (CHUNKS, "result: {url: 'https://f.example/x'}", "8: api.job.result.url: {job} is not in `url` or `body`"),
    (CHUNKS, "", "5: api.job: one of `parts` and `result` is needed"),
    (
        CHUNKS,
        f"{CHUNKS}\n      result: {{url: 'https://f.example/{{job}}'}}",
        "5: api.job: one of `parts` and `result` is needed",
    ),
    ("[ERROR]", "[ERROR, DONE]", "7: api.job.status.failed: 'DONE' is also a state of `done`"),
    ("done: DONE", "done: []", "7: api.job.status.done: List should have at least 1 item"),
    ("done: DONE, ", "", "7: api.job.status.done: this key is missing"),
    ("state: state, ", "", "7: api.job.status.state: this key is missing"),
    (", id: id", "", "6: api.job.start.id: this key is missing"),
    ("list: chunks, ", "", f"8: api.job.{CHUNK}s.list: this key is missing"),
    ("failed: [ERROR]", "every: 0", "7: api.job.status.every is '0': Input should be greater than 0"),
    ("method: POST, ", "", "6: api.job.start.body: a GET has no body; write `method: POST`"),
    ("since: '{start}'", "since: '{start}', k: {env: 7 up}", "6: api.job.start.body.k.env: String should match"),
    ("{since: '{start}'}", "{since: '{start:today}'}", "6: api.job.start.body.since: 'today' is not a strftime text"),
    ("x/{job}'", "x/{job}/{strat}'", "7: api.job.status.url: nothing replaces {strat}; did you mean {start}?"),
]


def test_the_export_that_the_mistakes_are_made_in_is_a_good_one(tmp_path: Path) -> None:
    path = tmp_path / "defs.yaml"
    path.write_text(EXPORT)
    assert windowed_table(load_declaration(path, Settings()), Settings()).endpoint == "https://f.example/x"


@pytest.mark.parametrize(("right", "wrong", "message"), FAULTS_OF_JOBS, ids=[wrong for _, wrong, _ in FAULTS_OF_JOBS])
def test_a_mistake_in_a_job_is_reported_with_its_line(tmp_path: Path, right: str, wrong: str, message: str) -> None:
    text = fault_of(tmp_path, mistaken(EXPORT, right, wrong))
    assert any(line.removeprefix(f"{tmp_path}/defs.yaml:").startswith(message) for line in text.splitlines()), text


@pytest.mark.parametrize(
    "secret", ["hunter2", "{value: hunter2}", "{env: hunter-2}", "{env: FEED, hunter2: yes}", "[hunter2]", "{}"]
)
def test_a_secret_in_place_of_its_name_is_refused_and_not_shown(tmp_path: Path, secret: str) -> None:
    told = fault_of(tmp_path, GOOD.replace("{env: FEED_TOKEN}", secret))
    assert told.startswith("7: api.auth.token")
    assert "is 'hunter" not in told
    if secret == "hunter2":  # noqa: S105 - no secret
        assert "write {env: NAME}, and set that variable" in told


def test_a_file_that_is_no_text_is_a_mistake_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "defs.yaml"
    for content in (b"\xff\xfe", b"name: caf\xe9", b"\x00"):
        path.write_bytes(content)
        with pytest.raises(ConfigurationError, match="cannot be read as YAML"):
            load_declaration(path, Settings())


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    told = fault_of(tmp_path, GOOD.replace("format: json", "format: text").replace("look_back", "lookback"))
    assert [re.search(r":?(\d+): ", line)[1] for line in told.splitlines()] == ["6", "21"]  # type: ignore[index]


def dg(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Dagster's own command, as an author of a YAML calls it."""
    environment = {**os.environ, "PYTHONPATH": f"{cwd}:{DEFS.parents[1]}", "COLUMNS": "200"}
    command = [str(Path(sys.executable).with_name("dg")), *words]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a source in YAML and our component."""
    folder = tmp_path_factory.mktemp("project")
    tables = ["[project]", 'name = "demo"', 'version = "0"', "[tool.dg]", 'directory_type = "project"']
    tables += ["[tool.dg.project]", 'root_module = "demo"', 'registry_modules = ["flows_platform.components"]']
    (folder / "pyproject.toml").write_text("\n".join(tables))
    (folder / "demo" / "defs" / "sightings").mkdir(parents=True)
    (folder / "demo" / "definitions.py").write_text(DEFINITIONS)
    for package in ("demo", "demo/defs"):
        (folder / package / "__init__.py").write_text("")
    shutil.copy(DEFS / "qualys_detections" / "defs.yaml", folder / "demo" / "defs" / "sightings")
    return folder


@pytest.mark.slow
def test_dg_knows_the_component(project: Path) -> None:
    listed = dg("list", "components", "--json", cwd=project)
    assert listed.returncode == 0, listed.stderr
    assert TABLE.component in {item["key"] for item in json.loads(listed.stdout)["items"]}


@pytest.mark.slow
def test_dg_checks_a_yaml(project: Path) -> None:
    path = project / "demo" / "defs" / "sightings" / "defs.yaml"
    path.write_text(GOOD)
    checked = dg("check", "yaml", cwd=project)
    assert checked.returncode == 0, checked.stdout
    path.write_text(GOOD.replace("look_back: 2", "look_bak: 2").replace("written: iso", "written: unix"))
    checked = dg("check", "yaml", cwd=project)
    assert checked.returncode == 1
    assert f"{path}:21" in checked.stdout
    assert "look_bak" in checked.stdout
    assert f"{path}:8" in checked.stdout


@pytest.mark.slow
def test_dg_scaffolds_a_file_that_loads(project: Path) -> None:
    done = dg("scaffold", "defs", TABLE.component, "door_events", cwd=project)
    assert done.returncode == 0, done.stderr
    path = project / "demo" / "defs" / "door_events" / "defs.yaml"
    table = windowed_table(load_declaration(path, Settings()), Settings())
    assert table.table.name == "door_events"
    checked = dg("check", "yaml", cwd=project)
    assert str(path) not in checked.stdout


@pytest.mark.slow
def test_a_project_of_two_components_loads(project: Path) -> None:
    folder = project / "demo" / "defs"
    for name in ("sightings", "others"):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "defs.yaml").write_text(GOOD.replace("name: sightings", f"name: {name}"))
    checked = dg("check", "defs", cwd=project)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(
    ("url", "cron", "why"),
    [
        ("{start:%Y-%m-%d-%-H}.json", "", "names one hour by its start, and windows last 3:00:00 unless `cron` says"),
        ("{start:%Y-%m-%d-%-H}.json", "cron: 0 */6 * * *, ", ""),
        ("{start:%Y-%m-%d-%-H}.json?to={end:%Y%m%d%H}", "", ""),
        ("events?since={start:%Y-%m-%d-%-H}", "", ""),
        ("since/{start:%Y%m%d%H%M%S}", "", ""),
    ],
)
def test_a_path_of_one_hour_needs_windows_whose_length_is_declared(
    tmp_path: Path, url: str, cron: str, why: str
) -> None:
    asked = "{before_inclusive: false}" if "{end" in url else "{stop: never}"
    text = GOOD.replace("v1/sightings", url).replace("{after: from, before: to, written: iso}", asked)
    path = tmp_path / "defs.yaml"
    path.write_text(
        text.replace("cron: 0 */3 * * *, ", cron).replace("url: https", 'url: "https').replace(url, f'{url}"')
    )
    if not why:
        load_declaration(path, Settings())
        return
    with pytest.raises(ConfigurationError, match=re.escape(why)):
        load_declaration(path, Settings())
