"""`fedpact demo`: the whole lifecycle of a request on one machine."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fedpact.cli.output import Plain
from fedpact.demo.options import (
    REPORT,
    DemoOptions,
    Paper,
    PaperOptions,
    PoisonKind,
    StoreKind,
)
from fedpact.errors import AuditFailed, InvalidInput

if TYPE_CHECKING:
    from rich.console import Console


_PAPER_TAKES = {
    *("paper", "providers", "cohort", "rounds", "store", "seed", "json", "keep", "plain")
}
"""Options that a paper's demo leaves to its user."""


def demo(
    context: typer.Context,
    providers: Annotated[int, typer.Option(help="Number of providers, 2 to 200.")] = 4,
    rounds: Annotated[
        int | None, typer.Option(help="Number of rounds, 1 to 100. Default: depends on the data.")
    ] = None,
    partition: Annotated[
        str | None,
        typer.Option(
            help="iid, dir<alpha>, class<k>, sorted or group. Default: half of the classes at each "
            "provider; group where a privacy unit has several examples."
        ),
    ] = None,
    data: Annotated[
        str,
        typer.Option(help="digits, or a data set in the folder FEDPACT_DATA: mnist, r8, ..."),
    ] = "digits",
    family: Annotated[
        str | None, typer.Option(help="Model family. Default: one that suits the data.")
    ] = None,
    strategy: Annotated[
        str | None,
        typer.Option(
            help="fedavg, fedavgm, dlmu or algorithm-one, with parameters as in dlmu:tau=0.8. "
            "Default: depends on the family."
        ),
    ] = None,
    aggregation: Annotated[
        str | None,
        typer.Option(
            help="Aggregation rule, with parameters as in trimmed-mean:share=0.25. "
            "Default: depends on the family."
        ),
    ] = None,
    store: Annotated[
        StoreKind,
        typer.Option(help="Content store: a folder (embedded) or a real IPFS node (ipfs)."),
    ] = StoreKind.EMBEDDED,
    epsilon: Annotated[
        float, typer.Option(help="Privacy budget per privacy unit for the whole request.")
    ] = 4.0,
    no_privacy: Annotated[
        bool, typer.Option("--no-privacy", help="Train without privacy, for comparison.")
    ] = False,
    paper: Annotated[
        Paper | None,
        typer.Option(
            help="Run a paper's whole system instead, Lu et al. 2020 or Wang et al. 2024, and say"
            " what of it each step shows. Takes --providers (Lu: the committee, default 3; Wang:"
            " the pool, default 100 as in the paper), --cohort (Wang), --rounds, --store,"
            " --seed, --json, --keep, --plain."
        ),
    ] = None,
    poison: Annotated[int, typer.Option(help="Number of hostile providers.")] = 0,
    poison_kind: Annotated[
        PoisonKind | None,
        typer.Option(help="What hostile providers do. Default: each kind in turn."),
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Random seed of the partition and the initial model.")
    ] = 0,
    json: Annotated[
        Path | None, typer.Option("--json", help="Write the result to this file (JSON).")
    ] = None,
    report: Annotated[
        Path,
        typer.Option(help="Folder for the request's report."),
    ] = REPORT,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the folder with logs, stores and keys.")
    ] = False,
    plain: Plain = False,
    cohort: Annotated[
        int | None,
        typer.Option(help="How many providers are drawn for a round. Default: all, up to 16."),
    ] = None,
) -> None:
    """Run a whole request on this machine.

    It starts a chain and daemons, has a model trained, judged and paid, fetches and audits it, and
    writes a report.

    Exits with an error if any check fails.

    Example: fedpact demo --providers 4 --epsilon 4 --poison 1 --json demo.json
    """
    if paper is not None:
        chosen = {name for name in context.params if _is_given(context, name)}
        for name in sorted(chosen - _PAPER_TAKES):
            raise InvalidInput(f"--{name.replace('_', '-')}: a paper's demo sets it itself")
        asked = PaperOptions(
            paper,
            providers if "providers" in chosen else None,
            cohort,
            rounds,
            store,
            seed,
            json,
            keep,
        )
        from fedpact.demo.papers.run import run_paper

        _check(run_paper(asked, _console(plain)))
        return
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
        poison=poison,
        poison_kind=poison_kind,
        seed=seed,
        json=json,
        report=report,
        keep=keep,
        cohort=cohort,
    )
    from fedpact.demo.run import run

    _check(run(options, _console(plain)).failures())


def _is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def _console(plain: bool) -> "Console":
    from rich.console import Console

    return Console(force_terminal=False if plain else None)


def _check(failed: Sequence[str]) -> None:
    if failed:
        raise AuditFailed("the demo failed: " + "; ".join(failed))
