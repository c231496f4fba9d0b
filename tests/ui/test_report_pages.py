"""The pages of the API server on Debian's Chromium: light, dark and narrow, by keyboard alone, and without JavaScript.

The pictures of docs/reports.md are taken on the way; `make screenshots` puts them into docs/images.
"""

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from api_server.http.tokens import Scope, create_token
from tests.api_server.conftest import build, build_cves, configured, flows, running
from tests.api_server.pages.page_reports import BUSIEST, BY_HOUR, BY_MONTH, EVERYTHING, Warehouse, serving
from tests.sources.nvd_cves.cve_objects import cve
from tests.ui.chromium import WIDTH, Pictures, open_page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

NARROW = 320
PATHS = {
    "start": "/",
    "reports": "/reports",
    "names": f"/reports/{BUSIEST.name}",
    "line": f"/reports/{BY_HOUR.name}",
    "times": f"/reports/{BY_MONTH.name}?clerk=2",
    "kinds": f"/reports/{EVERYTHING.name}",
    "refused": f"/reports/{BUSIEST.name}?top=0&start=yesterday",
    "unknown": "/reports/busiest",
    "trial": "/test?form=customers&family=snowpark&start_range=1995-01-01&end_range=1995-03-31",
    "api": "/docs",
}
OPENED = {"names": 0, "api": 1}  # what is open on a picture
CUT = {"line", "api"}  # their pictures end with the screen
# What is read against what is behind it, by WCAG's formula; texts with less than 4.5 are hard to read.
FAINT = """() => {
  const channels = text => text.match(/[\\d.]+/g).map(Number)
  const linear = value => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
  const light = ([red, green, blue]) => 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
  const behind = node => {
    for (; node; node = node.parentElement) {
      const colour = channels(getComputedStyle(node).backgroundColor)
      if (colour.length < 4 || colour[3] > 0) return colour
    }
    return matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18] : [255, 255, 255]
  }
  const found = []
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (walker.nextNode()) {
    const parent = walker.currentNode.parentElement
    if (!walker.currentNode.data.trim() || !parent.checkVisibility() || parent.closest("title, desc")) continue
    const style = getComputedStyle(parent)
    const colour = channels(parent.closest("svg") ? style.fill : style.color)
    const [high, low] = [light(colour), light(behind(parent))].sort((a, b) => b - a)
    const contrast = (high + 0.05) / (low + 0.05)
    if (contrast < 4.5) found.push(`${walker.currentNode.data.trim()}: ${contrast.toFixed(2)}`)
  }
  return found
}"""
OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
FOCUS = """() => {
  const focused = document.activeElement
  const style = getComputedStyle(focused)
  const seen = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2
  return [focused.id || focused.textContent.trim(), seen]
}"""


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    with serving(tmp_path, Warehouse()) as server:
        yield f"http://127.0.0.1:{server.port}"


@contextmanager
def watched(executable: str, address: str, width: int = WIDTH, **options: Any) -> Iterator[Page]:
    """A page that asks nobody but the server, and whose console stays silent."""
    asked: list[str] = []
    said: list[str] = []
    with open_page(executable, width, base_url=address, **options) as page:
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        yield page
    assert [url for url in asked if not url.startswith(f"{address}/")] == []
    # The status of a page that was refused is in the console too.
    assert [text for text in said if "Failed to load resource" not in text] == []


@pytest.mark.parametrize("width", [WIDTH, NARROW])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_readable(executable: str, address: str, pictures: Pictures, *, scheme: str, width: int) -> None:
    with watched(executable, address, width, color_scheme=scheme) as page:
        for name, path in PATHS.items():
            page.goto(path)
            check_readable(page, name)
            if width == NARROW:
                for button in page.locator("button, .button, input, select").all():
                    box = button.bounding_box()
                    assert box is None or box["x"] + box["width"] <= NARROW
    take(executable, address, pictures, scheme, width)


def check_readable(page: Page, name: str) -> None:
    """One heading, nothing beside the screen, and no faint text, also in what opens."""
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    for summary in page.locator("details > summary").all()[:3]:
        summary.click()
    assert page.evaluate(OVERFLOW) <= 0, (name, "is wider than the screen")
    assert page.evaluate(FAINT) == [], name


def test_the_pages_of_flows_are_readable_too(executable: str, tmp_path: Path) -> None:
    cves = build_cves(tmp_path / "cves.db", [cve(number) for number in range(1, 5)])
    with running(*configured(build(tmp_path / "flows.db", flows(10)), cves)) as server:
        for scheme, width in (("light", WIDTH), ("dark", NARROW)):
            with watched(executable, f"http://127.0.0.1:{server.port}", width, color_scheme=scheme) as page:
                for path in ("/", "/docs"):
                    page.goto(path)
                    check_readable(page, path)


