"""The pages of reports: forms, rows, errors beside their field, files. Texts stay texts; tokens bound what is seen."""

import base64
import io
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote, urlencode

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api_server.http.pages import POLICY, STYLE
from api_server.http.tokens import Scope, create_token, report_scope
from api_server.reports.pages.table import ROWS as SHOWN
from api_server.reports.pages.table import TEXT
from flows_platform.domain.errors import WarehouseUnavailable
from flows_platform.reports.runner import TooManyRows
from tests.api_server.conftest import Server

from .answered_page import PAYLOADS, Page
from .page_reports import BUSIEST, BY_MONTH, EVERYTHING, NEWEST, REPORTS, Warehouse, serving

ROOT = Path(__file__).resolve().parents[3]
NAMED = f"/reports/{BUSIEST.name}"
KINDS = f"/reports/{EVERYTHING.name}"


@pytest.fixture
def warehouse() -> Warehouse:
    return Warehouse()


@pytest.fixture
def server(tmp_path: Path, warehouse: Warehouse) -> Iterator[Server]:
    with serving(tmp_path, warehouse) as server:
        yield server


def test_the_list_has_every_report_with_its_newest_data(server: Server) -> None:
    page = Page(server, "/reports")
    assert page.texts("//h2/a") == [report.name for report in REPORTS]
    assert "Computers with the most bytes in a range." in page.text()
    assert page.text().count("Data up to 2024-03-02T00:00:00Z") == len(REPORTS)
    assert page.root.xpath("//nav/a[@aria-current]/@href") == ["/reports"]
    links = [link for link in page.root.xpath("//@href") if link.startswith("/")]
    assert {link: server.get(link)[0].status for link in links} == dict.fromkeys(links, 200)


def test_the_list_has_the_faults_of_other_reports(tmp_path: Path, warehouse: Warehouse) -> None:
    with serving(tmp_path, warehouse, faults=["/home/x/wrong.yaml:3: sql: <one> statement"]) as server:
        assert Page(server, "/reports").texts("//main/ul[not(@class)]/li") == ["wrong.yaml:3: sql: <one> statement"]


def test_rows_are_exact_and_say_of_when_they_are(server: Server, warehouse: Warehouse) -> None:
    page = Page(server, NAMED)
    assert page.texts("//thead/tr/th") == ["computer", "bytes", "flows"]
    assert page.texts("//tbody/tr[1]/td") == ["C185", "9412553121004", "235313"]
    assert len(page.texts("//tbody/tr")) == 6
    timing = page.texts("//p[@id='timing']")[0]
    assert re.fullmatch(
        r"Data up to 2024-03-02T00:00:00Z\. 6 rows in [0-9,]+ ms, 4[12] of them in the warehouse\.", timing
    )
    assert warehouse.asked[0] == {"start": NEWEST - timedelta(days=1), "end": NEWEST, "top": 10}
    again = Page(server, f"{NAMED}?top=10")
    assert "ms, from the cache." in again.texts("//p[@id='timing']")[0]
    assert len(warehouse.asked) == 1


def test_null_differs_from_a_text(server: Server, warehouse: Warehouse) -> None:
    warehouse.rows[EVERYTHING.name] = [["null", 0.5, True, NEWEST], [None, None, None, None]]
    page = Page(server, KINDS)
    assert page.texts("//tbody/tr[1]/td") == ["null", "0.5", "true", "2024-03-02T00:00:00Z"]
    assert page.texts("//tbody/tr[2]/td/span[@class='null']") == ["null"] * 4


