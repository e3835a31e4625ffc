"""A page and a plot of retrieval simulations, from their JSON files."""

import io
import json
from collections.abc import Callable
from math import log2, sqrt
from pathlib import Path
from typing import Any

from fedpact.errors import InvalidInput

PAGE, PLOT = "retrieval.md", "retrieval.svg"
Result = dict[str, Any]
_Panel = tuple[str, Callable[[Result], float], Callable[[float], float] | None, bool]
"""Title, value, bound by the number of nodes, whether on a logarithmic axis."""


def _max_hops(nodes: float) -> float:
    return log2(log2(nodes)) + (3 if nodes >= 1_000_000 else 2)


_PANELS: tuple[_Panel, ...] = (
    ("recall@10", lambda r: float(r["recall_at_10"]), None, False),
    ("similarity ratio", lambda r: float(r["similarity_ratio"]), None, False),
    ("hops", lambda r: float(r["hops_mean"]), _max_hops, False),
    ("messages", lambda r: float(r["messages_mean"]), lambda n: 10 * log2(n), False),
    ("join, messages", lambda r: float(r["join_messages_mean"]), None, True),
    ("table, entries", lambda r: float(r["table_max"]), lambda n: 10 * sqrt(n), True),
)


def report(folder: Path, output: Path) -> list[Path]:
    """Write OUTPUT/retrieval.md and OUTPUT/retrieval.svg from all results in `folder`.

    Raises InvalidInput if there is none or a file is not a result.
    """
    results = sorted(
        (_read(path) for path in folder.glob("*.json")),
        key=lambda one: (_scenario(one), one["nodes"], one["seed"]),
    )
    if not results:
        raise InvalidInput(f"{folder} holds no result of `python -m lab retrieval`")
    (output / PAGE).write_text(_page(results), encoding="utf-8")
    (output / PLOT).write_bytes(_plot(results))
    return [output / PAGE, output / PLOT]


def _scenario(result: Result) -> str:
    shares = [
        f"{100 * result[name]:.0f} % {said}"
        for name, said in (
            ("churn", "dead"),
            ("malicious", "lying"),
            ("aimed", "of them aimed"),
            ("eclipse", "of the nearest community eclipsing"),
        )
        if result[name]
    ]
    source = "" if result["source"] != "synthetic" else " (synthetic)"
    return (", ".join(shares) or "all live and honest") + source


def _page(results: list[Result]) -> str:
    lines = [
        "# Retrieval, simulated",
        "",
        "Written by `python -m lab report` from the files in"
        " docs/results/retrieval; each was made by `python -m lab retrieval`."
        " [../retrieval.md](../retrieval.md) explains the figures and their bounds.",
        "",
        "![Recall, likeness, hops, messages, joins and tables by number of nodes](retrieval.svg)",
        "",
    ]
    for scenario in dict.fromkeys(map(_scenario, results)):
        chosen = [one for one in results if _scenario(one) == scenario]
        lines += [f"## {scenario[0].upper()}{scenario[1:]}", "", *_table(chosen), ""]
    lines += ["## Other methods", "", *_others(results), ""]
    return "\n".join(lines)


def _table(results: list[Result]) -> list[str]:
    rows = [
        "| nodes | seed | lookups | recall@10 | of the honest | similarity ratio | hops (bound) |"
        " messages (bound) | most messages | hostile results | forged accepted |"
        " community mean / max, in √n | table | join, messages | s (CPU s) | MB |",
        "|" + " ---: |" * 16,
    ]
    for one in results:
        n = one["nodes"]
        rows.append(
            f"| {n:,} | {one['seed']} | {one['lookups']:,} | {one['recall_at_10']:.3f} |"
            f" {one['recall_over_honest']:.3f} | {one['similarity_ratio']:.4f} |"
            f" {one['hops_mean']:.2f} ({_max_hops(n):.2f}) |"
            f" {one['messages_mean']:.1f} ({10 * log2(n):.1f}) | {one['messages_max']} |"
            f" {100 * one['hostile_share_of_results']:.1f} % | {one['forged_accepted']} |"
            f" {one['community_mean'] / sqrt(n):.2f} / {one['community_max'] / sqrt(n):.2f} |"
            f" {one['table_max']:,} | {one['join_messages_mean']:.0f} |"
            f" {one['seconds']:.0f} ({one['processor_seconds']:.0f}) | {one['peak_rss_mb']:.0f} |"
        )
    return rows


def _others(results: list[Result]) -> list[str]:
    rows = [
        "| nodes | scenario | method | recall@10 | messages | hops | bytes |",
        "| ---: | --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for one in results:
        others: dict[str, Result | None] = {
            "lookup": {
                "recall_at_10": one["recall_at_10"],
                "messages_mean": one["messages_mean"],
                "hops_mean": one["hops_mean"],
                "bytes": one["bytes_mean"],
            },
            **one["baselines"],
        }
        for way, found in others.items():
            if found is not None:
                cells = [
                    f"{found[name]:,.{digits}f}" if name in found else ""
                    for name, digits in (
                        ("recall_at_10", 3),
                        ("messages_mean", 0),
                        ("hops_mean", 1),
                        ("bytes", 0),
                    )
                ]
                named = way.replace("_", " ")
                rows.append(
                    f"| {one['nodes']:,} | {_scenario(one)} | {named} | {' | '.join(cells)} |"
                )
    return rows


def _plot(results: list[Result]) -> bytes:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    from lab.harness.plots import STYLE

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10.2, 5.2), layout="constrained")
        for axes, (title, value, bound, logarithmic) in zip(
            figure.subplots(2, 3).flat, _PANELS, strict=True
        ):
            for scenario in dict.fromkeys(map(_scenario, results)):
                chosen = [one for one in results if _scenario(one) == scenario]
                points = sorted((one["nodes"], value(one)) for one in chosen)
                axes.plot(*zip(*points, strict=True), "o-", markersize=3, label=scenario)
            if bound is not None:
                sizes = sorted({one["nodes"] for one in results})
                bounds = [bound(size) for size in sizes]
                axes.plot(sizes, bounds, ":", color="0.4", label="bound")
            axes.set_xscale("log")
            if logarithmic:
                axes.set_yscale("log")
            axes.set_title(title)
            axes.set_xlabel("nodes")
        handles, labels = figure.axes[2].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)
        kept = io.BytesIO()
        figure.savefig(kept, format="svg", metadata={"Date": None})
        return kept.getvalue()


def _read(path: Path) -> Result:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidInput(
            f"{path} is not a result of `python -m lab retrieval`: {error}"
        ) from error
    if not isinstance(found, dict) or "recall_over_honest" not in found:
        raise InvalidInput(f"{path} is not a result of `python -m lab retrieval`")
    return found
