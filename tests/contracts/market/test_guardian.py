"""One test for each leaf of guardian.tree."""

import pytest

from tests.contracts.market.kit import OPEN, SETTLED, entry


@pytest.mark.parametrize("name", ["pause", "unpause"])
def test_a_stranger_neither_pauses_nor_ends_a_pause(request_of, expect_revert, name):
    r = request_of()
    with expect_revert("OwnableUnauthorizedAccount", r.stranger):
        r.send(r.stranger, name)


def test_a_pause_leaves_requests_under_way_as_they_are(request_of, expect_revert):
    r = request_of()
    r.create()
    r.send(r.on.registrar, "pause")
    with expect_revert("EnforcedPause"):
        r.send(r.requester, "createRequest", r.terms, value=r.value)

    r.start()
    r.end(entry([5_000] * 2))
    r.deliver()
    r.settle(sender=r.requester)
    assert r.status == SETTLED


def test_new_requests_are_allowed_again(request_of):
    r = request_of()
    r.send(r.on.registrar, "pause")
    r.send(r.on.registrar, "unpause")
    r.create()
    assert r.status == OPEN


def test_the_role_is_transferred_when_the_other_accepts(request_of, expect_revert):
    r = request_of()
    r.send(r.on.registrar, "transferOwnership", r.stranger.address)
    r.send(r.on.registrar, "pause")

    r.send(r.stranger, "acceptOwnership")
    with expect_revert("OwnableUnauthorizedAccount", r.on.registrar):
        r.send(r.on.registrar, "unpause")
    r.send(r.stranger, "unpause")


def test_the_role_is_not_given_up(request_of, expect_revert):
    r = request_of()
    with expect_revert("SharingMarket_GuardianRequired", r.on.registrar):
        r.send(r.on.registrar, "renounceOwnership")
