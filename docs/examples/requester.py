"""A requester's life through the Python API: publish, follow, fetch, answer.

`python docs/examples/requester.py` needs a settings file (./fedpact.toml) with the account, a
draft, an evaluation set and queries beside it; docs/examples/draft.toml is such a draft.
"""

from pathlib import Path

from fedpact import settings
from fedpact.chain import deployment, keystore
from fedpact.chain.client import ChainClient
from fedpact.content.store import open_store
from fedpact.requester import Requester, RequestProgress
from fedpact.requester.request import read_draft

PAYMENT = 10**18
"""Wei: one ether."""


def connect(config: Path | None = None) -> Requester:
    """A requester from the settings file, the environment and the password that goes with it."""
    chosen = settings.load(config)
    client = ChainClient.connect(chosen.endpoint, deployment.load(chosen.deployment))
    password = keystore.read_password(chosen.password_file)
    keys = keystore.unlock(chosen.keystore, chosen.chosen_account(), password)
    return Requester(client, open_store(chosen.store), keys, chosen.state)


def show(progress: RequestProgress) -> None:
    print(f"round {progress.round}: {progress.stage.name.lower()} {progress.note}")


def buy_answers(requester: Requester, draft: Path, evaluation: Path, queries: Path) -> list[str]:
    """Pay for a model, wait for it, and return its label for each query."""
    request_id = requester.create(read_draft(draft), evaluation, PAYMENT, queries=queries)
    requester.follow(request_id, show)
    model = requester.fetch(request_id)
    print(f"{model.path}: error {model.error} of 10,000, by {len(model.contributors)} providers")
    return [answer.label for answer in requester.answer(request_id, queries)]


if __name__ == "__main__":
    labels = buy_answers(connect(), Path("draft.toml"), Path("evaluation.csv"), Path("queries.csv"))
    print(labels)
