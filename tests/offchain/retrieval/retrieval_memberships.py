"""Daemons' memberships over a transport in memory, with a register in place of the chain."""

from collections.abc import Sequence
from random import Random

from fedpact.retrieval.codebook import standard
from fedpact.retrieval.joining import join
from fedpact.retrieval.membership import Membership
from fedpact.retrieval.messages import Contact, Record, Reply, Request, decode, encode
from fedpact.retrieval.signature import MASS, WIDTH, Signature


def profile(random: Random) -> Signature:
    buckets = sorted(random.sample(range(WIDTH), 4))
    return Signature(tuple(buckets), (1, 2, 3, MASS - 6))


class Nodes:
    """Joins, leaves and deaths of nodes; also their transport, by the messages' byte forms."""

    def __init__(self, counted_as: int) -> None:
        self.registered: dict[bytes, Record] = {}
        self.living: dict[bytes, Membership] = {}
        self._counted_as = counted_as
        self._random = Random(0)

    def verify(self, record: Record) -> bool:
        known = self.registered.get(record.node)
        return known is not None and known.digest == record.digest

    def ask(
        self, asked: Sequence[tuple[Contact, Request]], seconds: float | None = None
    ) -> list[Reply | None]:
        return [self._one(contact, request) for contact, request in asked]

    def _one(self, contact: Contact, request: Request) -> Reply | None:
        there = self.living.get(contact.node)
        if there is None:
            return None
        received = decode(encode(request))
        assert received == request
        reply = decode(encode(there.answer(request)))
        assert isinstance(reply, Reply)
        return reply

    def arrive(self, number: int) -> Membership:
        record = Record(number.to_bytes(20, "big"), profile(self._random))
        self.registered[record.node] = record
        newcomer = Membership(record, standard(), lambda: self._counted_as, self.verify)
        entries = [one.table().contact for one in list(self.living.values())[:3]]
        if entries:
            nodes = self._counted_as
            newcomer.take(join(record, newcomer.id, entries, self, self.verify, nodes))
        self.living[record.node] = newcomer
        return newcomer

    def die(self, node: bytes) -> None:
        """The node disappears without notice."""
        del self.living[node]

    def leave(self, node: bytes) -> None:
        """Remove the node from the register."""
        del self.registered[node]
        del self.living[node]

    def refresh(self, times: int) -> None:
        for _ in range(times):
            for one in list(self.living.values()):
                one.refresh(self, self._random)
