"""Colluders among the daemons of a secure sum, who also control the network: what they can open."""

from pathlib import Path

import pytest

from fedpact.consensus.secure_sum_record import agreed_value, decode_announced, shares_for
from fedpact.content.keys import unseal
from fedpact.exchange.messages import Kind, Message
from fedpact.learning.summed_release import Integers
from fedpact.privacy.secure_sum.collecting import open_part
from fedpact.privacy.secure_sum.masks import SEED_BYTES
from fedpact.privacy.secure_sum.member import Disclosure
from fedpact.privacy.secure_sum.roster import Roster
from fedpact.privacy.secure_sum.sharing import KINDS, combine, share_digest
from fedpact.provider.request.secure_sums import masked_vector, sum_round
from fedpact.types.cid import Cid
from tests.support.summing import REQUEST, SumTable

VICTIM = 0


@pytest.mark.parametrize(("colluders", "succeeds"), [([3], False), ([2, 3], True)])
def test_a_members_vector_takes_more_colluders_than_the_terms_allow_for(
    tmp_path: Path, colluders: list[int], succeeds: bool
) -> None:
    """They hide the victim's vector from the other honest members, and agree to the sum with it
    beside the victim, and to the sum without it beside the others. Two colluders of four, where
    the terms allow for one, get both sums opened, and so both of the victim's secrets."""
    table = SumTable(tmp_path)
    assert table.spec.privacy.colluders == 1
    attack = Attack(table, colluders)
    attack.mount()
    opened = attack.opened()
    assert (opened is not None) == succeeds
    if opened is not None:
        assert opened.tolist() == table.total([VICTIM])
    table.close()


class Attack:
    def __init__(self, table: SumTable, colluders: list[int]) -> None:
        self.table, self.colluders = table, colluders
        self.honest = [seat for seat in range(4) if seat not in colluders]
        self.place = (REQUEST, table.round)
        self.view = table.members[colluders[0]].view()
        group = sum_round(self.view, table.round).group(colluders[0])
        assert group is not None
        self.group = group

    def mount(self) -> None:
        table = self.table
        table.train()
        while not all(self.said(Kind.MASKED, seat) for seat in range(4)):
            table.run(turns=1, passes=self.hides)
        self.read()
        everybody = frozenset(range(4))
        for seat in self.colluders:
            for to in self.honest:
                counted = everybody if to == VICTIM else everybody - {VICTIM}
                table.members[to].bus.hear(self.place, self.agreement(seat, counted))
        table.run(self.honest, share=0.72, passes=self.hides)

    def hides(self, message: Message, to: int) -> bool:
        others = [seat for seat in self.honest if seat != VICTIM]
        return not (message.at == (Kind.MASKED, VICTIM) and to in others)

    def said(self, kind: Kind, seat: int) -> Message | None:
        """What a seat has said, from its own board."""
        board = self.table.members[seat].bus.boards.get(self.place)
        return None if board is None else board.messages.get((kind, seat))

    def read(self) -> None:
        """All that is public: announcements, the shares that were dealt, digests of the vectors."""
        self.dealt, announced = {}, []
        for seat in range(4):
            message = self.said(Kind.ANNOUNCE, seat)
            assert message is not None
            content = self.table.store.get(Cid.of_digest(message.content, 1 << 14), 1 << 14)
            one, self.dealt[seat] = decode_announced(self.group, seat, content)
            announced.append(one)
        self.roster = Roster.of(self.group.terms, self.group.context, announced)
        said = {seat: self.said(Kind.MASKED, seat) for seat in range(4)}
        self.masked = {seat: one.content for seat, one in said.items() if one is not None}

    def agreement(self, seat: int, counted: frozenset[int]) -> Message:
        member = self.table.members[seat]
        value = agreed_value(self.roster, counted, self.masked).hex()
        said = Message(
            kind=Kind.AGREE, seat=seat, value=value, extra=self.group.mask(counted).hex()
        )
        typed = member.bus.boards[self.place].ballot.typed(said)
        return said.model_copy(update={"signature": member.keys.sign_typed(*typed).hex()})

    def opened(self) -> Integers | None:
        """The victim's vector, if the shares that were dealt to the colluders and those that honest
        members opened recover both of its secrets."""
        found: dict[str, dict[int, bytes]] = {kind: {} for kind in KINDS}
        for seat in self.colluders:
            key = self.table.members[seat].keys.encryption_key(1)
            both = unseal(key, shares_for(self.dealt[VICTIM], seat))
            for number, kind in enumerate(KINDS):
                found[kind][seat] = both[SEED_BYTES * number : SEED_BYTES * (number + 1)]
        for seat in self.honest:
            message = self.said(Kind.OPEN, seat)
            if message is None:
                continue
            counted = self.group.numbers_in(message.more) or frozenset()
            kind = KINDS[1] if VICTIM in counted else KINDS[0]
            share = message.content[SEED_BYTES * VICTIM : SEED_BYTES * (VICTIM + 1)]
            digest = share_digest(self.roster.context, kind, VICTIM, seat, share)
            assert digest == self.roster[VICTIM].share(kind, seat)
            found[kind][seat] = share
        threshold = self.group.terms.threshold
        assert len(found["pair"]) >= threshold  # the sum without the victim was opened
        if len(found["self"]) < threshold:
            return None
        secrets = [combine(found[kind], threshold) for kind in KINDS]
        vector = masked_vector(self.view, self.table.round, VICTIM, self.masked[VICTIM])
        return open_part(self.roster, vector, Disclosure(VICTIM, secrets[0], secrets[1]))
