"""Tables of firms through the chain: from raw exports and drafted schemas to answered queries."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from fedpact.chain.devnet import Devnet
from fedpact.data.doctor import Choices, diagnose
from fedpact.data.schema_draft import as_toml
from fedpact.requester.answer import answer_file
from fedpact.requester.draft import Draft
from fedpact.types.requests import Status
from fedpact.types.schema import schema_file
from tests.support.committee import PAYMENT, DigitsMarket, open_digits_market
from tests.support.serving import POLL, Serving
from tests.support.waiting import wait_until

Row = dict[str, str | float]


def rows(seed: int, count: int) -> list[Row]:
    """Machines that fail when they are hot, of kind H at any temperature, and when a note speaks of
    the spindle."""
    generator = np.random.default_rng(seed)
    found: list[Row] = []
    for number in range(count):
        heat, kind = int(generator.integers(200, 1000)) / 10, "LMH"[int(generator.integers(3))]
        worn = bool(generator.random() < 0.2)
        fails = kind == "H" or heat > 60 or worn
        part = "the spindle hums" if worn else str(generator.choice(["the radio hums", "all well"]))
        found.append(
            {
                "machine": f"{seed}-{number}",
                "heat": heat,
                "kind": kind,
                "note": f"shift {number} reports that {part}",
                "label": str(int(fails)),
            }
        )
    return found


def german(path: Path, table: list[Row]) -> Path:
    lines = ["kind;label;machine;note;heat"]
    for row in table:
        heat = str(row["heat"]).replace(".", ",")
        cells = (row["kind"], row["label"], row["machine"], row["note"], f"{heat} °C")
        lines.append(";".join(map(str, cells)))
    path.write_bytes("\r\n".join(lines).encode("cp1252"))
    return path


def lines(path: Path, table: list[Row]) -> Path:
    path.write_text("\n".join(json.dumps({**row, "heat": f"{row['heat']} °C"}) for row in table))
    return path


def declare(path: Path, change: Callable[[str], str] = str) -> Path:
    """As the doctor drafts it; `change`: what its owner edits."""
    drafted = diagnose(path, Choices("machines", unit="record")).schema
    assert drafted is not None
    schema_file(path).write_text(change(as_toml(drafted)), encoding="utf-8")
    return path


def as_ordinal(schema: str) -> str:
    return schema.replace('type = "category"', 'type = "ordinal"')


@pytest.fixture(scope="module")
def market(anvil: Devnet, tmp_path_factory: pytest.TempPathFactory) -> DigitsMarket:
    return open_digits_market(anvil, tmp_path_factory.mktemp("own"), 3)


@pytest.fixture(scope="module")
def daemons(anvil: Devnet, market: DigitsMarket) -> Iterator[list[Serving]]:
    files = [
        declare(german(market.folder / "werk.csv", rows(1, 300))),
        declare(lines(market.folder / "plant.jsonl", rows(2, 300))),
        declare(german(market.folder / "other.csv", rows(3, 300)), as_ordinal),
    ]
    running = [Serving(anvil.url, market, number, path) for number, path in enumerate(files)]
    yield running
    for daemon in running:
        daemon.stop()


def test_raw_exports_become_a_model_that_answers_a_table(
    market: DigitsMarket, daemons: list[Serving]
) -> None:
    held_out = declare(german(market.folder / "held-out.csv", rows(4, 200)))
    fields = market.draft(
        category="machines",
        labels=["0", "1"],
        features={"schema": schema_file(held_out).name},
        local={"steps": 200, "learning_rate": 2.0},
        rounds=1,
        min_providers=2,
        max_providers=2,
    ).fields
    (market.folder / "draft.json").write_text(json.dumps(fields))
    draft = Draft.read(market.folder / "draft.json")
    request = market.requester.create(draft, held_out, PAYMENT)
    end = market.requester.follow(request, poll_interval=POLL)
    assert end.status is Status.SETTLED
    fetched = market.requester.fetch(request)

    asked = rows(5, 200)
    queries = lines(market.folder / "queries.jsonl", asked)
    answers = answer_file(fetched.path, queries)
    right = [label == row["label"] for label, row in zip(answers.labels, asked, strict=True)]
    assert np.mean(right) > 0.95
    worn = [place for place, row in enumerate(asked) if "spindle" in str(row["note"])]
    silent = [{**asked[place], "note": "all well"} for place in worn]
    without = answer_file(fetched.path, lines(market.folder / "silent.jsonl", silent))
    assert sum(answers.labels[place] == "1" for place in worn) > without.labels.count("1") + 5

    wait_until(lambda: request in daemons[2].standings(), "the third daemon decided nothing")
    standing = daemons[2].standings()[request]
    assert standing[0] == "declined"
    assert "column 'kind' is declared as ordinal, the request asks for category" in standing[1]
