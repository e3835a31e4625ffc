"""A whole request on a real chain whose strategy reads start, initial and before."""

from pathlib import Path

from fedpact.audit import audit
from fedpact.chain.devnet import Devnet
from tests.support.committee import new_request, open_digits_market
from tests.support.drifting import drifting_known

SOUND = {
    "mode": "sound",
    "epsilon": 20.0,
    "delta": 1e-5,
    "clipping_norm": 1.0,
    "noise_multiplier": 1.1,
}


def test_an_honest_request_passes_the_audit(anvil: Devnet, tmp_path: Path) -> None:
    market = open_digits_market(anvil, tmp_path)
    with drifting_known():
        committee = new_request(
            market, rounds=4, strategy={"name": "drifting"}, max_error=10_000, privacy=SOUND
        )
        for _ in range(4):
            committee.post_round()
        committee.deliver_and_settle()
        report = audit(market.client, market.store, committee.id, market.auditor)
    assert report.failed == []
    assert report.unavailable == []
