"""The dashboard in a real browser, over a request that daemons have finished and one under way."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pexpect
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from fedpact.chain import deployment_file as deployments
from fedpact.chain.client import ChainClient
from fedpact.chain.deploy import LargeParameters, deploy_large
from fedpact.dashboard.units import ether
from tests.support.browser import Watched, chromium, serious
from tests.support.chain_request import ChainRequest
from tests.support.dashboard_world import (
    PUMPS,
    ROUNDS,
    SERVING,
    DashboardWorld,
    dashboard_world,
    serve_dashboard,
)
from tests.support.reports import said
from tests.support.terminal import fedpact_on_a_terminal
from tests.support.waiting import PATIENCE, wait_until

MILLISECONDS = 1000 * PATIENCE
MARKUP = '"><img src=x onerror=alert(1)><script>alert(2)</script></title><svg onload=alert(3)>'
"""Breaks out of attributes, elements and data blocks where text is not escaped."""
ROWS = 10_000
RIGHT_TO_LEFT = "\u202e\u2066gnp.exe"


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DashboardWorld]:
    with dashboard_world(tmp_path_factory.mktemp("dashboard")) as world:
        yield world


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=MILLISECONDS)
    with chromium() as started:
        yield started
    expect.set_options(timeout=None)


def context_of(browser: Browser, **options: object) -> BrowserContext:
    context = browser.new_context(**options)  # type: ignore[arg-type]
    context.set_default_timeout(MILLISECONDS)
    return context


@pytest.fixture
def watched(browser: Browser, shown: DashboardWorld) -> Iterator[Watched]:
    context = context_of(browser)
    found = Watched(context, shown.url)
    yield found
    context.close()
    assert found.problems == []


def log_in(watched: Watched, token: str) -> Page:
    page = watched.open("/provider")
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("button", name="Log out")).to_be_visible()
    return page


def paths(shown: DashboardWorld) -> list[str]:
    member = shown.world.accounts[0].address
    requests = [f"/requests/{one}" for one in (shown.finished, shown.running.id, shown.open.id)]
    own = f"/requests/{shown.running.id}/members/{shown.people.members[2].address}"
    return ["/", *requests, own, f"/participants/{member}", "/network", "/api", "/provider"]


UNPROVEN = """(exempt) => {
  const at = (one) => `${location.pathname} ${one.closest("section, li")?.id}: ${one.textContent}`;
  const transaction = "a[href*='/transaction/']";
  const proof = `${transaction}, a[href*='/content/'], a[href^='/requests/'],
    a[href^='/participants/'], a[href^='#'], a[href='/']`;
  const isExempt = (one) => one.closest(exempt) || one.closest("thead");
  const column = (one) => one.cellIndex !== undefined
    && one.closest("table").tHead.rows[0].cells[one.cellIndex].querySelector(proof);
  const isProven = (one) => one.querySelector(proof) || one.closest("a, details > summary")
    || one.closest("tr")?.querySelector(proof) || column(one);
  const figures = Array.from(document.querySelectorAll(".num, .figures dd"));
  const shown = figures.filter((one) => /[0-9]/.test(one.textContent) && !isExempt(one));
  const bare = shown.filter((one) => !isProven(one)).map(at);
  // A sum links to its parts on the same page: each of them has its transaction. 0 has no parts.
  for (const link of document.querySelectorAll("main .proof[href^='#']")) {
    const target = document.getElementById(link.hash.slice(1));
    const section = target?.closest("section") || target;
    const parts = section?.querySelector(`tr :is(${transaction}, a[href^='/requests/'])`);
    if (!parts && !isExempt(link) && link.textContent.trim() !== "0")
      bare.push(`${at(link)} leads to ${link.hash}`);
  }
  return bare;
}"""
"""Figures without a link to what proves them, in their own cell, row or column."""
UNPROVABLE = "#nodes, #reputations, #declines, .now:has(~ #duties), #budget, #spending"
"""What no chain says: what this site has seen of its nodes, how many reputations of the list below
are alike, what daemons say of themselves, and the provider's own ledger."""


