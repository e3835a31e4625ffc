"""Checks of what providers learned: documents, models, scores and aggregates."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from fedpact.audit.history import AuditHistory
from fedpact.audit.report import Unavailable, require
from fedpact.consensus.artefacts import SLICE_MAX_BYTES, model_cid, seal_global, sealed_bytes
from fedpact.content.keys import key_hash
from fedpact.content.store import ContentStore
from fedpact.learning.families import privacy_statement
from fedpact.types.cid import Cid
from fedpact.types.scores import INVALID
from fedpact.types.specification import JudgedOn, Specification

JUDGED_THEMSELVES = "by members on records of their own, which nobody can compute again"


@dataclass(frozen=True)
class Judged:
    """A round as the chain left it; members are pool indices, in the first protocol seats."""

    number: int
    refused: int
    """Submitted models that the votes found invalid."""
    valid: Mapping[int, bytes]
    """Digest of each model that counted as valid, by member."""
    medians: Mapping[int, int]
    """Of each submitted model; none where nobody judged."""
    votes: Mapping[int, Mapping[int, int]]
    """Each voter's scores of the others."""
    final: bytes | None
    """The global model; None where the round did not become final."""
    error: int
    """Of the final model."""
    reference: int
    """The number under which the final model is sealed."""
    tallied: bool
    """Whether it was judged, or found to be blind."""


class LearningChecks:
    """One method per item; each returns what it saw, or raises Broken or Unavailable.

    Only what is public is checked if the history's keys do not open the request's.

    Args:
        rounds: gives all that were opened, oldest first.
        vote_band: of the terms.
        agrees: raises what is wrong where the terms on chain contradict the specification.
    """

    def __init__(
        self,
        history: AuditHistory,
        store: ContentStore,
        rounds: Callable[[], Sequence[Judged]],
        vote_band: int,
        agrees: Callable[[Specification], None],
    ) -> None:
        self._history = history
        self._store = store
        self._read = rounds
        self._band = vote_band
        self._agrees = agrees

    def specification(self) -> Specification:
        """The specification as published; raises what the store raises."""
        return self._history.spec

    # ------------------------------------------------------------------ public

    def specification_digest(self) -> str:
        """The specification is available, follows its schema, and says what the terms say."""
        spec = self._history.spec
        self._agrees(spec)
        return f"{self._history.specification_cid}; privacy: {privacy_statement(spec)}"

    def initial_model(self) -> str:
        """The initial model is available and fits the template."""
        self._history.initial_model()
        return self._history.spec.initial_model

    def evaluation_slices(self) -> str:
        """The sealed slices are available, each with the content that the specification names."""
        slices = self._history.spec.evaluation
        for part in slices[: max(len(self._rounds), 1)]:
            self._store.get(Cid.parse(part.cid), SLICE_MAX_BYTES)
        return f"{len(slices)} slices fixed"

    def artefacts(self) -> str:
        """Every model that counted as valid and every final global model is available."""
        template = self._history.template
        count, size = 0, sealed_bytes(template)
        for one in self._rounds:
            for digest in one.valid.values():
                self._store.get(*self._history.submitted_content(digest))
            if one.final is not None:
                self._store.get(model_cid(template, one.final), size)
            count += len(one.valid) + (one.final is not None)
        return f"{count} artefacts"

    # ------------------------------------------------------------------ sealed

    def request_key(self) -> str:
        """The key sealed to this account is the one whose hash is on chain."""
        return f"0x{key_hash(self._history.request_key).hex()}"

    def models(self) -> str:
        """Every model that counted as valid opens, is well-formed, and belongs to its owner."""
        count = 0
        for one in self._tallied():
            for seat in one.valid:
                require(
                    self._history.model(one.number, seat) is not None,
                    f"round {one.number}: the model of seat {seat} counted as valid, but does not"
                    " open as a model of this request",
                )
                count += 1
        refused = sum(one.refused for one in self._tallied())
        return f"{count} models; {refused} counted as invalid"

    def scores(self) -> str:
        """Each median lies within the vote band of the score computed from the models. Where
        members judged on own records, only what is no model of the request can be told."""
        strayed: set[int] = set()
        judged = [one for one in self._tallied() if one.medians]
        own = self._own_records
        for one in judged:
            computed = self._history.replay.scores(one.number)
            for seat, score in computed.items():
                median = one.medians[seat]
                close = own or abs(median - score) <= self._band
                require(
                    median == score if INVALID in (median, score) else close,
                    f"round {one.number}: seat {seat} has median {median}, its model scores "
                    f"{score}",
                )
            for voter, vote in one.votes.items() if not own else ():
                others = {seat: score for seat, score in computed.items() if seat != voter}
                if any(vote.get(seat) != score for seat, score in others.items()):
                    strayed.add(voter)
        voters = f"; seats {sorted(strayed)} voted otherwise" if strayed else ""
        voters = f"; {JUDGED_THEMSELVES}" if own else voters
        return f"{len(judged)} rounds{voters}"

    def aggregates(self) -> str:
        """Every final global model is the aggregate of the included models, byte for byte."""
        last = b""
        for one in self._final():
            sealed = seal_global(
                self._history.replay.global_model(one.number),
                self._history.request_key,
                self._history.round_ref(one.reference),
            )
            last = Cid.of(sealed).digest
            require(
                last == one.final,
                f"round {one.number}: 0x{(one.final or b'').hex()} is final, 0x{last.hex()}"
                " computed",
            )
        return str(model_cid(self._history.template, last))

    def global_errors(self) -> str:
        """Each final error lies within the vote band of the aggregate's error on the slice; where
        members judged on records of their own, there is one."""
        errors = []
        for one in self._final():
            error = self._history.replay.error_of(
                one.number, self._history.replay.global_model(one.number)
            )
            near = self._own_records or abs(one.error - error) <= self._band
            require(
                one.error == error or (INVALID not in (one.error, error) and near),
                f"round {one.number}: error {one.error} is final, {error} measured",
            )
            errors.append(error)
        return ", ".join("none" if error == INVALID else str(error) for error in errors)

    # ------------------------------------------------------------------ parts

    @property
    def _own_records(self) -> bool:
        return self._history.spec.judged_on is JudgedOn.OWN_RECORDS

    @cached_property
    def _rounds(self) -> Sequence[Judged]:
        return self._read()

    def _tallied(self) -> list[Judged]:
        self._history.require_key()
        found = [one for one in self._rounds if one.tallied]
        if not found:
            raise Unavailable("no round was tallied")
        return found

    def _final(self) -> list[Judged]:
        finals = [one for one in self._tallied() if one.final is not None]
        if not finals:
            raise Unavailable("no round is final")
        return finals
