"""A provider whose models reach no judge: as if every one of them kept it out.

`python -m tests.support.cut_off_provider --config FILE --data FILE --policy FILE`
"""

from pathlib import Path
from typing import Annotated

import typer

from fedpact.exchange.gossip import Exchange
from fedpact.logs import log_to_stderr
from fedpact.provider.training.work import LocalWork


def main(
    config: Annotated[Path, typer.Option()],
    data: Annotated[Path, typer.Option()],
    policy: Annotated[Path, typer.Option()],
) -> None:
    from fedpact.chain import keystore
    from fedpact.provider.serve import ServedFiles, serve
    from fedpact.settings import load

    settings = load(config)
    password = keystore.read_password(settings.password_file)
    keys = keystore.unlock(settings.keystore, settings.chosen_account(), password)
    log_to_stderr()
    name_models = Exchange.name_models

    def unheard(self: Exchange, trainers: object, peers: object, own: object, *, judging: bool):  # type: ignore[no-untyped-def]
        name_models(self, trainers, peers if judging else (), own, judging=judging)  # type: ignore[arg-type]

    Exchange.name_models = unheard  # type: ignore[method-assign]
    serve(settings, keys, ServedFiles(policy, data), LocalWork())


if __name__ == "__main__":
    typer.run(main)
