"""Attacks on a secure sum by its members and its collector."""

from collections import Counter
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest

from fedpact.errors import PrivacyError
from fedpact.privacy.secure_sum.collecting import SumFailed, open_part, open_sum
from fedpact.privacy.secure_sum.masks import self_words
from fedpact.privacy.secure_sum.member import Opening, SumMember
from fedpact.privacy.secure_sum.roster import Agreement, Roster
from fedpact.privacy.secure_sum.sharing import combine, share_digest, split
from fedpact.privacy.secure_sum.terms import SumTerms
from tests.support.secure_sum import CONTEXT, Party, draws, key, vectors

EVERYBODY = frozenset(range(6))
TERMS = SumTerms(6, 1, 2)
"""Threshold 5."""


# ------------------------------------------------------------------ asking for both secrets


def test_a_member_agrees_to_one_set_alone() -> None:
    party = Party.of(TERMS)
    member = party.members[0]
    first = member.agree(EVERYBODY)
    assert member.agree(EVERYBODY) is first
    with pytest.raises(PrivacyError, match="as well"):
        member.agree(EVERYBODY - {3})


def agreed(terms: SumTerms, told: dict[int, frozenset[int]]) -> set[frozenset[int]]:
    """The sets for which an honest member opens, if each is told of a set of its own (`told`, by
    member) and the colluders, the others, agree to whatever helps."""
    party = Party.of(terms)
    words = [party.members[number].agree(counted) for number, counted in told.items()]
    found = set()
    for counted in set(told.values()):
        lies = [
            Agreement(number, party.roster.digest, counted)
            for number in set(range(terms.members)) - set(told)
        ]
        with suppress(PrivacyError):
            found.add(party.members[0].opening([*words, *lies]).counted)
    return found


@pytest.mark.parametrize("terms", [SumTerms(4, 1, 1), SumTerms(6, 1, 2), SumTerms(7, 2, 2)])
def test_nobody_gets_both_secrets_of_a_member(terms: SumTerms) -> None:
    # Some honest members are told that member 0 is in the sum, the others that it is not.
    honest, everybody = terms.members - terms.colluders, frozenset(range(terms.members))
    opened = []
    for inside in range(honest + 1):
        told = {at: everybody if at < inside else everybody - {0} for at in range(honest)}
        opened.append(agreed(terms, told))
    assert opened[0] == {everybody - {0}}
    assert opened[-1] == {everybody}
    assert all(len(sets) < 2 for sets in opened)


