"""Nodes that all start at once: random contacts from the chain keep them one network."""

from random import Random

from fedpact.retrieval.codebook import standard
from fedpact.retrieval.joining import join
from fedpact.retrieval.membership import Membership
from fedpact.retrieval.messages import Record
from tests.offchain.retrieval.retrieval_memberships import Nodes, profile

COUNT = 30


def started_together() -> tuple[Nodes, list[Record]]:
    nodes, random = Nodes(COUNT), Random(3)
    records = [Record(n.to_bytes(20, "big"), profile(random)) for n in range(1, COUNT + 1)]
    for one in records:
        nodes.registered[one.node] = one
        nodes.living[one.node] = Membership(one, standard(), lambda: COUNT, nodes.verify)
    newest = records[-16:]
    for one in records:
        there = nodes.living[one.node]
        entries = [nodes.living[other.node].table().contact for other in newest]
        there.take(join(one, there.id, entries, nodes, nodes.verify, COUNT))
    return nodes, records


def test_islands_are_bridged_by_meeting_whom_the_chain_names() -> None:
    nodes, records = started_together()
    random = Random(5)
    for _ in range(14):
        for one in nodes.living.values():
            one.meet(random.choice(records))
        nodes.refresh(1)
    for one in nodes.living.values():
        known = {record.node for record in one.table().community.records}
        wanted = {n for n, other in nodes.living.items() if one.community.holds(other.id)}
        assert known == wanted
