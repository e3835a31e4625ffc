from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fedpact.errors import RetrievalError
from fedpact.retrieval.communities import (
    split_above,
    table_communities,
    table_contacts,
)
from fedpact.retrieval.ids import node_id
from fedpact.retrieval.joining import join
from fedpact.retrieval.messages import Announce, Contact, Lookup, MemberList, Members, Record
from tests.offchain.retrieval.retrieval_memberships import Nodes, profile

COUNTED_AS = 8
"""Nodes that the register is said to have: communities split above 11 members."""


class JoinsAndLeaves(RuleBasedStateMachine):
    """Whatever joins, leaves and dies: tables hold what the rules say and nothing unchecked."""

    def __init__(self) -> None:
        super().__init__()
        self.nodes = Nodes(COUNTED_AS)
        self.number = 0

    @rule(many=st.integers(1, 5))
    def arrive(self, many: int) -> None:
        for _ in range(many):
            self.number += 1
            self.nodes.arrive(self.number)

    @precondition(lambda self: len(self.nodes.living) > 1)
    @rule(data=st.data())
    def die(self, data: st.DataObject) -> None:
        self.nodes.die(data.draw(st.sampled_from(sorted(self.nodes.living))))

    @precondition(lambda self: len(self.nodes.living) > 1)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        self.nodes.leave(data.draw(st.sampled_from(sorted(self.nodes.living))))

    @rule()
    def refresh(self) -> None:
        self.nodes.refresh(1)

    @precondition(lambda self: len(self.nodes.living) > 0)
    @rule(data=st.data(), other=st.binary(min_size=20, max_size=20))
    def announce_a_stranger(self, data: st.DataObject, other: bytes) -> None:
        there = self.nodes.living[data.draw(st.sampled_from(sorted(self.nodes.living)))]
        reply = there.answer(Announce(Record(other, profile(Random(1)))))
        assert reply.taken is False  # type: ignore[union-attr]

    @invariant()
    def tables_follow_the_rules(self) -> None:
        for node, membership in self.nodes.living.items():
            table = membership.table()
            members = table.community.records
            ids = [node_id(record, table.codebook) for record in members]
            assert node in [record.node for record in members]
            assert all(table.community.prefix.holds(one) for one in ids)
            assert len(members) <= split_above(COUNTED_AS)
            assert ids == sorted(ids)
            assert len(table.contacts) <= table_communities(COUNTED_AS)
            assert all(0 < len(kept) <= table_contacts(COUNTED_AS) for kept in table.contacts)
            bound = table_communities(COUNTED_AS) * table_contacts(COUNTED_AS)
            assert table.size <= len(members) + bound
            assert not any(
                table.community.prefix.holds(contact.id)
                for kept in table.contacts
                for contact in kept
            )


JoinsAndLeaves.TestCase.settings = settings(max_examples=12, stateful_step_count=15)
TestJoinsAndLeaves = JoinsAndLeaves.TestCase


def settled(count: int) -> Nodes:
    nodes = Nodes(COUNTED_AS)
    for number in range(1, count + 1):
        nodes.arrive(number)
    nodes.refresh(8)
    return nodes


def views(nodes: Nodes) -> dict[bytes, set[bytes]]:
    return {
        node: {record.node for record in one.table().community.records}
        for node, one in nodes.living.items()
    }


def test_after_some_refreshes_members_know_each_other_and_form_the_partition_of_their_ids() -> None:
    nodes = settled(40)
    prefixes = {one.community for one in nodes.living.values()}
    assert len(prefixes) > 2
    for node, known in views(nodes).items():
        own = nodes.living[node]
        assert known == {
            other for other, one in nodes.living.items() if own.community.holds(one.id)
        }
        assert all(nodes.living[other].community == own.community for other in known)


def test_dead_nodes_and_those_that_left_are_dropped() -> None:
    nodes = settled(20)
    dead, left = sorted(nodes.living)[:2]
    nodes.die(dead)
    nodes.leave(left)
    nodes.refresh(12)
    assert not any({dead, left} & known for known in views(nodes).values())
    named = {c.node for one in nodes.living.values() for k in one.table().contacts for c in k}
    assert not {dead, left} & named


def test_communities_that_have_shrunk_merge_again() -> None:
    nodes = settled(30)
    before = {one.community for one in nodes.living.values()}
    assert len(before) > 1
    for node in sorted(nodes.living)[3:]:
        nodes.leave(node)
    nodes.refresh(15)
    assert len({one.community for one in nodes.living.values()}) < len(before)
    assert {one.community.length for one in nodes.living.values()} == {0}


def test_joining_fails_if_no_entry_answers() -> None:
    nodes = Nodes(COUNTED_AS)
    record = Record(bytes(20), profile(Random(2)))
    with pytest.raises(RetrievalError, match="none of the entry nodes"):
        join(record, 5, [Contact(b"x" * 20, 7)], nodes, nodes.verify, 4)


def test_a_member_list_is_read_on_by_address() -> None:
    nodes = settled(10)
    one = next(iter(nodes.living.values()))
    reply = one.answer(Members(one.id))
    assert isinstance(reply, MemberList)
    addresses = [record.node for record in reply.records]
    assert addresses == sorted(addresses)
    rest = one.answer(Members(one.id, addresses[1]))
    assert isinstance(rest, MemberList)
    assert [record.node for record in rest.records] == addresses[2:]


def test_a_lookup_request_is_answered_with_the_best_of_the_community() -> None:
    nodes = settled(6)
    one, other = list(nodes.living.values())[:2]
    reply = one.answer(Lookup(other.table().record.signature, 3))
    assert reply.records[0] == other.table().record  # type: ignore[union-attr]
