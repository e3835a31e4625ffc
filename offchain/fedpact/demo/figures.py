"""The figures of a demo, read from the chain."""

from collections import Counter
from collections.abc import Collection, Sequence

from fedpact.chain.addresses import checksum
from fedpact.chain.bindings.events import Paid, RoundFinalised, RoundOpened, Settled
from fedpact.chain.client import ChainClient
from fedpact.consensus.artefacts import model_cid
from fedpact.consensus.payout import refunds_of, sums_of
from fedpact.demo.result import DemoProvider, DemoResult, Ending, ProviderRow, RoundRow
from fedpact.learning.families import family_of, privacy_statement
from fedpact.privacy.accounting import PrivacyCost, cost
from fedpact.privacy.releases import of_request, of_rounds
from fedpact.requester.fetching import RoundLook, round_of
from fedpact.requester.request_view import look
from fedpact.types.requests import seats_of
from fedpact.types.scores import INVALID
from fedpact.types.specification import Specification


def collect(
    client: ChainClient,
    request_id: int,
    spec: Specification,
    providers: Sequence[DemoProvider],
    ending: Ending,
) -> DemoResult:
    """Read the tables' figures from the chain."""
    seen = look(client, request_id)
    gas = {tx: client.gas_used(tx) for tx in {one.at.tx_hash for one in seen.all_events()}}
    rounds = {one.round: round_of(seen, one.round) for one in seen.events(RoundFinalised)}
    template = family_of(spec).template(spec)
    rows = []
    for event, seconds in timed(seen.events(RoundFinalised), ending.round_seconds):
        found, at = rounds[event.round], event.round
        left_out = seats_of(found.submitted & ~found.included)
        # What opens a round is the end of the one before it, or the start.
        about = {
            one.at.tx_hash
            for one in seen.all_events()
            if getattr(one, "round", None) == at and not isinstance(one, RoundOpened)
        }
        rows.append(
            RoundRow(
                found.account(event.leader) if event.leader < len(found.members) else "-",
                tuple(found.account(seat) for seat in left_out),
                str(model_cid(template, event.digest)),
                None if event.error == INVALID else event.error,
                sum(gas[tx] for tx in about),
                round(seconds, 3),
            )
        )
    listed, members = seen.entries(), client.pool.members(request_id)
    earned = {members[index].account: one for index, one in sums_of(listed).items()}
    paid: Counter[str] = Counter()
    for one in seen.events(Paid):
        paid[one.account] += one.amount
    for poster, wei in refunds_of(listed, seen.terms.gas_budget).items():
        paid[checksum(bytes.fromhex(poster[2:]))] -= wei
    whole = of_request(spec)
    return DemoResult(
        tuple(rows),
        tuple(
            ProviderRow(
                one.address,
                one.poisoned.value if one.poisoned else None,
                one.samples,
                earned[one.address].points if one.address in earned else 0,
                paid.get(one.address, 0),
                *_epsilon(spec, one, rounds),
                client.reputation.reputation(one.address),
                earned[one.address].faults if one.address in earned else 0,
                sum(at.drew(one.address) for at in rounds.values()),
            )
            for one in providers
        ),
        ending.final,
        sum(gas.values()),
        ending.seconds,
        sum(one.refund + one.gas_refund for one in seen.events(Settled)),
        ending.audit,
        None if whole is None or spec.privacy.delta is None else cost(whole, spec.privacy.delta),
        privacy_statement(spec),
        missed_rounds(spec.rounds, rounds, reached=client.any_rounds.outcome(request_id).reached),
    )


def timed(
    finals: Sequence[RoundFinalised], seconds: Sequence[float]
) -> list[tuple[RoundFinalised, float]]:
    """Each final round with the seconds since the one before it; 0 where nobody measured them.

    `seconds`: of the first final round, the second and so on, whatever their numbers.
    """
    measured = [*seconds, *[0.0] * len(finals)]
    return list(zip(finals, measured, strict=False))


def missed_rounds(asked: int, final: Collection[int], *, reached: bool) -> tuple[int, ...]:
    """The rounds that did not become final, of those that were asked for; `reached`: the request
    ended early because its target was met."""
    last = max(final, default=0) if reached else asked
    return tuple(number for number in range(1, last + 1) if number not in final)


def _epsilon(
    spec: Specification, one: DemoProvider, rounds: dict[int, RoundLook]
) -> tuple[float | None, float | None]:
    """What a provider's releases cost, in the rounds for which it was drawn and submitted."""
    spent = spent_in(spec, [number for number, at in rounds.items() if at.has_model(one.address)])
    if spent is None or one.poisoned:
        return None, None
    return round(spent.epsilon, 4), spent.delta


def spent_in(spec: Specification, rounds: Sequence[int]) -> PrivacyCost | None:
    """The cost to each record of releases in these rounds; None without privacy or a round."""
    release = of_rounds(spec, rounds)
    if release is None or spec.privacy.delta is None:
        return None
    return cost(release, spec.privacy.delta)
