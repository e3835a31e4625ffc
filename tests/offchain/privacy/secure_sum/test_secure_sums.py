"""Secure sums: whoever drops out, the sum is exact; and the bytes, computed by other means."""

import hashlib
import hmac
from itertools import combinations

import numpy as np
import pytest
from Crypto.Cipher import ChaCha20
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.bindings import crypto_scalarmult, crypto_scalarmult_base
from pydantic import ValidationError

from fedpact.errors import PrivacyError
from fedpact.privacy.noise import SeededNoise, from_half_steps
from fedpact.privacy.scope import scope_of
from fedpact.privacy.secure_sum.collecting import open_part
from fedpact.privacy.secure_sum.sharing import combine, split
from fedpact.privacy.secure_sum.terms import SumTerms
from fedpact.types.privacy import Privacy, PrivacyMode
from tests.support.secure_sum import CONTEXT, Party, draws, vectors


@st.composite
def sums(draw: st.DrawFn) -> tuple[SumTerms, set[int], set[int], set[int]]:
    """Terms, and the members that did not announce, mask or open."""
    dropouts, colluders = draw(st.integers(0, 2)), draw(st.integers(0, 3))
    least = max(2 * dropouts + colluders + 1, dropouts + colluders + 2)
    terms = SumTerms(draw(st.integers(least, 10)), dropouts, colluders)
    lost = draw(st.lists(st.integers(0, terms.members - 1), max_size=dropouts, unique=True))
    cut = draw(st.integers(0, len(lost)))
    silent = draw(st.permutations(sorted(set(range(terms.members)) - set(lost))))
    spare = terms.members - len(lost) - terms.threshold
    return terms, set(lost[:cut]), set(lost[cut:]), set(silent[: draw(st.integers(0, spare))])


@settings(max_examples=40, deadline=None)
@given(sums(), st.integers(0, 2**32))
def test_the_sum_is_exact_whoever_drops_out(
    case: tuple[SumTerms, set[int], set[int], set[int]], seed: int
) -> None:
    terms, absent, missing, silent = case
    party = Party.of(terms, set(range(terms.members)) - absent)
    values = vectors(terms, seed=seed)
    masked = party.masked(values, missing)
    found = party.opened(masked, silent)
    assert found.values.tolist() == sum(values[number] for number in masked).tolist()
    assert found.at_fault == frozenset()


def test_noised_sums_add_up_as_floating_point_values() -> None:
    terms, std = SumTerms(4, 0, 1), 0.37
    generator = np.random.default_rng(1)
    sums = [generator.normal(0, 5, 100) for _ in range(4)]
    integers = [SeededNoise(number).add_integers(total, std) for number, total in enumerate(sums)]
    alone = [SeededNoise(number).add(total, std) for number, total in enumerate(sums)]
    party = Party.of(terms)
    found = from_half_steps(party.opened(party.masked(integers)).values, std)
    np.testing.assert_allclose(found, np.sum(alone, axis=0), rtol=1e-12)


def test_a_disclosed_part_is_what_its_member_masked() -> None:
    party = Party.of(SumTerms(4, 0, 1))
    values = vectors(party.terms)
    masked = party.masked(values)
    parts = [
        open_part(party.roster, masked[member.number], member.disclose())
        for member in party.members
    ]
    assert [part.tolist() for part in parts] == [one.tolist() for one in values]
    assert sum(parts).tolist() == party.opened(masked).values.tolist()


def test_a_sum_needs_as_many_members_as_its_terms_say() -> None:
    terms = SumTerms(6, 1, 1)
    with pytest.raises(PrivacyError, match="4 members announced"):
        Party.of(terms, range(4))
    party = Party.of(terms)
    masked = party.masked(vectors(terms), missing={0, 1})
    with pytest.raises(PrivacyError, match="a sum of 4 members is not opened"):
        party.members[5].agree(frozenset(masked))


@pytest.mark.parametrize(("members", "dropouts", "colluders"), [(2, 0, 1), (4, 2, 0), (5, 1, 3)])
def test_terms_that_protect_nobody_are_refused(members: int, dropouts: int, colluders: int) -> None:
    with pytest.raises(PrivacyError, match="it needs at least"):
        SumTerms(members, dropouts, colluders)


def test_shares_by_hand() -> None:
    # A line over GF(2^128): share x of secret s is s + a x, and 2 times a is a shifted left, less
    # x^128 + x^7 + x^2 + x + 1 where a bit falls out.
    s, a = 0x0123456789ABCDEF << 64 | 0xFEDCBA9876543210, 1 << 127 | 5
    doubled = (a << 1) ^ (1 << 128 | 0x87)
    shares = {0: s ^ a, 1: s ^ doubled, 2: s ^ doubled ^ a}
    for pair in combinations(shares, 2):
        held = {holder: shares[holder].to_bytes(16, "big") for holder in pair}
        assert combine(held, 2) == s.to_bytes(16, "big")


