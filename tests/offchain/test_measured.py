"""The figures in docs/measured.md are those of the result files that their rows name."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[2] / "docs"
FIGURE = re.compile(r"(?<![\w.,-])\d[\d,]*(?:\.\d+)?(?!\d)")
"""A number; not that of a name such as CIFAR-10."""
SCALES = (1.0, 0.01, 0.001, 1 / 60)
"""Files have percent, MB and seconds where the page may have shares, GB and minutes."""
WITHOUT_FILE = {"make bench-networks", "python -m benchmarks.attacks"}
"""Commands that only print."""


def sources(command: str, before: list[Path]) -> list[Path]:
    """The files that a row's command writes."""
    if command.startswith("the same"):
        return before
    study = re.search(r"lab run ([\w-]+)", command)
    if study:
        cases = sorted((DOCS / "results/cases").glob(f"*/{study[1]}.jsonl"))
        return [DOCS / "results" / f"{study[1]}.md", *cases]
    found = [DOCS / "results" / name for name in re.findall(r"docs/results/([\w.-]+)", command)]
    found += [DOCS / name for name in re.findall(r"\]\(([\w./-]+)\)", command)]
    return [*found, DOCS / "gas.json"] if DOCS / "gas.md" in found else found


def rows() -> list[tuple[str, str, list[Path]]]:
    """What, figures, files."""
    found, files = [], list[Path]()
    for line in (DOCS / "measured.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|") or cells[0] in ("what", "---"):
            continue
        what, figures, command = cells
        files = sources(command, files)
        if command.strip("`") not in WITHOUT_FILE:
            found.append((what, figures, files))
    return found


def numbers(content: Any) -> Iterator[tuple[float, float]]:
    """Each number with half of its last digit; of texts too."""
    if isinstance(content, dict):
        content = [*content, *content.values()]
    if isinstance(content, list):
        for one in content:
            yield from numbers(one)
    elif isinstance(content, str):
        for text in FIGURE.findall(content):
            yield value(text)
    elif isinstance(content, int | float):
        yield float(content), 0.0


def value(text: str) -> tuple[float, float]:
    return float(text.replace(",", "")), 0.5 * 10.0 ** -len(text.partition(".")[2])


def content(file: Path) -> Any:
    text = file.read_text()
    if file.suffix == ".jsonl":
        return [json.loads(line) for line in text.splitlines()]
    return json.loads(text) if file.suffix == ".json" else text


def holds(figure: str, known: list[tuple[float, float]]) -> bool:
    """Whether the figure is a known number, rounded."""
    wanted, half = value(figure)
    return any(
        abs(number * scale - wanted) <= half + own * scale + 1e-9
        for number, own in known
        for scale in SCALES
    )


@pytest.mark.parametrize(("what", "figures", "files"), rows(), ids=[row[0][:50] for row in rows()])
def test_each_figure_is_in_the_file_that_its_row_names(
    what: str, figures: str, files: list[Path]
) -> None:
    assert files, f"no file: {what}"
    known = [number for file in files for number in numbers(content(file))]
    missing = [figure for figure in FIGURE.findall(figures) if not holds(figure, known)]
    assert not missing, f"{what}: not in {[file.name for file in files]}"


def test_a_figure_that_is_in_no_file_is_found() -> None:
    known = list(numbers({"accuracy": 0.9117, "gas": [120_352], "said": "97.56 ± 0.05 %"}))
    assert all(holds(one, known) for one in ("0.9117", "0.91", "120,352", "0.976"))
    assert not any(holds(one, known) for one in ("0.9118", "120,481", "0.974"))
