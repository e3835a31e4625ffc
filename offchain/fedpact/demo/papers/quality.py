"""Proof of training quality as Lu et al. 2020 print it, read off the chain: equations 6 and 7, the
leader, the approvals, and the record tuples of their table I."""

from collections.abc import Sequence

from fedpact.chain.bindings.events import RoundFinalised, RoundOpened, RoundPosted, VotesRevealed
from fedpact.consensus.leader import capped_weights
from fedpact.demo.papers.story import PaperStory, short, table
from fedpact.provider.ledger.submissions import submissions
from fedpact.requester.fetching import round_of
from fedpact.requester.final_rounds import final_rounds
from fedpact.requester.request_view import RequestLook
from fedpact.types.requests import seats_of
from fedpact.types.scores import INVALID, MAX_SCORE, lane
from fedpact.types.specification import Specification


def weighted_error(errors: Sequence[float], samples: Sequence[int], index: int) -> float:
    """Equation 7: gamma * MAE(m_j) + mean of all MAE, with gamma = 1 + d_j / sum of d."""
    gamma = 1 + samples[index] / sum(samples)
    return gamma * errors[index] + sum(errors) / len(errors)


def show_rounds(story: PaperStory, look: RequestLook, spec: Specification) -> None:
    """Of each final round: the members' errors, who leads and why, and who approved."""
    differ = False
    for event, made in zip(look.events(RoundFinalised), final_rounds(look, spec), strict=True):
        seen = round_of(look, event.round)
        seats = seats_of(seen.submitted)
        errors = [lane(seen.board.medians, seat) / MAX_SCORE for seat in seats]
        weights = capped_weights({seat: seen.members[seat].samples for seat in seats})
        samples = [weights[seat] for seat in seats]
        votes = _votes(look, event.round)
        shown = table(
            f"Iteration {event.round}",
            *("member", "d", "the others measured", "MAE (eq. 6)", "MAE^u (eq. 7)", ""),
        )
        totals = {}
        for index, seat in enumerate(seats):
            said = {_said(vote, seat) for voter, vote in votes.items() if voter != seat}
            differ = differ or len(said) > 1
            totals[seat] = weighted_error(errors, samples, index)
            shown.add_row(
                short(seen.account(seat)),
                str(samples[index]),
                ", ".join(_said(vote, seat) for voter, vote in votes.items() if voter != seat),
                f"{errors[index]:.4f}",
                f"{totals[seat]:.4f}",
                "leader" if seat == event.leader else "",
            )
        story.show(shown)
        able = seats_of(seen.included & seen.board.eligible & event.approvals)
        story.expect(
            bool(able) and totals[event.leader] <= min(totals[seat] for seat in able) + 1e-12,
            f"round {event.round}: the leader does not have the lowest MAE^u",
        )
        approved = event.approvals.bit_count()
        story.expect(approved == len(seats), f"round {event.round}: {approved} approvals")
        error = "-" if event.error == INVALID else f"{event.error / MAX_SCORE:.4f}"
        story.step(
            "III-D.2",
            "each measured the others' models and M on records of its own, kept from training; the"
            f" lowest MAE^u leads; MAE(M) = {error}; {approved} of"
            f" {len(seats)} audited models and M, and approved; block {event.at.block},"
            f" transaction {short(made.transaction)}",
        )
    story.expect(differ, "all measured the same, though on records of their own")
    threshold = spec.target / MAX_SCORE
    story.step(
        "alg. 1, line 2",
        f"ended after {len(look.events(RoundFinalised))} of at most {spec.rounds} iterations"
        f" (threshold: error {threshold:g})",
    )


def _votes(look: RequestLook, round_: int) -> dict[int, int]:
    """Packed votes by the voter's seat."""
    found: dict[int, int] = {}
    for event in look.all_events():
        if isinstance(event, VotesRevealed) and event.round == round_:
            found.update(zip(seats_of(event.mask), event.votes, strict=True))
        elif isinstance(event, RoundPosted) and event.round == round_:
            record = look.client.rounds.posted_record(event.at.tx_hash, event.record)
            if record is not None:
                found.update(zip(seats_of(event.mask), record.votes, strict=True))
    return found


def _said(vote: int, seat: int) -> str:
    score = lane(vote, seat)
    return "invalid" if score == INVALID else f"{score / MAX_SCORE:.4f}"


def show_transactions(story: PaperStory, look: RequestLook, spec: Specification) -> None:
    """Table I's tuple of each model transaction."""
    rounds = {one.number: one for one in final_rounds(look, spec)}
    pointers = {one.round: one.history for one in look.events(RoundOpened)}
    shown = table(
        "Model transactions (table I)",
        *("round", "hash pointer", "owner", "receiver", "model data", "MAE", "time"),
    )
    receivers = {one.account for one in rounds[1].members}
    for owner in sorted(receivers):
        for which, digest in submissions(look.client, owner):
            if which.request != look.request_id or which.round not in rounds:
                continue
            made = rounds[which.round]
            score = made.scores[owner]
            shown.add_row(
                str(which.round),
                f"{pointers[which.round].hex()[:12]}…",
                short(owner),
                f"all {len(receivers)}",
                f"{digest.hex()[:12]}…",
                "-" if score is None else f"{score:.4f}",
                "-" if made.time is None else f"{made.time:%H:%M:%S}",
            )
    story.show(shown)
    story.step(
        "table I, fig. 7",
        "model data are a digest, the sealed bytes are in the content store; MAE is the median of"
        " the others' votes, since nothing would check the owner's; the hash pointer is the running"
        " hash of all rounds before, which the audit follows; every member gets every model",
    )
