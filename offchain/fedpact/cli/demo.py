"""The demo: the whole life of a request on one machine."""

from pathlib import Path
from typing import Annotated

import typer

from fedpact.demo.options import DemoOptions, PoisonKind, StoreKind
from fedpact.types.specification import PaperMechanism


def demo(
    providers: Annotated[int, typer.Option(help="Number of providers, 2 to 16.")] = 4,
    rounds: Annotated[int | None, typer.Option(help="Most rounds.")] = None,
    partition: Annotated[
        str | None,
        typer.Option(
            help="iid, dir<alpha>, class<k>, sorted or group (else half of the classes at each "
            "provider, or group for windows)."
        ),
    ] = None,
    data: Annotated[
        str,
        typer.Option(help="digits, or a data set of the folder FEDPACT_DATA: mnist, r8, ..."),
    ] = "digits",
    family: Annotated[
        str | None, typer.Option(help="Model family (else the one that suits the data).")
    ] = None,
    strategy: Annotated[
        str | None,
        typer.Option(help="fedavg, fedavgm, dlmu or algorithm-one; as in dlmu:tau=0.8."),
    ] = None,
    aggregation: Annotated[
        str | None, typer.Option(help="Aggregation rule, as in trimmed-mean:share=0.25.")
    ] = None,
    store: Annotated[
        StoreKind, typer.Option(help="A folder, or a real IPFS node.")
    ] = StoreKind.EMBEDDED,
    epsilon: Annotated[float, typer.Option(help="Privacy of each provider's records.")] = 4.0,
    no_privacy: Annotated[
        bool, typer.Option("--no-privacy", help="Train without privacy, to compare.")
    ] = False,
    paper: Annotated[
        PaperMechanism | None,
        typer.Option(help="Train as a paper does; --epsilon is then its claim, no guarantee."),
    ] = None,
    poison: Annotated[int, typer.Option(help="How many providers are hostile.")] = 0,
    poison_kind: Annotated[
        PoisonKind | None, typer.Option(help="What the hostile do (else each kind in turn).")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the partition and the first model.")] = 0,
    json: Annotated[Path | None, typer.Option("--json", help="File for the result.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep logs, stores and keys.")] = False,
) -> None:
    """Play the whole life of a request: chain, daemons, training, votes, pay, model, audit.

    Ends with an error when anything did not hold.

    Example: fedpact demo --providers 4 --epsilon 4 --poison 1 --json demo.json
    """
    options = DemoOptions(
        providers=providers,
        rounds=rounds,
        partition=partition,
        data=data,
        family=family,
        strategy=strategy,
        aggregation=aggregation,
        store=store,
        epsilon=None if no_privacy else epsilon,
        paper=paper,
        poison=poison,
        poison_kind=poison_kind,
        seed=seed,
        json=json,
        keep=keep,
    )
    from rich.console import Console

    from fedpact.demo.run import run

    run(options, Console())
