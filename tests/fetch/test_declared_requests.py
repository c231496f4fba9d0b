"""Requests as a YAML declares them: POST with a JSON body or a form, and the range's bounds in any text."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from flows_platform.domain.errors import ConfigurationError, SourceRefused
from flows_platform.domain.strftime import StrftimeText, StrftimeTime
from flows_platform.domain.windows import Window
from flows_platform.fetch.http.client import HttpClient
from flows_platform.fetch.range_templates import RangeTemplates
from flows_platform.fetch.trace import Trace
from tests.fakes.serving import Answer, Asked
from tests.fakes.small_server import SmallServer, document
from tests.fetch.declared_api import DAY, IDS, RECORDS, declared, ids

INSTANT = datetime(2024, 3, 1, 5, 7, 9, 42, tzinfo=UTC)


def all_records(_: Asked) -> Answer:
    return document({"data": RECORDS})


def test_a_json_body_holds_the_range_numbers_and_secrets(
    tmp_path: Path, client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BODY_KEY", "canary+7")
    body = {
        "filter": {"from": "{start}", "text": "{start}..{end} {other} {}", "to": "{end}"},
        "keys": [{"env": "BODY_KEY"}, {"env": "BODY_OTHER", "required": False}],
        "page": {"limit": 500, "deep": True, "none": None},
        "opt": {"env": "BODY_OTHER", "required": False},
    }
    trace = Trace()
    with SmallServer(all_records) as server:
        time = {"written": "milliseconds", "before_inclusive": False}
        api = declared(tmp_path, f"{server.origin}/search", method="POST", body=body, time=time)
        assert ids(client, api, trace=trace) == IDS
    (asked,) = server.requests
    assert (asked.method, asked.target) == ("POST", "/search")
    assert asked.headers["content-type"] == "application/json"
    assert json.loads(asked.body) == {
        "filter": {
            "from": 1709251200000,
            "text": "1709251200000..1709337600000 {other} {}",
            "to": 1709337600000,
        },
        "keys": ["canary+7"],
        "page": {"limit": 500, "deep": True, "none": None},
    }
    assert "canary" not in repr(api) + repr(api.request(DAY)) + str(trace)


def test_a_body_may_be_an_array(tmp_path: Path, client: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BODY_KEY", "canary+7")
    body = [{"from": "{start}"}, "{end}", {"env": "BODY_KEY"}, {"env": "BODY_OTHER", "required": False}, [1]]
    with SmallServer(all_records) as server:
        time = {"written": "seconds", "before_inclusive": False}
        api = declared(tmp_path, server.origin, method="POST", body=body, time=time)
        assert ids(client, api) == IDS
    assert json.loads(server.requests[0].body) == [{"from": 1709251200}, 1709337600, "canary+7", [1]]
    assert api.redactor("canary%2B7") == "***"


def test_a_secret_of_the_body_leaves_no_message(
    tmp_path: Path, client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BODY_KEY", "canary+7")
    with SmallServer(lambda asked: document({"detail": f"no key {asked.body!r}"}, 403)) as server:
        api = declared(tmp_path, server.origin, method="POST", body={"k": {"env": "BODY_KEY"}})
        with pytest.raises(SourceRefused, match=r"answered 403: no key .*\*\*\*") as refused:
            ids(client, api)
    assert "canary" not in str(refused.value)


def test_a_form_holds_texts(tmp_path: Path, client: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BODY_KEY", "canary+7")
    body = {"q": "a b & {start}", "preview": False, "n": 3, "k": {"env": "BODY_KEY"}}
    keys: dict[str, object] = {"method": "POST", "body": body, "body_form": "form"}
    with SmallServer(all_records) as server:
        assert ids(client, declared(tmp_path, server.origin, **keys)) == IDS
    (asked,) = server.requests
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert parse_qsl(asked.body.decode()) == [
        ("q", "a b & 2024-03-01T00:00:00Z"),
        ("preview", "false"),
        ("n", "3"),
        ("k", "canary+7"),
    ]


def test_a_content_type_of_the_source_comes_before_the_bodys_own(tmp_path: Path, client: HttpClient) -> None:
    with SmallServer(all_records) as server:
        headers = {"content-type": "application/vnd.search+json"}
        ids(client, declared(tmp_path, server.origin, method="POST", body={"a": 1}, headers=headers))
    assert server.requests[0].headers["content-type"] == "application/vnd.search+json"


def test_bounds_stand_in_url_parameters_and_headers(tmp_path: Path, client: HttpClient) -> None:
    with SmallServer(all_records) as server:
        api = declared(
            tmp_path,
            f"{server.origin}/{{start:%Y/%m/%-d}}/x.json?until={{end}}",
            parameters={"$filter": "t ge {start} and t lt {end:%d %b %Y}", "n": 7, "deep": True},
            headers={"X-Day": "{start:%A %j}", "X-Other": "{a}"},
            time={"written": "%Y%m%dT%H%M%S+00:00", "before_inclusive": False},
        )
        assert ids(client, api) == IDS
    (asked,) = server.requests
    assert asked.path == "/2024/03/1/x.json"
    assert asked.parameters == {
        "until": "20240302T000000+00:00",
        "$filter": "t ge 20240301T000000+00:00 and t lt 02 Mar 2024",
        "n": "7",
        "deep": "true",
    }
    assert (asked.headers["x-day"], asked.headers["x-other"]) == ("Friday 061", "{a}")


def test_a_text_that_would_round_a_bound_fails_the_window(tmp_path: Path) -> None:
    time = {"before": "to", "before_inclusive": False}
    api = declared(tmp_path, "https://host.example/{start:%Y}/{start:%m-%d}", time=time)
    assert api.request(DAY).target == "https://host.example/2024/03-01?to=2024-03-02T00%3A00%3A00Z"
    with pytest.raises(ConfigurationError, match="is not the start of a day"):
        api.request(Window(DAY.start + timedelta(hours=1), DAY.end))
    with pytest.raises(ConfigurationError, match="no range is asked for"):
        api.request(None)


def test_an_exclusive_start_is_a_step_of_the_coarsest_text_earlier(tmp_path: Path) -> None:
    time = {"before": "to", "after_inclusive": False}
    api = declared(tmp_path, "https://host.example/{start:%Y-%m-%d}", time=time)
    assert api.request(DAY).url == "https://host.example/2024-02-29"
    assert (api.beyond.before, api.beyond.after) == (timedelta(days=1), timedelta(days=1))


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("%Y-%m-%dT%H:%M:%S.%fZ", "2024-03-01T05:07:09.000042Z"),
        ("%F %T", "2024-03-01 05:07:09"),
        ("%-d.%-m.%y %-I:%M %p %Z%z 100%%", "1.3.24 5:07 AM UTC+0000 100%"),
        ("%a %b, %B %A, %R", "Fri Mar, March Friday, 05:07"),
    ],
)
def test_strftime_texts(text: str, written: str) -> None:
    assert StrftimeText.parse(text).fill(INSTANT) == written


@pytest.mark.parametrize("text", ["%Q", "%-Y", "%", "plain", "%%"])
def test_other_texts_are_no_strftime_texts(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a strftime text"):
        StrftimeText.parse(text)


def test_texts_say_an_instant_together_or_not_at_all() -> None:
    assert RangeTemplates.of(["{start:%Y-%m-%d}", "{start:%H}"]).resolution == timedelta(hours=1)
    with pytest.raises(ConfigurationError, match="does not say the year"):
        RangeTemplates.of(["{start:%H}"])
    form = StrftimeTime.of([StrftimeText.parse("%Y-%m")])
    assert form.render(datetime(2024, 3, 1, tzinfo=UTC)) == "2024-03"
    with pytest.raises(ConfigurationError, match="is not the start of a month"):
        form.render(DAY.end)


@pytest.mark.parametrize(("status", "requests"), [(307, 2), (308, 2), (301, 1), (302, 1), (303, 1)])
def test_a_redirect_keeps_method_and_body_or_is_refused(
    tmp_path: Path, client: HttpClient, status: int, requests: int
) -> None:
    def moved(asked: Asked) -> Answer:
        return all_records(asked) if asked.path == "/new" else Answer(status, {"Location": "/new"})

    with SmallServer(moved) as server:
        api = declared(tmp_path, f"{server.origin}/old", method="POST", body={"a": 1})
        if requests > 1:
            assert ids(client, api) == IDS
        else:
            with pytest.raises(SourceRefused, match=rf"redirects a POST with {status}, which drops its body"):
                ids(client, api)
    assert [asked.body for asked in server.requests] == [b'{"a": 1}'] * requests
