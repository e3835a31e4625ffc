"""A request's history as an auditor knows it: from the chain's events and the content store."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from fedpact.audit.report import Unavailable, require
from fedpact.consensus.artefacts import (
    SLICE_MAX_BYTES,
    RoundRef,
    model_cid,
    open_local,
    open_slice,
    sealed_bytes,
)
from fedpact.consensus.replay import Replay
from fedpact.content.keys import MANIFEST_MAX_BYTES, Manifest, key_hash
from fedpact.content.store import ContentStore
from fedpact.errors import ContentError, DecryptionError, FedpactError, ModelError, Retryable
from fedpact.learning.artefact import Model, Template, decode
from fedpact.learning.families import family_of
from fedpact.types.cid import Cid
from fedpact.types.specification import SPECIFICATION_MAX_BYTES, Specification

if TYPE_CHECKING:
    from fedpact.chain.keystore import AccountKeys
    from fedpact.consensus.contribution_record import ContributionRecord
    from fedpact.data.dataset import Dataset


@dataclass(frozen=True)
class AuditedRequest:
    """What names a request and its specification."""

    fingerprint: bytes
    """Of the deployment."""
    id: int
    specification: bytes
    """Digest of its content."""


class AuditHistory(ABC):
    """No member's result is taken over: scores and global models are computed again.

    `keys`: an account to which the request's keys were sealed (a member, or an auditor named in
    the specification). Without it, what is sealed raises Unavailable. A seat in what follows is a
    member: its pool index; in the first protocol its seat.
    """

    def __init__(
        self, request: AuditedRequest, store: ContentStore, keys: "AccountKeys | None"
    ) -> None:
        self._request = request
        self._store = store
        self._keys = keys
        self._slices: dict[int, Dataset | None] = {}
        self._models: dict[tuple[int, int], Model | None] = {}

    @cached_property
    def replay(self) -> Replay:
        """What follows from this history."""
        return Replay(self)

    # ------------------------------------------------------------------ history

    @cached_property
    def specification_cid(self) -> Cid:
        return Cid.of_digest(self._request.specification, SPECIFICATION_MAX_BYTES)

    @cached_property
    def spec(self) -> Specification:
        content = self._store.get(self.specification_cid, SPECIFICATION_MAX_BYTES)
        return Specification.decode(content)

    @cached_property
    def template(self) -> Template:
        return family_of(self.spec).template(self.spec)

    def initial_model(self) -> Model:
        return self._initial_model

    @abstractmethod
    def samples(self, seat: int) -> int: ...

    @abstractmethod
    def submitted(self, number: int) -> Sequence[int]: ...

    @abstractmethod
    def valid(self, number: int) -> Sequence[int]: ...

    @abstractmethod
    def included(self, number: int) -> Sequence[int]: ...

    def model(self, number: int, seat: int) -> Model | None:
        """None also for a model that the votes found invalid: nobody can see afterwards whether it
        was published in time."""
        return self.opened(number, seat) if seat in self.valid(number) else None

    def opened(self, number: int, seat: int) -> Model | None:
        """A submitted model, however it was judged; None where it does not open."""
        if (number, seat) not in self._models:
            self._models[number, seat] = self._opened(number, seat)
        return self._models[number, seat]

    def published(self, number: int) -> Mapping[int, Model]:
        models = {seat: self.model(number, seat) for seat in self.valid(number)}
        return {seat: model for seat, model in models.items() if model is not None}

    def evaluation(self, number: int) -> "Dataset | None":
        if number not in self._slices:
            key = self._slice_key(number)
            if key is None:
                self._slices[number] = None
            else:
                cid = Cid.parse(self.spec.evaluation[number - 1].cid)
                sealed = self._store.get(cid, SLICE_MAX_BYTES)
                self._slices[number] = open_slice(self.spec, number, key, sealed)
        return self._slices[number]

    def final_model(self, number: int) -> Model | None:
        return None

    def record(self, number: int) -> "ContributionRecord | None":
        return None

    # ------------------------------------------------------------------ keys

    @cached_property
    def request_key(self) -> bytes:
        """The request's key; Broken where another one was sealed than the chain's hash says."""
        manifest, hash_ = self._start
        key = self._revealed(self._unsealed(manifest))
        require(key_hash(key) == hash_, "another key was sealed to this account")
        return key

    def require_key(self) -> None:
        """Raises Unavailable without the right key: what is wrong with it is said once."""
        try:
            self.request_key  # noqa: B018
        except (Unavailable, Retryable):
            raise
        except FedpactError as error:
            raise Unavailable(f"the request key cannot be read: {error}") from error

    def submitted_content(self, digest: bytes) -> tuple[Cid, int]:
        """Where what a member submitted is in the content store, and its largest size."""
        return model_cid(self.template, digest), sealed_bytes(self.template)

    def round_ref(self, number: int) -> RoundRef:
        return RoundRef(self._request.fingerprint, self._request.id, number)

    # ------------------------------------------------------------------ parts

    @property
    @abstractmethod
    def _start(self) -> tuple[bytes, bytes]:
        """Digest of the sealed request keys, and the key's hash; Unavailable before the start."""

    def _revealed(self, sealed: bytes) -> bytes:
        """The request key from what was sealed to this account."""
        return sealed

    @abstractmethod
    def _submission(self, number: int, seat: int) -> tuple[bytes, str]:
        """Digest and owner of a submitted model."""

    @abstractmethod
    def _slice_key(self, number: int) -> bytes | None:
        """Of a round's evaluation slice; None where it was not opened."""

    @abstractmethod
    def _key_version(self, account: str) -> int:
        """Of the account's current encryption key."""

    @property
    def _own(self) -> "AccountKeys":
        if self._keys is None:
            raise Unavailable("sealed: name an account that was a member or auditor")
        return self._keys

    @cached_property
    def _initial_model(self) -> Model:
        cid = Cid.parse(self.spec.initial_model)
        return decode(self._store.get(cid, self.template.bytes), self.template)

    def _opened(self, number: int, seat: int) -> Model | None:
        try:
            digest, owner = self._submission(number, seat)
            sealed = self._store.get(*self.submitted_content(digest))
            reference = self.round_ref(number)
            return open_local(sealed, self.request_key, reference, owner, self.template)
        except (ContentError, ModelError):
            return None

    def _unsealed(self, manifest_digest: bytes) -> bytes:
        """A key from its manifest; Unavailable where it was not sealed to this account."""
        keys, address = self._own, self._own.address
        cid = Cid.of_digest(manifest_digest, MANIFEST_MAX_BYTES)
        manifest = Manifest.decode(self._store.get(cid, MANIFEST_MAX_BYTES))
        if address.lower() not in manifest.seals:
            raise Unavailable(
                f"no key was sealed to {address}: only members hold it, and auditors that the "
                "draft named before anyone joined (auditors = [...])"
            )
        for version in range(self._key_version(address), 0, -1):
            try:
                return manifest.open(address, keys.encryption_key(version))
            except DecryptionError:
                continue
        raise DecryptionError(f"the seal for {address} opens with none of its keys")
