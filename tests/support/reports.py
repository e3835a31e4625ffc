"""A finished request's report and model card, as their commands write them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from fedpact.cli.main import app
from fedpact.requester.model_file import card_paths
from tests.support.world import World


@dataclass(frozen=True)
class Shown:
    """Texts for people and data for programs."""

    report: str
    report_data: dict[str, Any]
    card: str
    card_data: dict[str, Any]


def shown_to_its_requester(world: World, request: int) -> Shown:
    """By `fedpact request fetch` and `fedpact request report`."""
    folder = world.network.folder / "shown"
    folder.mkdir(exist_ok=True)
    config = folder / "requester.toml"
    config.write_text(world.network.settings("requester", 0.2))
    model = folder / f"model-{request}.safetensors"
    said(config, "request", "fetch", str(request), "--output", str(model))
    said(config, "request", "report", str(request), "--output", str(folder))
    report, (card, card_data) = folder / f"request-{request}.html", card_paths(model)
    return Shown(
        report.read_text(),
        json.loads(report.with_suffix(".json").read_text()),
        card.read_text(),
        json.loads(card_data.read_text()),
    )


def said(config: Path, *words: str) -> None:
    """Run a command of `fedpact` in this process; it succeeds."""
    outcome = CliRunner().invoke(app, ["--config", str(config), *words])
    assert outcome.exit_code == 0, outcome.output
