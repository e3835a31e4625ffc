"""A requester's work in Python: publish, follow, fetch, answer.

`python docs/examples/requester.py` needs in the current folder: a settings file (fedpact.toml) that
names the account, a draft (such as docs/examples/draft.toml), an evaluation set and queries.
"""

from getpass import getpass
from pathlib import Path

import fedpact

PAYMENT = 10**18
"""Wei: one ether."""


def show(progress: fedpact.RequestProgress) -> None:
    print(f"round {progress.round}: {progress.stage.name.lower()} {progress.note}")


def buy_answers(
    requester: fedpact.Requester, draft: Path, evaluation: Path, queries: Path
) -> list[str]:
    """Pay for a model, wait for it, and return its label for each query."""
    request_id = requester.create(fedpact.Draft.read(draft), evaluation, PAYMENT, queries=queries)
    requester.follow(request_id, show)
    model = requester.fetch(request_id)
    print(f"{model.path}: error {model.error} of 10,000, by {len(model.contributors)} providers")
    return [answer.label for answer in requester.answer(request_id, queries)]


if __name__ == "__main__":
    session = fedpact.connect(prompt=getpass)
    print(
        buy_answers(
            session.requester, Path("draft.toml"), Path("evaluation.csv"), Path("queries.csv")
        )
    )
