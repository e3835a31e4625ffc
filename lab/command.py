"""The commands of `python -m lab`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from fedpact.cli.output import AsJson, print_rows
from fedpact.errors import InvalidInput
from lab.consensus_scale import command as consensus_scale
from lab.digits import command as digits
from lab.errors import ExperimentError
from lab.harness.configuration import Device, Scale
from lab.incentives import command as incentives
from lab.incentives import sums_command
from lab.public_networks import command as public_networks
from lab.retrieval import command as retrieval
from lab.synthetic_features import command as synthetic_features
from lab.tables import command as tables

app = typer.Typer(
    name="lab",
    help="Studies of fedpact: list and run experiments, report their results.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("retrieval")(retrieval.retrieval)
app.command("consensus")(consensus_scale.consensus)
app.command("digits")(digits.digits)
app.command("incentives")(incentives.incentives)
app.command("sum-riders")(sums_command.sum_riders)
app.command("public-networks")(public_networks.public_networks)
app.command("synthetic-features")(synthetic_features.synthetic_features)
app.command("tables")(tables.tables)
STANDALONE = (
    retrieval.STUDY,
    consensus_scale.STUDY,
    digits.STUDY,
    incentives.STUDY,
    sums_command.STUDY,
    public_networks.STUDY,
    synthetic_features.STUDY,
    tables.STUDY,
)

Output = Annotated[Path, typer.Option(help="Folder for results and reports.")]
RESULTS = Path("docs/results")


@app.command("list")
def list_experiments(output: Output = RESULTS, as_json: AsJson = False) -> None:
    """List all experiments: scale, number of cases, and the state of the results in OUTPUT.

    `python -m lab run NAME` runs those with a scale. The others have a command of their own:
    `python -m lab NAME`.

    Example: python -m lab list
    """
    from lab.harness import configuration
    from lab.harness.results import ResultFolder
    from lab.harness.studies import studies

    experiments = [configuration.load(name) for name in configuration.names()]
    found, _ = studies(experiments, ResultFolder(output).all())
    rows: list[dict[str, Any]] = [
        {
            "name": study.experiment.name,
            "scale": study.scale.value,
            "cases": len(list(configuration.cases(study.experiment, study.scale))),
            "state": study.state,
        }
        for study in found
    ]
    rows += [
        {
            "name": study.name,
            "scale": None,
            "cases": None,
            "state": study.state(output),
        }
        for study in STANDALONE
    ]
    print_rows(rows, as_json=as_json, empty="no experiments")


@app.command("run")
def run_experiments(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Names of experiments, or paths of TOML files.", metavar="NAME..."),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Run all experiments that have the scale.")
    ] = False,
    scale: Annotated[
        Scale, typer.Option(help="small: minutes on two cores; medium: hours.")
    ] = Scale.SMALL,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Number of seeds (default: as in the file).")
    ] = None,
    device: Annotated[Device, typer.Option(help="Device to train on.")] = Device.CPU,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Cases at a time (default: one per core).")
    ] = None,
    cluster: Annotated[
        str | None, typer.Option(help="Address of a Ray cluster; local starts one on this machine.")
    ] = None,
    output: Output = RESULTS,
) -> None:
    """Run the cases that have no result yet; interrupted cases resume from their last state.

    Results are appended to OUTPUT/cases, one JSON Lines file per experiment and scale. Cases whose
    data are missing (folder FEDPACT_DATA) are skipped with the reason. Ctrl-C ends cleanly.

    Example: python -m lab run cifar10 mnist --scale small --seeds 3 --workers 2
    """
    from lab.harness import configuration
    from lab.harness.results import ResultFolder
    from lab.harness.runner import run

    if bool(names) == every:
        raise InvalidInput("name the experiments to run, or give --all")
    loaded = [configuration.load(name) for name in names or configuration.names()]
    if every:
        loaded = [one for one in loaded if scale in one.scales]
    cases = [case for one in loaded for case in configuration.cases(one, scale, seeds, device)]
    _check_device(device)
    _check_kinds([one.kind for one in loaded])

    from rich.console import Console

    from lab.harness.progress import show_cases

    console = Console()
    with show_cases(console, len(cases)) as board:
        summary = run(
            cases, ResultFolder(output), _workers(cluster, device, workers), board.observe
        )
    for case, reason in summary.skipped:
        console.print(f"skipped: {case.name}: {reason}", markup=False, highlight=False)
    for case, failed in summary.failed:
        console.print(f"FAILED: {case.name}: {failed.reason}", markup=False, highlight=False)
        if failed.trace:
            console.print(failed.trace, markup=False, highlight=False)
    console.print(
        f"{len(summary.finished)} cases run, {len(summary.before)} already finished, "
        f"{len(summary.skipped)} skipped, {len(summary.failed)} failed",
        highlight=False,
    )
    if summary.failed:
        raise ExperimentError(
            f"{len(summary.failed)} of {len(cases)} cases failed: fix the cause and run again"
        )


@app.command("report")
def report_results(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Further TOML files.", metavar="[FILE...]"),
    ] = None,
    output: Output = RESULTS,
) -> None:
    """Write tables and plots of all results in OUTPUT, and OUTPUT/summary.json.

    Example: python -m lab report --output docs/results
    """
    from lab.harness import configuration
    from lab.harness.report import report

    loaded = [configuration.load(name) for name in [*configuration.names(), *(names or ())]]
    for path in report(output, loaded, STANDALONE):
        typer.echo(str(path))


def _workers(cluster: str | None, device: Device, size: int | None) -> Any:
    if cluster is not None:
        from lab.harness.cluster import RayWorkers

        return RayWorkers(cluster, device, size)
    from lab.harness.runner import Processes

    return Processes(size)


def _check_device(device: Device) -> None:
    if device is Device.CUDA:
        import torch

        if not torch.cuda.is_available():
            raise InvalidInput("device cuda: torch sees no GPU on this machine; use --device cpu")


def _check_kinds(kinds: Sequence[str]) -> None:
    """Checked before any work, so that a wrong name does not end a long run."""
    from lab.harness.kinds import runner_of

    for kind in kinds:
        runner_of(kind)
