"""Simulations at sizes that no machine could run as daemons."""

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from fedpact.cli.output import print_json, print_rows, write_text
from lab.consensus_scale.mode import Mode
from lab.provider_network.source import DocumentSource

app = typer.Typer(help="Simulations of many participants.", no_args_is_help=True)


@app.command()
def retrieval(
    nodes: Annotated[int, typer.Option(help="Registered providers.", min=100)] = 10_000,
    churn: Annotated[
        float, typer.Option(help="Share that is dead, and still in all tables.", min=0, max=0.5)
    ] = 0.0,
    malicious: Annotated[
        float, typer.Option(help="Share that lies and has a stuffed profile.", min=0, max=0.5)
    ] = 0.0,
    aimed: Annotated[
        float,
        typer.Option(
            help="Share of the malicious whose profile is stuffed for one topic alone.",
            min=0,
            max=1,
        ),
    ] = 0.0,
    eclipse: Annotated[
        float,
        typer.Option(
            help="Share of the community nearest to a query that hides the others.", min=0, max=0.5
        ),
    ] = 0.0,
    lookups: Annotated[int, typer.Option(help="Queries.", min=1)] = 1_000,
    seed: Annotated[int, typer.Option(help="Of population, attacks and entries.", min=0)] = 1,
    workers: Annotated[int, typer.Option(help="Processes.", min=1)] = 2,
    source: Annotated[
        DocumentSource,
        typer.Option(help="Documents that profiles are made of; synthetic needs no data."),
    ] = DocumentSource.COLLECTIONS,
    output: Annotated[
        Path | None, typer.Option("--json", help="File for the result (else it is printed).")
    ] = None,
) -> None:
    """Look providers up among many, by the daemon's own code over a transport in memory.

    Profiles are cut and resampled from 20 Newsgroups and Reuters-21578 in the folder FEDPACT_DATA.

    Example: python -m lab simulate retrieval --nodes 10000 --churn 0.2 --json out.json
    """
    from lab.retrieval.simulate import Scenario, simulate

    scenario = Scenario(nodes, churn, malicious, aimed, eclipse, seed, lookups, source)
    found = simulate(scenario, lambda step: typer.echo(step, err=True), workers)
    if output is None:
        print_json(found)
        return
    write_text(output, json.dumps(found, indent=1) + "\n")
    typer.echo(
        f"recall@10 {found['recall_at_10']:.3f}, {found['messages_mean']:.1f} messages and"
        f" {found['hops_mean']:.2f} hops a lookup, {found['seconds']:.0f} s: {output}"
    )


@app.command("retrieval-report")
def retrieval_report(
    folder: Annotated[Path, typer.Option(help="Results of simulations, JSON.")] = Path(
        "docs/results/retrieval"
    ),
    output: Annotated[Path, typer.Option(help="Folder for page and plot.")] = Path("docs/results"),
) -> None:
    """Write a page and a plot of the simulations of retrieval.

    Example: python -m lab simulate retrieval-report
    """
    from lab.retrieval.report import report

    for path in report(folder, output):
        typer.echo(str(path))


@app.command()
def consensus(
    members: Annotated[
        list[int], typer.Option(help="Number of participants; may be given several times.")
    ],
    mode: Annotated[
        list[Mode] | None, typer.Option(help="May be given twice; both if left out.")
    ] = None,
    lookups: Annotated[int, typer.Option(help="Measured for each size.", min=1)] = 100,
    source: Annotated[
        DocumentSource,
        typer.Option(help="Documents that profiles are made of; synthetic needs no data."),
    ] = DocumentSource.COLLECTIONS,
    committee: Annotated[int, typer.Option(help="Providers of the request.", min=3, max=16)] = 9,
    chain_nodes: Annotated[
        int | None,
        typer.Option(help="PoQ also where so many keep the chain, not all participants.", min=1),
    ] = None,
    gas: Annotated[Path, typer.Option(help="What operations cost.")] = Path("docs/gas.json"),
    block_seconds: Annotated[float, typer.Option(help="Between two blocks.", min=0.1)] = 12.0,
    latency: Annotated[float, typer.Option(help="Seconds of a message.", min=0)] = 0.05,
    seed: Annotated[int, typer.Option(help="Of all that is drawn.", min=0)] = 0,
    output: Annotated[
        Path | None, typer.Option("--json", help="File for the result, beside the table.")
    ] = None,
    drawn: Annotated[Path | None, typer.Option("--plot", help="File for a plot (SVG).")] = None,
) -> None:
    """What one request costs among many participants: by PoQ, and by proof of work.

    Lookups, bytes, processor seconds and the hash rate are measured here, gas is read from what was
    measured before; the rest follows from them (docs/consensus-scale.md says how).

    Example: python -m lab simulate consensus --members 1000 --members 10000 --mode poq --mode pow
    """
    from lab.consensus_scale import report
    from lab.consensus_scale.costs import Conditions, cost

    conditions = Conditions(block_seconds=block_seconds, latency=latency)
    measured = report.measure(committee, members, gas, lookups, seed, source)
    modes = mode or list(Mode)
    costs = [cost(measured, conditions, one, size) for one in modes for size in members]
    if chain_nodes is not None and Mode.POQ in modes:
        larger = [size for size in members if size > chain_nodes]
        costs += [cost(measured, conditions, Mode.POQ, size, chain_nodes) for size in larger]
    command = shlex.join(["python", "-m", "lab", *sys.argv[1:]])
    found = {"command": command, **report.to_json(measured, conditions, costs)}
    if output is not None:
        write_text(output, json.dumps(found, indent=1) + "\n")
    if drawn is not None:
        write_text(drawn, report.plot(costs).decode())
    rows = [
        {
            "mode": one.mode.value,
            "members": one.members,
            "keep_the_chain": one.chain_nodes,
            "messages": f"{sum(one.messages.values()):.4g}",
            "MB": f"{sum(one.bytes.values()) / 1e6:.4g}",
            "gas": one.gas,
            "seconds": f"{sum(one.seconds.values()):.4g}",
            "consensus_CPU_s": f"{one.work['consensus']:.4g}",
            "hashes": f"{one.work['hashes']:.3g}",
        }
        for one in costs
    ]
    print_rows(rows, as_json=False, empty="nothing asked for")