DEAD = """() => Array.from(document.querySelectorAll("a[href^='#']"))
  .filter((one) => !document.getElementById(one.hash.slice(1)))
  .map((one) => `${location.pathname} has no ${one.hash}`)"""


def sections_of(links: set[str]) -> dict[str, set[str]]:
    """Sections that links name, by the address of their page."""
    found: dict[str, set[str]] = {}
    for address, mark, section in (one.partition("#") for one in links):
        if mark:
            found.setdefault(address, set()).add(section)
    return found


def test_every_page_is_sound_and_every_figure_links_to_its_proof(
    browser: Browser, shown: DashboardWorld
) -> None:
    context = context_of(browser)
    watched = Watched(context, shown.url)
    log_in(watched, shown.token)
    found: list[str] = []
    leads: set[str] = set()
    others = [f"/requests/{shown.finished}/audit", f"/transaction/{shown.settlement}"]
    for path in [*paths(shown), *others]:
        page = watched.open(path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        found += [f"{path}: {one}" for one in serious(page)]
        found += page.evaluate(UNPROVEN, UNPROVABLE)
        found += page.evaluate(DEAD)
        if path != "/api":  # whose table is the OpenAPI document
            found += [f"{path}: {one} cannot be downloaded" for one in page.evaluate(UNSAVED)]
        leads |= set(page.eval_on_selector_all("main a[href^='/']", "all => all.map(a => a.href)"))
    assert found == []
    spec = shown.world.specification
    assert spec is not None
    told = {"authorization": f"Bearer {shown.token}"}
    with httpx.Client(trust_env=False, headers=told) as client:
        # Of each kind of page one, and of each address all sections to which links lead.
        for address in {re.sub(r"0x\w+|\d+", "", one): one for one in sorted(leads)}.values():
            # The site keeps no models: its page says where to fetch one.
            expected = 404 if address.endswith(spec.initial_model) else 200
            assert client.get(address).status_code == expected, address
        for address, sections in sections_of(leads).items():
            ids = set(re.findall(r'id="([^"]*)"', client.get(address).text))
            assert sections - ids == set(), address
    context.close()
    assert watched.problems == []


def test_pages_fit_a_phone_and_are_legible_in_the_dark(
    browser: Browser, shown: DashboardWorld
) -> None:
    phone = {"width": 360, "height": 740}
    context = context_of(browser, color_scheme="dark", viewport=phone)
    watched = Watched(context, shown.url)
    log_in(watched, shown.token)
    for path in paths(shown):
        page = watched.open(path)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        assert serious(page, "color-contrast") == [], path
    context.close()
    assert watched.problems == []


def questions(shown: DashboardWorld) -> list[tuple[str, str, str]]:
    """Those of docs/dashboard.md: address, and what answers, as a selector with a text in it."""
    running, finished = f"/requests/{shown.running.id}", f"/requests/{shown.finished}"
    maker = shown.world.accounts[0].address
    return [
        ("/?which=open", ".card", "epsilon 4"),
        ("/?search=vibration", ".card h2", "Bearing faults"),
        (running, "#now", "must train"),
        (running, "#now [data-deadline]", ""),
        (running, "#now", "0.1900 target 0.0700"),
        (f"{running}?round=2", "#round tbody tr:nth-child(3)", "outside the band"),
        (f"{running}?round=2#votes", ".outside", "0.27"),
        (f"{finished}#money", "#money tbody:last-of-type tr:last-child", "held by the market"),
        (f"{finished}/members/{maker}", "#rounds tbody tr >> nth=0", "submitted"),
        (f"{finished}/audit", ".over", "nothing fails"),
        (f"{running}#task", "#task .foreign", "No resale"),
        (f"{running}#privacy", "#privacy ul >> nth=1", "lifetime budget"),
        (f"{finished}#card", "#card .facts", "Error, as voted"),
        (f"/requests/{shown.open.id}", "#declines", "request status"),
        (f"/participants/{maker}", "#now", "Earned"),
        ("/provider", "#now", "Budget forecast"),
        ("/provider", "#duties tbody tr >> nth=0", "is not among"),
        ("/network", "#nodes", "content store"),
    ]


UNSAVED = """() => Array.from(document.querySelectorAll("main table"))
  .filter((one) => !one.closest("details, section:has(.downloads)"))
  .map((one) => one.closest("section")?.id)"""
"""Tables without a download; those of charts are in the table beside them."""
UNCOVERED = """(one) => {
  const box = one.getBoundingClientRect();
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  return one.contains(document.elementFromPoint(x, y));
}"""


def test_answers_are_on_the_first_screen(browser: Browser, shown: DashboardWorld) -> None:
    width, height = 1280, 800
    context = context_of(browser, viewport={"width": width, "height": height})
    watched = Watched(context, shown.url)
    log_in(watched, shown.token)
    for address, selector, says in questions(shown):
        watched.page.goto("about:blank")
        found = watched.open(address).locator(selector).filter(has_text=says).first
        expect(found).to_be_visible()
        box = found.bounding_box()
        assert box is not None
        assert box["y"] >= 0, address
        assert box["y"] + box["height"] <= height, address
        assert found.evaluate(UNCOVERED), address  # nor cut off by a list that scrolls
    context.close()
    assert watched.problems == []


def test_a_fact_on_chain_is_on_the_page_without_a_reload(
    watched: Watched, shown: DashboardWorld
) -> None:
    page = watched.open(f"/requests/{shown.running.id}")
    page.evaluate("document.body.dataset.same = 'yes'")
    now = page.locator("#now")
    expect(now).to_contain_text("Seats 0, 1, 2 must train")
    shown.running.submit(0)
    expect(now).to_contain_text("Seats 1, 2 must train")
    seat = page.locator("#round .steps tbody tr").first
    expect(seat.get_by_title("model at", exact=False)).to_be_visible()
    assert page.evaluate("document.body.dataset.same") == "yes"


def test_an_update_changes_only_what_is_new(watched: Watched, shown: DashboardWorld) -> None:
    """Charts, focus, scrolling, what is typed and unfolded stay as they were."""
    page = watched.open(f"/requests/{shown.running.id}")
    now = page.locator("#now")
    expect(now).to_contain_text("Seats 1, 2 must train")
    page.locator("#timeline").get_by_label("Filter").fill("round opened")
    page.locator("#curves summary").first.click()
    page.locator("#timeline .downloads a").first.focus()
    page.evaluate(
        """() => { scrollTo(0, 700); window.canvas = document.querySelector("canvas");
             window.chart = Chart.getChart(window.canvas);
             window.parts = Array.from(document.querySelectorAll("section, table, details"));
             window.first = document.getElementById("fact-1");
             window.active = document.activeElement; window.top_ = scrollY; }"""
    )
    shown.running.submit(1)
    expect(now).to_contain_text("Seat 2 must train")
    kept = page.evaluate(
        """() => ({ parts: window.parts.every((one) => one.isConnected),
             chart: Chart.getChart(window.canvas) === window.chart && window.canvas.isConnected,
             row: document.getElementById("fact-1") === window.first,
             focus: document.activeElement === window.active && window.active !== document.body,
             scroll: scrollY === window.top_,
             open: document.querySelector("#curves details").open })"""
    )
    assert kept == dict.fromkeys(kept, True)
    expect(page.locator("#timeline-table tbody tr:visible")).to_have_count(3)
    shining = page.evaluate("Array.from(document.querySelectorAll('.fresh'), (o) => o.nodeName)")
    assert shining
    assert not {"SECTION", "TABLE", "TBODY", "FIGURE"} & set(shining)
    assert page.locator("#privacy .fresh, #rules .fresh").count() == 0


def test_what_changes_before_a_page_is_live_is_shown(
    watched: Watched, shown: DashboardWorld
) -> None:
    """It stayed away from the page until the next change."""
    request, held = shown.publish(title="Pressure in boilers").running(), list[Route]()
    path = f"/requests/{request.id}"
    watched.page.route("**/api/live", lambda route: held.append(route))
    wait_until(lambda: newest(shown)["round"] == 1)
    page = watched.open(path)
    expect(page.locator("#now")).to_contain_text("Seats 0, 1, 2 must train")
    request.submit(0)
    api = f"{shown.url}/api{path}"
    wait_until(lambda: "Seats 1, 2" in httpx.get(api, trust_env=False).json()["now"]["says"])
    held[0].continue_()
    expect(page.locator("#now")).to_contain_text("Seats 1, 2 must train")


def test_the_market_is_filtered_and_downloaded(watched: Watched, shown: DashboardWorld) -> None:
    page = watched.open("/")
    page.get_by_label("Search").fill("vibration bearing")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("heading", level=2)).to_have_text(
        ["Bearing faults in pumps from vibration"]
    )
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text())))
    assert [row["request"] for row in rows] == [str(shown.running.id)]
    page = watched.open("/?which=over")
    expect(page.locator(".card")).to_have_count(1)


