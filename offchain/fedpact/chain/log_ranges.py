"""How many blocks a query of logs covers: nodes allow ten, or any number, and do not say which."""

FIRST_RANGE = 250
"""Blocks per query; more while the node answers, half as many when it does not."""
LONGEST_RANGE = 64_000
MOST_EVENTS = 2_000
"""Events that a query should return: a thousand take some megabytes of memory."""
ANSWERS = 32
"""After so many answers in a row, a longer range is tried than was once refused."""


class Reach:
    """The shortest range that a connection's nodes have refused: all its queries learn from one."""

    def __init__(self) -> None:
        self.refused = LONGEST_RANGE + 1


class QuerySpan:
    """The length of the next query, in blocks."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._answers = 0
        self.blocks = max(1, min(FIRST_RANGE, reach.refused - 1))

    def answered(self, blocks: int, events: int) -> None:
        """A query of so many blocks returned so many events."""
        if events > MOST_EVENTS:
            self.blocks = max(1, blocks // 2)
            return
        if blocks < self.blocks:
            return  # The chain's newest blocks: it shows nothing about longer ranges.
        self._answers += 1
        if self._answers % ANSWERS == 0:
            self._reach.refused = min(2 * self._reach.refused, LONGEST_RANGE + 1)
        longest = self._reach.refused - 1
        if longest < LONGEST_RANGE:  # Halfway to what is too long: a few tries find the limit.
            longest = max(self.blocks, (self.blocks + self._reach.refused) // 2)
        self.blocks = min(2 * self.blocks, longest)

    def refused(self, blocks: int) -> None:
        """A query of so many blocks was refused, or not answered."""
        self._answers = 0
        self._reach.refused = min(self._reach.refused, max(2, blocks))
        self.blocks = max(1, blocks // 2)