def test_every_kind_has_its_field(server: Server) -> None:
    page = Page(server, KINDS)
    shared = {"aria-describedby": "field-at-hint", "id": "field-at", "name": "at"}
    assert page.attributes("at") == shared | {
        "type": "datetime-local",
        "value": "2024-01-01T00:00:00",
        "min": "2000-01-01T00:00:00",
        "step": "1",
    }
    kinds = {name: page.attributes(name) for name in ("day", "customer", "ids", "least", "share", "top")}
    assert {name: found["type"] for name, found in kinds.items()} == {
        "day": "date",
        "customer": "text",
        "ids": "text",
        "least": "number",
        "share": "number",
        "top": "number",
    }
    assert (kinds["day"]["value"], kinds["day"]["max"]) == ("2024-01-01", "2030-12-31")
    assert (kinds["customer"]["value"], kinds["customer"]["maxlength"]) == ("ann", "40")
    assert kinds["ids"]["value"] == "1,2"
    assert (kinds["least"]["step"], kinds["top"]["step"]) == ("any", "1")
    assert (kinds["top"]["min"], kinds["top"]["max"]) == ("1", "100")
    assert page.texts("//select[@name='by']/option") == ["bytes", "packets"]
    assert page.root.xpath("//select[@name='all']/option[@selected]/@value") == ["false"]
    assert page.root.xpath("//input[@name='kinds'][@checked]/@value") == ["a", "c"]
    labels = set(page.root.xpath("//label/@for"))
    controls = set(page.root.xpath("//*[self::input or self::select][@id]/@id"))
    assert labels == controls
    assert page.texts("//fieldset/legend") == ["kinds"]


def test_a_form_asks_what_it_shows(server: Server, warehouse: Warehouse) -> None:
    sent = [("at", "2024-02-01T10:30"), ("kinds", "b"), ("kinds", "c"), ("ids", "7,8"), ("top", ""), ("all", "true")]
    page = Page(server, f"{KINDS}?{urlencode(sent)}")
    assert page.status == 200
    asked = warehouse.asked[0]
    assert asked["at"] == datetime(2024, 2, 1, 10, 30, tzinfo=UTC)
    assert (asked["kinds"], asked["ids"], asked["top"], asked["all"]) == (("b", "c"), (7, 8), 10, True)
    assert page.attributes("at")["value"] == "2024-02-01T10:30:00"
    assert page.root.xpath("//input[@name='kinds'][@checked]/@value") == ["b", "c"]
    assert page.attributes("top")["value"] == "10"
    assert page.root.xpath("//a[@class='button']/@href")[0] == f"{KINDS}.csv?" + urlencode(
        [("at", "2024-02-01T10:30"), ("kinds", "b,c"), ("ids", "7,8"), ("all", "true")]
    )


def test_a_time_that_no_picker_shows_stays_as_it_is(server: Server) -> None:
    given = "2024-02-01T10:30:00.000001Z"
    found = Page(server, f"{KINDS}?at={given}").attributes("at")
    assert (found["type"], found["value"]) == ("text", given)
    zoned = Page(server, f"{KINDS}?at={quote('2024-02-01T10:30:00+02:00')}").attributes("at")
    assert (zoned["type"], zoned["value"]) == ("datetime-local", "2024-02-01T08:30:00")


@pytest.mark.parametrize(
    ("query", "parameter", "value", "said"),
    [
        ("top=0", "top", "0", "top is '0'. Allowed: a whole number of 64 bits, in ASCII digits from 1 to 1000."),
        ("top=x", "top", "x", "top is 'x'."),
        ("start=yesterday", "start", "yesterday", "start is 'yesterday'. Allowed: a time such as"),
        ("start=2024-03-01&end=2024-02-01", "end", "2024-02-01T00:00:00", "end is before start."),
        ("start=2020-01-01", "end", "2024-03-02T00:00:00", "Allowed: a range of at most 92 days"),
    ],
)
def test_an_error_is_beside_its_field(
    server: Server, warehouse: Warehouse, *, query: str, parameter: str, value: str, said: str
) -> None:
    page = Page(server, f"{NAMED}?{query}")
    assert page.status == 400
    assert said in page.texts(f"//*[@id='field-{parameter}-error']")[0]
    field = page.attributes(parameter)
    assert (field["aria-invalid"], field["value"]) == ("true", value)
    assert f"field-{parameter}-error" in field["aria-describedby"].split()
    assert page.texts("//*[@role='alert']/a") == [f"Go to {parameter}"]
    assert page.texts("//tbody/tr") == []
    assert not warehouse.asked


def test_an_unknown_parameter_is_named(server: Server) -> None:
    page = Page(server, f"{NAMED}?tpo=1")
    assert page.status == 400
    assert "there is no parameter 'tpo' here" in page.texts("//*[@role='alert']")[0]
    assert Page(server, f"{NAMED}?top=1&top=2").texts("//*[@role='alert']") == [
        "top is given more than once. Go to top"
    ]