def take(executable: str, address: str, pictures: Pictures, scheme: str, width: int) -> None:
    """The pictures of the documentation."""
    taken = {("light", WIDTH): ("names", "line", "trial", "api"), ("dark", NARROW): ("refused",)}
    with open_page(executable, width, base_url=address, color_scheme=scheme) as page:
        for name in taken.get((scheme, width), ()):
            page.goto(PATHS[name])
            if (number := OPENED.get(name)) is not None:
                page.locator("details > summary").nth(number).click()
            pictures.take(page, f"report-pages-{name}", shown=None if name in CUT else page.locator("body"))


def test_a_report_by_keyboard_alone(executable: str, address: str) -> None:
    with watched(executable, address) as page:
        page.goto(PATHS["names"])
        passed = [tab(page)]
        page.keyboard.press("Enter")  # the skip link
        while passed[-1] != "field-top":
            passed.append(tab(page))
        assert passed[0] == "Skip to the content"
        assert "field-start" in passed
        assert "Start" not in passed  # the menu was skipped
        page.keyboard.press("Control+A")
        page.keyboard.type("3")
        page.keyboard.press("Enter")
        page.wait_for_url("**top=3*")
        expect(page.locator("#field-top")).to_have_value("3")
        names = [tab(page) for _ in range(45)]
        assert {"CSV", "JSON", "Arrow", "As curl", "As Python", "As SQL"} <= set(names)


def tab(page: Page) -> str:
    """Go to what is next, which shows that it is focused; its id or text."""
    page.keyboard.press("Tab")
    if page.evaluate("document.activeElement === document.body"):
        return ""  # past the last one
    name, seen = page.evaluate(FOCUS)
    assert seen, f"{name} does not show that it is focused"
    return str(name)


def test_a_report_without_javascript(executable: str, address: str) -> None:
    with watched(executable, address, java_script_enabled=False) as page:
        page.goto(PATHS["reports"])
        page.get_by_role("link", name=BY_MONTH.name).click()
        expect(page.get_by_text("Give clerk to see rows.")).to_be_visible()
        page.get_by_label("clerk").fill("2")
        page.get_by_role("button", name="Show").click()
        expect(page.get_by_role("row")).to_have_count(11)
        expect(page.get_by_role("img", name="total by month")).to_be_visible()
        page.goto(PATHS["kinds"])
        page.get_by_label("b", exact=True).check()
        page.get_by_label("at", exact=True).fill("2024-02-01T10:30:05")
        page.get_by_label("by", exact=True).select_option("packets")
        page.get_by_role("button", name="Show").click()
        expect(page.get_by_label("at", exact=True)).to_have_value("2024-02-01T10:30:05")
        expect(page.get_by_label("by", exact=True)).to_have_value("packets")
        page.goto(PATHS["refused"])
        page.get_by_role("link", name="Go to start").click()
        expect(page.locator("#field-start-error")).to_contain_text("start is 'yesterday'")


def test_both_forms_of_the_trial_page(executable: str, address: str) -> None:
    with watched(executable, address, java_script_enabled=False) as page:
        page.goto("/test")
        page.get_by_label("Clerk", exact=True).fill("000000002")
        page.get_by_label("Year").fill("1995")
        page.get_by_role("button", name="Submit").last.click()
        expect(page.locator("pre")).to_contain_text("Clerk#000000002")
        page.get_by_role("link", name="Clear").click()
        page.get_by_label("Start of the range").fill("1996-01-01")
        page.get_by_label("Family").first.select_option("snowpark")
        page.get_by_role("button", name="Submit").first.click()
        expect(page.get_by_text("GET /snowpark/customers/top10?start_range=1996-01-01")).to_be_visible()


def test_files_of_a_reader_who_signed_in(executable: str, tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    token = create_token(file, "reader", [Scope.REPORTS_READ], datetime.now(UTC))
    with serving(tmp_path, Warehouse(), tokens=file) as server:
        address = f"http://127.0.0.1:{server.port}"
        credentials = {"username": "reader", "password": token}
        with watched(executable, address, http_credentials=credentials) as page:
            page.goto(PATHS["names"])
            with page.expect_download() as begun:
                page.get_by_role("link", name="CSV").click()
            assert begun.value.suggested_filename == f"{BUSIEST.name}.csv"
            text = begun.value.path().read_text()
    assert len(list(csv.reader(io.StringIO(text)))) == 7
