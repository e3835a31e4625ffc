"""docs/python.md, run as it stands on a real chain with real daemons, and what it promises."""

import io
import json
import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import fedpact
from fedpact.cli.main import run
from fedpact.demo.network import DemoNetwork
from fedpact.types.requests import Status
from tests.support.frozen_node import Recording
from tests.support.plants import plants_market
from tests.support.waiting import wait_until

PAGE = Path(__file__).parents[2] / "docs" / "python.md"
SNIPPET = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Page:
    """The page's snippets, run in order in one session; what they said and left behind."""

    def __init__(self, network: DemoNetwork) -> None:
        self.network = network
        self.names: dict[str, Any] = {}
        said = io.StringIO()
        with redirect_stdout(said):
            for number, snippet in enumerate(SNIPPET.findall(PAGE.read_text())):
                exec(compile(snippet, f"{PAGE.name}, snippet {number}", "exec"), self.names)
        self.said = said.getvalue()
        self.market: fedpact.Market = self.names["market"]
        self.request: fedpact.Request = self.names["request"]
        self.model: fedpact.Model = self.names["model"]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with plants_market(tmp_path_factory.mktemp("plants")) as network:
        yield Page(network)


def test_the_page_runs_as_it_stands(page: Page) -> None:
    rounds = page.request.rounds
    assert [one.number for one in rounds] == [1, 2, 3, 4, 5]
    assert all(one.error is not None and len(one.members) == 3 for one in rounds)
    assert all(member.included for one in rounds for member in one.members)
    assert all(9_990 <= sum(m.points for m in one.members) <= 10_000 for one in rounds)
    assert page.request.progress.status is Status.SETTLED
    proposal = page.names["proposal"]
    assert proposal.expected.units == 300
    assert proposal.usual_pay == 5 * 10**17 // 15
    assert proposal.pay == 54 * 10**17  # of at most 16 providers for 10 rounds
    assert proposal.draft.fields["windows"]["join"] == 120
    assert "the market at" in page.said
    assert "knows no request 99" in page.said
    assert "oblivious-trees" in page.said
    shares = page.model.predict_proba(page.names["evaluation"])
    from sklearn.metrics import roc_auc_score

    assert roc_auc_score(page.names["evaluation"]["label"] == "works", shares[:, 1]) > 0.75
    assert page.names["report"].failed == []
    assert page.names["report"].overall is fedpact.Verdict.UNAVAILABLE
    assert set(page.names["report"].frame()["verdict"]) == {"holds", "unavailable"}


