"""TrainingPool: who opted in to a request, and who takes part in a round."""

from collections.abc import Sequence

from fedpact.chain.abi import POOL, SECOND
from fedpact.chain.bindings.binding import Binding, camel, snake
from fedpact.chain.bindings.structs import member_of
from fedpact.chain.records import BlockReference, Call
from fedpact.chain.signed_messages import Domain, pack_signatures
from fedpact.types.requests import Join, PoolFacts, PoolMember, PoolPlan, WeightRule

MEMBERS_PER_READ = 500


class Pool(Binding):
    """What contracts/interfaces/ITrainingPool.sol documents."""

    NAME = POOL
    PROTOCOL = SECOND

    @property
    def domain(self) -> Domain:
        """For the signatures of joins."""
        return Domain(self._connection.chain_id, self.address)

    def enrol(self, request: int, joins: Sequence[Join], signatures: Sequence[bytes]) -> Call:
        """Add providers, ascending by organisation; one signature for each join but the sender's.

        `signatures`: see `pack_signatures`.
        """
        given = [camel(join) for join in joins]
        return self.function("enrol", request, given, pack_signatures(signatures))

    def withdraw(self, request: int, index: int) -> Call:
        """Take the sender, the member with this index, out again while the pool is open."""
        return self.own_function("withdraw", request, index)

    # Views

    def facts(self, request: int, block: BlockReference = None) -> PoolFacts:
        found = snake(self._view("facts", request, block=block))
        plan = snake(found.pop("plan"))
        rule = WeightRule(plan.pop("weight_rule"))
        return PoolFacts(plan=PoolPlan(weight_rule=rule, **plan), **found)

    def cohort_of(
        self, request: int, seed: bytes, block: BlockReference = None
    ) -> tuple[tuple[int, ...], tuple[PoolMember, ...]]:
        """Pool index and member of each seat; `seed`: RoundFacts.seed.

        The pool must be closed, else members may still get another index.
        """
        word, members = self._view("cohortOf", request, seed, block=block)
        indices = tuple(int(word) >> 16 * seat & 0xFFFF for seat in range(len(members)))
        return indices, tuple(member_of(int(one)) for one in members)

    def members(self, request: int, block: BlockReference = None) -> tuple[PoolMember, ...]:
        """All members in the order of the pool, including those that have left."""
        count = self.count(request, block)
        found: list[PoolMember] = []
        while len(found) < count:
            to = min(count, len(found) + MEMBERS_PER_READ)
            words = self._view("members", request, len(found), to, block=block)
            found += [member_of(int(word)) for word in words]
        return tuple(found)

    def joined_by(self, account: str, requests: Sequence[int]) -> list[int]:
        """Those of these requests that an account has joined, whether or not it has left again."""
        counts = self._connection.read([self.function("count", one) for one in requests], None)
        parts = [
            (request, start, min(count, start + MEMBERS_PER_READ))
            for request, count in zip(
                requests, (int(self.decoded("count", one)) for one in counts), strict=True
            )
            for start in range(0, count, MEMBERS_PER_READ)
        ]
        answers = self._connection.read([self.function("members", *part) for part in parts], None)
        found = [
            request
            for (request, _, _), answer in zip(parts, answers, strict=True)
            if any(
                member_of(int(one)).account == account for one in self.decoded("members", answer)
            )
        ]
        return list(dict.fromkeys(found))

    def member(self, request: int, index: int, block: BlockReference = None) -> PoolMember:
        return member_of(int(self._view("member", request, index, block=block)))

    def index_of(self, request: int, account: str, block: BlockReference = None) -> int | None:
        """The account's present index; None: it is no member, or has left."""
        for index, member in enumerate(self.members(request, block)):
            if member.account == account:
                return None if self.has_left(request, index, block) else index
        return None

    def count(self, request: int, block: BlockReference = None) -> int:
        """The number of members, including those that have left."""
        return int(self._view("count", request, block=block))

    def has_left(self, request: int, index: int, block: BlockReference = None) -> bool:
        return bool(self._view("hasLeft", request, index, block=block))

    def left(self, request: int, block: BlockReference = None) -> tuple[int, ...]:
        """The indices of those that have left."""
        if self.facts(request, block).left == 0:
            return ()
        calls = [
            self.function("hasLeft", request, index) for index in range(self.count(request, block))
        ]
        answers = self._connection.read(calls, block)
        return tuple(i for i, one in enumerate(answers) if self.decoded("hasLeft", one))