def test_a_required_parameter_is_asked_for_first(server: Server, warehouse: Warehouse) -> None:
    path = f"/reports/{BY_MONTH.name}"
    page = Page(server, path)
    assert (page.status, page.texts("//*[@role='alert']")) == (200, [])
    assert "Give clerk to see rows." in page.text()
    assert "required" in page.attributes("clerk")
    sent = Page(server, f"{path}?clerk=&year=1995")
    assert (sent.status, sent.texts("//*[@id='field-clerk-error']")[0][:17]) == (400, "clerk is missing.")
    assert not warehouse.asked
    rows = Page(server, f"{path}?clerk=2").texts("//tbody/tr")
    assert (len(rows), rows[0]) == (10, "1995-01-0119000.50")


def test_failures_are_shown_above_the_form(server: Server, warehouse: Warehouse) -> None:
    warehouse.error = TooManyRows("the answer has 3 rows, and 2 are allowed.")
    page = Page(server, NAMED)
    assert (page.status, page.texts("//*[@role='alert']")) == (422, ["the answer has 3 rows, and 2 are allowed."])
    assert page.attributes("top")["value"] == "10"
    warehouse.error = WarehouseUnavailable("secret host")
    page = Page(server, NAMED)
    assert (page.status, page.headers["Retry-After"]) == (503, "10")
    assert "secret" not in page.body


def test_long_answers_say_what_is_not_shown(server: Server, warehouse: Warehouse) -> None:
    many = SHOWN + 734
    warehouse.rows[BUSIEST.name] = [[f"C{number}", Decimal(many - number), number] for number in range(many)]
    page = Page(server, NAMED)
    assert len(page.texts("//tbody/tr")) == SHOWN
    assert "These are the first 500 of 1,234 rows. The files above have all of them." in page.text()
    assert "The chart has the first 40 of 1,234 rows." in page.text()
    assert server.get(f"{NAMED}.csv")[1].count(b"\r\n") == many + 1
    warehouse.rows[EVERYTHING.name] = [["x" * (TEXT + 1), 0.0, None, None]]
    assert Page(server, KINDS).texts("//tbody/tr/td")[0] == "x" * TEXT + "… (501 characters)"


def test_an_empty_answer_says_so(server: Server, warehouse: Warehouse) -> None:
    warehouse.rows[BUSIEST.name] = []
    page = Page(server, NAMED)
    assert "No row fits these values." in page.text()
    assert page.root.xpath("//table") == page.root.xpath("//figure") == []


def test_files_are_the_answers_of_the_api(server: Server) -> None:
    for ending in ("csv", "json", "arrow", "ndjson", "xml"):
        response, body = server.get(f"{NAMED}.{ending}?top=5")
        assert body == server.get(f"/api/v1{NAMED}.{ending}?top=5")[1]
        assert response.headers["Content-Disposition"] == f'attachment; filename="{BUSIEST.name}.{ending}"'
        assert response.headers.get_all("X-Content-Type-Options") == ["nosniff"]
    etag = response.headers["ETag"]
    assert server.get(f"{NAMED}.xml?top=5", If_None_Match=etag)[0].status == 304
    refused = Page(server, f"{NAMED}.csv?top=0")
    assert (refused.status, refused.texts("//h1")) == (400, ["Bad Request"])
    assert "top is '0'" in refused.text()


def test_the_examples_give_the_rows(server: Server) -> None:
    page = Page(server, f"{NAMED}?top=5")
    curl, python, sql = page.texts("//details/pre")
    *_, url = shlex.split(curl)
    address = f"http://127.0.0.1:{server.port}"
    assert server.get(url.removeprefix(address))[1] == server.get(f"{NAMED}.csv?top=5")[1]
    program = page.root.xpath("//details/pre")[1].text
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert "computer: string" in done.stdout
    assert python.startswith("from flows_platform.client import Reports")
    assert "-- @top INT64: 5 SELECT computer" in sql
    assert "-- @start TIMESTAMP: 2024-03-01T00:00:00Z" in sql


