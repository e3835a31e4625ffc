"""The contracts' views must agree with the model, and never go back a step."""

from __future__ import annotations

from typing import Any

from fedpact.chain.bindings.rounds import NO_SEAT
from fedpact.consensus.votes import kept_attestation, kept_commitment
from fedpact.types.rounds import RequestStatus, Stage
from tests.contracts.stateful.market_model import RequestModel
from tests.contracts.stateful.round_model import RoundModel, seats_in


def shows_the_round(m: RequestModel, accounts: list[str], seen: dict[str, Any]) -> None:
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
    assert seen["history"] == int.from_bytes(r.history, "big")
    assert seen["points"][:count] == r.points
    assert seen["faults"][:count] == r.faults
    leaders = r.leaders if r.phase is Stage.ATTEST else seen["order"]
    assert seen["order"] == leaders
    shows_the_members(r, accounts, seen["committee"])


def shows_the_members(r: RoundModel, accounts: list[str], kept: list[tuple[int, ...]]) -> None:
    held = {seat.account: number for number, seat in enumerate(r.seats) if seat}
    for account, found in zip(accounts, kept, strict=False):
        if account not in held:
            assert found == (NO_SEAT, 0, 0, 0)
            continue
        seat = held[account]
        lanes = 0
        if seat in r.attested:
            lanes = kept_attestation(seat, *r.attested[seat])
        elif seat in r.words:
            lanes = r.words[seat]
        elif seat in r.commitments:
            lanes = kept_commitment(seat, r.commitments[seat])
        member = r.seat_at(seat)
        assert found == (seat, member.samples, member.reputation, lanes)


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
        assert new["faults"][seat] >= old["faults"][seat]
    assert new["claimed"] & old["claimed"] == old["claimed"]
    assert new["ever"] & old["ever"] == old["ever"]
    if new["round"] == old["round"]:
        for name in ("submitted", "committed", "revealed", "attested"):
            assert new[name] & old[name] == old[name]
    if old["phase"] == Stage.ENDED:
        unchanged = ("phase", "round", "points", "faults", "finalDigest", "history", "start")
        assert all(new[name] == old[name] for name in unchanged)
