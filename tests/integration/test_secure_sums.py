"""Secure sums through the chain, with daemons as processes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fedpact.chain.bindings.events import RoundOpened
from fedpact.data.dataset import Dataset
from fedpact.data.documents import documents, pack
from fedpact.data.schema_draft import as_toml, propose
from fedpact.learning.families import SummedFamily, family_of
from fedpact.privacy.ledger.check import verify
from fedpact.privacy.secure_sum.terms import SumRelease, SumTerms, sum_cost
from fedpact.provider.ledger.opening import open_ledger
from fedpact.types.requests import Phase, RoundFacts
from fedpact.types.schema import schema_file
from tests.support.reports import shown_to_its_requester
from tests.support.summing import SECURE
from tests.support.text_examples import LABELS, text_dataset, texts
from tests.support.world import World, faults_of, points_of, running_world

PROVIDERS = 4
LONG = {"submit": 900, "commit": 900, "reveal": 900, "propose": 900}
BRIEF = {"submit": 60, "commit": 60, "reveal": 60, "propose": 60}


@contextmanager
def summing_world(folder: Path, rounds: int, providers: int = PROVIDERS) -> Iterator[World]:
    """Daemons that accept secure sums, and a draft that asks for them."""
    with running_world(folder, providers=providers, rounds=rounds) as world:
        draft = world.data.draft
        asked = draft.changed(
            privacy={**draft.fields["privacy"], **SECURE},
            local={"steps": 1, "learning_rate": 2.0},
        )
        world.data = replace(world.data, draft=asked)
        world.exchanging = True
        world.policy = "accept_secure_sums = true\n"
        yield world


CONSTRUCTED = {
    "text-statistics": ({"bits": 11}, "class-sums"),
    "random-forest": ({"trees": 60, "depth": 2, "bits": 11}, "union"),
}

TEXTS = 150
"""Of each provider."""


def ask_for_texts(world: World, name: str) -> Dataset:
    """Give every daemon texts, and ask for sums of them; a test set."""
    parameters, aggregation = CONSTRUCTED[name]
    draft = world.data.draft.changed(
        labels=list(LABELS),
        features={"kind": "text", "shape": []},
        family={"name": name, "parameters": parameters},
        aggregation={"name": aggregation},
        local={"construction_seed": 4},
        rounds=1,
        privacy={"mode": "sound", "epsilon": 4.0, "delta": 1e-5, **SECURE},
    )
    for number, path in enumerate(world.data.files):
        written, names = texts(TEXTS, 100 + number)
        np.savez(path, **pack(documents(written)), y=np.array(names))
        declared = propose(path, draft.fields["category"]).model_copy(update={"labels": LABELS})
        schema_file(path).write_text(as_toml(declared))
    world.data = replace(world.data, draft=draft, evaluation=text_dataset(90, 1000))
    return text_dataset(300, 2000)


def charged_as_accounted(world: World, number: int, rounds: Sequence[int]) -> None:
    """The provider's ledger charges what the accountant finds for the specification's honest
    minimum, once in each of these rounds."""
    spec = world.specification
    assert spec is not None
    assert spec.privacy.noise_multiplier is not None
    terms = SumTerms(SECURE["honest"] + SECURE["colluders"], 0, SECURE["colluders"])
    made = SumRelease(terms, spec.privacy.noise_multiplier, max(1, len(rounds)))
    counted = sum_cost((made,), 1e-5).epsilon if rounds else 0.0
    with open_ledger(world.ledger_file(number), world.accounts[number]) as ledger:
        assert [entry.id.round for entry in verify(ledger)] == list(rounds)
        assert ledger.spent(1e-5).epsilon == pytest.approx(counted)
    assert counted <= (spec.privacy.epsilon or 0)


def test_a_request_learns_from_sums_that_nobody_sees_into(tmp_path: Path) -> None:
    with summing_world(tmp_path, rounds=1) as world:
        for number in range(PROVIDERS):
            world.serve(number)
        world.network.wait_until_serving()
        request = world.create(LONG)
        world.follow(request, world.settled(request))
        [entry] = world.entries(request)
        assert all(points_of(entry, PROVIDERS))
        assert not faults_of(entry)
        assert world.paid_as_mirrored(request)
        audited = world.audited(request, world.auditor)
        assert audited["sums"] == "1 sum in 1 round"
        charged_as_accounted(world, 0, [1])
        shown = shown_to_its_requester(world, request)
        assert "the parts of 4 of them, which nobody saw but in sums of groups" in shown.card
        assert shown.card_data["quality"]["examples"] == 100
        assert "the model of a seat is the sum of its group" in shown.report
        assert "of which nobody sees a part" in shown.report
        assert shown.report_data["audit"]["fails"] == 0
        assert shown.report_data["quality"]["error"] == shown.card_data["quality"]["error"]


@pytest.mark.slow
@pytest.mark.parametrize("name", CONSTRUCTED)
def test_a_model_is_constructed_from_a_sum_that_nobody_sees_into(tmp_path: Path, name: str) -> None:
    with summing_world(tmp_path, rounds=1) as world:
        test = ask_for_texts(world, name)
        for number in range(PROVIDERS):
            world.serve(number)
        world.network.wait_until_serving()
        request = world.create(LONG)
        world.follow(request, world.settled(request))
        [entry] = world.entries(request)
        assert all(points_of(entry, PROVIDERS))
        assert not faults_of(entry)
        assert world.paid_as_mirrored(request)
        assert world.audited(request, world.auditor)["sums"] == "1 sum in 1 round"
        for number in range(PROVIDERS):
            charged_as_accounted(world, number, [1])
        spec, model = world.specification, world.final_model(request)
        assert spec is not None
        family = family_of(spec)
        assert isinstance(family, SummedFamily)
        # Once each: four models of four members would have four times the noise.
        most = PROVIDERS * family.sum_std(spec) ** 2
        np.testing.assert_allclose(model["variance"], most, rtol=1e-6)
        counted = float(model["counts"].sum()) / CONSTRUCTED[name][0].get("trees", 1)
        assert counted == pytest.approx(PROVIDERS * TEXTS, abs=100)  # seven standard errors
        if name == "text-statistics":
            right = family.predict(spec, model, test.x).argmax(axis=1) == test.y
            assert right.mean() > 0.9


@pytest.mark.slow
def test_a_daemon_that_is_killed_goes_on_with_its_sum(tmp_path: Path) -> None:
    """Each is killed once while the sums are made, at its next message."""
    with summing_world(tmp_path, rounds=3) as world:
        for number in range(PROVIDERS):
            world.serve(number)
        world.network.wait_until_serving()
        request = world.create(LONG)
        killed: list[str] = []
        words = ("announced itself", "published a masked", "agreed to the sum", "published ba")

        def strike(facts: RoundFacts) -> None:
            if facts.phase is Phase.SUBMIT and len(killed) < PROVIDERS:
                number, word = len(killed), words[len(killed)]
                if word in world.log(number):
                    world.kill(number)
                    killed.append(word)
                    world.serve(number)

        world.follow(request, world.settled(request), strike=strike)
        assert len(killed) == PROVIDERS
        assert world.client.rounds.outcome(request).final_rounds == 3
        assert not any(faults_of(entry) for entry in world.entries(request))
        world.audited(request, world.auditor)
        for number in range(PROVIDERS):
            charged_as_accounted(world, number, [1, 2, 3])


@pytest.mark.slow
def test_the_sum_goes_on_without_a_member_that_is_gone(tmp_path: Path) -> None:
    """One of four is killed before it masks, and stays away: the others sum three vectors, in that
    round and in the next."""
    with summing_world(tmp_path, rounds=2) as world:
        for number in range(PROVIDERS):
            world.serve(number)
        world.network.wait_until_serving()
        request = world.create(BRIEF)
        gone: list[int] = []

        def strike(facts: RoundFacts) -> None:
            if facts.phase is Phase.SUBMIT and not gone:
                gone.append(3)
                world.kill(3)

        world.follow(request, world.settled(request), strike=strike)
        assert world.client.rounds.outcome(request).final_rounds == 2
        away = [one.account for one in world.client.pool.members(request)].index(
            world.accounts[3].address
        )
        for entry in world.entries(request):
            paid = points_of(entry, PROVIDERS)
            assert [seat for seat in range(PROVIDERS) if not paid[seat]] == [away]
        audited = world.audited(request, world.auditor)
        assert audited["sums"] == "2 sums in 2 rounds"


@pytest.mark.slow
def test_a_round_sums_those_whom_it_draws_and_charges_nobody_else(tmp_path: Path) -> None:
    """Six have joined, four are drawn a round: who is drawn late scores sums that it took no part
    in."""
    with summing_world(tmp_path, rounds=4, providers=6) as world:
        for number in range(6):
            world.serve(number)
        world.network.wait_until_serving()
        request = world.create(LONG, cohort=4)
        world.follow(request, world.settled(request))
        entries = world.entries(request)
        assert len(entries) == 4
        assert not any(faults_of(entry) for entry in entries)
        drawn = drawn_rounds(world, request)
        assert sum(len(rounds) for rounds in drawn.values()) == 4 * 4
        first = {number for number, rounds in drawn.items() if 1 in rounds}
        late = {number for number, rounds in drawn.items() if rounds} - first
        assert late
        for number in range(6):
            charged_as_accounted(world, number, drawn[number])
        audited = world.audited(request, world.auditor)
        assert audited["sums"] == "4 sums in 4 rounds"


def drawn_rounds(world: World, request: int) -> dict[int, list[int]]:
    """The rounds for which each provider was drawn."""
    found: dict[int, list[int]] = {number: [] for number in range(len(world.accounts))}
    for opened in world.events(request, RoundOpened):
        for account in world.client.pool.cohort_of(request, opened.seed)[1]:
            found[world.number_of(account.account)].append(opened.round)
    return found
