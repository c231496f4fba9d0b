"""The page at `/test`: two forms over the sales of TPC-H, which show what the API answers at the paths they make."""

import base64
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.parse import urlencode

import pytest

from api_server.http.pages import POLICY
from api_server.http.tokens import Scope, create_token
from tests.api_server.conftest import Server

from .answered_page import PAYLOADS, Page
from .page_reports import BUSIEST, Warehouse, serving

FAMILIES = ("connector", "snowpark")


@pytest.fixture
def warehouse() -> Warehouse:
    return Warehouse()


@pytest.fixture
def server(tmp_path: Path, warehouse: Warehouse) -> Iterator[Server]:
    with serving(tmp_path, warehouse) as server:
        yield server


def sent(server: Server, **given: str) -> Page:
    return Page(server, f"/test?{urlencode(given)}")


def test_two_forms_and_no_answer_yet(server: Server, warehouse: Warehouse) -> None:
    page = Page(server, "/test")
    assert (page.status, page.headers["Content-Security-Policy"]) == (200, POLICY)
    assert page.texts("//h2") == ["Top 10 customers", "Monthly sales of a clerk"]
    assert page.texts("//select[@name='family'][1]/option") == [*FAMILIES, *FAMILIES]
    assert page.root.xpath("//script | //pre | //@style") == []
    hints = set(page.root.xpath("//form//span/@id"))
    assert set(page.root.xpath("//label/@for")) == set(page.root.xpath("//form//@id")) - hints
    assert not warehouse.asked
    assert "/test" in page.root.xpath("//nav/a/@href")


@pytest.mark.parametrize("family", FAMILIES)
def test_the_best_customers_of_a_range(server: Server, warehouse: Warehouse, family: str) -> None:
    page = sent(server, form="customers", family=family, start_range="1996-01-01", end_range="1996-02-01")
    path = f"/{family}/customers/top10?start_range=1996-01-01&end_range=1996-02-01"
    assert page.texts("//main/p/code") == [f"GET {path}"]
    assert page.root.xpath("//pre")[0].text.encode() == server.get(path)[1]
    assert '"SUM_TOTALPRICE"' not in page.text()
    assert '"TOTAL":"398177.60"' in page.text().replace(" ", "")
    assert warehouse.asked[0] == {"start_range": date(1996, 1, 1), "end_range": date(1996, 2, 1)}
    assert page.root.xpath("//*[@id='start_range']/@value") == ["1996-01-01"]
    assert page.root.xpath("//*[@id='customers-family']/option[@selected]")[0].text == family
    assert page.root.xpath("//a[text()='Clear']/@href") == ["/test"]


def test_empty_fields_are_defaults(server: Server, warehouse: Warehouse) -> None:
    page = sent(server, form="customers", family="connector", start_range="", end_range="")
    assert page.texts("//main/p/code") == ["GET /connector/customers/top10"]
    assert warehouse.asked[0] == {"start_range": date(1995, 1, 1), "end_range": date(1995, 3, 31)}


def test_the_sales_of_a_clerk(server: Server, warehouse: Warehouse) -> None:
    page = sent(server, form="clerk", family="snowpark", clerk="000000002", year="1995")
    assert page.texts("//main/p/code") == ["GET /snowpark/clerk/000000002/yearly_sales/1995"]
    assert page.texts("//main/p")[-1].endswith(": 200 OK")
    assert warehouse.asked[0] == {"clerk": "000000002", "year": 1995}


def test_a_refusal_is_shown_as_it_is(server: Server, warehouse: Warehouse) -> None:
    page = sent(server, form="clerk", family="connector", clerk="x", year="1995")
    assert (page.status, page.texts("//main/p")[-1].endswith(": 400 Bad Request")) == (200, True)
    assert "clerk is 'x'" in page.root.xpath("//pre")[0].text
    assert sent(server, form="clerk", family="elsewhere", clerk="1", year="1995").root.xpath("//pre") == []
    assert Page(server, "/test?other=1").status == 400
    assert not warehouse.asked


@pytest.mark.parametrize("payload", PAYLOADS)
def test_texts_stay_texts(server: Server, warehouse: Warehouse, payload: str) -> None:
    for form in ("customers", "clerk"):
        for name in ("form", "family", "start_range", "end_range", "clerk", "year"):
            given = {"form": form, "family": "connector", "clerk": "1", "year": "1995", name: payload}
            assert sent(server, **given).marked() == []
    assert sent(server, form="clerk", family="connector", clerk="/../../..", year="?x=1#").status == 200
    assert all(values.get("clerk", "1") == "1" for values in warehouse.asked)


def test_it_is_not_there_without_its_paths(tmp_path: Path, warehouse: Warehouse) -> None:
    with serving(tmp_path, warehouse, [BUSIEST]) as server:
        assert server.get("/test")[0].status == 404
        assert "/test" not in Page(server, "/reports").root.xpath("//nav/a/@href")


def test_a_token_is_asked_for_with_the_first_form(tmp_path: Path, warehouse: Warehouse) -> None:
    file = tmp_path / "tokens.json"
    token = create_token(file, "one", [Scope.REPORTS_READ], datetime(2024, 1, 1, tzinfo=UTC))
    basic = f"Basic {base64.b64encode(f'any:{token}'.encode()).decode()}"
    with serving(tmp_path, warehouse, tokens=file) as server:
        assert Page(server, "/test").status == 200
        path = "/test?form=customers&family=connector"
        assert Page(server, path).headers["WWW-Authenticate"].startswith("Basic ")
        assert Page(server, path, Authorization=basic).texts("//main/p")[-1].endswith(": 200 OK")
