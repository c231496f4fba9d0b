"""The Streamlit page over a server that asks for tokens: the form comes from the schema, the table from the report."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.api_server.conftest import Server

PAGE = Path(__file__).resolve().parents[2] / "clients" / "streamlit_app.py"


@pytest.fixture
def page(server: Server) -> AppTest:
    page = AppTest.from_file(str(PAGE), default_timeout=60).run()
    page.sidebar.text_input[0].input(f"http://127.0.0.1:{server.port}")
    return page.run()


def test_a_report_is_a_form_a_chart_and_a_table(page: AppTest, token: str) -> None:
    assert [error.value for error in page.error] != []  # without a token
    page.sidebar.text_input[1].input(token).run()
    assert not page.exception
    assert not page.error
    assert page.sidebar.selectbox[0].options == ["of_customer", "of_all"]
    assert [one.label for one in page.main.text_input] == ["customer", "kinds", "least", "top"]
    assert page.main.text_input[3].placeholder == "default: 10"
    page.main.text_input[0].input("bob")
    page.main.button[0].click().run()
    assert page.dataframe[0].value.to_dict("list")["customer"] == ["bob"]
    assert len(page.get("vega_lite_chart")) == 1
    assert page.caption[0].value == "1 rows, data as of 2024-03-02T00:00:00Z"
    page.main.text_input[3].input("0")
    page.main.button[0].click().run()
    assert "top is '0'. Allowed: a whole number" in page.error[0].value
    page.sidebar.selectbox[0].select("of_all").run()
    assert [one.label for one in page.main.text_input] == ["top"]
    assert page.dataframe[0].value.to_dict("list")["customer"] == ["all"]


def test_a_server_that_is_away_is_named() -> None:
    page = AppTest.from_file(str(PAGE), default_timeout=60).run()
    page.sidebar.text_input[0].input("http://127.0.0.1:9").run()
    assert "http://127.0.0.1:9/api/v1/reports does not answer" in page.error[0].value


def test_it_is_short() -> None:
    assert len(PAGE.read_text().splitlines()) <= 80
