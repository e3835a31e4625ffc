"""What a request costs among many: the yardstick's own mathematics, and how parts add up."""

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from fedpact.errors import InvalidInput
from fedpact.retrieval.messages import LONGEST_MESSAGE
from lab.consensus_scale import lookups, parts, proof_of_work, report
from lab.consensus_scale.costs import Conditions, MeasuredParts, cost
from lab.consensus_scale.lookups import Lookups
from lab.consensus_scale.mode import Mode
from lab.provider_network.source import DocumentSource

GAS = Path(__file__).resolve().parents[2] / "docs" / "gas.json"
LOOKUPS = {
    nodes: Lookups(nodes, messages, 100 * messages, 3, 4, 3, 100, "made up")
    for nodes, messages in ((100, 40.0), (1_000, 60.0), (10_000, 80.0))
}


@pytest.fixture(scope="module")
def measured() -> MeasuredParts:
    return MeasuredParts(parts.measure(5), LOOKUPS, json.loads(GAS.read_text()), hash_rate=1e6)


def test_a_mined_header_hashes_below_the_target_and_no_earlier_one_does() -> None:
    prefix = sha256(b"a block").digest() * 2 + bytes(12)
    found = proof_of_work.mine(prefix, 8)
    for nonce in range(found.nonce + 1):
        header = prefix + nonce.to_bytes(4, "little")
        value = int.from_bytes(sha256(sha256(header).digest()).digest(), "little")
        assert (value < 2**248) == (nonce == found.nonce)
    assert found.attempts == found.nonce + 1


def test_difficulty_and_attempts_agree() -> None:
    """The mean of 400 geometric draws has a relative standard error of 5 %."""
    assert proof_of_work.attempts_check(400, 8) == pytest.approx(1, abs=0.15)


def test_the_hash_rate_counts_hashes_of_processor_time() -> None:
    assert 1e4 < proof_of_work.hash_rate(0.05) < 1e8


@pytest.mark.parametrize(
    ("share", "depth"), [(0.1, 5), (0.15, 8), (0.2, 11), (0.25, 15), (0.3, 24), (0.35, 41)]
)
def test_confirmations_are_those_of_nakamotos_table(share: float, depth: int) -> None:
    """Bitcoin: A Peer-to-Peer Electronic Cash System, section 11, P < 0.001."""
    assert proof_of_work.confirmations(share, 1e-3) == depth


def test_lookups_use_the_daemons_routing_and_count_bytes() -> None:
    once, again = (lookups.measure(150, 9, 4, 1, DocumentSource.SYNTHETIC) for _ in range(2))
    assert once == again
    assert (once.nodes, once.found, once.count) == (150, 9, 4)
    assert once.messages >= 2 * once.waves >= 2
    # A request holds at least its query's entry, a reply the record of whoever gives it.
    assert 10 * once.messages < once.bytes < LONGEST_MESSAGE * once.messages


def test_messages_add_up_by_hand(measured: MeasuredParts) -> None:
    poq = cost(measured, Conditions(), Mode.POQ, 1_000)
    pow_ = cost(measured, Conditions(), Mode.POW, 1_000)
    # 15 transactions in both: create, record, 5 joins, start, 5 models, deliver, settle; by votes
    # 17 more: slice, 5 commits, 5 reveals, 5 attestations, final.
    assert (pow_.messages["transactions"], poq.messages["transactions"]) == (30, 64)
    # Blocks: 11 stages by PoQ; 7 by proof of work, and 5 on top of the last.
    assert (poq.messages["chain"], pow_.messages["chain"]) == (999 * 43, 999 * 27)
    # A member: specification, model, manifest, four models; by PoQ the slice too.
    assert (pow_.messages["content"], poq.messages["content"]) == (2 * 36, 2 * 41)
    assert poq.messages["retrieval"] == pow_.messages["retrieval"] == 60


def test_gas_is_the_measured_gas(measured: MeasuredParts) -> None:
    gas = measured.gas
    record = gas["operations"]["recordRetrieval"]
    ten = replace(measured, parts=replace(measured.parts, committee=10))
    for case, members in ((measured, "5"), (ten, "10")):
        spent = cost(case, Conditions(), Mode.POQ, 1_000).gas
        assert spent == gas["task"]["onchain"][members] + record
        assert cost(case, Conditions(), Mode.POW, 1_000).gas < spent
    alone = replace(measured, parts=replace(measured.parts, committee=4))
    with pytest.raises(InvalidInput, match="gas was measured for"):
        cost(alone, Conditions(), Mode.POQ, 1_000)


def test_all_participants_mine_but_only_the_committee_votes(
    measured: MeasuredParts,
) -> None:
    few, many = (cost(measured, Conditions(), Mode.POW, n) for n in (100, 10_000))
    assert few.work["hashes"] == 100 * 1e6 * 12
    assert many.work["consensus"] == 100 * few.work["consensus"] == 120_000
    assert many.work["difficulty_bits"] == pytest.approx(36.8, abs=0.1)
    small, large = (cost(measured, Conditions(), Mode.POQ, n, 50) for n in (100, 10_000))
    assert small.work == large.work
    assert small.messages["chain"] == large.messages["chain"]
    assert large.messages["retrieval"] == 2 * small.messages["retrieval"]


def test_what_cannot_be_is_refused(measured: MeasuredParts) -> None:
    with pytest.raises(InvalidInput, match="more than the committee's 5"):
        cost(measured, Conditions(), Mode.POQ, 5)
    with pytest.raises(InvalidInput, match="miners keep the chain"):
        cost(measured, Conditions(), Mode.POW, 1_000, 50)


@pytest.mark.slow
def test_results_are_written_with_their_assumptions(
    measured: MeasuredParts, tmp_path: Path
) -> None:
    costs = [cost(measured, Conditions(), mode, n) for mode in Mode for n in (100, 1_000)]
    found = json.loads(json.dumps(report.to_json(measured, Conditions(), costs)))
    assert [one["members"] for one in found["costs"]] == [100, 1_000] * 2
    assert found["assumed"]["confirmations"] == 5
    first = found["costs"][0]
    assert first["messages_total"] == pytest.approx(sum(first["messages"].values()), rel=1e-3)
    assert b"<svg" in report.plot(costs)
    for content in ("[]", "{}", "no"):
        (tmp_path / "bad.json").write_text(content)
        with pytest.raises(InvalidInput, match=r"bad\.json"):
            report.measure(3, [], tmp_path / "bad.json", 1, 0, DocumentSource.SYNTHETIC)
