"""Checks that need the content store, and those that need a seal: slices, models, aggregates."""

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from fedpact.audit.evidence import Evidence, RoundEvidence
from fedpact.audit.report import Unavailable, require
from fedpact.consensus.artefacts import (
    SLICE_MAX_BYTES,
    RoundRef,
    model_cid,
    open_local,
    open_slice,
    seal_global,
    sealed_bytes,
)
from fedpact.content.keys import MANIFEST_MAX_BYTES, Manifest, key_hash
from fedpact.content.store import ContentStore
from fedpact.errors import ContentError, DecryptionError, ModelError
from fedpact.types.cid import Cid
from fedpact.types.rounds import seats_of
from fedpact.types.scores import INVALID, lane
from fedpact.types.specification import SPECIFICATION_MAX_BYTES, Specification

if TYPE_CHECKING:
    from fedpact.audit.chain import ChainFacts
    from fedpact.chain.keystore import AccountKeys
    from fedpact.data.dataset import Dataset
    from fedpact.learning.artefact import Model, Template
    from fedpact.learning.families import ModelFamily


class LearningChecks:
    """One method an item; each returns what it saw, or raises Broken or Unavailable.

    `keys`: an account to which the request's keys were sealed (a member, or an auditor named in
    the specification); without it only what is public is looked at.
    """

    def __init__(
        self,
        evidence: Evidence,
        facts: "ChainFacts",
        store: ContentStore,
        keys: "AccountKeys | None",
    ) -> None:
        self._e = evidence
        self._facts = facts
        self._store = store
        self._keys = keys
        self._scores: dict[int, dict[int, int]] = {}
        self._slices: dict[int, Dataset | None] = {}
        self._models: dict[int, dict[int, Model | None]] = {}

    def specification(self) -> Specification:
        """As published; raises what the store raises."""
        return self._spec

    # ------------------------------------------------------------------ public

    def specification_digest(self) -> str:
        """The specification can be had, keeps its schema, and says what the terms say."""
        spec = self._spec
        terms = spec.terms(self._e.terms.specification, Cid.parse(spec.initial_model).digest)
        require(terms == self._e.terms, "the terms on chain differ from the specification")
        cid = Cid.of_digest(self._e.terms.specification, SPECIFICATION_MAX_BYTES)
        return f"{cid}; privacy: {spec.privacy.statement}"

    def initial_model(self) -> str:
        """The first model can be had and fits the template."""
        self._first_model()
        return self._spec.initial_model

    def evaluation_slices(self) -> str:
        """The sealed slices can be had; each is the content that the specification names."""
        for part in self._spec.evaluation[: max(len(self._e.rounds), 1)]:
            self._store.get(Cid.parse(part.cid), SLICE_MAX_BYTES)
        return f"{len(self._spec.evaluation)} slices fixed"

    def artefacts(self) -> str:
        """Every model that was counted as valid and every final global model can be had."""
        count, size = 0, sealed_bytes(self._template)
        for one in self._e.rounds:
            valid = one.tally.valid if one.tally is not None else 0
            wanted = [one.digests[seat] for seat in seats_of(valid)]
            if one.final is not None:
                wanted.append(one.final.digest)
            for digest in wanted:
                self._store.get(model_cid(self._template, digest), size)
                count += 1
        return f"{count} artefacts"

    # ------------------------------------------------------------------ sealed

    def request_key(self) -> str:
        """The key sealed to this account is the one whose hash stands on chain."""
        self._request_key  # noqa: B018
        return f"0x{(self._e.key_hash or b'').hex()}"

    def models(self) -> str:
        """Every model that was counted as valid opens, is well-formed, and belongs to its owner."""
        count, refused = 0, 0
        for one in self._rounds():
            models = self._round_models(one)
            for seat, model in models.items():
                if not self._counted(one, seat):
                    refused += 1
                    continue
                require(
                    model is not None,
                    f"round {one.number}: the model of seat {seat} counted as valid and is none",
                )
                count += 1
        return f"{count} models; {refused} counted as invalid"

    def scores(self) -> str:
        """Each median lies within the vote band of the score that the models themselves give."""
        band, strayed = self._e.terms.vote_band, set()
        for one in self._rounds():
            mine = self._recomputed(one)
            assert one.tally is not None
            for seat, score in mine.items():
                median = lane(one.tally.medians, seat)
                require(
                    median == score if INVALID in (median, score) else abs(median - score) <= band,
                    f"round {one.number}: seat {seat} has median {median}, its model {score}",
                )
            for voter, vote in one.votes.items():
                if any(lane(vote.word, s) != score for s, score in mine.items() if s != voter):
                    strayed.add(voter)
        voters = f"; other votes were cast by seats {sorted(strayed)}" if strayed else ""
        return f"{len(self._e.tallied)} rounds{voters}"

    def aggregates(self) -> str:
        """Every final global model is the included models' aggregate, byte for byte."""
        finals = [one for one in self._rounds() if one.final is not None]
        for one in finals:
            assert one.final is not None
            sealed = seal_global(self._globals[one.number], self._request_key, self._round_ref(one))
            require(
                Cid.of(sealed).digest == one.final.digest,
                f"round {one.number}: 0x{one.final.digest.hex()} is final, "
                f"0x{Cid.of(sealed).digest.hex()} computed",
            )
        if not finals:
            raise Unavailable("no round is final")
        return str(model_cid(self._template, finals[-1].final.digest if finals[-1].final else b""))

    def global_errors(self) -> str:
        """Each final error lies within the vote band of the aggregate's error on the slice."""
        errors = []
        for one in self._rounds():
            if one.final is None:
                continue
            part = self._slice(one)
            mine = INVALID
            if part is not None:
                mine = self._family.error(self._spec, self._globals[one.number], part.x, part.y)
            near = abs(one.final.mae - mine) <= self._e.terms.vote_band
            require(
                one.final.mae == mine or (INVALID not in (one.final.mae, mine) and near),
                f"round {one.number}: error {one.final.mae} is final, {mine} measured",
            )
            errors.append(mine)
        if not errors:
            raise Unavailable("no round is final")
        return ", ".join("none" if error == INVALID else str(error) for error in errors)

    # ------------------------------------------------------------------ parts

    @cached_property
    def _spec(self) -> Specification:
        cid = Cid.of_digest(self._e.terms.specification, SPECIFICATION_MAX_BYTES)
        return Specification.decode(self._store.get(cid, SPECIFICATION_MAX_BYTES))

    @cached_property
    def _family(self) -> "ModelFamily[Any]":
        from fedpact.learning.families import family_of

        return family_of(self._spec)

    @cached_property
    def _template(self) -> "Template":
        return self._family.template(self._spec)

    def _first_model(self) -> "Model":
        from fedpact.learning.artefact import decode

        cid = Cid.parse(self._spec.initial_model)
        return decode(self._store.get(cid, self._template.bytes), self._template)

    @cached_property
    def _request_key(self) -> bytes:
        if self._e.manifest is None or self._e.key_hash is None:
            raise Unavailable("not started")
        key = self._unsealed(self._e.manifest)
        require(key_hash(key) == self._e.key_hash, "another key was sealed to this account")
        return key

    def _unsealed(self, manifest_digest: bytes) -> bytes:
        """A key from its manifest; Unavailable where there is no seal for this account."""
        if self._keys is None:
            raise Unavailable("sealed: name an account that was a member or auditor")
        cid = Cid.of_digest(manifest_digest, MANIFEST_MAX_BYTES)
        manifest = Manifest.decode(self._store.get(cid, MANIFEST_MAX_BYTES))
        address = self._keys.address
        if address.lower() not in manifest.seals:
            raise Unavailable(f"nothing was sealed to {address}")
        for version in range(self._facts.key_version(address), 0, -1):
            try:
                return manifest.open(address, self._keys.encryption_key(version))
            except DecryptionError:
                continue
        raise DecryptionError(f"the seal for {address} opens with none of its keys")

    def _rounds(self) -> list[RoundEvidence]:
        self._request_key  # noqa: B018
        if not self._e.tallied:
            raise Unavailable("no round was tallied")
        return self._e.tallied

    def _round_ref(self, one: RoundEvidence) -> RoundRef:
        return RoundRef(self._facts.deployment.fingerprint, self._e.request_id, one.number)

    def _round_models(self, one: RoundEvidence) -> Mapping[int, "Model | None"]:
        """By seat; None for what is no model of the template, and for what the votes found invalid:
        whether it was published in time cannot be seen afterwards."""
        if one.number not in self._models:
            self._models[one.number] = {
                seat: self._model(one, seat, digest) for seat, digest in one.digests.items()
            }
        return self._models[one.number]

    def _model(self, one: RoundEvidence, seat: int, digest: bytes) -> "Model | None":
        if not self._counted(one, seat):
            return None
        try:
            cid = model_cid(self._template, digest)
            sealed = self._store.get(cid, sealed_bytes(self._template))
            owner = one.owners[seat]
            round_ref = self._round_ref(one)
            return open_local(sealed, self._request_key, round_ref, owner, self._template)
        except (ContentError, ModelError):
            return None

    def _counted(self, one: RoundEvidence, seat: int) -> bool:
        return one.tally is not None and bool(one.tally.valid >> seat & 1)

    def _slice(self, one: RoundEvidence) -> "Dataset | None":
        """The round's evaluation slice; None where the requester did not open it."""
        if one.number not in self._slices:
            if one.slice_manifest is None:
                self._slices[one.number] = None
            else:
                key = self._unsealed(one.slice_manifest)
                cid = Cid.parse(self._spec.evaluation[one.number - 1].cid)
                sealed = self._store.get(cid, SLICE_MAX_BYTES)
                self._slices[one.number] = open_slice(self._spec, one.number, key, sealed)
        return self._slices[one.number]

    def _recomputed(self, one: RoundEvidence) -> dict[int, int]:
        """The scores of a round; those before are worked out first, as they carry over."""
        from fedpact.consensus.scoring import ContributionRecord, RoundInputs, score_round

        if not self._scores:
            record = ContributionRecord()
            for earlier in self._e.tallied:
                samples = {seat: self._e.seats[seat][1] for seat in earlier.digests}
                inputs = RoundInputs(
                    self._spec,
                    earlier.number,
                    self._globals[earlier.number - 1],
                    self._round_models(earlier),
                    samples,
                    self._slice(earlier),
                    self._starts(earlier),
                    self._published_before(earlier),
                )
                self._scores[earlier.number], record = score_round(inputs, record)
        return self._scores[one.number]

    def _published_before(self, one: RoundEvidence) -> "dict[int, Model]":
        """The models of the round before that counted as valid, by seat."""
        past = [earlier for earlier in self._e.tallied if earlier.number == one.number - 1]
        models = self._round_models(past[0]) if past else {}
        return {seat: model for seat, model in models.items() if model is not None}

    def _starts(self, one: RoundEvidence) -> "dict[int, Model]":
        """Where the strategy had each seat's local training start, from its models before."""
        from fedpact.learning.local import reach
        from fedpact.learning.strategies import Globals, strategy

        plan, found = strategy(self._spec.strategy), {}
        globals_ = Globals(self._globals[0], self._globals[one.number - 1])
        for seat in one.digests:
            memory = None
            for earlier in self._e.tallied if plan.remembers else ():
                if earlier.number >= one.number or not self._counted(earlier, seat):
                    continue
                model = self._round_models(earlier)[seat]
                require(model is not None, f"round {earlier.number}: seat {seat} has no model")
                assert model is not None
                factors = reach(self._spec, self._e.seats[seat][1])
                memory = plan.remember(globals_, memory, model, factors)
            found[seat] = plan.local(globals_, memory).start
        return found

    @cached_property
    def _globals(self) -> dict[int, "Model"]:
        """The global model after each final round, recomputed; 0 is the first model."""
        from fedpact.consensus.aggregate import global_model

        found = {0: self._first_model()}
        for one in self._e.finals:
            assert one.tally is not None
            models = self._round_models(one)
            included = seats_of(one.tally.included)
            chosen = {seat: model for seat in included if (model := models[seat]) is not None}
            require(len(chosen) == len(included), f"round {one.number}: an included model is none")
            samples = {seat: self._e.seats[seat][1] for seat in one.digests}
            found[one.number] = global_model(
                self._spec,
                one.number,
                found[one.number - 1],
                chosen,
                samples,
                included,
                before=found.get(one.number - 2),
            )
        return found