def test_pages_load_nothing_but_their_style(server: Server) -> None:
    for path in ("/", "/docs", "/reports", NAMED, f"{NAMED}?top=0", f"/reports/{BY_MONTH.name}", KINDS, "/reports/x"):
        page = Page(server, path)
        assert page.headers["Content-Security-Policy"] == POLICY
        assert page.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert page.headers["Referrer-Policy"] == "no-referrer"
        assert page.headers["Content-Type"] == "text/html; charset=utf-8"
        assert page.root.xpath("//link/@href") == [STYLE]
        assert page.root.xpath("//script | //style | //img | //iframe | //@style | //@src") == []
        assert [name for name in page.root.xpath("//@*") if re.match("on|style", getattr(name, "attrname", ""))] == []
        assert page.root.get("lang") == "en"
        assert len(page.texts("//h1")) == len(page.texts("//main")) == 1
        ids = page.root.xpath("//@id")
        assert len(ids) == len(set(ids))
        described = " ".join(page.root.xpath("//@aria-describedby | //@aria-labelledby")).split()
        assert set(described) <= set(ids)
    response, sheet = server.get(STYLE)
    assert (response.headers["Content-Type"], b"url(" in sheet) == ("text/css; charset=utf-8", False)
    assert "immutable" in response.headers["Cache-Control"]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_texts_of_requests_stay_texts(server: Server, warehouse: Warehouse, payload: str) -> None:
    for parameter in EVERYTHING.parameters:
        page = Page(server, f"{KINDS}?{urlencode({parameter.name: payload})}")
        assert page.marked() == []
        if parameter.name == "customer" and len(payload) <= 40:
            assert page.attributes("customer")["value"] == payload
    assert Page(server, f"{KINDS}?{urlencode({payload: payload})}").marked() == []
    assert Page(server, f"/reports/{quote(payload, safe='')}").marked() == []
    assert {values["customer"] for values in warehouse.asked} <= {payload, "ann"}


def test_texts_of_rows_stay_texts(server: Server, warehouse: Warehouse) -> None:
    warehouse.rows[EVERYTHING.name] = [[payload, 0.5, True, NEWEST] for payload in PAYLOADS]
    warehouse.rows[BUSIEST.name] = [[payload, Decimal(1), 1] for payload in PAYLOADS]
    page = Page(server, KINDS)
    cells = [row.xpath("td")[0].text for row in page.root.xpath("//tbody/tr")]
    assert cells == PAYLOADS
    drawn = Page(server, NAMED)
    assert [label.text for label in drawn.root.xpath("//figure//g/svg/text")] == PAYLOADS
    assert page.marked() == drawn.marked() == []


def test_texts_of_declarations_stay_texts(server: Server) -> None:
    assert "A parameter of <every> kind." in Page(server, KINDS).texts("//p[@class='lead']")
    assert Page(server, KINDS).root.xpath("//th/@title") == ["A <name>."]
    assert "A parameter of <every> kind." in Page(server, "/reports").text()


NAMES = st.sampled_from([parameter.name for parameter in EVERYTHING.parameters]) | st.text(max_size=5)
VALUES = st.binary(max_size=20) | st.text(max_size=20) | st.datetimes().map(str) | st.integers().map(str)
PAIRS = st.lists(st.tuples(NAMES, VALUES), max_size=4)


def test_no_query_breaks_a_page(server: Server) -> None:
    @given(PAIRS)
    @settings(max_examples=200, deadline=None)
    def check(pairs: list[tuple[str, str | bytes]]) -> None:
        page = Page(server, f"{KINDS}?{urlencode(pairs)}")
        assert (page.status, bool(page.texts("//*[@role='alert']"))) in {(200, False), (400, True)}

    check()


def basic(token: str, name: str = "any") -> str:
    return f"Basic {base64.b64encode(f'{name}:{token}'.encode()).decode()}"