def test_the_timeline_is_filtered(watched: Watched, shown: DashboardWorld) -> None:
    page = watched.open(f"/requests/{shown.finished}")
    rows = page.locator("#timeline-table tbody tr:visible")
    everything = rows.count()
    page.locator("#timeline").get_by_label("Filter").fill("round final")
    expect(rows).to_have_count(ROUNDS)
    assert everything > 10
    linked = {
        one.get_attribute("href") or "" for one in page.get_by_role("link", name="JSON").all()
    }
    for name in ("seats", "votes", "members", "money", "timeline", "rounds"):
        assert any(one.endswith(f"/{name}.json") for one in linked), name
        answer = page.request.get(f"{shown.url}/api/tables/request/{shown.finished}/{name}.json")
        assert answer.ok
        assert len(answer.json()) > 0


def test_money_on_the_page_adds_up(watched: Watched, shown: DashboardWorld) -> None:
    page = watched.open(f"/requests/{shown.finished}")
    money = page.request.get(f"{shown.url}/api/requests/{shown.finished}").json()["money"]
    received, sent, held = (
        sum(int(one["amount"]) for one in money[name]) for name in ("received", "sent", "held")
    )
    assert received == sent + held
    requester = shown.world.requester_keys.address
    by_account: dict[str, int] = {}
    for one in money["sent"]:
        expect(page.locator("#money")).to_contain_text(ether(int(one["amount"])))
        if one["account"] != requester:
            by_account[one["account"]] = by_account.get(one["account"], 0) + int(one["amount"])
    assert by_account == shown.world.paid_as_mirrored(shown.finished)


