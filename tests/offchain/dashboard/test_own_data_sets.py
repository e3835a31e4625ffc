"""The provider's own page where its policy lists several data sets."""

from dataclasses import replace
from typing import Any

from fedpact.dashboard.views.own_provider import (
    MONTH_SECONDS,
    DaemonRow,
    OwnSources,
    OwnView,
    own_view,
)
from fedpact.privacy.lifetime_budget import PrivacyLimit, Spend
from fedpact.privacy.releases import GaussianRelease
from fedpact.provider.read_only import Decision, LedgerLook, LedgerRelease

RELEASE = GaussianRelease(5.0, 1.0, 1)
SPENT = Spend.of(RELEASE)
PUMPS, VALVES, GONE = ("a" * 32, "b" * 32, "c" * 32)


def view_of(
    limits: dict[str, PrivacyLimit], look: LedgerLook, now: int = 0, **changes: Any
) -> OwnView:
    sources = OwnSources(
        account="0x0",
        fingerprint=bytes(32),
        delta=1e-5,
        limit=None,
        listed={PUMPS: ("pumps", limits[PUMPS]), VALVES: ("valves", limits[VALVES])},
        look=look,
        decisions=[],
        closed=frozenset(),
        acting={},
        balance=None,
        daemon=DaemonRow(known=False, serves=False, problems=()),
        log=(),
        payments=[],
        transactions=[],
        now=now,
    )
    return own_view(replace(sources, **changes))


def test_each_data_set_has_its_own_limit_and_holds() -> None:
    limits = {PUMPS: PrivacyLimit(3.0, 1e-5), VALVES: PrivacyLimit(8.0, 1e-5)}
    look = LedgerLook({PUMPS: SPENT, VALVES: SPENT, GONE: SPENT}, (SPENT,), ((VALVES, SPENT),), ())
    view = view_of(limits, look)
    pumps, valves, gone = view.data_sets
    assert (pumps.name, pumps.left) == ("pumps", limits[PUMPS].left(SPENT))
    assert (valves.name, valves.left) == ("valves", limits[VALVES].left(SPENT + SPENT))
    assert (gone.name, gone.left) == ("", None)  # charged once, and not served any more
    assert view.left == pumps.left


def test_a_forecast_is_of_one_data_set() -> None:
    """It said that the two requests left for pumps last until the fourth of valves is over."""
    limits = {
        PUMPS: PrivacyLimit(SPENT.times(3).cost(1e-5).epsilon * 1.001, 1e-5),
        VALVES: PrivacyLimit(SPENT.times(5).cost(1e-5).epsilon * 1.001, 1e-5),
    }
    now = 100 * MONTH_SECONDS
    releases = (
        LedgerRelease(b"", 1, 1, RELEASE, PUMPS, now - 2 * MONTH_SECONDS),
        LedgerRelease(b"", 2, 1, RELEASE, VALVES, now - 1),
    )
    view = view_of(limits, LedgerLook({PUMPS: SPENT, VALVES: SPENT}, (), (), releases), now)
    assert [row.requests_left for row in view.data_sets] == [2, 4]
    assert [row.lasts_until for row in view.data_sets] == [None, now + 4 * MONTH_SECONDS]
    assert (view.requests_left, view.lasts_until) == (2, None)


def test_a_request_that_closed_first_does_not_wait_to_be_judged() -> None:
    """A pool that was full before the daemon looked stayed "not judged yet" for ever."""
    limits = {PUMPS: PrivacyLimit(3.0, 1e-5), VALVES: PrivacyLimit(8.0, 1e-5)}
    new = [Decision(number, "new", "", 0) for number in (4, 5)]
    view = view_of(limits, LedgerLook({}, (), (), ()), decisions=new, closed=frozenset({4}))
    told = {one.request: one.says for one in view.duties}
    assert told == {4: "closed before it was judged", 5: "not judged yet"}
