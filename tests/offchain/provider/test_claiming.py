"""What a daemon concludes about its pay from what it has read."""

from types import SimpleNamespace

import pytest

from fedpact.provider.claiming import claim_payment
from fedpact.provider.context import RequestView
from fedpact.types.rounds import RequestStatus, Stage


@pytest.mark.parametrize(
    ("status", "stage"),
    [(RequestStatus.ENDED, Stage.ATTEST), (RequestStatus.RUNNING, Stage.ENDED)],
)
def test_reads_at_two_blocks_never_end_a_request_unpaid(status, stage):
    """A one-round request: the older of the two reads knows of no final round yet."""
    record = SimpleNamespace(status=status, claimed=0)
    state = SimpleNamespace(stage=stage, final_rounds=0, members=0b111)
    view = RequestView(None, SimpleNamespace(timestamp=100), record, state, 0)
    outcome = claim_payment(view)
    assert not outcome.acted
    assert outcome.reason == "waiting for the delivery"
