"""A store that loses specification, key and models in the middle of a request (real daemons)."""

import threading
from pathlib import Path

from fedpact.requester import RequestProgress
from fedpact.types.cid import Cid
from fedpact.types.rounds import RequestStatus, Stage
from tests.support.waiting import wait_until
from tests.support.world import PAYMENT, POLL, running_world


def test_a_restarted_daemon_goes_on_where_the_store_has_lost_all_but_the_slices(
    tmp_path: Path,
) -> None:
    with running_world(tmp_path, providers=2, rounds=2) as world:
        network = world.network
        for number in range(2):
            world.serve(number)
        network.wait_until_serving()
        windows = {**world.data.draft.fields["windows"], "submit": 900, "commit": 900}
        draft = world.data.draft.changed(windows=windows, min_providers=2)
        request = world.requester.create(draft, world.data.evaluation, PAYMENT)
        spec = world.requester.specification(request)
        slices = {part.cid for part in spec.evaluation}
        lost: list[str] = []

        def lose(progress: RequestProgress) -> None:
            if lost or progress.round < 2 or progress.stage is not Stage.SUBMIT:
                return
            world.kill(0)
            for file in (network.folder / "content/content").iterdir():
                if file.name not in slices:
                    file.unlink()
                    lost.append(file.name)
            threading.Timer(1.0, world.serve, (0,)).start()

        end = world.requester.follow(request, lose, poll_interval=POLL)
        assert spec.initial_model in lost
        assert end.status is RequestStatus.DELIVERED
        state = network.client.rounds.round_state(request)
        assert state.final_rounds == 2
        points, faults = network.client.rounds.points(request)
        assert all(points)
        assert not any(faults)
        # Both owe the specification that they fetched, and each what it made.
        wait_until(lambda: network.store.has(Cid.parse(spec.initial_model)))
        assert "which is owed: put again" in world.log(0)
