"""Chromium from npm, driven by Playwright; its package is all it needs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    sync_playwright,
)

ROOT = Path(__file__).resolve().parents[2]
UNPACKED = ROOT / ".cache" / "chromium"
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
_UNPACK = (
    "import chromium from '@sparticuz/chromium'; console.log(await chromium.executablePath());"
)
ARGUMENTS = ["--headless=shell", "--no-sandbox", "--no-zygote", "--disable-gpu"]


FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>{own}</dir><dir>/usr/share/fonts</dir><cachedir>{own}/cache</cachedir></fontconfig>
"""
"""Open Sans of the browser's package, so that pages look alike on all machines."""


def executable() -> Path:
    """The browser, unpacked once a checkout."""
    UNPACKED.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "TMPDIR": str(UNPACKED)}
    node = ROOT / ".venv" / "bin" / "node"
    command = [str(node), "--input-type=module", "--eval", _UNPACK]
    said = subprocess.run(
        command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True
    )
    return Path(said.stdout.strip())


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        path = executable()
        fonts = UNPACKED / "fonts.conf"
        fonts.write_text(FONTS.format(own=UNPACKED / "fonts"))
        browser = playwright.chromium.launch(
            executable_path=str(path),
            args=ARGUMENTS,
            env={**os.environ, "FONTCONFIG_FILE": str(fonts)},
        )
        try:
            yield browser
        finally:
            browser.close()


class Watched:
    """A page with its errors and its requests to other hosts."""

    def __init__(self, context: BrowserContext, site: str) -> None:
        self.page: Page = context.new_page()
        self.problems: list[str] = []
        self._site = site
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        self.page.on("dialog", lambda dialog: self.problems.append(f"dialog: {dialog.message}"))
        self.page.on("request", self._asked)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(f"{message.type}: {message.text}")

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((self._site, "data:", "blob:")):
            self.problems.append(f"foreign request: {request.url}")

    def open(self, path: str) -> Page:
        self.page.goto(self._site + path, wait_until="load")
        return self.page


def serious(page: Page, *rules: str) -> list[str]:
    """What axe-core finds that is serious or critical; `rules`: to look for, by default all."""
    # Through the debugger, which the page's own policy does not bind.
    page.evaluate(AXE.read_text() + "; undefined")
    asked = {"resultTypes": ["violations"], **({"runOnly": rules} if rules else {})}
    found = page.evaluate("asked => axe.run(document, asked)", asked)
    return [
        f"{one['id']}: {one['help']} ({node['target']})"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"][:3]
    ]
