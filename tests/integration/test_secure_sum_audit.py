"""The audit of secure sums: what is recomputed of them, and what a falsified one shows."""

import pytest

from fedpact.audit import audit
from fedpact.audit.report import AuditReport
from fedpact.chain.devnet import Devnet
from fedpact.types.scores import INVALID
from tests.support.committee import DigitsMarket, open_digits_market
from tests.support.secure_committee import SecureCommittee, new_secure_request

MEMBERS = 4


@pytest.fixture(scope="module")
def market(anvil: Devnet, tmp_path_factory: pytest.TempPathFactory) -> DigitsMarket:
    return open_digits_market(anvil, tmp_path_factory.mktemp("secure-market"), MEMBERS)


@pytest.fixture(scope="module")
def finished(market: DigitsMarket) -> SecureCommittee:
    """Two honest rounds, one in batches and one posted as a whole; delivered and settled."""
    committee = new_secure_request(market)
    committee.play_in_batches()
    committee.post_round()
    committee.deliver_and_settle()
    return committee


def audited(market: DigitsMarket, committee: SecureCommittee) -> AuditReport:
    return audit(market.client, market.store, committee.id, market.auditor)


def test_an_honest_request_holds_item_by_item(
    market: DigitsMarket, finished: SecureCommittee
) -> None:
    report = audited(market, finished)
    report.check()
    assert not report.unavailable
    details = {item.name: item.detail for item in report.items}
    assert details["sums"] == "2 sums in 2 rounds"
    assert details["models"] == "8 models; 0 counted as invalid"
    assert details["privacy"].endswith(finished.spec.privacy.statement)


def test_without_a_seal_the_sums_are_unavailable(
    market: DigitsMarket, finished: SecureCommittee
) -> None:
    report = audit(market.client, market.store, finished.id, None)
    report.check()
    assert "sums" in {item.name for item in report.unavailable}


def test_two_sums_of_one_group_are_found(market: DigitsMarket) -> None:
    """It takes members that sign for two sets of vectors, more of them than may collude. The
    committee lets them pass: by the rules, both sums are invalid."""
    liars = new_secure_request(market, twice=True)
    liars.post_round()
    liars.post_round()
    liars.deliver_and_settle()
    report = audited(market, liars)
    failed = {item.name: item.detail for item in report.failed}
    assert "two sums of the group" in failed.pop("sums")
    assert failed.keys() == {"scores"}


def test_a_member_without_a_proof_is_invalid(market: DigitsMarket) -> None:
    """The others' sum counts all the same, its vector too."""
    committee = new_secure_request(market, silent=2)
    committee.post_round()
    committee.post_round()
    committee.deliver_and_settle()
    report = audited(market, committee)
    report.check()
    details = {item.name: item.detail for item in report.items}
    assert details["models"] == "6 models; 2 counted as invalid"
    votes = committee.replay.scores(2)
    assert [votes[seat] == INVALID for seat in range(MEMBERS)] == [False, False, True, False]
