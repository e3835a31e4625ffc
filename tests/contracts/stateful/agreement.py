"""What the contracts' views must show of a request: what the model says, and no step back."""

from __future__ import annotations

from typing import Any

from market_model import RequestModel
from round_model import seats_in

from fedpact.types.rounds import RequestStatus, Stage
from fedpact.types.scores import INVALID, pack_scores


def shows_the_round(m: RequestModel, seen: dict[str, Any]) -> None:
    r = m.rounds
    count = len(r.seats)
    assert (seen["phase"], seen["round"], seen["seats"]) == (r.phase, r.round, count)
    if r.phase is not Stage.NONE:
        assert (seen["start"], seen["deadline"]) == (r.start, r.deadline)
        assert seen["lastLeader"] == r.last_leader
    for name, seats in {
        **{"members": r.members, "expected": r.expected, "barred": r.barred, "ever": r.ever},
        **{"submitted": set(r.digests), "committed": set(r.commitments)},
        **{"revealed": set(r.words), "attested": set(r.attested)},
    }.items():
        assert seats_in(seen[name]) == seats, name
    assert (seen["paidRounds"], seen["finalRounds"]) == (r.paid_rounds, r.final_rounds)
    assert (seen["sliceOpened"], seen["reached"]) == (r.slice_opened, r.reached)
    assert seen["finalDigest"] == int.from_bytes(r.final_digest, "big")
    assert seen["keyCommitment"] == int.from_bytes(r.key_commitment, "big")
    assert seen["history"] == int.from_bytes(r.history, "big")
    assert seen["points"][:count] == r.points
    assert seen["faults"][:count] == r.faults
    if r.result is not None:
        medians = [*r.result.medians, *[INVALID] * (16 - len(r.result.medians))]
        assert seen["medians"] == pack_scores(dict(enumerate(medians)))
        assert (seen["included"], seen["valid"]) == (r.result.included, r.result.valid)
    leaders = r.leaders if r.phase is Stage.ATTEST else seen["order"]
    assert seen["order"] == leaders
    if r.phase is Stage.ATTEST:
        assert seen["weightedErrors"] == r.weighted_errors()
    for seat in range(count):
        held = r.seats[seat]
        assert seen["committee"][seat] == (
            (int(held.account, 16), held.samples, held.organisation, held.reputation)
            if held
            else (0, 0, 0, 0)
        )
        assert seen["digests"][seat] == int.from_bytes(r.digests.get(seat, b""), "big")
        if seat in r.attested:
            word, mae = r.attested[seat]
            expected = int.from_bytes(word[:30] + mae.to_bytes(2, "big"), "big")
        else:
            commitment = int.from_bytes(r.commitments.get(seat, b""), "big")
            expected = r.words.get(seat, commitment)
        assert seen["votes"][seat] == expected


def shows_the_money(m: RequestModel, seen: dict[str, Any], now: int) -> None:
    assert (seen["status"], seen["payment"]) == (m.shown, m.payment)
    assert (seen["closedAt"], seen["joinDeadline"]) == (m.closed_at, m.join_deadline)
    assert (seen["settled"], seen["refunded"]) == (m.settled, m.refunded is not None)
    assert seats_in(seen["claimed"]) == set(m.claimed)
    for seat in range(len(m.rounds.seats)):
        assert seen["claimable"][seat] == m.claimable(seat)
    assert seen["refundable"] == m.refundable(now)
    open_to_take = sum(seen["claimable"]) + seen["refundable"]
    taken = sum(m.claimed.values()) + (m.refunded or 0)
    assert open_to_take + taken <= m.payment
    assert not (open_to_take and m.shown is RequestStatus.RUNNING)


def only_moves_on(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert new["round"] >= old["round"]
    if new["finalRounds"] == old["finalRounds"]:
        assert new["finalDigest"] == old["finalDigest"]
    for seat in range(16):
        gained = new["points"][seat] - old["points"][seat]
        assert gained >= 0
        assert not gained or new["valid"] >> seat & 1
        assert new["faults"][seat] >= old["faults"][seat]
    assert new["claimed"] & old["claimed"] == old["claimed"]
    assert new["ever"] & old["ever"] == old["ever"]
    if new["round"] == old["round"]:
        for name in ("submitted", "committed", "revealed", "attested"):
            assert new[name] & old[name] == old[name]
    if old["phase"] == Stage.ENDED:
        unchanged = ("phase", "round", "points", "faults", "finalDigest", "history", "start")
        assert all(new[name] == old[name] for name in unchanged)
