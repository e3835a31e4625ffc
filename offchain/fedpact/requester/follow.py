"""What following a request reports."""

from dataclasses import dataclass

from fedpact.types.requests import Phase, Status

LONGEST_PAUSE = 10.0
"""Longest pause (seconds) between retries while the RPC node or the content store is down."""


@dataclass(frozen=True)
class RequestProgress:
    """The state of a request; reported whenever it changes.

    `note` says what the requester did or what went wrong; otherwise it is empty.
    """

    request_id: int
    status: Status
    round: int
    stage: Phase
    joined: int
    submitted: int
    """Number of models submitted in this round."""
    final_rounds: int
    model: bool
    """Whether there is a model to fetch."""
    note: str = ""
    declined: tuple[tuple[str, int], ...] = ()
    """Of providers that said why they stay out of a request: reasons, and how many
    gave each, the most frequent first."""
    errors: tuple[float | None, ...] = ()
    """Of the global models of final rounds, in order, by the request's metric: from 0 to 1, of a
    regression in the scale of its output. None: the slice was not open in time, or the round
    gathers statistics."""

    @property
    def declined_text(self) -> str:
        """For people; empty if none declined."""
        if not self.declined:
            return ""
        total = sum(count for _, count in self.declined)
        return f"{total} declined ({', '.join(f'{why}: {n}' for why, n in self.declined)})"

    @property
    def text(self) -> str:
        """For people, in one line."""
        where = f"round {self.round}, {self.stage.name.lower()}" if self.round else "before round 1"
        line = (
            f"{self.status.name.lower()}: {where}; {_counted(self.joined, 'provider')}, "
            f"{_counted(self.submitted, 'model')} submitted, "
            f"{_counted(self.final_rounds, 'round')} final"
        )
        if self.errors and self.errors[-1] is not None:
            line = f"{line}, error {self.errors[-1]:.4f}"
        if self.declined:
            line = f"{line}; {self.declined_text}"
        return f"{line} - {self.note}" if self.note else line


def _counted(number: int, name: str) -> str:
    return f"{number} {name}" if number == 1 else f"{number} {name}s"
