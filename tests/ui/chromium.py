"""Debian's Chromium under Playwright: how it is started, and the pictures that are taken of its page."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import FloatRect, Locator, Page, expect, sync_playwright

# No sandbox: CI is root. No GPU: there is none.
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
PATIENCE = 60_000  # ms: a page of a busy machine takes seconds
WIDTH = 1280
STILL = """() => {
  const now = [...document.querySelectorAll("canvas")].map(canvas => canvas.toDataURL()).join()
  const still = now === window.seen
  window.seen = now
  return still
}"""


def chromium() -> str | None:
    """Debian's Chromium, where it is installed."""
    return shutil.which("chromium")


@contextmanager
def open_page(executable: str, width: int = WIDTH, **options: Any) -> Iterator[Page]:
    """A page of a browser of its own, in English and UTC wherever it runs, with Playwright's `options`."""
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        context = browser.new_context(
            viewport={"width": width, "height": 800},
            locale="en-GB",
            timezone_id="UTC",
            reduced_motion="reduce",
            **options,
        )
        context.set_default_timeout(PATIENCE)
        try:
            yield context.new_page()
        finally:
            browser.close()


@dataclass(frozen=True)
class Pictures:
    """Where the pictures of a page go."""

    folder: Path

    def take(self, page: Page, name: str, *, shown: Locator | None = None, clip: FloatRect | None = None) -> None:
        """The page, what is `shown` of it, or what is inside of `clip`; once no chart moves any more."""
        page.mouse.move(0, 0)
        page.wait_for_function(STILL, polling=500)
        path = self.folder / f"{name}.png"
        if shown:
            shown.screenshot(path=path, animations="disabled")
        else:
            page.screenshot(path=path, animations="disabled", clip=clip)
