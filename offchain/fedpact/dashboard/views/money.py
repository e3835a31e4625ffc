"""Where a request's money is: what came in, what went to whom, what is still held."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from fedpact.chain.bindings.events import Paid, RoundsEnded
from fedpact.consensus.payout import payouts, refunds_of, sums_of
from fedpact.dashboard.index.reading import Transaction
from fedpact.dashboard.story import RequestStage, RequestStory
from fedpact.dashboard.units import Wei
from fedpact.dashboard.views.blocks import View
from fedpact.types.requests import ETHER


class MemberRow(View):
    """What one member of the pool did and earned in a request."""

    account: str
    organisation: int
    samples: int
    joined_at: int
    transaction: str
    """Of joining."""
    rounds: int
    """In which it submitted a model; of large rounds, those that gave it points."""
    points: int
    faults: int
    share: Wei
    """Of the pay: what it got, or would get if the request ended now and were delivered."""
    refund: Wei
    """Of gas, for what it posted for all."""
    share_transaction: str
    """The transaction that paid the share; empty before."""
    refund_transaction: str
    """The transaction that paid the refund; empty before."""
    paid: Wei
    """Sent to it so far in the token of the pay."""
    paid_ether: Wei
    """Sent to it so far in ether; the same as `paid` where the pay is in ether."""
    gas: int
    gas_fee: Wei
    """What its own transactions cost."""


class Flow(View):
    """One amount that moved, or that is still held."""

    what: str
    account: str
    token: str
    amount: Wei
    transaction: str


class MoneyView(View):
    """Money of a request; of each token, `received` = `sent` + `held`."""

    token: str
    received: tuple[Flow, ...]
    sent: tuple[Flow, ...]
    held: tuple[Flow, ...]
    settled: bool

    def total(self, token: str) -> int:
        """Of all that came in of a token."""
        return sum(one.amount for one in self.received if one.token == token)


def money_view(story: RequestStory) -> MoneyView:
    terms, created = story.terms, story.created
    of = {"account": created.requester, "transaction": created.at.tx_hash}
    received = [
        Flow(what="pay", token=terms.token, amount=terms.pay, **of),
        Flow(what="gas of all rounds", token=ETHER, amount=terms.gas_budget, **of),
    ]
    refunds = refunds_of(story.entries, terms.gas_budget)
    sent = [
        Flow(
            what=_what(one, created.requester, refunds)
            + (", kept for withdrawal" if one.credited else ""),
            account=one.account,
            token=one.token,
            amount=one.amount,
            transaction=one.at.tx_hash,
        )
        for one in story.paid()
    ]
    held = []
    for token in dict.fromkeys(one.token for one in received):
        rest = sum(one.amount for one in received if one.token == token)
        rest -= sum(one.amount for one in sent if one.token == token)
        if rest:
            held.append(
                Flow(
                    what="held by the market", account="", token=token, amount=rest, transaction=""
                )
            )
    return MoneyView(
        token=terms.token,
        received=tuple(received),
        sent=tuple(sent),
        held=tuple(held),
        settled=story.stage in (RequestStage.PAID, RequestStage.REFUNDED),
    )


def _what(paid: Paid, requester: str, refunds: Mapping[str, int]) -> str:
    """What a payment is for; `refunds`: of gas, by account in lower case."""
    if paid.account == requester:
        return "back to the requester"
    if paid.token == ETHER and paid.amount == refunds.get(paid.account.lower()):
        return "gas back"
    return "share of the pay"


def member_rows(story: RequestStory, transactions: dict[str, Transaction]) -> tuple[MemberRow, ...]:
    """In the order of the pool where that is known, else of joining."""
    terms, entries = story.terms, story.entries
    sums = sums_of(entries)
    shares = payouts(
        entries,
        terms.pay,
        due=story.stage not in (RequestStage.DISPUTED, RequestStage.REFUNDED),
        reached=_reached(story),
        max_rounds=terms.max_rounds,
    )
    refunds = refunds_of(entries, terms.gas_budget)
    order = [one.account for one in story.pool.members] if story.pool else []
    index = {account: number for number, account in enumerate(order)}
    joined = sorted(story.joined, key=lambda one: index.get(one.provider, len(index)))
    paid, submitted = _paid(story), _submitted(story)
    paid_by = {(one.account, one.token, one.amount): one.at.tx_hash for one in story.paid()}
    sent: dict[str, list[Transaction]] = {}
    for each in transactions.values():
        sent.setdefault(each.sender, []).append(each)
    rows = []
    for one in joined:
        at = index.get(one.provider)
        own = sums.get(at) if at is not None else None
        own_sent = sent.get(one.provider, [])
        share = shares.get(at, 0) if at is not None else 0
        refund = refunds.get(one.provider.lower(), 0)
        rows.append(
            MemberRow(
                account=one.provider,
                organisation=one.organisation,
                samples=one.samples,
                joined_at=one.at.timestamp or 0,
                transaction=one.at.tx_hash,
                rounds=0 if at is None else submitted[at],
                points=own.points if own else 0,
                faults=own.faults if own else 0,
                share=share,
                refund=refund,
                share_transaction=paid_by.get((one.provider, terms.token, share), ""),
                refund_transaction=paid_by.get((one.provider, ETHER, refund), ""),
                paid=paid[one.provider, terms.token],
                paid_ether=paid[one.provider, ETHER],
                gas=sum(each.gas for each in own_sent),
                gas_fee=sum(each.fee for each in own_sent),
            )
        )
    return tuple(rows)


def _paid(story: RequestStory) -> Counter[tuple[str, str]]:
    """Amounts sent so far, by account and token."""
    found: Counter[tuple[str, str]] = Counter()
    for one in story.paid():
        found[one.account, one.token] += one.amount
    return found


def _reached(story: RequestStory) -> bool:
    """Whether the target was met, which ends the rounds and makes the whole pay due."""
    ended = story.last(RoundsEnded)
    return ended is not None and ended.reached


def _submitted(story: RequestStory) -> Counter[int]:
    """Rounds in which a member submitted a model, by its pool index. Which models a large round has
    is not on chain: those count that gave it points."""
    found: Counter[int] = Counter()
    for one in story.counted_rounds:
        cohort = story.cohort_of(one)
        found.update(index for seat, index in enumerate(cohort) if seat in one.digests)
        found.update(i for i, points in enumerate(story.points_by_index(one)) if points)
    return found