def test_a_browser_signs_in_with_a_token_as_its_password(tmp_path: Path, warehouse: Warehouse) -> None:
    file = tmp_path / "tokens.json"
    good = create_token(file, "good", [Scope.REPORTS_READ], NEWEST)
    bad = create_token(file, "bad", [Scope.FLOWS_READ], NEWEST)
    with serving(tmp_path, warehouse, tokens=file) as server:
        for path in ("/reports", NAMED, f"{NAMED}.csv", f"{NAMED}?top=0"):
            for given in ({}, {"Authorization": basic(f"{good}x")}, {"Authorization": "Basic !"}):
                page = Page(server, path, **given)
                assert (page.status, page.headers["WWW-Authenticate"][:12]) == (401, "Basic realm=")
                assert BUSIEST.description not in page.body
                assert "flows token create" in page.text()
            refused = Page(server, path, Authorization=basic(bad))
            assert (refused.status, BUSIEST.description in refused.body) == (403, False)
            assert "lacks the scope reports:read" in refused.text()
        assert Page(server, NAMED, Authorization=basic(good)).status == 200
        assert Page(server, NAMED, Authorization=f"Bearer {good}").status == 200
        response, body = server.get(f"{NAMED}.arrow", Authorization=basic(good, ""))
        assert (response.status, pa.ipc.open_stream(io.BytesIO(body)).read_all().num_rows) == (200, 6)
        page = Page(server, NAMED, Authorization=basic(good))
        assert good not in page.body
        assert '--header "Authorization: Bearer $TOKEN"' in page.texts("//details/pre")[0]
        # The API itself takes no password: a page of another site could have a browser send one.
        assert server.get(f"/api/v1{NAMED}", Authorization=basic(good))[0].status == 401
        assert Page(server, "/").status == Page(server, "/docs").status == server.get(STYLE)[0].status == 200


def test_a_rate_shows_no_form(tmp_path: Path, warehouse: Warehouse) -> None:
    file = tmp_path / "tokens.json"
    token = basic(create_token(file, "other", [report_scope(BY_MONTH.name)], NEWEST))
    with serving(tmp_path, warehouse, a_minute=1, tokens=file) as server:
        assert Page(server, "/reports", Authorization=token).status == 200
        page = Page(server, NAMED, Authorization=token)
        assert (page.status, BUSIEST.description in page.body, page.root.xpath("//form")) == (429, False, [])
        assert page.headers["Retry-After"] == "60"


def test_other_sites_load_no_page(server: Server, warehouse: Warehouse) -> None:
    for site in ("cross-site", "same-site"):
        for mode, dest in (("no-cors", "image"), ("navigate", "iframe"), ("cors", "empty")):
            sent: dict[str, str] = {"Sec_Fetch_Site": site, "Sec_Fetch_Mode": mode, "Sec_Fetch_Dest": dest}
            for path in (NAMED, f"{NAMED}.csv"):
                assert Page(server, path, **sent).status == 403
        followed = {"Sec_Fetch_Site": site, "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
        assert Page(server, "/reports", **followed).status == 200
    assert not warehouse.asked
    assert Page(server, NAMED, Sec_Fetch_Site="same-origin", Sec_Fetch_Mode="no-cors").status == 200


def test_head_sends_no_query(server: Server, warehouse: Warehouse) -> None:
    response, body = server.get(NAMED, "HEAD")
    assert (response.status, body, warehouse.asked) == (200, b"", [])
    assert server.get(f"{NAMED}?top=0", "HEAD")[0].status == 400
    assert server.get("/reports/x", "HEAD")[0].status == 404
    assert server.get(NAMED, "POST")[0].status == 405


def test_an_unknown_report_is_a_page_with_the_nearest_names(server: Server) -> None:
    page = Page(server, "/reports/busiest_computer")
    assert (page.status, page.texts("//h1")) == (404, ["Not Found"])
    assert "Did you mean busiest_computers?" in page.text()


def test_a_token_of_one_report_sees_its_page_alone(tmp_path: Path, warehouse: Warehouse) -> None:
    file = tmp_path / "tokens.json"
    fixed = {"clerk": "2"}
    token = basic(create_token(file, "one", [report_scope(BY_MONTH.name)], NEWEST, fixed=fixed))
    with serving(tmp_path, warehouse, tokens=file) as server:
        assert Page(server, "/reports", Authorization=token).texts("//h2/a") == [BY_MONTH.name]
        assert Page(server, NAMED, Authorization=token).status == 403
        path = f"/reports/{BY_MONTH.name}"
        page = Page(server, path, Authorization=token)
        assert (page.status, page.attributes("clerk")["value"]) == (200, "2")
        assert "to see rows" not in page.text()
        assert "-- @clerk STRING: 2" in page.texts("//details/pre")[2]
        refused = Page(server, f"{path}?clerk=3", Authorization=token)
        assert (refused.status, refused.attributes("clerk")["aria-invalid"]) == (403, "true")
        assert "The token fixes clerk: leave it out. Allowed: 2." in refused.texts("//*[@id='field-clerk-error']")
        assert Page(server, f"{path}.csv?clerk=3", Authorization=token).status == 403
    assert [values["clerk"] for values in warehouse.asked] == ["2"]
