"""Pictures of the dashboard for the documentation: docs/dashboard/*.png.

They show a chain that this command starts: a request that daemons have finished, one under way, one
that is open.
"""

import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page

from tests.support.browser import Watched, chromium
from tests.support.dashboard_world import DashboardWorld, dashboard_world

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "dashboard"
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 780}
COLOURS = 200
"""Enough for pages, and a tenth of the bytes."""


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        dashboard_world(Path(folder), asking=True) as world,
    ):
        world.running.submit(0, 2)
        with chromium() as browser:
            for scheme, viewport, name, path in shots(world):
                take(browser, world, scheme, viewport, name, path)


def shots(world: DashboardWorld) -> list[tuple[str, dict[str, int], str, str]]:
    """Colour scheme, size, name and address of each picture."""
    member = world.world.accounts[0].address
    running, finished = f"/requests/{world.running.id}", f"/requests/{world.finished}"
    return [
        ("light", DESKTOP, "market", "/"),
        ("light", DESKTOP, "request", running),
        ("light", DESKTOP, "votes", f"{running}#votes"),
        ("dark", DESKTOP, "request-dark", finished),
        ("light", DESKTOP, "declines", f"/requests/{world.open.id}"),
        ("light", DESKTOP, "money", f"{finished}#money"),
        ("light", DESKTOP, "member", f"{finished}/members/{member}"),
        ("light", DESKTOP, "audit", f"{finished}/audit"),
        ("light", DESKTOP, "privacy", f"{running}#task"),
        ("light", DESKTOP, "participant", f"/participants/{member}"),
        ("light", DESKTOP, "network", "/network"),
        ("light", DESKTOP, "transaction", f"/transaction/{world.settlement}"),
        ("light", DESKTOP, "api", "/api"),
        ("light", DESKTOP, "provider", "/provider"),
        ("dark", PHONE, "phone", running),
    ]


def take(
    browser: Browser,
    world: DashboardWorld,
    scheme: str,
    viewport: dict[str, int],
    name: str,
    path: str,
) -> None:
    context = browser.new_context(color_scheme=scheme, viewport=viewport)  # type: ignore[arg-type]
    watched = Watched(context, world.url)
    page = watched.open(path)
    if path == "/provider":
        log_in(page, world.token)
    page.locator("#live.on").wait_for()
    if name == "declines":
        page.locator("#declines tbody tr").wait_for()
        page.reload()  # without the colour of what is new
        page.locator("#live.on").wait_for()
    file = FOLDER / f"{name}.png"
    page.screenshot(path=str(file))
    context.close()
    with Image.open(file) as image:
        image.convert("RGB").quantize(COLOURS).save(file, optimize=True)
    if watched.problems:
        raise SystemExit(f"{path}: {watched.problems}")


def log_in(page: Page, token: str) -> None:
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("button", name="Log out").wait_for()


if __name__ == "__main__":
    main()
