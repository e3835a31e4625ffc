"""Daemons whose node pushes heads over WebSocket, while their connections are cut."""

from pathlib import Path

import pytest

from fedpact.types.requests import Phase, RoundFacts
from tests.support.socket_relay import relayed
from tests.support.world import faults_of, running_world

PROVIDERS, ROUNDS = 3, 2


@pytest.mark.slow
def test_a_request_is_served_over_sockets_that_are_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        running_world(tmp_path, providers=PROVIDERS, rounds=ROUNDS) as world,
        relayed(world.network.devnet.url) as (relay, url),
    ):
        monkeypatch.setenv("FEDPACT_ENDPOINT", url)
        for number in range(PROVIDERS):
            world.serve(number)
        world.network.wait_until_serving()
        cut: set[tuple[int, Phase]] = set()

        def strike(facts: RoundFacts) -> None:
            """Once in each phase of each round."""
            if (facts.round, facts.phase) not in cut:
                cut.add((facts.round, facts.phase))
                relay.cut()

        request = world.create()
        world.follow(request, world.settled(request), strike=strike)
        outcome = world.client.rounds.outcome(request)
        assert (outcome.final_rounds, outcome.paid_rounds) == (ROUNDS, ROUNDS)
        assert not any(faults_of(entry) for entry in world.entries(request))
        assert len(cut) > ROUNDS
        assert relay.asked.count("eth_subscribe") > PROVIDERS
        world.wait_until_all_say("paid ")
