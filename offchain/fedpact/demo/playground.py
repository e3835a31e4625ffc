"""A market on this machine to try things on: chain, contracts, store, and daemons of plants with
made-up machines (`fedpact.demo.plant_data`)."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from fedpact.chain.keystore import AccountKeys
from fedpact.data.schema_draft import as_toml
from fedpact.demo import plant_data
from fedpact.demo.network import DemoNetwork, running_network
from fedpact.errors import InvalidInput
from fedpact.types.schema import schema_file

PLANTS = 3
ROWS = 1_000
"""Machines of each plant."""
EVALUATION, QUERIES = 400, 50
POLL_SECONDS = 0.1
REQUESTER, PROVIDERS = "requester", tuple(f"plant-{n + 1}" for n in range(PLANTS))
SETTINGS, SCHEMA, POLICY = "fedpact.toml", "machines.schema.toml", "policy.toml"
EVALUATION_FILE, QUERIES_FILE = "evaluation.csv", "queries.csv"
MARKET = "market"
"""Folder of everything else: chain, keys, content, the plants' data, state and logs."""
POLICY_TEXT = f"""\
# What the plants accept. Limits of a real provider: docs/operating.md.
categories = ["{plant_data.CATEGORY}"]
epsilon_per_request = 4.1
epsilon_per_requester = 20.0
epsilon_lifetime = 20.0
submit_after = 0.0 # as soon as a model is trained: these data are made up
"""


@contextlib.contextmanager
def playground(folder: Path, rows: int = ROWS) -> Iterator[DemoNetwork]:
    """A market whose daemons serve; everything is stopped at the end.

    Writes into `folder` what a requester starts from: SETTINGS, SCHEMA, EVALUATION_FILE and
    QUERIES_FILE; and POLICY, that of the plants. Raises InvalidInput if the folder has any of these
    or a market already. Of a start that fails nothing stays.
    """
    folder = folder.resolve()
    written = [folder / name for name in (SETTINGS, SCHEMA, POLICY, EVALUATION_FILE, QUERIES_FILE)]
    inner = folder / MARKET
    taken = [path.name for path in (inner, *written) if path.exists()]
    if taken:
        raise InvalidInput(
            f"{folder} has {', '.join(taken)} already: choose another folder, or move them away"
        )
    inner.mkdir(parents=True)
    serving = False
    try:
        with running_network(inner) as running:
            _start(*running, folder, rows)
            serving = True
            yield running[0]
    finally:
        if not serving:
            shutil.rmtree(inner)
            for path in written:
                path.unlink(missing_ok=True)


def _start(network: DemoNetwork, registrar: AccountKeys, folder: Path, rows: int) -> None:
    """Admit all accounts, write the files, and start the plants' daemons."""
    policy, schema = folder / POLICY, as_toml(plant_data.schema(rows, "0" * 32))
    policy.write_text(POLICY_TEXT, encoding="utf-8")
    (folder / SCHEMA).write_text(schema, encoding="utf-8")
    plant_data.write_rows(folder / EVALUATION_FILE, EVALUATION, seed=100)
    plant_data.write_rows(folder / QUERIES_FILE, QUERIES, seed=200, labelled=False)
    for organisation, name in enumerate((REQUESTER, "auditor", *PROVIDERS), start=1):
        network.register(registrar, network.account(name), organisation)
    settings = network.settings(REQUESTER, POLL_SECONDS)
    (folder / SETTINGS).write_text(settings, encoding="utf-8")
    for number, name in enumerate(PROVIDERS):
        data = plant_data.write_rows(network.folder / f"{name}.csv", rows, seed=number)
        declared = plant_data.schema(rows, f"{number + 1:032x}")
        schema_file(data).write_text(as_toml(declared), encoding="utf-8")
        network.start_daemon(name, data, policy, POLL_SECONDS, None, network.listens())
    network.wait_until_serving()
