"""A market on this machine to try things on: chain, contracts, store, and daemons of plants with
made-up machines (`fedpact.demo.plants`)."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from fedpact.data.proposal import as_toml
from fedpact.demo import plants
from fedpact.demo.network import DemoNetwork, running_network
from fedpact.demo.options import StoreKind
from fedpact.errors import InvalidInput
from fedpact.types.deployment import DeploymentV2
from fedpact.types.schema import schema_file

PLANTS = 3
ROWS = 1_000
"""Machines of each plant."""
EVALUATION, QUERIES = 400, 50
POLL_SECONDS = 0.1
REQUESTER, PROVIDERS = "requester", tuple(f"plant-{n + 1}" for n in range(PLANTS))
SETTINGS, SCHEMA, POLICY = "fedpact.toml", "machines.schema.toml", "policy.toml"
MARKET = "market"
"""Folder of everything else: chain, keys, content, the plants' data, state and logs."""
POLICY_TEXT = f"""\
# What the plants accept. Limits of a real provider: docs/operating.md.
categories = ["{plants.CATEGORY}"]
epsilon_per_request = 4.1
epsilon_per_requester = 20.0
epsilon_lifetime = 20.0
submit_after = 0.0 # as soon as a model is trained: these data are made up
"""


@contextlib.contextmanager
def playground(folder: Path, rows: int = ROWS) -> Iterator[DemoNetwork]:
    """A market whose daemons serve; everything is stopped at the end.

    Writes into `folder` what a requester starts from: SETTINGS, SCHEMA, evaluation.csv and
    queries.csv; and POLICY, that of the plants. Raises InvalidInput if the folder holds a market
    already.
    """
    inner = folder.resolve() / MARKET
    if inner.exists():
        raise InvalidInput(f"{inner} exists: choose another folder, or delete it")
    inner.mkdir(parents=True)
    (folder / POLICY).write_text(POLICY_TEXT, encoding="utf-8")
    (folder / SCHEMA).write_text(as_toml(plants.schema(rows, "0" * 32)), encoding="utf-8")
    plants.write_rows(folder / "evaluation.csv", EVALUATION, seed=100)
    plants.write_rows(folder / "queries.csv", QUERIES, seed=200, labelled=False)
    with running_network(inner, StoreKind.EMBEDDED, DeploymentV2.protocol) as (network, registrar):
        for organisation, name in enumerate((REQUESTER, "auditor", *PROVIDERS), start=1):
            network.register(registrar, network.account(name), organisation)
        settings = network.settings(REQUESTER, POLL_SECONDS)
        (folder / SETTINGS).write_text(settings, encoding="utf-8")
        for number, name in enumerate(PROVIDERS):
            data = plants.write_rows(inner / f"{name}.csv", rows, seed=number)
            declared = plants.schema(rows, f"{number + 1:032x}")
            schema_file(data).write_text(as_toml(declared), encoding="utf-8")
            network.start_daemon(name, data, folder / POLICY, POLL_SECONDS, None, network.listens())
        network.wait_until_serving()
        yield network
