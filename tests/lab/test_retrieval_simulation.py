import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from fedpact.errors import DataMissing, InvalidInput
from fedpact.retrieval.signature import MASS, WIDTH
from lab.command import app
from lab.provider_network.population import CUT_DOCUMENTS, documents, population
from lab.provider_network.source import DocumentSource
from lab.retrieval.report import report
from lab.retrieval.simulate import Scenario, simulate

ASKED_FOR = {
    "nodes",
    "recall_at_10",
    "similarity_ratio",
    "hops_mean",
    "messages_mean",
    "table_max",
    "forged_accepted",
    "seconds",
    "peak_rss_mb",
    "baselines",
}


def test_a_population_is_the_same_for_the_same_seed_and_only_then() -> None:
    one, same = (population(300, 5, 3, DocumentSource.SYNTHETIC) for _ in range(2))
    assert (one.buckets == same.buckets).all()
    assert (one.weights == same.weights).all()
    assert one.queries == same.queries
    assert (population(300, 5, 4, DocumentSource.SYNTHETIC).weights != one.weights).any()


def test_the_first_profiles_use_each_document_once_and_all_are_signatures() -> None:
    made = population(400, 2, 3, DocumentSource.SYNTHETIC)
    held = len(documents(DocumentSource.SYNTHETIC).profiles.topics)
    assert made.cut == held // CUT_DOCUMENTS == 166
    assert (made.weights.sum(axis=1, dtype=int) == MASS).all()
    assert made.buckets.max() < WIDTH


@pytest.mark.slow
def test_a_simulation_reports_all_figures_and_is_repeatable(tmp_path: Path) -> None:
    scenario = Scenario(
        300, churn=0.1, malicious=0.1, aimed=0.5, lookups=6, source=DocumentSource.SYNTHETIC
    )
    found, again = simulate(scenario), simulate(scenario, workers=1)
    assert found.keys() >= ASKED_FOR
    assert set(found["baselines"]) == {
        "exhaustive",
        "download_every_profile",
        "gossip_overlay",
        "paper_flooding",
    }
    measured = {"seconds", "processor_seconds", "peak_rss_mb"}
    assert {k: v for k, v in found.items() if k not in measured} == {
        k: v for k, v in again.items() if k not in measured
    }
    assert found["forged_accepted"] == 0
    assert found["records_refused"] > 0
    assert found["community_max"] <= 10 * np.sqrt(300)
    bytes_each = found["baselines"]["download_every_profile"]["bytes"] / 300
    assert 100 < bytes_each < 200
    (tmp_path / "one.json").write_text(json.dumps(found))
    page, plot = report(tmp_path, tmp_path)
    assert "10 % dead, 10 % lying, 50 % of them aimed (synthetic)" in page.read_text()
    assert plot.read_bytes().startswith(b"<?xml")


def test_an_eclipsed_community_still_shows_its_honest_members() -> None:
    found = simulate(Scenario(600, eclipse=0.2, lookups=12, source=DocumentSource.SYNTHETIC))
    assert found["recall_over_honest"] >= 0.85
    assert found["forged_accepted"] == 0


def test_missing_collections_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEDPACT_DATA", raising=False)
    documents.cache_clear()
    with pytest.raises(DataMissing, match="20newsgroups: set FEDPACT_DATA"):
        population(200, 1, 1, DocumentSource.COLLECTIONS)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"nodes": 20}, "20 nodes"),
        ({"churn": 0.6}, "churn 0.6"),
        ({"malicious": -0.1}, "malicious -0.1"),
        ({"aimed": 1.1}, "aimed 1.1"),
        ({"lookups": 0}, "0 lookups"),
    ],
)
def test_an_invalid_scenario_is_refused(wrong: dict[str, float], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        Scenario(**{"nodes": 200, **wrong})  # type: ignore[arg-type]


def test_the_command_writes_its_result(tmp_path: Path) -> None:
    path = tmp_path / "found.json"
    options = ["--nodes", "150", "--lookups", "3", "--source", "synthetic", "--json", str(path)]
    result = CliRunner().invoke(app, ["retrieval", *options])
    assert result.exit_code == 0, result.output
    assert "recall@10" in result.output
    assert json.loads(path.read_text())["source"] == "synthetic"
    with pytest.raises(InvalidInput, match="holds no result"):
        report(tmp_path / "nothing", tmp_path)