def test_a_simple_majority_would_give_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SumTerms, "threshold", property(lambda terms: terms.members // 2 + 1))
    told = {at: EVERYBODY if at < 2 else EVERYBODY - {0} for at in range(4)}
    assert agreed(SumTerms(6, 1, 2), told) == {EVERYBODY, EVERYBODY - {0}}


def test_members_who_are_told_of_different_sets_open_none() -> None:
    # Without agreement this gave the sum of members 0 to 3: to each member four other members are
    # missing, so that of six members enough shares of their keys are opened.
    terms, everybody = SumTerms(10, 4, 0), frozenset(range(10))
    told = {
        number: everybody - {4 + (4 * number + step) % 6 for step in range(4)}
        for number in everybody
    }
    missing = Counter(other for counted in told.values() for other in everybody - counted)
    assert min(missing[other] for other in range(4, 10)) >= terms.threshold
    assert agreed(terms, told) == set()


def test_agreements_of_strangers_and_of_other_rosters_do_not_count() -> None:
    party = Party.of(SumTerms(7, 1, 2), range(6))
    needed = party.terms.threshold
    words = [member.agree(EVERYBODY) for member in party.members[: needed - 1]]
    for other in (
        replace(words[0], number=6),
        words[0],
        replace(words[0], number=5, roster=bytes(32)),
        replace(words[0], number=5, counted=EVERYBODY - {0}),
    ):
        with pytest.raises(PrivacyError, match=f"agreement of {needed}"):
            party.members[0].opening([*words, other])
    assert party.members[0].opening([*words, party.members[5].agree(EVERYBODY)])


def test_a_late_vector_stays_hidden_by_its_own_mask() -> None:
    # SumMember 5 is counted as missing, so that its key's seed is opened. Its vector comes later.
    party, values = Party.of(TERMS), vectors(TERMS, 1000)
    masked = party.masked(values)
    late = masked.pop(5)
    openings = party.openings(frozenset(masked), party.members[:5])
    assert open_sum(party.roster, masked, openings).values.tolist() == sum(values[:5]).tolist()
    shares = {one.number: one.shares[5] for one in openings}
    pair_seed = combine(shares, TERMS.threshold)
    disclosure = party.members[5].disclose()
    assert pair_seed == disclosure.pair_seed
    # All that was opened leaves the vector and the words of its own seed, which nobody can open.
    guessed = replace(disclosure, self_seed=bytes(16))
    with pytest.raises(SumFailed):
        open_part(party.roster, late, guessed)
    own = self_words(disclosure.self_seed, party.roster.digest, 1000)
    bare = open_part(party.roster, late, disclosure).astype(np.uint64) + own
    assert np.abs(bare.astype(np.int64).astype(float)).mean() > 2**61


def test_members_of_different_rosters_cannot_be_combined() -> None:
    # Two members are told of a roster without member 5. Their masks do not cancel with the others'.
    first, second = Party.of(TERMS), Party.of(TERMS, range(5))
    values = vectors(TERMS)
    masked = first.masked(values, missing={0, 1})
    masked |= second.masked(values, missing={2, 3, 4})
    openings = first.openings(EVERYBODY)
    found = open_sum(first.roster, masked, openings)
    assert found.values.tolist() != sum(values).tolist()
    # And what the second roster's members opened does not count for the first.
    five = frozenset(range(5))
    mixed = second.openings(five)
    with pytest.raises(SumFailed, match="0 shares"):
        open_sum(first.roster, {at: masked[at] for at in five}, mixed)


def test_a_member_keeps_its_roster_and_masks_once() -> None:
    party = Party.of(TERMS)
    member = party.members[0]
    with pytest.raises(PrivacyError, match="does not change"):
        member.accept(party.roster, {})
    member.masked(vectors(TERMS)[0])
    with pytest.raises(PrivacyError, match="already"):
        member.masked(vectors(TERMS)[1])


def test_a_member_made_again_shares_no_seed_with_the_first() -> None:
    # With the same seeds, the first roster's sum could open one of them and a second roster's the
    # other: together they would show the vector.
    first, again = (SumMember(TERMS, CONTEXT, 0, key(0)) for _ in range(2))
    announced, other = first.announcement(), again.announcement()
    assert announced.mask_key != other.mask_key
    assert announced.self_digest != other.self_digest
    party = Party.of(TERMS)
    roster = Roster(TERMS, CONTEXT, (announced, *party.roster.announcements[1:]))
    with pytest.raises(PrivacyError, match="does not name this member as it announced"):
        again.accept(roster, {})


def test_nothing_is_masked_or_opened_without_a_roster() -> None:
    member = SumMember(TERMS, CONTEXT, 0, key(0), draws(0))
    with pytest.raises(PrivacyError, match="no roster"):
        member.masked(vectors(TERMS)[0])
    with pytest.raises(PrivacyError, match="no roster"):
        member.agree(EVERYBODY)
    with pytest.raises(PrivacyError, match="no roster"):
        member.opening([])
    with pytest.raises(PrivacyError, match="no roster"):
        member.disclose()


def test_masks_of_two_rounds_have_nothing_in_common() -> None:
    zeros = [np.zeros(8, np.int64)] * 6
    first, second = (Party.of(TERMS, context=one).masked(zeros) for one in (b"round 1", b"round 2"))
    assert all(not (first[number] == second[number]).any() for number in range(6))


# ------------------------------------------------------------------ wrong shares and keys


def dealing_two_secrets() -> Party:
    """SumMember 0 announces, and deals, shares of two different secrets."""
    party = Party.of(TERMS)
    member = party.members[0]
    for kind in ("pair", "self"):
        other = split(b"another secret!!", TERMS.threshold, TERMS.members)
        member._dealt[kind][3:] = other[3:]
    rest = [SumMember(TERMS, CONTEXT, at, key(at), draws(at)) for at in range(1, 6)]
    cheated = Party(TERMS, [member, *rest], party.roster)
    fresh = SumMember(TERMS, CONTEXT, 0, key(0), draws(0))
    fresh._dealt = member._dealt
    cheated.members[0] = fresh
    cheated.roster = Roster.of(TERMS, CONTEXT, [one.announcement() for one in cheated.members])
    sealed = cheated.sealed()
    for one in cheated.members:
        one.accept(cheated.roster, {at: dealt[one.number] for at, dealt in sealed.items()})
    return cheated


@pytest.mark.parametrize("missing", [(), (0,)])
def test_who_deals_shares_of_no_secret_is_named(missing: tuple[int, ...]) -> None:
    party = dealing_two_secrets()
    with pytest.raises(SumFailed, match="member 0 dealt shares") as failed:
        party.opened(party.masked(vectors(TERMS), missing))
    assert failed.value.at_fault == {0}


def test_who_deals_another_share_than_announced_is_named() -> None:
    party = Party.of(TERMS)
    member = SumMember(TERMS, CONTEXT, 5, key(5), draws(5))
    roster = Roster.of(
        TERMS,
        CONTEXT,
        [*(one.announcement() for one in party.members[:5]), member.announcement()],
    )
    sealed = {at: dealt[5] for at, dealt in party.sealed().items()}
    sealed[5] = member.shares_for([bytes(key(at).public_key) for at in range(6)])[5]
    for wrong, words in (
        (party.sealed()[2][4], "no share that opens"),
        (party.sealed()[3][5], "did not announce"),
    ):
        with pytest.raises(PrivacyError, match=f"member 2 dealt .*{words}"):
            member.accept(roster, sealed | {2: wrong})
    with pytest.raises(PrivacyError, match="member 1 dealt no share"):
        member.accept(roster, {at: one for at, one in sealed.items() if at != 1})
    member.accept(roster, sealed)


def with_lies(openings: list[Opening], liars: set[int]) -> list[Opening]:
    return [
        replace(one, shares=dict.fromkeys(one.shares, bytes(16))) if one.number in liars else one
        for one in openings
    ]


def test_false_openings_are_left_out_and_their_senders_named() -> None:
    party, values = Party.of(TERMS), vectors(TERMS)
    masked = party.masked(values)
    openings = party.openings(EVERYBODY)
    found = open_sum(party.roster, masked, with_lies(openings, {4}))
    assert found.values.tolist() == sum(values).tolist()
    assert found.at_fault == {4}
    with pytest.raises(SumFailed, match=r"4 shares .* 5 are needed") as failed:
        open_sum(party.roster, masked, with_lies(openings, {1, 4}))
    assert failed.value.at_fault == {1, 4}


@pytest.mark.parametrize("number", [-1, 6, 2**40])
def test_an_opening_of_nobody_counts_for_nothing(number: int) -> None:
    party, values = Party.of(TERMS), vectors(TERMS)
    openings = party.openings(EVERYBODY)
    strange = replace(openings[0], number=number)
    found = open_sum(party.roster, party.masked(values), [strange, *openings])
    assert found.values.tolist() == sum(values).tolist()
    assert not found.at_fault


def test_who_announces_a_share_of_another_length_is_named() -> None:
    # Member 0's accomplice, member 1, does not refuse it.
    party, short = Party.of(TERMS), b"short"
    digest = share_digest(CONTEXT, "self", 0, 1, short)
    first, *rest = party.roster.announcements
    announced = replace(first, self_shares=(first.self_shares[0], digest, *first.self_shares[2:]))
    roster = Roster(TERMS, CONTEXT, (announced, *rest))
    openings = [
        replace(one, roster=roster.digest, shares={**one.shares, **({0: short} if at == 1 else {})})
        for at, one in enumerate(party.openings(EVERYBODY))
    ]
    with pytest.raises(SumFailed, match="member 0 announced a share of 5 bytes") as failed:
        open_sum(roster, party.masked(vectors(TERMS)), openings)
    assert failed.value.at_fault == {0}


def test_a_holder_cannot_open_the_other_secret_in_place_of_the_asked_one() -> None:
    party = Party.of(TERMS)
    masked = party.masked(vectors(TERMS))
    openings = party.openings(EVERYBODY)
    other = {dealer: party.members[4]._held[dealer, "pair"] for dealer in range(6)}
    openings[4] = replace(openings[4], shares=other)
    assert open_sum(party.roster, masked, openings).at_fault == {4}


@pytest.mark.parametrize(
    "small", [bytes(32), b"\x01" + bytes(31), b"\xec" + b"\xff" * 30 + b"\x7f"]
)
def test_a_key_of_small_order_cannot_be_announced(small: bytes) -> None:
    announced = SumMember(TERMS, CONTEXT, 3, key(3), draws(3)).announcement()
    with pytest.raises(PrivacyError, match=r"member 3 announces 0x.* not an X25519 public key"):
        replace(announced, mask_key=small)


def test_a_registered_key_of_small_order_stops_its_member_alone() -> None:
    party, values = Party.of(TERMS, range(5)), vectors(TERMS)
    keys = [*(bytes(key(at).public_key) for at in range(5)), bytes(32)]
    dealt = [member.shares_for(keys) for member in party.members]
    assert [one[5] for one in dealt] == [b""] * 5
    assert [one[:5] for one in dealt] == [one[:5] for one in party.sealed().values()]
    assert party.opened(party.masked(values)).values.tolist() == sum(values[:5]).tolist()


def test_a_disclosure_must_be_of_the_announced_secrets() -> None:
    party = Party.of(TERMS)
    masked = party.masked(vectors(TERMS))
    disclosed = party.members[1].disclose()
    for wrong in (
        replace(disclosed, pair_seed=bytes(16)),
        replace(disclosed, self_seed=bytes(16)),
        replace(disclosed, number=2),
    ):
        with pytest.raises(SumFailed, match="other secrets") as failed:
            open_part(party.roster, masked[1], wrong)
        assert failed.value.at_fault == {wrong.number}


@pytest.mark.parametrize("number", [-1, 5, 6, 2**40])
def test_a_disclosure_of_nobody_is_refused(number: int) -> None:
    party = Party.of(TERMS, range(5))
    disclosed = replace(party.members[1].disclose(), number=number)
    with pytest.raises(SumFailed, match=f"member {number} disclosed .* not in the roster"):
        open_part(party.roster, party.masked(vectors(TERMS))[1], disclosed)


def test_a_share_of_another_round_does_not_count() -> None:
    share = split(bytes(16), 5, 6)[0]
    digests = {share_digest(context, "pair", 0, 1, share) for context in (b"1", b"2")}
    assert len(digests) == 2


def test_a_roster_is_of_the_sum_and_in_order() -> None:
    party = Party.of(TERMS)
    announced = party.roster.announcements
    for wrong in ((*announced[1:], announced[0]), (*announced[:5], announced[4])):
        with pytest.raises(PrivacyError, match="once each"):
            Roster(TERMS, CONTEXT, wrong)
    with pytest.raises(PrivacyError, match="names member 6"):
        Roster(TERMS, CONTEXT, (*announced[:5], replace(announced[5], number=6)))
    with pytest.raises(PrivacyError, match="names member -1"):
        Roster.of(TERMS, CONTEXT, (replace(announced[0], number=-1), *announced[1:]))
    short = replace(announced[5], pair_shares=(bytes(32),) * 5, self_shares=(bytes(32),) * 5)
    with pytest.raises(PrivacyError, match="dealt 5 shares"):
        Roster(TERMS, CONTEXT, (*announced[:5], short))
    fresh = SumMember(TERMS, CONTEXT, 0, key(0), draws(0))
    for other in (SumTerms(6, 0, 2), SumTerms(6, 1, 1)):
        with pytest.raises(PrivacyError, match="of other terms"):
            fresh.accept(Roster(other, CONTEXT, announced), {})