def test_command_and_model_say_the_same(page: Page, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--config", "fedpact.toml", "request", "answer", str(page.request.id)]
    with pytest.raises(SystemExit) as ended:
        run([*arguments, "queries.csv", "--id", "machine", "--output", "answers.parquet"])
    assert not ended.value.code, capsys.readouterr().err
    found, queries = pd.read_parquet("answers.parquet"), pd.read_csv("queries.csv")
    assert found["machine"].tolist() == queries["machine"].tolist()
    assert found["label"].tolist() == page.model.predict(queries).tolist()
    both = found[[f"probability_{name}" for name in page.model.classes_]].to_numpy()
    assert np.array_equal(both, page.model.predict_proba(queries[reversed(queries.columns)]))


def test_a_new_draft_asks_for_the_usual_pay(page: Page, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--evaluation", "evaluation.csv", "--schema", "machines.schema.toml"]
    given += ["--epsilon", "3", "--units", "100", "--family", "generalised-linear"]
    with pytest.raises(SystemExit) as ended:
        run(["--config", "fedpact.toml", "request", "new", "new.toml", *given, "--json"])
    assert not ended.value.code, capsys.readouterr().err
    said = json.loads(capsys.readouterr().out)
    assert said["pay"] == "5.4 ether"
    assert said["create"].startswith("fedpact request create new.toml --evaluation evaluation.csv")
    draft = fedpact.Draft.read("new.toml")
    assert draft.specification.family.name == said["family"] == "generalised-linear"
    with pytest.raises(SystemExit) as ended:
        run(["--config", "fedpact.toml", "request", "new", "new.toml"])
    assert ended.value.code == 2
    assert "new.toml exists" in capsys.readouterr().err


def test_a_request_that_nobody_joins_says_why(
    page: Page, capsys: pytest.CaptureFixture[str]
) -> None:
    """It waited for nothing on one line; the reasons were in the providers' logs alone."""
    schema, evaluation = "machines.schema.toml", page.names["evaluation"]
    # The plants' policies allow 4.1.
    request = page.market.request(schema, evaluation, pay="0.5 ether", epsilon=8, rounds=2)
    declined = {"policy: privacy": 3}
    wait_until(lambda: request.declines() == declined, lambda: str(request.declines()))
    with pytest.raises(SystemExit):
        run(["--config", "fedpact.toml", "request", "status", str(request.id), "--json"])
    assert json.loads(capsys.readouterr().out)["declined"] == declined
    steps = page.market._session.requester.steps(request.id)
    assert any(step.declined == tuple(declined.items()) for step in steps)
    request.cancel()
    *_, last = steps
    assert last.status is Status.SETTLED
    assert last.declined_text == "3 declined (policy: privacy: 3)"


def test_the_error_of_each_round_is_in_the_status(
    page: Page, capsys: pytest.CaptureFixture[str]
) -> None:
    number, errors = page.request.id, [one.error for one in page.request.rounds]
    assert errors
    with pytest.raises(SystemExit):
        run(["--config", "fedpact.toml", "request", "status", str(number), "--json"])
    assert json.loads(capsys.readouterr().out)["errors"] == errors
    with pytest.raises(SystemExit):
        run(["--config", "fedpact.toml", "request", "status", str(number)])
    assert ", ".join(f"{one:.4f}" for one in errors) in capsys.readouterr().out
    assert f"{len(errors)} rounds final, error {errors[-1]:.4f}" in page.request.progress.text


def test_following_again_tells_the_same_rounds(page: Page) -> None:
    assert list(page.market.request_by_id(page.request.id).follow()) == page.request.rounds
    assert page.market.requests()[0].id == page.request.id
    assert page.market.requests(everybody=True)[0].id == page.request.id


def test_a_request_that_nobody_may_join_ends_and_says_so(page: Page) -> None:
    """Interrupted, and followed again by another session."""
    auditor = fedpact.connect(account="auditor").account
    request = page.market.request(
        "machines.schema.toml",
        Path("evaluation.csv"),
        pay="0.1 ether",
        epsilon=2,
        rounds=2,
        min_providers=2,
        max_providers=2,
        invited=[auditor, page.market.account],
        windows={"join": 3},
    )
    steps = request.follow()
    with fedpact.connect(account="auditor") as other, pytest.raises(fedpact.errors.InvalidInput):
        next(iter(other.request_by_id(request.id).follow()))
    steps.close()  # type: ignore[attr-defined]
    told: list[fedpact.RequestProgress] = []
    with (
        fedpact.connect() as again,
        pytest.raises(fedpact.errors.NotReady, match="without a model"),
    ):
        list(again.request_by_id(request.id).follow(on_progress=told.append))
    assert told[0].text.startswith("open: before round 1; 0 providers")
    assert told[-1].status is Status.SETTLED
    assert request.progress.status is Status.SETTLED
    with pytest.raises(fedpact.errors.NotReady):
        request.result()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"epsilon": None}, "say how private the request is"),
        ({"epsilon": 1e-9}, "epsilon"),
        ({"pay": "half an ether"}, "is not an amount"),
        ({"colour": "red"}, "colour"),
        ({"output": "kind"}, "is not a numeric column of the schema"),
        ({"epsilon": float("nan")}, "draft: a number in it is NaN or infinite"),
        ({"pay": 0.5}, "0.5 is not an amount: write a text"),
        ({"pay": None}, "None is not an amount"),
        ({"schema": None}, "schema: a DataSchema or the path of a file is needed"),
        ({"queries": "none.csv"}, "queries none.csv: No such file"),
        ({"evaluation": 7}, "evaluation: a data frame"),
        (
            {"evaluation": (pd.DataFrame({"heat": [1.0]}), ["works"])},
            "x is a data frame: give the frame with its column of labels",
        ),
        ({"evaluation": pd.DataFrame({"heat": [1.0]})}, "no label column 'label'"),
        ({"schema": "none.toml"}, "none.toml: No such file"),
        ({"schema": fedpact.Draft({})}, "the draft says it already"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_before_it_is_paid(
    page: Page, given: dict[str, Any], said: str
) -> None:
    asked = {
        "schema": "machines.schema.toml",
        "evaluation": Path("evaluation.csv"),
        "pay": "0.5 ether",
        "epsilon": 2,
    } | given
    before = page.network.client.market.request_count()
    with pytest.raises(fedpact.FedpactError, match=said):
        page.market.request(**asked)
    assert page.network.client.market.request_count() == before


def test_a_proposal_is_published_as_it_stands(page: Page) -> None:
    """Its draft alone forgot in which column the labels are."""
    held = pd.read_csv("evaluation.csv").rename(columns={"label": "state"})
    proposal = page.market.propose(
        "machines.schema.toml",
        held,
        epsilon=2,
        units=300,
        label="state",
        family="generalised-linear",
    )
    for given, wanted in ((proposal, "ether"), (proposal.draft, "say which it is")):
        with pytest.raises(fedpact.FedpactError, match=wanted):
            page.market.request(given, held, pay="1000000 ether")


@pytest.mark.parametrize("number", [0, -1, 2**300])
def test_a_number_that_no_request_has_is_unknown(page: Page, number: int) -> None:
    with pytest.raises(fedpact.errors.UnknownRequest, match=str(number)):
        page.market.request_by_id(number)


def test_what_is_no_number_is_refused_by_name(page: Page) -> None:
    for given in ("1", 1.5, None):
        with pytest.raises(fedpact.errors.InvalidInput, match="is not a request number"):
            page.market.request_by_id(given)  # type: ignore[arg-type]
    for units in (0, -4, "many"):
        with pytest.raises(fedpact.errors.SpecificationError, match="units: a number from 1"):
            page.market.propose(
                "machines.schema.toml",
                Path("evaluation.csv"),
                epsilon=2,
                units=units,  # type: ignore[arg-type]
            )
    with pytest.raises(fedpact.errors.ModelError, match="is not a fetched model"):
        fedpact.Model("evaluation.csv")


def test_nothing_that_is_shown_has_a_secret(page: Page) -> None:
    password = page.network.password_file.read_text().strip()
    endpoint = f"http://user:hidden@127.0.0.1:1,{page.network.devnet.url}"
    with fedpact.connect(endpoint=endpoint) as at:
        secret = at._session.keys.signer.key.hex()
        shown = [repr(one) for one in (at, at._session, at.provider, at.registrar, page.request)]
        shown.append(repr(at.settings))
    with pytest.raises(fedpact.errors.KeyStoreError) as refused:
        fedpact.connect(
            password_file=page.network.folder / "deployment.json"
        ).provider.privacy_spent()
    shown += [str(refused.value), repr(page.model), page.said]
    assert not any(one in text for one in (password, secret, "hidden") for text in shown)


def test_without_a_password_an_interactive_session_is_asked(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "fedpact.toml"
    lines = Path("fedpact.toml").read_text().splitlines(keepends=True)
    config.write_text("".join(one for one in lines if not one.startswith("password_file")))
    with pytest.raises(fedpact.errors.KeyStoreError, match="password"):
        fedpact.connect(config).provider.privacy_spent()
    asked: list[str] = []

    def typed(question: str) -> str:
        asked.append(question)
        return page.network.password_file.read_text().strip()

    monkeypatch.setattr("sys.ps1", ">>> ", raising=False)
    monkeypatch.setattr("fedpact.api.market.getpass", typed)
    with pytest.raises(fedpact.errors.NotReady, match="nothing was released"):
        fedpact.connect(str(config)).provider.privacy_spent()
    assert asked == ["password of requester: "]


def test_a_deployment_of_the_first_protocol_is_refused(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "first.json"
    path.write_text(Recording.read().deployment)
    with pytest.raises(fedpact.errors.DeploymentError, match="contracts of the first protocol"):
        fedpact.connect(deployment=path)