def test_an_audit_is_shown_item_by_item(watched: Watched, shown: DashboardWorld) -> None:
    page = watched.open(f"/requests/{shown.finished}")
    page.get_by_role("link", name="Audit this request").click()
    expect(page.locator(".over")).to_contain_text("nothing fails")
    view = page.request.get(f"{shown.url}/api/requests/{shown.finished}/audit").json()
    assert view["holds"] > 10
    expect(page.locator("tbody tr")).to_have_count(len(view["items"]))


def test_a_report_needs_no_network(browser: Browser, shown: DashboardWorld, tmp_path: Path) -> None:
    """Written by the requester's own command, and opened from the disk."""
    config = tmp_path / "requester.toml"
    config.write_text(shown.world.network.settings("requester", 0.5))
    said(config, "request", "report", str(shown.finished), "--output", str(tmp_path))
    data = json.loads((tmp_path / f"request-{shown.finished}.json").read_text())
    context = context_of(browser, viewport={"width": 360, "height": 740}, offline=True)
    watched = Watched(context, f"file://{tmp_path}")
    page = watched.open(f"/request-{shown.finished}.html")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_role("heading", name="Confusion matrix")).to_be_visible()
    assert sum(map(sum, data["quality"]["confusion"])) == data["quality"]["examples"]
    assert data["audit"]["fails"] == 0
    drawn = "Array.from(document.querySelectorAll('canvas')).every((one) => Chart.getChart(one))"
    assert page.evaluate(drawn)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert serious(page) == []
    context.close()
    assert watched.problems == []


