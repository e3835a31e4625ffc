"""A request's history as an auditor knows it: from the chain's events and the content store."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from fedpact.audit.evidence import Evidence, RoundEvidence, Tally
from fedpact.audit.report import Unavailable, require
from fedpact.consensus.artefacts import (
    SLICE_MAX_BYTES,
    RoundRef,
    model_cid,
    open_local,
    open_slice,
    sealed_bytes,
)
from fedpact.content.keys import MANIFEST_MAX_BYTES, Manifest, key_hash
from fedpact.content.store import ContentStore
from fedpact.errors import ContentError, DecryptionError, ModelError
from fedpact.learning.artefact import Model, Template, decode
from fedpact.learning.families import family_of
from fedpact.types.cid import Cid
from fedpact.types.rounds import seats_of
from fedpact.types.specification import SPECIFICATION_MAX_BYTES, Specification

if TYPE_CHECKING:
    from fedpact.audit.chain import ChainFacts
    from fedpact.chain.keystore import AccountKeys
    from fedpact.consensus.scoring import ContributionRecord
    from fedpact.data.dataset import Dataset


class AuditHistory:
    """No member's result is taken over: scores and global models are computed again.

    `keys`: an account to which the request's keys were sealed (a member, or an auditor named in
    the specification). Without it, what is sealed raises Unavailable.
    """

    def __init__(
        self,
        evidence: Evidence,
        facts: "ChainFacts",
        store: ContentStore,
        keys: "AccountKeys | None",
    ) -> None:
        self._evidence = evidence
        self._facts = facts
        self._store = store
        self._keys = keys
        self._slices: dict[int, Dataset | None] = {}
        self._models: dict[tuple[int, int], Model | None] = {}

    # ------------------------------------------------------------------ history

    @cached_property
    def spec(self) -> Specification:
        cid = Cid.of_digest(self._evidence.terms.specification, SPECIFICATION_MAX_BYTES)
        return Specification.decode(self._store.get(cid, SPECIFICATION_MAX_BYTES))

    @cached_property
    def template(self) -> Template:
        return family_of(self.spec).template(self.spec)

    def initial_model(self) -> Model:
        return self._initial_model

    def samples(self, seat: int) -> int:
        return self._evidence.seats[seat][1]

    def submitted(self, number: int) -> Sequence[int]:
        return sorted(self._round(number).digests)

    def valid(self, number: int) -> Sequence[int]:
        return seats_of(self._tally(number).valid)

    def included(self, number: int) -> Sequence[int]:
        return seats_of(self._tally(number).included)

    def model(self, number: int, seat: int) -> Model | None:
        """None also for a model that the votes found invalid: nobody can see afterwards whether it
        was published in time."""
        if seat not in self.valid(number):
            return None
        if (number, seat) not in self._models:
            self._models[number, seat] = self._opened(number, seat)
        return self._models[number, seat]

    def published(self, number: int) -> Mapping[int, Model]:
        models = {seat: self.model(number, seat) for seat in self.valid(number)}
        return {seat: model for seat, model in models.items() if model is not None}

    def evaluation(self, number: int) -> "Dataset | None":
        if number not in self._slices:
            manifest = self._round(number).slice_manifest
            if manifest is None:
                self._slices[number] = None
            else:
                cid = Cid.parse(self.spec.evaluation[number - 1].cid)
                key = self._unsealed(manifest)
                sealed = self._store.get(cid, SLICE_MAX_BYTES)
                self._slices[number] = open_slice(self.spec, number, key, sealed)
        return self._slices[number]

    def final_model(self, number: int) -> None:
        return None

    def record(self, number: int) -> "ContributionRecord | None":
        return None

    # ------------------------------------------------------------------ keys

    @cached_property
    def request_key(self) -> bytes:
        """The request's key; Broken where another one was sealed than the chain's hash says."""
        if self._evidence.manifest is None or self._evidence.key_hash is None:
            raise Unavailable("the request has not started")
        key = self._unsealed(self._evidence.manifest)
        require(key_hash(key) == self._evidence.key_hash, "another key was sealed to this account")
        return key

    def round_ref(self, number: int) -> RoundRef:
        return RoundRef(self._facts.deployment.fingerprint, self._evidence.request_id, number)

    # ------------------------------------------------------------------ parts

    @cached_property
    def _initial_model(self) -> Model:
        cid = Cid.parse(self.spec.initial_model)
        return decode(self._store.get(cid, self.template.bytes), self.template)

    def _round(self, number: int) -> RoundEvidence:
        return self._evidence.rounds[number - 1]

    def _tally(self, number: int) -> Tally:
        tally = self._round(number).tally
        if tally is None:
            raise Unavailable(f"round {number} was not tallied")
        return tally

    def _opened(self, number: int, seat: int) -> Model | None:
        one = self._round(number)
        try:
            cid = model_cid(self.template, one.digests[seat])
            sealed = self._store.get(cid, sealed_bytes(self.template))
            owner, round_ref = one.owners[seat], self.round_ref(number)
            return open_local(sealed, self.request_key, round_ref, owner, self.template)
        except (ContentError, ModelError):
            return None

    def _unsealed(self, manifest_digest: bytes) -> bytes:
        """A key from its manifest; Unavailable where it was not sealed to this account."""
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
