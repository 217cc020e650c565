"""Dagster's UI in a real browser: what is looked at, and what it said meanwhile."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Error,
    FloatRect,
    Locator,
    Page,
    Response,
    ViewportSize,
    expect,
    sync_playwright,
)

from taxi_platform_tests.conftest import PROJECT

PICTURES = PROJECT / "test-artefacts" / "browser"
"""Where pictures of the pages are kept after the tests."""

SIZE: ViewportSize = {"width": 1600, "height": 860}
"""Of a page, in pixels."""

MARGIN = 16
"""Pixels around the part of a page that is taken."""

MILLISECONDS = 120_000
"""How long a page may take to show something on a busy machine."""

# Toasts go after seconds, so the page itself notes each as it comes.
_NOTE_TOASTS = """
new MutationObserver((records) => {
  for (const record of records) for (const node of record.addedNodes)
    if (node instanceof Element) {
      const kind = '[data-sonner-toast]';
      const toast = node.closest(kind) ?? node.querySelector(kind);
      if (toast) setTimeout(() => noteToast(toast.innerText), 100);
    }
}).observe(document, { childList: true, subtree: true });
"""


def chromium() -> Path:
    """The system's Chromium; a test that needs it says that it skipped where there is none."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return Path(found)
    pytest.skip("no Chromium here: `apt-get install chromium` brings it")


class Ui:
    """A page of the UI, as a person meets it.

    Attributes:
        page: the page.
        toasts: the messages that it put up and took away again.
        faults: scripts that failed and requests that the server refused.
    """

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.url = url
        self.toasts: list[str] = []
        self.faults: list[str] = []
        context.set_default_timeout(MILLISECONDS)
        expect.set_options(timeout=MILLISECONDS)
        context.expose_function("noteToast", self._note_toast)
        context.add_init_script(_NOTE_TOASTS)
        self.page: Page = context.new_page()
        self.page.on("pageerror", self._note_error)
        self.page.on("response", self._note_refusal)

    def _note_toast(self, text: str) -> None:
        self.toasts.append(text)

    def _note_error(self, error: Error) -> None:
        self.faults.append(str(error))

    def _note_refusal(self, answer: Response) -> None:
        if answer.status >= 400:
            self.faults.append(f"{answer.status} {answer.url}")

    def open(self, path: str) -> Page:
        """Goes to a page by its address."""
        self.page.goto(f"{self.url}{path}")
        return self.page

    def shown(self, text: str | re.Pattern[str], within: Locator | None = None) -> Locator:
        """What shows just this text. The UI measures some texts in hidden copies of them."""
        where = self.page.locator("body") if within is None else within
        return where.get_by_text(text, exact=True).locator("visible=true").first

    def picture(self, name: str, of: Locator | None = None) -> None:
        """Keeps a picture of the page, or of the part of it where the elements ``of`` are."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(
            path=PICTURES / f"{name}.png",
            animations="disabled",
            clip=None if of is None else _around(of),
        )


def _around(elements: Locator) -> FloatRect:
    """The rectangle that holds all of the elements, and a margin."""
    boxes = [box for element in elements.all() if (box := element.bounding_box())]
    left = min(box["x"] for box in boxes) - MARGIN
    top = min(box["y"] for box in boxes) - MARGIN
    return {
        "x": left,
        "y": top,
        "width": max(box["x"] + box["width"] for box in boxes) + MARGIN - left,
        "height": max(box["y"] + box["height"] for box in boxes) + MARGIN - top,
    }


@contextmanager
def running_browser(executable: Path) -> Iterator[Browser]:
    """The browser; one at a time, because its client keeps the thread's event loop."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable)
        yield browser
        browser.close()


@contextmanager
def browsing(browser: Browser, url: str, har: Path | None = None) -> Iterator[Ui]:
    """A window with an empty profile; once it is closed, what it was answered is in ``har``."""
    context = browser.new_context(
        viewport=SIZE,
        device_scale_factor=1.5,
        locale="en-US",
        timezone_id="America/New_York",
        record_har_path=har,
        record_har_content="embed" if har else None,
        record_har_url_filter=re.compile(r"^(?!.*/_next/)") if har else None,
    )
    ui = Ui(context, url)
    try:
        yield ui
    finally:
        context.close()