def test_a_report_says_what_is_missing(shown: DashboardWorld, tmp_path: Path) -> None:
    """Without any content at all; the rest of the report is written."""
    config = tmp_path / "requester.toml"
    config.write_text(shown.world.network.settings("requester", 0.5))
    (tmp_path / "empty").mkdir()
    command = ["--store", str(tmp_path / "empty"), "request", "report", str(shown.finished)]
    said(config, *command, "--output", str(tmp_path))
    data = json.loads((tmp_path / f"request-{shown.finished}.json").read_text())
    assert "is not in the store" in data["unmeasured"]
    assert data["request"]["problem"]
    assert data["audit"]["holds"] > 5
    assert len(data["request"]["money"]["sent"]) > 3
    assert data["unmeasured"] in (tmp_path / f"request-{shown.finished}.html").read_text()


def test_every_control_is_reached_by_keyboard(watched: Watched, shown: DashboardWorld) -> None:
    page = watched.open(f"/requests/{shown.finished}")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    # What can be clicked and is visible, and what of it Tab has reached.
    wanted = page.evaluate(
        """() => { window.wanted = Array.from(document.querySelectorAll(
             'a[href], button, input, select, summary')).filter((one) => one.checkVisibility());
             return window.wanted.length; }"""
    )
    reached = {page.evaluate("window.wanted.indexOf(document.activeElement)")}
    for _ in range(2 * wanted):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("window.wanted.indexOf(document.activeElement)"))
        if page.evaluate("document.activeElement === document.body"):
            break
    assert set(range(wanted)) <= reached
    page.locator("summary").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("details").first).to_have_attribute("open", "")


def test_a_hostile_request_is_text(watched: Watched, shown: DashboardWorld) -> None:
    spec = shown.world.specification
    assert spec is not None
    labels = tuple(f"{MARKUP}{number}{RIGHT_TO_LEFT}"[:200] for number in range(len(spec.labels)))
    hostile = spec.model_copy(
        update={
            "title": (MARKUP * 3)[:200],
            "category": (RIGHT_TO_LEFT + MARKUP)[:100],
            "labels": labels,
            "usage_rules": MARKUP + "{{ 7 * 7 }}" + RIGHT_TO_LEFT,
        }
    )
    request = shown.created(hostile)
    api = f"{shown.url}/api/requests/{request.id}"
    wait_until(lambda: watched.page.request.get(api).ok)
    page = watched.open(f"/requests/{request.id}")
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_have_text((MARKUP * 3)[:200])
    expect(page.get_by_text("{{ 7 * 7 }}")).to_be_visible()
    assert "\u202e" not in page.content()
    assert page.locator("img, svg[onload], main script:not([type='application/json'])").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page = watched.open("/?search=onerror")
    expect(page.locator(".card")).to_have_count(1)
    page = watched.open("/?search=%3Cscript%3Ealert(1)%3C/script%3E&category=%22%3E%3Cb%3E")
    expect(page.get_by_text("No request matches.")).to_be_visible()


def newest(shown: DashboardWorld) -> dict[str, Any]:
    """The market's first row."""
    rows = httpx.get(f"{shown.url}/api/requests", trust_env=False).json()["rows"]
    return dict(rows[0])


