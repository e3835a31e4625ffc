"""The models that trainers of a large round name to its committee, each signed by its maker.

A list has one model of a trainer; a second one counts nothing. Nothing is kept that a trainer of
this very round did not sign, so that strangers can fill nothing up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from eth_account.messages import encode_typed_data
from pydantic import Field

from fedpact.chain.signed_messages import Domain, TypedData, signer_of
from fedpact.errors import InvalidInput
from fedpact.exchange.messages import Forged
from fedpact.exchange.version import Versioned
from fedpact.types.document import Document

AT_ONCE = 256
"""Models that one side gives another, at most."""
ANSWERED = 16
"""In an answer, which any stranger can ask for; a judge gives the others what they lack unasked."""
LONGEST_MODELS = 1 << 17
"""Bytes of them all."""
_MOST_MEMBERS = 1 << 16


class Submission(Document):
    """A trainer's model of a round."""

    index: Annotated[int, Field(ge=0, lt=_MOST_MEMBERS)]
    """Of the trainer, in the pool."""
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Of the sealed model, as hex."""
    signature: Annotated[str, Field(pattern=r"^[0-9a-f]{130}$")]
    """r, s, v of the account's key, as hex."""

    @property
    def content(self) -> bytes:
        return bytes.fromhex(self.digest)


class Models(Versioned):
    """What one side holds: whose models, and those that the other lacks."""

    what: ClassVar[str] = "models"
    longest: ClassVar[int] = LONGEST_MODELS
    known: Annotated[str, Field(max_length=_MOST_MEMBERS // 4, pattern=r"^[0-9a-f]*$")]
    """A mask of pool indices, as hex. The pattern counts nothing: each number up to which it would
    count takes memory, 2.5 MB in all."""
    models: Annotated[tuple[Submission, ...], Field(max_length=AT_ONCE)] = ()

    @property
    def mask(self) -> int:
        return int(self.known or "0", 16)


@dataclass(frozen=True)
class Trainers:
    """The round that models are for, and who may name one."""

    domain: Domain
    request: int
    round: int
    history: bytes
    """As the round opened."""
    accounts: Mapping[int, str] = field(repr=False)
    """Of all members that train, by pool index."""

    def typed(self, digest: bytes) -> TypedData:
        """What a trainer signs."""
        return self.domain.typed("Submission", self.request, self.round, self.history, digest)

    def require_signed(self, one: Submission) -> None:
        """Raises Forged for a model that its trainer did not sign."""
        trainer = self.accounts.get(one.index)
        if trainer is None:
            raise Forged(f"member {one.index} does not train in this round")
        try:
            signable = encode_typed_data(*self.typed(one.content))
            signer = signer_of(signable, bytes.fromhex(one.signature))
        except InvalidInput as error:
            raise Forged(f"the model of member {one.index}: {error}") from error
        if signer != trainer:
            raise Forged(f"the model of member {one.index} is signed by {signer}")


class Roll:
    """The models that are named in a round. Not thread-safe."""

    def __init__(self, trainers: Trainers, known: Iterable[Submission] = ()) -> None:
        """`known`: checked before."""
        self.trainers = trainers
        self.held: dict[int, Submission] = {one.index: one for one in known}

    @property
    def mask(self) -> int:
        """Of the pool indices whose model is held."""
        return sum(1 << index for index in self.held)

    def take(self, models: Iterable[Submission]) -> list[Submission]:
        """Keep those that count; the new ones. Ends at a forged one: each costs milliseconds to
        find out."""
        new = []
        for one in models:
            if one.index in self.held:
                continue
            try:
                self.trainers.require_signed(one)
            except Forged:
                break
            self.held[one.index] = one
            new.append(one)
        return new

    def lacking(self, mask: int, most: int = AT_ONCE) -> Sequence[Submission]:
        """Models of members outside a mask, as many as go at once."""
        found = [one for index, one in sorted(self.held.items()) if not mask >> index & 1]
        return found[:most]


class HeldLists:
    """What judges said that they held as a round's submissions were over, and which models follow.

    A model is in where more than a third of the seats held it: at least one of these is honest
    while no more than a third lies. All that go by the same seats find the same models, whenever
    they look; who said two things counts neither for nor against a model.
    """

    def __init__(
        self, seats: int, lists: Iterable[Iterable[Submission]], contradicting: int = 0
    ) -> None:
        """`seats`: of the committee; `lists`: of those that count; `contradicting`: how many of
        these said two things, whose lists are not given."""
        self._needed = vouchers_needed(seats)
        self._contradicting = contradicting
        held = [{(one.index, one.content) for one in models} for models in lists]
        self._vouchers = Counter(model for models in held for model in models)

    def picked(self) -> dict[int, bytes]:
        """Digests by pool index. Of a trainer that named two that which more judges held."""
        found: dict[int, bytes] = {}
        for (index, digest), held in sorted(self._vouchers.items(), key=lambda one: (one[1], one)):
            if held >= self._needed:
                found[index] = digest
        return found

    def allow(self, models: Iterable[Submission], forced: Iterable[int] = ()) -> bool:
        """Whether enough judges held each of these models, and a model of everybody of whom enough
        held one is among them. `forced`: who forced a model in, which counts instead."""
        found = {one.index: one.content for one in models}
        least = self._needed - self._contradicting
        held = all(self._vouchers[at] >= least for at in found.items())
        return held and set(self.picked()) <= {*found, *forced}


def vouchers_needed(seats: int) -> int:
    """How many judges must have held a model in time: more than a third."""
    return seats // 3 + 1


def shown(roll: Roll, lacks: int) -> bytes:
    """What is held, for a side that holds the models of a mask."""
    return Models(known=f"{roll.mask:x}", models=tuple(roll.lacking(lacks, ANSWERED))).encode()
