"""The file that describes a deployment of the second protocol."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from fedpact.chain.deployment_file import load, save
from fedpact.errors import DeploymentError
from fedpact.types.deployment import SecondDeployment


def test_the_file_names_its_protocol(tmp_path: Path, deployment: SecondDeployment) -> None:
    path = tmp_path / "deployment.json"
    save(deployment, path)
    assert json.loads(path.read_text())["protocol"] == 2
    assert load(path) == deployment


def test_a_protocol_of_another_version_is_refused(
    tmp_path: Path, deployment: SecondDeployment
) -> None:
    path = tmp_path / "deployment.json"
    facts = asdict(replace(deployment, protocol=3))
    for name in ("ledger", "pool", "factory", "min_window"):
        del facts[name]
    path.write_text(json.dumps(facts))
    with pytest.raises(DeploymentError, match="describes protocol 3: this version knows 1 and 2"):
        load(path)


def test_a_missing_contract_is_named(tmp_path: Path, deployment: SecondDeployment) -> None:
    path = tmp_path / "deployment.json"
    facts = asdict(deployment)
    del facts["pool"]
    path.write_text(json.dumps(facts))
    with pytest.raises(DeploymentError, match=r"is not a deployment file.*pool"):
        load(path)