def test_a_request_with_secure_sums_says_what_nobody_sees(
    watched: Watched, shown: DashboardWorld
) -> None:
    request = shown.summed()
    shown.post_round(request, 2_400)
    api = f"{shown.url}/api/requests/{request.id}"

    def is_read() -> bool:
        """Whether the record of the round and the specification have been read."""
        answer = httpx.get(api, trust_env=False)
        view = answer.json()
        return answer.is_success and view["summed"] and any(one["votes"] for one in view["rounds"])

    wait_until(is_read)
    page = watched.open(f"/requests/{request.id}")
    expect(page.locator("#votes")).to_contain_text("the model of a seat is the sum of its group")
    expect(page.locator("#privacy .big")).to_contain_text("of which nobody sees a part")
    expect(page.locator("#privacy")).to_contain_text("more than 1 of the members collude")
    expect(page.locator("#card")).to_contain_text("4 of 4 seats' parts, in secure sums")
    assert page.evaluate(UNPROVEN, UNPROVABLE) == []


def test_ten_thousand_rows_stay_a_page(watched: Watched, shown: DashboardWorld) -> None:
    """Of a hostile request: as many accounts join it, and its data have as many labels."""
    spec = shown.world.specification
    assert spec is not None
    labels = tuple(f"<b>{number}" for number in range(ROWS))
    request = shown.created(spec.model_copy(update={"title": MARKUP, "labels": labels}), pool=ROWS)
    shown.crowd(request.id, ROWS)
    wait_until(lambda: newest(shown)["joined"] == ROWS)
    page = watched.open(f"/requests/{request.id}")
    expect(page.locator("#now")).to_contain_text("The pool is closed")
    expect(page.locator("#members")).to_contain_text(f"The first 300 of {ROWS}")
    expect(page.locator("#members tbody tr")).to_have_count(300)
    sent = httpx.get(page.url, trust_env=False).headers["content-length"]
    assert int(sent) < 100_000  # compressed
    assert page.locator("main b, main img").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    rows = page.request.get(f"{shown.url}/api/tables/request/{request.id}/members.csv").text()
    assert rows.count("\r\n") == 1 + ROWS


def test_the_own_provider_is_behind_its_token(watched: Watched, shown: DashboardWorld) -> None:
    page = watched.open("/provider")
    expect(page.get_by_label("Token")).to_be_visible()
    expect(page.get_by_text("Epsilon spent")).to_have_count(0)
    assert page.request.get(f"{shown.url}/provider/tables/duties.csv").status == 401
    wrong = page.request.post(f"{shown.url}/provider/login", form={"token": "x" * 43})
    assert wrong.status == 401
    secure = page.request.post(
        f"{shown.url}/provider/login",
        form={"token": shown.token},
        headers={"x-forwarded-proto": "https"},
        max_redirects=0,
    )
    assert "Secure" in secure.headers["set-cookie"]
    page.context.clear_cookies()
    page = log_in(watched, shown.token)
    now = page.locator("#now")
    expect(now).to_contain_text("Epsilon spent")
    expect(now).to_contain_text("of 8")
    duties = page.locator("#duties")
    expect(duties).to_contain_text("category 'images/medicine' is not among")
    page.get_by_role("button", name="Log out").click()
    watched.open("/provider")
    expect(page.get_by_label("Token")).to_be_visible()


def test_policy_and_errors(watched: Watched, shown: DashboardWorld) -> None:
    answer = watched.page.request.get(f"{shown.url}/requests/999999")
    assert answer.status == 404
    assert "there is no request 999999" in answer.text()
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    document = watched.page.request.get(f"{shown.url}/api/openapi.json").json()
    assert "/api/requests/{request}" in document["paths"]
    assert watched.page.request.get(f"{shown.url}/api/requests/0").status == 422
    strangers = [
        "participants/nobody",
        "requests/1/members/%3Cb%3E",
        "requests/1/members/0x" + "1" * 40,
    ]
    for path in strangers:
        assert watched.page.request.get(f"{shown.url}/{path}").status == 400


