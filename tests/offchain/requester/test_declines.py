"""Who declined a request: what a registered stranger publishes stops neither list nor request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fedpact.requester.declines import Declines
from fedpact.retrieval.profiles.document import LONGEST_DOCUMENT

if TYPE_CHECKING:
    from tests.offchain.requester.conftest import Scene


def test_a_profile_that_is_too_large_is_passed_over(scene: Scene) -> None:
    """`request status` ended with "content is too large" for everybody."""
    huge = scene.store.put(bytes(LONGEST_DOCUMENT + 1))
    scene.client.registry.set_profile(scene.people.members[0], huge.digest, b"a" * 32)
    request = scene.create()
    with Declines(scene.client, scene.store, request.id) as declines:
        assert declines.everybody() == {}
