"""The browser in which pages are tried."""

import contextlib
import importlib.util
import os
import shutil

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
CHROMIUM = CHROMIUM if importlib.util.find_spec("playwright") else None
if CHROMIUM is None and os.environ.get("GRADIENTFLOW_BROWSER") == "required":
    raise RuntimeError("no chromium with Playwright is installed, in which the laboratory's page is tried")
needs_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium with Playwright is installed, in which the page is tried"
)

FLAGS = [f"--{name}" for name in ("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run",
         "disable-background-networking", "disable-component-update", "disable-sync")]  # fmt: skip


@contextlib.contextmanager
def launched():
    """A browser, closed in the end."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()
