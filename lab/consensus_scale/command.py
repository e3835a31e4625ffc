"""`python -m lab consensus`: what one request costs among many participants."""

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from fedpact.cli.output import print_rows, write_text
from lab.consensus_scale.claims import claims
from lab.consensus_scale.mode import Mode
from lab.harness.standalone import StandaloneStudy
from lab.provider_network.source import DocumentSource

STUDY = StandaloneStudy(
    name="consensus",
    title="What a request costs among 100 to 100,000 participants, by PoQ and by proof of work",
    results="consensus.json",
    page="consensus.json",
    claims=claims,
)


def consensus(
    members: Annotated[list[int], typer.Option(help="Number of participants; may be repeated.")],
    mode: Annotated[
        list[Mode] | None, typer.Option(help="May be given twice (default: both).")
    ] = None,
    lookups: Annotated[int, typer.Option(help="Lookups measured at each size.", min=1)] = 100,
    source: Annotated[
        DocumentSource,
        typer.Option(help="Documents that profiles are made from; synthetic needs no data."),
    ] = DocumentSource.COLLECTIONS,
    committee: Annotated[int, typer.Option(help="Providers of the request.", min=5, max=16)] = 9,
    chain_nodes: Annotated[
        int | None,
        typer.Option(
            help="Also compute PoQ with this many chain nodes instead of all participants.", min=1
        ),
    ] = None,
    gas: Annotated[Path, typer.Option(help="Gas costs, written by `make gas`.")] = Path(
        "docs/gas.json"
    ),
    block_seconds: Annotated[float, typer.Option(help="Seconds between blocks.", min=0.1)] = 12.0,
    latency: Annotated[float, typer.Option(help="Seconds per message.", min=0)] = 0.05,
    seed: Annotated[int, typer.Option(help="Random seed.", min=0)] = 0,
    output: Annotated[
        Path | None, typer.Option("--json", help="File to write the result to.")
    ] = None,
    drawn: Annotated[
        Path | None, typer.Option("--plot", help="File to write a plot to (SVG).")
    ] = None,
) -> None:
    """Compare what one request costs among many participants by PoQ and by proof of work.

    Lookups, bytes, processor seconds and the hash rate are measured here; gas is read from an
    earlier measurement; the rest is computed from them (docs/consensus-scale.md).

    Example: python -m lab consensus --members 1000 --members 10000 --mode poq --mode pow
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
    result = {"command": command, **report.to_json(measured, conditions, costs)}
    if output is not None:
        write_text(output, json.dumps(result, indent=1) + "\n")
    if drawn is not None:
        write_text(drawn, report.plot(costs).decode())
    rows = [
        {
            "mode": one.mode.value,
            "members": one.members,
            "chain_nodes": one.chain_nodes,
            "messages": f"{sum(one.messages.values()):.4g}",
            "MB": f"{sum(one.bytes.values()) / 1e6:.4g}",
            "gas": one.gas,
            "seconds": f"{sum(one.seconds.values()):.4g}",
            "consensus_CPU_s": f"{one.work['consensus']:.4g}",
            "hashes": f"{one.work['hashes']:.3g}",
        }
        for one in costs
    ]
    print_rows(rows, as_json=False, empty="no sizes given")
