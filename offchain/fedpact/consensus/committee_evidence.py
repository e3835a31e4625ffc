"""What a committee of a large round keeps in the content store, so that anyone can recompute the
points: the list of the models, the judges' sheets of scores, and what ties them together.

Each document is canonical JSON and fits a block of the store (256 KiB), so that its CID follows
from its digest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError

from fedpact.consensus.large_rounds import SubmissionTree
from fedpact.errors import ContentError
from fedpact.exchange.submissions import Submission
from fedpact.types.cid import Cid
from fedpact.types.document import Document, canonical_json
from fedpact.types.scores import INVALID, MAX_SCORE, MAX_SEATS
from fedpact.types.validation import first_error

EVIDENCE_MAX_BYTES = 262_144

Hex32 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Score = Annotated[int, Field(ge=0, le=INVALID)]
Index = Annotated[int, Field(ge=0, lt=1 << 16)]


class _Stored(Document):
    version: Literal[1] = 1

    def encode(self) -> bytes:
        """Canonical JSON."""
        return canonical_json(self.model_dump(mode="json"))

    @property
    def digest(self) -> bytes:
        """32 bytes."""
        return Cid.of(self.encode()).digest

    @classmethod
    def decode(cls, content: bytes) -> Self:
        """Raises ContentError naming the first field that fails."""
        try:
            found = cls.model_validate_json(content)
        except ValidationError as error:
            raise ContentError(f"evidence of a large round: {first_error(error)}") from error
        if found.encode() != content:
            raise ContentError("evidence of a large round: not in its canonical form")
        return found


class NamedModel(Document):
    """A model on the list of a round."""

    index: Index
    """Of its maker, in the pool."""
    digest: Hex32
    signature: Annotated[str, Field(pattern=r"^([0-9a-f]{130})?$")]
    """Of its maker; empty for one that was forced in on chain."""


class ModelList(_Stored):
    """All models of a round, ascending by index."""

    models: Annotated[tuple[NamedModel, ...], Field(min_length=1)]

    @classmethod
    def of(cls, named: Mapping[int, Submission], forced: Mapping[int, bytes]) -> ModelList:
        """Of what trainers signed, and forced in: that counts, whatever else they signed."""
        models = {
            index: NamedModel(index=index, digest=one.digest, signature=one.signature)
            for index, one in named.items()
        }
        for index, digest in forced.items():
            models[index] = NamedModel(index=index, digest=digest.hex(), signature="")
        return cls(models=tuple(models[index] for index in sorted(models)))

    @classmethod
    def decode(cls, content: bytes) -> Self:
        found = super().decode(content)
        indices = [one.index for one in found.models]
        if indices != sorted(set(indices)):
            raise ContentError("the list of a large round's models is not in order")
        return found

    @property
    def digests(self) -> dict[int, bytes]:
        """By pool index."""
        return {one.index: bytes.fromhex(one.digest) for one in self.models}

    @property
    def signed(self) -> list[Submission]:
        """Those that were not forced in."""
        return [Submission(**one.model_dump()) for one in self.models if one.signature]

    @property
    def tree(self) -> SubmissionTree:
        return SubmissionTree(self.digests)


class ScoreSheet(_Stored):
    """A judge's scores of all models, in the order of their list; none: the slice did not open."""

    scores: tuple[Score, ...] | None
    opened: tuple[Index, ...] = ()
    """Of a sheet without scores: the pool indices of the models that open, ascending."""

    def by_index(self, listed: ModelList) -> dict[int, int] | None:
        """Scores by pool index; None for a judge to whom the round is blind. Raises ContentError
        where it does not fit the list."""
        if self.scores is None:
            if list(self.opened) != sorted(set(self.opened) & set(listed.digests)):
                raise ContentError("a score sheet names models that are not on the list")
            return None
        if self.opened:
            raise ContentError("a score sheet must say which models open")
        if len(self.scores) != len(listed.models):
            raise ContentError(f"{len(self.scores)} scores of {len(listed.models)} models")
        if any(MAX_SCORE < score < INVALID for score in self.scores):
            raise ContentError("a score sheet has an invalid score")
        return {one.index: score for one, score in zip(listed.models, self.scores, strict=True)}

    @classmethod
    def of(cls, listed: ModelList, scores: Mapping[int, int]) -> ScoreSheet:
        return cls(scores=tuple(scores[one.index] for one in listed.models))


class JudgeVote(Document):
    """An opened vote."""

    seat: Annotated[int, Field(ge=0, lt=MAX_SEATS)]
    sheet: Hex32
    """Digest of the scores."""
    salt: Hex32
    commitment: Hex32
    signature: Annotated[str, Field(pattern=r"^([0-9a-f]{2})*$", max_length=1 << 13)]
    """Of the judge, for its commitment."""
    wallet: bool = False
    """Whether a contract wallet signed."""


class CommitteeEvidence(_Stored):
    """What a round's points follow from."""

    request: Annotated[int, Field(ge=1)]
    round: Annotated[int, Field(ge=1)]
    history: Hex32
    """As the round opened."""
    models: Hex32
    """Digest of the list."""
    slice: Annotated[str, Field(pattern=r"^([0-9a-f]{2})*$", max_length=512)]
    """Sealed key of the round's slice; empty without one."""
    votes: Annotated[tuple[JudgeVote, ...], Field(min_length=1, max_length=MAX_SEATS)]
    """Ascending by seat."""

    @classmethod
    def decode(cls, content: bytes) -> Self:
        found = super().decode(content)
        seats = [one.seat for one in found.votes]
        if seats != sorted(set(seats)):
            raise ContentError("the votes of a large round are not in order")
        return found

    @property
    def sealed_key(self) -> bytes | None:
        return bytes.fromhex(self.slice) or None


@dataclass(frozen=True)
class JudgedRound:
    """A round with all that its points follow from."""

    evidence: CommitteeEvidence
    listed: ModelList
    votes: Mapping[int, Mapping[int, int] | None]
    """Each judge's scores by pool index, by seat; None: blind to it."""
    opened: tuple[int, ...] = ()
    """Pool indices, ascending: the models that open for more than half of the judges to whom the
    round is blind. In a blind round these are aggregated: each judge alone may see others."""


Reading = Callable[[bytes], bytes]
"""Reads evidence by its digest."""


def read_round(evidence: CommitteeEvidence, read: Reading) -> JudgedRound:
    """What evidence names. Raises ContentError where something is malformed, and what `read`
    raises."""
    listed = ModelList.decode(read(bytes.fromhex(evidence.models)))
    sheets = {
        digest: ScoreSheet.decode(read(bytes.fromhex(digest)))
        for digest in dict.fromkeys(one.sheet for one in evidence.votes)
    }
    votes = {one.seat: sheets[one.sheet].by_index(listed) for one in evidence.votes}
    blind = [sheets[one.sheet] for one in evidence.votes if votes[one.seat] is None]
    seen = Counter(index for sheet in blind for index in sheet.opened)
    opened = sorted(index for index, judges in seen.items() if 2 * judges > len(blind))
    return JudgedRound(evidence, listed, votes, tuple(opened))


def evidence_cid(digest: bytes) -> Cid:
    return Cid.of_digest(digest, EVIDENCE_MAX_BYTES)


def parts_of(evidence: CommitteeEvidence) -> Sequence[bytes]:
    """Digests of all that evidence names."""
    named = [evidence.models, *dict.fromkeys(one.sheet for one in evidence.votes)]
    return [bytes.fromhex(one) for one in named]
