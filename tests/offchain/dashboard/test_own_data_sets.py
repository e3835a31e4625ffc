"""The provider's own page where its policy lists several data sets."""

from fedpact.dashboard.views.own import DaemonRow, OwnSources, own_view
from fedpact.privacy.budget import PrivacyLimit, Spend
from fedpact.privacy.mechanisms import GaussianRelease
from fedpact.provider.observing import LedgerLook

SPENT = Spend.of(GaussianRelease(5.0, 1.0, 1))
PUMPS, VALVES, GONE = ("a" * 32, "b" * 32, "c" * 32)


def test_each_data_set_has_its_own_limit_and_holds() -> None:
    limits = {PUMPS: PrivacyLimit(3.0, 1e-5), VALVES: PrivacyLimit(8.0, 1e-5)}
    look = LedgerLook({PUMPS: SPENT, VALVES: SPENT, GONE: SPENT}, (SPENT,), ((VALVES, SPENT),), ())
    view = own_view(
        OwnSources(
            account="0x0",
            fingerprint=bytes(32),
            delta=1e-5,
            limit=None,
            listed={PUMPS: ("pumps", limits[PUMPS]), VALVES: ("valves", limits[VALVES])},
            look=look,
            decisions=[],
            acting={},
            balance=None,
            daemon=DaemonRow(known=False, serves=False, problems=()),
            log=(),
            payments=[],
            transactions=[],
            now=0,
        )
    )
    pumps, valves, gone = view.data_sets
    assert (pumps.name, pumps.left) == ("pumps", limits[PUMPS].left(SPENT))
    assert (valves.name, valves.left) == ("valves", limits[VALVES].left(SPENT + SPENT))
    assert (gone.name, gone.left) == ("", None)  # charged once, and not served any more
    assert view.left == pumps.left
