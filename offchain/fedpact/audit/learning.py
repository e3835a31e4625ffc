"""Checks of what providers learned: documents, models, scores and aggregates."""

from functools import cached_property

from fedpact.audit.evidence import Evidence, RoundEvidence
from fedpact.audit.history import AuditHistory
from fedpact.audit.report import Unavailable, require
from fedpact.consensus.artefacts import SLICE_MAX_BYTES, model_cid, seal_global, sealed_bytes
from fedpact.consensus.replay import Replay
from fedpact.content.store import ContentStore
from fedpact.learning.families import privacy_statement
from fedpact.types.cid import Cid
from fedpact.types.rounds import seats_of
from fedpact.types.scores import INVALID, lane
from fedpact.types.specification import SPECIFICATION_MAX_BYTES, Specification


class LearningChecks:
    """One method per item; each returns what it saw, or raises Broken or Unavailable.

    Only what is public is checked if the history's keys do not open the request's.
    """

    def __init__(self, evidence: Evidence, store: ContentStore, history: AuditHistory) -> None:
        self._evidence = evidence
        self._store = store
        self._history = history

    def specification(self) -> Specification:
        """The specification as published; raises what the store raises."""
        return self._history.spec

    # ------------------------------------------------------------------ public

    def specification_digest(self) -> str:
        """The specification is available, follows its schema, and says what the terms say."""
        spec, terms = self._history.spec, self._evidence.terms
        published = spec.terms(terms.specification, Cid.parse(spec.initial_model).digest)
        require(published == terms, "the terms on chain differ from the specification")
        cid = Cid.of_digest(terms.specification, SPECIFICATION_MAX_BYTES)
        return f"{cid}; privacy: {privacy_statement(spec)}"

    def initial_model(self) -> str:
        """The initial model is available and fits the template."""
        self._history.initial_model()
        return self._history.spec.initial_model

    def evaluation_slices(self) -> str:
        """The sealed slices are available, each with the content that the specification names."""
        slices = self._history.spec.evaluation
        for part in slices[: max(len(self._evidence.rounds), 1)]:
            self._store.get(Cid.parse(part.cid), SLICE_MAX_BYTES)
        return f"{len(slices)} slices fixed"

    def artefacts(self) -> str:
        """Every model that counted as valid and every final global model is available."""
        template = self._history.template
        count, size = 0, sealed_bytes(template)
        for one in self._evidence.rounds:
            valid = one.tally.valid if one.tally is not None else 0
            wanted = [one.digests[seat] for seat in seats_of(valid)]
            if one.final is not None:
                wanted.append(one.final.digest)
            for digest in wanted:
                self._store.get(model_cid(template, digest), size)
                count += 1
        return f"{count} artefacts"

    # ------------------------------------------------------------------ sealed

    def request_key(self) -> str:
        """The key sealed to this account is the one whose hash is on chain."""
        self._history.request_key  # noqa: B018
        return f"0x{(self._evidence.key_hash or b'').hex()}"

    def models(self) -> str:
        """Every model that counted as valid opens, is well-formed, and belongs to its owner."""
        count, refused = 0, 0
        for one in self._tallied():
            valid = self._history.valid(one.number)
            refused += len(one.digests) - len(valid)
            for seat in valid:
                require(
                    self._history.model(one.number, seat) is not None,
                    f"round {one.number}: the model of seat {seat} counted as valid, but does not"
                    " open as a model of this request",
                )
                count += 1
        return f"{count} models; {refused} counted as invalid"

    def scores(self) -> str:
        """Each median lies within the vote band of the score computed from the models."""
        band, strayed = self._evidence.terms.vote_band, set()
        for one in self._tallied():
            assert one.tally is not None
            computed = self._replay.scores(one.number)
            for seat, score in computed.items():
                median = lane(one.tally.medians, seat)
                require(
                    median == score if INVALID in (median, score) else abs(median - score) <= band,
                    f"round {one.number}: seat {seat} has median {median}, its model scores "
                    f"{score}",
                )
            for voter, vote in one.votes.items():
                others = {seat: score for seat, score in computed.items() if seat != voter}
                if any(lane(vote.word, seat) != score for seat, score in others.items()):
                    strayed.add(voter)
        voters = f"; seats {sorted(strayed)} voted otherwise" if strayed else ""
        return f"{len(self._evidence.tallied)} rounds{voters}"

    def aggregates(self) -> str:
        """Every final global model is the aggregate of the included models, byte for byte."""
        last = b""
        for one in self._final():
            assert one.final is not None
            sealed = seal_global(
                self._replay.global_model(one.number),
                self._history.request_key,
                self._history.round_ref(one.number),
            )
            last = Cid.of(sealed).digest
            require(
                last == one.final.digest,
                f"round {one.number}: 0x{one.final.digest.hex()} is final, 0x{last.hex()} computed",
            )
        return str(model_cid(self._history.template, last))

    def global_errors(self) -> str:
        """Each final error lies within the vote band of the aggregate's error on the slice."""
        errors = []
        for one in self._final():
            assert one.final is not None
            error = self._replay.error_of(one.number, self._replay.global_model(one.number))
            near = abs(one.final.mae - error) <= self._evidence.terms.vote_band
            require(
                one.final.mae == error or (INVALID not in (one.final.mae, error) and near),
                f"round {one.number}: error {one.final.mae} is final, {error} measured",
            )
            errors.append(error)
        return ", ".join("none" if error == INVALID else str(error) for error in errors)

    # ------------------------------------------------------------------ parts

    @cached_property
    def _replay(self) -> Replay:
        return Replay(self._history)

    def _tallied(self) -> list[RoundEvidence]:
        self._history.request_key  # noqa: B018
        if not self._evidence.tallied:
            raise Unavailable("no round was tallied")
        return self._evidence.tallied

    def _final(self) -> list[RoundEvidence]:
        finals = [one for one in self._tallied() if one.final is not None]
        if not finals:
            raise Unavailable("no round is final")
        return finals
