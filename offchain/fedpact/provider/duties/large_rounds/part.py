"""What the parts of judging a large round share: the round as one judge sees it, its content."""

from __future__ import annotations

from contextlib import suppress

from fedpact.consensus.committee_evidence import (
    EVIDENCE_MAX_BYTES,
    ModelList,
)
from fedpact.errors import ContentError, Retryable
from fedpact.exchange.messages import Kind, Message
from fedpact.provider.duties.large_rounds.proposals import Proposals
from fedpact.provider.duties.large_rounds.submitting import (
    needed_of,
)
from fedpact.provider.duties.messages import Talk
from fedpact.provider.request.history import evidence_content
from fedpact.provider.request.reading import (
    put,
)
from fedpact.provider.request.view import LargeView
from fedpact.types.cid import Cid


class JudgesPart:
    """One judge's part in a round."""

    def __init__(self, view: LargeView, talk: Talk) -> None:
        self._view, self._talk = view, talk
        self._at = (view.id, view.round)
        self._proposals = Proposals(view, talk)
        self._order = self._proposals.order
        self._needed = needed_of(view)

    def _contradicting(self, kind: Kind) -> set[int]:
        """Seats that said two things."""
        return {seat for of, seat in self._talk.board.contradictions if of is kind}

    def _content(self, digest: bytes) -> bytes:
        return evidence_content(self._view, digest)

    def _keep(self, what: str, content: bytes) -> None:
        """In the state: what is voted for good is not computed again."""
        view = self._view
        if self._kept(what) is None:
            row = (f"{what} {view.start}", view.seat, content.decode())
            view.ctx.state.said.hear(*self._at, [row])

    def _kept(self, what: str) -> bytes | None:
        view = self._view
        found = view.ctx.state.said.heard(*self._at, [f"{what} {view.start}"])
        return found[0].encode() if found else None

    def _publish(self, content: bytes) -> None:
        """Put evidence into the store, and keep it here. A store that is slow gets it later."""
        view, digest = self._view, Cid.of(content).digest
        if len(content) > EVIDENCE_MAX_BYTES:
            raise ContentError(f"{len(content)} bytes of evidence: at most {EVIDENCE_MAX_BYTES}")
        view.ctx.cache.evidence[(view.id, view.round, digest)] = content
        with suppress(Retryable):
            put(view, content, "evidence")

    def _slices(self) -> list[Message]:
        """What the requester sent; it may have sent two."""
        board = self._talk.board
        found = [board.messages, board.contradictions]
        return [one for held in found for (kind, _), one in held.items() if kind is Kind.SLICE]

    def _voters(self, listed: ModelList) -> set[int]:
        held = self._talk.held(Kind.VOTE)
        return {seat for seat, one in held.items() if one.more == listed.digest}
