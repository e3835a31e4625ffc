"""One line about each request, for lists and searches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

from fedpact.dashboard.index.reading import DescribedRequest
from fedpact.dashboard.story import RequestStage, RequestStory
from fedpact.dashboard.units import Wei
from fedpact.types.privacy import PrivacyMode
from fedpact.types.requests import ETHER
from fedpact.types.specification import Specification


class RequestSummary(BaseModel):
    """A request in a list."""

    model_config = ConfigDict(frozen=True)

    request: int
    title: str
    """Empty where the specification is not known."""
    category: str
    task: str
    requester: str
    stage: str
    """open, running, ended, delivered, disputed, paid or refunded."""
    cancelled: bool
    created_at: int
    """Unix time, seconds."""
    transaction: str
    """The transaction that published the request."""
    specification: str
    """CID."""
    pay: Wei
    token: str
    """Zero address: ether."""
    joined: int
    min_pool: int
    max_pool: int
    cohort: int
    round: int
    """The present or last round; 0: none yet."""
    round_transaction: str
    """The transaction that opened it."""
    max_rounds: int
    final_rounds: int
    error: int | None
    """Of the last global model, in 1/10,000."""
    error_transaction: str
    """The transaction that made this error final."""
    target: int
    """In 1/10,000; 0: none."""
    join_deadline: int
    """Unix time, seconds."""
    privacy: str
    """In words."""
    epsilon: float | None
    """Guaranteed or claimed, as `privacy` says."""

    def joinable(self, now: int) -> bool:
        """Whether providers can join at a Unix time, in seconds."""
        in_time = self.stage == RequestStage.OPEN and now <= self.join_deadline
        return in_time and self.joined < self.max_pool


@dataclass(frozen=True)
class IndexRow:
    """A summary with what the index searches and sorts by."""

    summary: RequestSummary
    search: str

    @property
    def ether_pay(self) -> int:
        """By which lists are sorted: units of different tokens do not compare. Wei; 0: a token."""
        return self.summary.pay if self.summary.token == ETHER else 0

    @property
    def columns(self) -> tuple[Any, ...]:
        one = self.summary
        found = (one.request, one.created_at, one.requester, one.stage, one.title, one.category)
        sizes = (self.search, float(self.ether_pay), one.epsilon, one.join_deadline)
        return (*found, *sizes, one.specification, one.model_dump_json())


def summarise(story: RequestStory, described: DescribedRequest) -> IndexRow:
    terms, created, spec = story.terms, story.created, described.spec
    errors, rounds = story.errors, story.counted_rounds
    at = created.at.timestamp or 0
    summary = RequestSummary(
        request=story.id,
        title=spec.title if spec else "",
        category=spec.category if spec else "",
        task=spec.task if spec else "",
        requester=created.requester,
        stage=story.stage,
        cancelled=story.cancelled,
        created_at=at,
        transaction=created.at.tx_hash,
        specification=described.cid,
        pay=terms.pay,
        token=terms.token,
        joined=len(story.joined),
        min_pool=terms.min_pool,
        max_pool=terms.max_pool,
        cohort=terms.cohort,
        round=rounds[-1].number if rounds else 0,
        round_transaction=rounds[-1].opened.at.tx_hash if rounds else "",
        max_rounds=terms.max_rounds,
        final_rounds=sum(one.final is not None for one in rounds),
        error=errors[-1][1] if errors else None,
        error_transaction=errors[-1][0].end_transaction if errors else "",
        target=terms.target,
        join_deadline=at + terms.join_window,
        privacy=spec.privacy.statement if spec else "",
        epsilon=_epsilon(spec),
    )
    return IndexRow(summary, _searchable(spec, created.requester))


def _epsilon(spec: Specification | None) -> float | None:
    if spec is None or spec.privacy.mode is PrivacyMode.NONE:
        return None
    return spec.privacy.epsilon


def _searchable(spec: Specification | None, requester: str) -> str:
    """What the data are about, in lower case."""
    if spec is None:
        return requester.lower()
    words = [spec.title, spec.category, spec.task, *spec.labels, *spec.features.names, requester]
    return "\n".join(words).lower()