def test_fewer_shares_than_the_threshold_fit_every_secret() -> None:
    # The line through one share and any secret: so a share by itself says nothing.
    share = split(bytes(16), 2, 3)[0]
    for other in (b"\1" * 16, b"\xff" * 16):
        line = {0: share, 1: bytes(16)}
        assert combine(line, 2) != combine({0: share, 1: other}, 2)


def hkdf(secret: bytes, purpose: bytes, context: bytes) -> bytes:
    """RFC 5869 with an empty salt, 32 bytes."""
    pseudorandom = hmac.digest(bytes(32), secret, "sha256")
    info = b"fedpact/secure-sum/v1/" + purpose + b"\0" + context
    return hmac.digest(pseudorandom, info + b"\1", "sha256")


def stream(key: bytes, count: int) -> list[int]:
    drawn = ChaCha20.new(key=key, nonce=bytes(8)).encrypt(bytes(8 * count))
    return [int.from_bytes(drawn[8 * at : 8 * at + 8], "little") for at in range(count)]


def test_masked_vectors_by_other_libraries() -> None:
    party = Party.of(SumTerms(3, 0, 1))
    roster = party.roster.digest
    drawn = [draws(number) for number in range(3)]
    pair_seeds, self_seeds = ([draw(16) for draw in drawn] for _ in range(2))
    private = [hkdf(one, b"mask-key", CONTEXT) for one in pair_seeds]
    for number, key in enumerate(private):
        assert party.roster[number].mask_key == crypto_scalarmult_base(key)
        placed = number.to_bytes(4, "big")
        digest = hashlib.sha256(
            b"fedpact/secure-sum/v1/secret\0" + hashlib.sha256(CONTEXT).digest() + placed
            + self_seeds[number]
        )  # fmt: skip
        assert party.roster[number].self_digest == digest.digest()

    def pair(low: int, high: int) -> list[int]:
        shared = crypto_scalarmult(private[low], crypto_scalarmult_base(private[high]))
        placed = low.to_bytes(4, "big") + high.to_bytes(4, "big")
        return stream(hkdf(shared, b"pair", roster + placed), 2)

    own = [stream(hkdf(one, b"self", roster), 2) for one in self_seeds]
    values = [[5, -3], [7, 2**40], [-1, 0]]
    signs = [[1, 1, 0], [-1, 0, 1], [0, -1, -1]]
    masks = [pair(0, 1), pair(0, 2), pair(1, 2)]
    expected = [
        [
            (value + own[row][at] + sum(s * mask[at] for s, mask in zip(sign, masks, strict=True)))
            % 2**64
            for at, value in enumerate(values[row])
        ]
        for row, sign in enumerate(signs)
    ]
    masked = party.masked([np.array(one) for one in values])
    assert [masked[number].tolist() for number in range(3)] == expected
    assert party.opened(masked).values.tolist() == [11, 2**40 - 3]


FIELDS = {"mode": PrivacyMode.SOUND, "epsilon": 2.0, "delta": 1e-5, "noise_multiplier": 1.0}
SECURE = {"sum": "secure", "group": 4, "honest": 2, "colluders": 1}


def test_a_specification_names_all_that_its_promise_needs() -> None:
    given = Privacy.model_validate(FIELDS | SECURE)
    assert given.statement == (
        "sound: epsilon 2 at delta 1e-05, for sums of groups of providers of which nobody sees a "
        "part; it holds if at most 1 of a round's providers collude, since no sum is opened without"
        " 2 others in it"
    )


def test_nothing_says_that_it_holds_if_all_others_collude() -> None:
    scope = scope_of(Privacy.model_validate(FIELDS | SECURE))
    assert not any("all others" in one for one in scope.covers)
    assert "more than 1 of the members collude" in scope.not_covered[0]
    assert any("all others" in one for one in scope_of(Privacy.model_validate(FIELDS)).covers)


def test_without_a_secure_sum_its_bytes_are_those_of_before() -> None:
    assert not {"sum", *SECURE} & set(Privacy.model_validate(FIELDS).model_dump())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"honest": None}, "needs group, honest, colluders"),
        ({"sum": None}, "of a secure sum alone"),
        ({"honest": 4}, "groups of 4 cannot have 4 honest members beside 1 colluders"),
        ({"honest": 1}, "greater than or equal to 2"),
        ({"group": 3}, "greater than or equal to 4"),
        ({"group": 17}, "less than or equal to 16"),
        ({"sum": "plain"}, "secure"),
        ({"mode": PrivacyMode.NONE}, "takes no"),
        ({"clipping_norm": 1.0, "adaptive_clipping": {}}, "takes no adaptive_clipping"),
    ],
)
def test_what_protects_nobody_is_refused(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        Privacy.model_validate(FIELDS | SECURE | changes)
