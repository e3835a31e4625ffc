"""A store that loses everything in the middle of a request (real daemons)."""

import threading
from pathlib import Path

import pytest

from fedpact.content.pruning import kept_by_all
from fedpact.requester import RequestProgress, content
from fedpact.types.cid import Cid
from fedpact.types.requests import Phase, Status
from tests.support.waiting import wait_until
from tests.support.world import PAY, POLL, faults_of, points_of, running_world


def test_a_request_goes_on_where_the_store_has_lost_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content, "CONTENT_GOOD_FOR", 1.0)
    with running_world(tmp_path, providers=2, rounds=2) as world:
        network = world.network
        for number in range(2):
            world.serve(number)
        network.wait_until_serving()
        windows = {**world.data.draft.fields["windows"], "submit": 900, "commit": 900}
        draft = world.data.draft.changed(windows=windows, min_providers=2)
        request = world.requester.create(draft, world.data.evaluation, PAY)
        spec = world.requester.specification(request)
        slices = [Cid.parse(part.cid) for part in spec.evaluation]
        lost: list[str] = []

        def lose(progress: RequestProgress) -> None:
            # One of both is seen: no vote is due before `follow` has opened the slice.
            if lost or progress.round < 2 or progress.stage not in (Phase.SUBMIT, Phase.COMMIT):
                return
            world.kill(0)
            for file in (network.folder / "content/content").iterdir():
                file.unlink()
                lost.append(file.name)
            threading.Timer(1.0, world.serve, (0,)).start()

        end = world.requester.follow(request, lose, poll_interval=POLL)
        assert spec.initial_model in lost
        assert end.status is Status.SETTLED
        assert world.client.rounds.outcome(request).final_rounds == 2
        entries = world.entries(request)
        assert all(all(points_of(entry, 2)) for entry in entries)
        assert not any(faults_of(entry) for entry in entries)
        # The requester owes what it published, and each provider what it made and fetched.
        assert all(network.store.has(cid) for cid in slices)
        assert network.store.has(Cid.parse(spec.initial_model))
        wait_until(lambda: "which is owed: stored again" in world.log(0), lambda: world.log(0))
        owned = [
            (kept.request, kept.until is None) for _, kept in kept_by_all(network.folder / "state")
        ]
        assert len(owned) == 3
        assert (request, False) in owned  # the requester's has an end
