"""A daemon measures a training before it joins, and declines what cannot end in its window."""

import re
from pathlib import Path

import pytest

from tests.integration.test_operating import dry_run
from tests.support.waiting import wait_until
from tests.support.world import PAY, POLICY, running_world

HEAVY = {
    "family": {"name": "mlp", "parameters": {"hidden": [1000, 500]}},
    "local": {"steps": 1000, "learning_rate": 0.1},
}
"""Minutes on any processor: 10^11 products a hundred times over."""
MEASURED = r"request {}: a round's training of up to \d+ examples seems to take [\d.]+ s"
DECLINED = r"request {}: declined: a round's training seems to take [\d.]+ s here"


@pytest.mark.slow
def test_what_cannot_end_in_its_window_is_declined_and_what_can_is_joined(tmp_path: Path) -> None:
    with running_world(tmp_path, providers=2, rounds=1) as world:
        world.policy_file(0).write_text(
            POLICY.format(lifetime=8.0) + "max_training_seconds = 600000.0\n"
        )
        windows = world.data.draft.fields["windows"]

        def create(seconds: int) -> int:
            draft = world.data.draft.changed(
                **HEAVY, min_providers=2, windows={**windows, "submit": seconds}
            )
            return world.requester.create(draft, world.data.evaluation, PAY)

        tight, roomy = create(2), create(500_000)
        with dry_run(world) as log:
            joins = rf"request {roomy}: would send TrainingPool\.enrol"
            for said in (DECLINED.format(tight), MEASURED.format(roomy), joins):
                wait_until(lambda said=said: re.search(said, log.read_text()), log.read_text)
        world.serve(0)
        for said in (DECLINED.format(tight), MEASURED.format(roomy), f"request {roomy}: joined"):
            wait_until(lambda said=said: re.search(said, world.log(0)), lambda: world.log(0))
        assert (world.client.pool.count(tight), world.client.pool.count(roomy)) == (0, 1)
