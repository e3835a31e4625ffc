"""Personal models by command, beside daemons that are processes of their own."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fedpact.audit import audit
from fedpact.chain import keystore
from fedpact.provider.ledger.opening import open_ledger
from fedpact.types.requests import Status
from tests.support.processes import executed
from tests.support.reports import shown_to_its_requester
from tests.support.world import PAY, POLL, World, running_world

SOUND = {"mode": "sound", "epsilon": 4.0, "delta": 1e-5, "clipping_norm": 1.0}


def told(world: World, number: int, *words: str) -> subprocess.CompletedProcess[str]:
    """What `fedpact` prints for a provider."""
    config = world.network.folder / f"provider-{number + 1}.toml"
    return subprocess.run(
        [sys.executable, "-m", "fedpact", "--config", str(config), *words],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_providers_of_few_classes_train_models_of_their_own(tmp_path: Path) -> None:
    with running_world(tmp_path, providers=3, rounds=3) as world:
        world.network.start_process = executed
        for number in range(3):
            world.serve(number)
        world.network.wait_until_serving()
        draft = world.data.draft.changed(
            strategy={"name": "ditto", "parameters": {"lam": 0.1}},
            family={"name": "softmax-regression"},
            local={"steps": 60, "learning_rate": 0.5},
            privacy=SOUND,
            min_providers=3,
        )
        request = world.requester.create(draft, world.data.evaluation, PAY)
        end = world.requester.follow(request, poll_interval=POLL)
        assert (end.status, end.model) == (Status.SETTLED, True)
        password = world.network.password_file.read_text()
        member = keystore.unlock(world.network.folder / "keys", "provider-1", password)
        assert audit(world.client, world.network.store, request, member).failed == []
        shown = shown_to_its_requester(world, request)
        assert f"`fedpact provider personal {request}`" in shown.card
        assert shown.card_data["strategy"]["name"] == "ditto"
        task = {one["name"]: one["value"] for one in shown.report_data["request"]["task"]}
        assert task["Strategy"] == "ditto"
        assert shown.report_data["audit"]["fails"] == 0
        gains = []
        for number in range(3):
            with open_ledger(world.ledger_file(number), world.accounts[number]) as ledger:
                before = list(ledger.entries())
            data = str(world.data.files[number])
            words = ("provider", "personal", str(request), "--data", data, "--json")
            outcome = told(world, number, *words)
            assert outcome.returncode == 0, outcome.stderr + world.log(number)
            assert "finished local training 20 of 20" in outcome.stderr
            found = json.loads(outcome.stdout)
            gains.append(found["global_error"] - found["error"])
            file = Path(found["file"])
            assert file.stat().st_mode & 0o777 == 0o600
            assert file.is_relative_to(world.network.folder / "state" / "provider")
            with open_ledger(world.ledger_file(number), world.accounts[number]) as ledger:
                assert list(ledger.entries()) == before
            queries = world.network.folder / "queries.npz"
            with np.load(data) as records:
                np.savez(queries, x=records["x"][:100])
                labels = records["y"][:100]
            answered = told(world, number, "request", "answer", str(file), str(queries), "--json")
            assert answered.returncode == 0, answered.stderr
            rows = json.loads(answered.stdout)
            assert (
                np.mean([row["label"] == str(y) for row, y in zip(rows, labels, strict=True)]) > 0.8
            )
        assert np.mean(gains) > 0
        refused = told(world, 0, "provider", "personal", "99", "--data", data)
        assert refused.returncode != 0
        assert "knows no request 99" in refused.stderr