def test_following_is_live_on_a_terminal(shown: DashboardWorld, tmp_path: Path) -> None:
    config = tmp_path / "requester.toml"
    config.write_text(shown.world.network.settings("requester", 0.2))
    request = shown.publish(**PUMPS).running()
    command = ["request", "follow", str(request.id)]
    with fedpact_on_a_terminal(config, command) as live:
        live.expect("Seats 0, 1, 2 must train")
        live.expect("attested")
        live.expect(r"min left")
        request.submit(0)
        live.expect("Seats 1, 2 must train")
        live.expect("✓")
        live.sendintr()
        live.expect(pexpect.EOF)
        live.close()
        assert live.exitstatus == 130
    with fedpact_on_a_terminal(config, [*command, "--plain"]) as plain:
        plain.expect("open: round 1, submit; 3 providers, 1 model submitted, 0 rounds final")
        assert "\x1b" not in plain.before
        plain.sendintr()
        plain.expect(pexpect.EOF)
    lines = subprocess.Popen(
        [sys.executable, "-m", "fedpact", "--config", str(config), *command],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert lines.stdout is not None
    said = lines.stdout.readline()
    lines.terminate()
    lines.wait()
    lines.stdout.close()
    assert said == "open: round 1, submit; 3 providers, 1 model submitted, 0 rounds final\n"


def test_a_daemon_shows_its_requests_below_its_log(shown: DashboardWorld) -> None:
    folder = shown.world.network.folder
    options = ["--data", str(shown.world.data.files[0]), "--policy", str(folder / "policy-1.toml")]
    config, command = folder / "provider-1.toml", ["provider", "serve", "--only-daemon", *options]
    with fedpact_on_a_terminal(config, command) as live:
        live.expect("declined: category 'images/medicine' is not among")
        live.expect("No request under way.")
        request = shown.publish()
        live.expect(f"INFO fedpact[^\r]*request {request.id}")
        live.expect("requests joined: 1, declined")
        live.expect("Open to providers: 1 of at most 3 have joined, 2 more are needed.")
        live.kill(15)
        live.expect(pexpect.EOF)


@pytest.mark.slow
def test_a_consortium_sees_both_kinds_of_rounds(shown: DashboardWorld, tmp_path: Path) -> None:
    """By a process of its own: a request of large rounds that is open, beside those of usual
    ones."""
    world, file = shown.world, tmp_path / "large.json"
    parameters = LargeParameters(world.registrar.address, min_window=1, draw_delay=2)
    deployment = world.network.deployment
    large = deploy_large(world.client, world.registrar, parameters, deployment)
    deployments.save(large, file)
    with closing(ChainClient.connect(world.network.devnet.url, large)) as client:
        request = ChainRequest.created(client, shown.people, cohort=2, min_pool=3)
    dashboard = serve_dashboard(world, "--beside", str(file))
    try:
        url = dashboard.wait_for(SERVING, PATIENCE)[1]
        with httpx.Client(base_url=url, trust_env=False) as site:
            assert 'href="/large/"' in site.get("/").text

            def seen() -> bool:
                found = site.get("/large/api/requests").json()
                return [one["request"] for one in found.get("rows", ())] == [request.id]

            wait_until(seen)
            own = site.get(f"/large/requests/{request.id}").text
            assert "Judges a round, all others train" in own
            assert site.get(f"/large/api/requests/{request.id}").json()["large"]
            assert not site.get(f"/api/requests/{shown.finished}").json()["large"]
            listed = site.get("/large/api/network").json()["participants"]
            assert {one["account"] for one in listed} >= {one.address for one in world.accounts}
    finally:
        dashboard.stop()
