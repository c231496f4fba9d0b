"""Dagster's pages as a person uses them: what is clicked, and what is seen. What must be seen, the test knows.

By role and text. Only where the UI has neither, by its test ids, titles and the order of elements.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from playwright.sync_api import FloatRect, Locator, Page, expect

from tests.ui.platform_process import GROUP

LOADED = 300_000  # ms that a backfill may take: the daemon looks at it every 30 s, and the machine may be busy
DOT = "xpath=ancestor::div[@data-tooltip][1]/following-sibling::div[1]"
FILL = "dot => getComputedStyle(dot).backgroundColor"
FRAME = """text => {
  let framed = text
  while (parseFloat(getComputedStyle(framed).borderTopWidth) < 1) framed = framed.parentElement
  return getComputedStyle(framed).borderTopColor
}"""
TRIES, BETWEEN = 60, 1000  # ms between two looks
MARGIN = 16  # px around plots
HAS_A_LINE = """canvas => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height)
  for (let at = 0; at < data.length; at += 4)
    if (data[at + 3] > 200 && data[at + 2] > 180 && data[at] < 120 && data[at + 1] < 120) return true
  return false
}"""


@dataclass(frozen=True)
class Pages:
    """The UI at `address`, in one page of a browser."""

    page: Page
    address: str

    def open_group(self) -> None:
        """The graph of the assets."""
        self.page.goto(f"{self.address}/locations/flows_platform/asset-groups/{GROUP}")
        expect(self.page.get_by_text("raw_flows", exact=True).first).to_be_visible()

    def open_asset(self, asset: str, tab: str) -> None:
        self.page.goto(f"{self.address}/assets/{asset}")
        self.page.get_by_role("tab", name=tab, exact=True).click()

    def hide_navigation(self) -> None:
        self.page.get_by_role("button", name="Hide navigation").click()

    def materialize_dialog(self, assets: Iterable[str]) -> Locator:
        """The group's list, with `assets` ticked and *Materialize selected* clicked."""
        self.open_group()
        self.page.get_by_role("tab", name="List").click()
        for asset in assets:
            # The box itself is hidden behind its own drawing.
            self.page.get_by_test_id(f"checkbox-{asset}").locator("xpath=..").click()
        self.page.get_by_role("button", name="Materialize selected (").click()
        return self.page.get_by_role("dialog")

    def launch(self, dialog: Locator, button: str, told: str) -> None:
        """Click the dialog's button, read the message, and follow its *View*; it is gone after some seconds."""
        dialog.get_by_role("button", name=button).click()
        notice = self.page.get_by_role("region", name="Notifications")
        expect(notice).to_contain_text(told)
        notice.get_by_text("View", exact=True).click()

    def see(self, text: str, within: int | None = None) -> None:
        """The text is on the page, or comes within this many milliseconds."""
        expect(self.page.get_by_text(text, exact=True).first).to_be_visible(timeout=within)

    def see_matching(self, pattern: str, within: int | None = None) -> None:
        """The page's text, read from top to bottom, has what matches."""
        body = self.page.locator("body")
        expect(body).to_contain_text(re.compile(pattern), use_inner_text=True, timeout=within)

    def see_colours(self, read: Callable[[Iterable[str]], dict[str, str]], wanted: dict[str, str]) -> None:
        """These things have these colours, or come to have them: a page is drawn before it knows how things are."""
        for _ in range(TRIES):
            if read(wanted) == wanted:
                return
            self.page.wait_for_timeout(BETWEEN)
        assert read(wanted) == wanted

    def choose_partition(self, key: str) -> None:
        """The partition in the list, and with it what is known of it."""
        self._listed(key).click()

    def dots(self, keys: Iterable[str]) -> dict[str, str]:
        """The dot beside each partition in the list."""
        return {key: colour_name(self._listed(key).locator(DOT).evaluate(FILL)) for key in keys}

    def _listed(self, key: str) -> Locator:
        return self.page.get_by_title(key, exact=True).first

    def frames(self, assets: Iterable[str]) -> dict[str, str]:
        """The frame around each asset in the graph."""
        return {asset: colour_name(self.page.get_by_text(asset, exact=True).first.evaluate(FRAME)) for asset in assets}

    def drag(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        """Move what is under the mouse, in pixels of the page."""
        self.page.mouse.move(*start)
        self.page.mouse.down()
        self.page.mouse.move(*end, steps=5)
        self.page.mouse.up()

    def plots(self) -> Locator:
        """The plots of an asset's figures, one after the other as it was materialised."""
        self.page.get_by_role("button", name="Plots").click()
        # By partition, which the page starts with, the UI draws nothing where the windows end in the past.
        self.page.get_by_role("button", name="Events").click()
        return self.page.locator("canvas")

    def plots_between(self, first: str, after: str) -> FloatRect:
        """Where the plots are, from the one called `first`, at the left, to the last before the row of `after`."""
        titles = [self.page.get_by_text(name, exact=True).bounding_box() for name in (first, after)]
        right = max(
            box["x"] + box["width"] for plot in self.page.locator("canvas").all() if (box := plot.bounding_box())
        )
        top, bottom = (box["y"] - MARGIN for box in titles if box)
        left = min(box["x"] for box in titles if box) - MARGIN
        return {"x": left, "y": top, "width": right + MARGIN - left, "height": bottom - top}


def enter(page: Page, address: str) -> Pages:
    """The UI, entered by the address that `flows dev` shows: its key leaves the address bar."""
    page.goto(address)
    base, _, query = address.partition("/?")
    assert query.startswith("key=")
    expect(page).not_to_have_url(re.compile("key="))
    return Pages(page, base)


def has_a_line(plot: Locator) -> bool:
    """Whether something is drawn in the colour of lines."""
    return bool(plot.evaluate(HAS_A_LINE))


def colour_name(written: str) -> str:
    """Green or red where it clearly is, otherwise as CSS writes it."""
    red, green, blue = (int(part) for part in re.findall(r"\d+", written)[:3])
    if green > 1.5 * max(red, blue):
        return "green"
    return "red" if red > 1.5 * max(green, blue) else written
