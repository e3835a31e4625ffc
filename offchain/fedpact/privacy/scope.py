"""What a request's privacy covers and what it does not, in the sentences of docs/privacy.md."""

from dataclasses import dataclass

from fedpact.types.privacy import CLAIM, Privacy, PrivacyMode

UNIT = "one privacy unit of a provider's data, as its public schema declares it"
ADJACENCY = "neighbouring data sets differ in whether that unit is in the data"
_SOUND = (
    f"The unit: {UNIT}. {ADJACENCY[0].upper()}{ADJACENCY[1:]}.",
    "All noised bytes that a provider releases for this request, in all rounds together, against"
    " everybody: other members and the requester together.",
    "Each provider adds its own noise: the promise holds if all others collude.",
)
_SUMMED = (
    f"The unit: {UNIT}. {ADJACENCY[0].upper()}{ADJACENCY[1:]}.",
    "All sums that a provider's part is in, in all rounds of this request together, against the"
    " requester, the auditors and as many colluding members as the statement says.",
    "No sum is opened unless as many others are in it as the statement says: their noise counts.",
)
_NOT_COVERED = (
    "What holds for the population, or for the provider as a whole.",
    "The other requests that a provider serves: its own lifetime budget bounds those.",
    "The load of its machine, and a training that is cut off by its time or memory limit.",
    "What a trained public network on which the model stands has seen before.",
)


@dataclass(frozen=True)
class Scope:
    """Sentences; `covers` is empty where nothing is guaranteed."""

    covers: tuple[str, ...]
    not_covered: tuple[str, ...]


def scope_of(privacy: Privacy) -> Scope:
    if privacy.sum is not None:
        most = privacy.colluders
        more = f"A round in which more than {most} of the members collude: epsilon fails then."
        return Scope(_SUMMED, (more, *_NOT_COVERED))
    if privacy.mode is PrivacyMode.SOUND:
        return Scope(_SOUND, _NOT_COVERED)
    if privacy.mode is PrivacyMode.PAPER:
        return Scope((), (f"The epsilon is {CLAIM}.",))
    return Scope((), ("Nothing is promised: for tests and benchmarks.",))
