"""Proof of training quality as Lu et al. 2020 print it, read off the chain: equations 6 and 7, the
leader, the approvals, and the record tuples of their table I."""

from collections.abc import Sequence

from fedpact.chain.bindings.v2.events import RoundFinalised
from fedpact.consensus.leader import capped_weights
from fedpact.demo.papers.story import Story, short, table
from fedpact.provider.v2.published import submissions
from fedpact.requester.v2.fetching import round_of
from fedpact.requester.v2.final_rounds import final_rounds
from fedpact.requester.v2.look import RequestLook
from fedpact.types.rounds import seats_of
from fedpact.types.scores import INVALID, MAX_SCORE, lane
from fedpact.types.specification import Specification


def weighted_error(errors: Sequence[float], samples: Sequence[int], index: int) -> float:
    """Equation 7: gamma * MAE(m_j) + mean of all MAE, with gamma = 1 + d_j / sum of d."""
    gamma = 1 + samples[index] / sum(samples)
    return gamma * errors[index] + sum(errors) / len(errors)


def show_rounds(story: Story, look: RequestLook, spec: Specification) -> None:
    """Of each final round: the members' errors, who leads and why, and who approved."""
    for event, made in zip(look.events(RoundFinalised), final_rounds(look, spec), strict=True):
        seen = round_of(look, event.round)
        seats = seats_of(seen.submitted)
        errors = [lane(seen.board.medians, seat) / MAX_SCORE for seat in seats]
        weights = capped_weights({seat: seen.members[seat].samples for seat in seats})
        samples = [weights[seat] for seat in seats]
        shown = table(f"Iteration {event.round}", "member", "d", "MAE (eq. 6)", "MAE^u (eq. 7)", "")
        totals = {}
        for index, seat in enumerate(seats):
            totals[seat] = weighted_error(errors, samples, index)
            shown.add_row(
                short(seen.account(seat)),
                str(samples[index]),
                f"{errors[index]:.4f}",
                f"{totals[seat]:.4f}",
                "leader" if seat == event.leader else "",
            )
        story.show(shown)
        least = min(totals.values())
        story.expect(
            event.leader in totals and totals[event.leader] <= least + 1e-12,
            f"round {event.round}: the leader does not have the lowest MAE^u",
        )
        approved = event.approvals.bit_count()
        story.expect(approved == len(seats), f"round {event.round}: {approved} approvals")
        error = "-" if event.error == INVALID else f"{event.error / MAX_SCORE:.4f}"
        story.step(
            "III-D.2",
            f"the member with the lowest MAE^u leads; MAE(M) = {error}; all {approved} of"
            f" {len(seats)} audited models and M, and approved; block {event.at.block},"
            f" transaction {short(made.transaction)}",
        )
    threshold = spec.target / MAX_SCORE
    story.step(
        "alg. 1, line 2",
        f"ended after {len(look.events(RoundFinalised))} of at most {spec.rounds} iterations"
        f" (threshold: error {threshold:g})",
    )


def show_transactions(story: Story, look: RequestLook, spec: Specification) -> None:
    """Table I's tuple of each model transaction."""
    rounds = {one.number: one for one in final_rounds(look, spec)}
    shown = table(
        "Model transactions (table I)", "round", "owner", "receiver", "model data", "MAE", "time"
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
        " hash of all rounds, which the audit follows",
    )
