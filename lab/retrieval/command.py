"""`python -m lab retrieval`: one simulation of lookups among many providers."""

import json
from pathlib import Path
from typing import Annotated

import typer

from fedpact.cli.output import print_json, write_text
from lab.harness.standalone import StandaloneStudy
from lab.provider_network.source import DocumentSource


def _report(folder: Path) -> list[Path]:
    from lab.retrieval.report import report

    return report(folder / "retrieval", folder)


STUDY = StandaloneStudy(
    name="retrieval",
    title="Lookups among 10,000 to 1,000,000 simulated providers",
    results="retrieval/*.json",
    page="retrieval.md",
    report=_report,
)


def retrieval(
    nodes: Annotated[int, typer.Option(help="Registered providers.", min=100)] = 10_000,
    churn: Annotated[
        float, typer.Option(help="Share that is dead but still in all tables.", min=0, max=0.5)
    ] = 0.0,
    malicious: Annotated[
        float, typer.Option(help="Share that lies and has a stuffed profile.", min=0, max=0.5)
    ] = 0.0,
    aimed: Annotated[
        float,
        typer.Option(
            help="Share of the malicious whose profile is stuffed for a single topic.",
            min=0,
            max=1,
        ),
    ] = 0.0,
    eclipse: Annotated[
        float,
        typer.Option(
            help="Share of the community nearest to a query that hides honest members.",
            min=0,
            max=0.5,
        ),
    ] = 0.0,
    lookups: Annotated[int, typer.Option(help="Number of queries.", min=1)] = 1_000,
    seed: Annotated[
        int, typer.Option(help="Seed of population, attacks and entry nodes.", min=0)
    ] = 1,
    workers: Annotated[int, typer.Option(help="Processes.", min=1)] = 2,
    source: Annotated[
        DocumentSource,
        typer.Option(help="Documents that profiles are made from; synthetic needs no data."),
    ] = DocumentSource.COLLECTIONS,
    output: Annotated[
        Path | None, typer.Option("--json", help="File to write the result to (default: print it).")
    ] = None,
) -> None:
    """Simulate lookups among many providers: the daemon's own code over a transport in memory.

    Profiles are cut and resampled from 20 Newsgroups and Reuters-21578 in the folder FEDPACT_DATA.
    `python -m lab report` writes the page and the plot from all files in docs/results/retrieval.

    Example: python -m lab retrieval --nodes 10000 --churn 0.2 --json docs/results/retrieval/a.json
    """
    from lab.retrieval.simulate import Scenario, simulate

    scenario = Scenario(nodes, churn, malicious, aimed, eclipse, seed, lookups, source)
    result = simulate(scenario, lambda step: typer.echo(step, err=True), workers)
    if output is None:
        print_json(result)
        return
    write_text(output, json.dumps(result, indent=1) + "\n")
    typer.echo(
        f"recall@10 {result['recall_at_10']:.3f}, {result['messages_mean']:.1f} messages and"
        f" {result['hops_mean']:.2f} hops per lookup, {result['seconds']:.0f} s: {output}"
    )
