"""A whole request on a real chain whose strategy reads start, initial and before."""

from fedpact.audit import audit
from tests.support.committee import PAYMENT, Committee, Following, Market
from tests.support.drifting import drifting_known

SOUND = {
    "mode": "sound",
    "epsilon": 16.0,
    "delta": 1e-5,
    "clipping_norm": 1.0,
    "noise_multiplier": 1.0,
}


def test_an_honest_request_passes_the_audit(market: Market) -> None:
    with drifting_known():
        draft = market.draft(
            title="Drifting",
            rounds=4,
            strategy={"name": "drifting"},
            max_error=10_000,
            privacy=SOUND,
        )
        committee = Committee(market, market.requester.create(draft, market.evaluation, PAYMENT))
        with Following(market, committee.request_id):
            committee.join_and_start()
            for _ in range(4):
                committee.play_round()
            committee.deliver()
        report = audit(market.client, market.store, committee.request_id, market.auditor)
    assert report.failed == []
    assert report.unavailable == []
