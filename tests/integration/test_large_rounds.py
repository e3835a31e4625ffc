"""Large rounds with daemons as processes: whole pools train, and a drawn committee judges."""

import json
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import httpx
import pytest

from fedpact.audit import audit
from fedpact.audit.chain import Facts
from fedpact.chain.bindings.events import (
    CommitteeDrawn,
    Credited,
    ModelForced,
    RoundFailed,
    RoundFinalised,
    RoundPosted,
    Started,
)
from fedpact.chain.signed_messages import LargeRecord
from fedpact.content.embedded_store import EmbeddedStore
from fedpact.dashboard.index.follow import Change, Follower
from fedpact.dashboard.index.tables import IndexFile
from fedpact.dashboard.links import Links
from fedpact.dashboard.report.writing import write_report
from fedpact.dashboard.web.hub import Hub
from fedpact.dashboard.web.site import Site
from fedpact.demo.options import PoisonKind
from fedpact.errors import ContentMissing
from fedpact.exchange.submissions import Models, vouchers_needed
from fedpact.learning.families import family_of
from fedpact.privacy.ledger.check import verify
from fedpact.provider.ledger.opening import open_ledger
from fedpact.requester import model_file
from fedpact.requester.final_rounds import final_rounds
from fedpact.requester.request_view import RequestLook, look
from fedpact.types.cid import Cid
from fedpact.types.requests import Phase, Status
from tests.offchain.dashboard.test_web import Web
from tests.support.large_world import large_world
from tests.support.waiting import PATIENCE, wait_until
from tests.support.world import PAY, POLL, World, points_of

LONG = dict.fromkeys(("submit", "commit", "reveal", "propose", "deliver"), 900)


def created(world: World, committee: int, **windows: int) -> int:
    """A request for all providers, by the product's requester."""
    draft = world.data.draft.changed(
        windows={**world.data.draft.fields["windows"], **LONG, **windows},
        auditors=[world.auditor.address],
        min_providers=committee,
        max_providers=committee,
        terms={
            "rounds_kind": "large",
            "min_pool": len(world.accounts),
            "max_pool": len(world.accounts),
            "dispute_window": 1,
        },
    )
    return world.requester.create(draft, world.data.evaluation, PAY)


def held_by(world: World, number: int, request: int, round_: int) -> int:
    """How many models a judge holds; 0 of who does not judge, or just starts again."""
    fingerprint = world.network.deployment.fingerprint.hex()
    url = f"http://{world.listens[number]}/exchange/{fingerprint}/{request}/{round_}/models"
    headers, asked = {"content-type": "application/json"}, Models(known="f").encode()
    try:
        answer = httpx.post(url, content=asked, headers=headers, trust_env=False)
    except httpx.ConnectError:
        return 0
    return Models.decode(answer.content).mask.bit_count() if answer.is_success else 0


def named_by(world: World, request: int, trainers: int) -> Callable[[RequestLook], bool]:
    """Whether a judge holds so many models."""

    def named(seen: RequestLook) -> bool:
        serving = [int(name.rpartition("-")[2]) - 1 for name in world.network.names]
        round_ = seen.facts.round
        return any(held_by(world, one, request, round_) == trainers for one in serving)

    return named


def pass_the_deadline(world: World, seen: RequestLook) -> None:
    """Move the chain's clock past the present phase, and no window further."""
    world.network.devnet.mine(2, (seen.facts.deadline - seen.now) // 2 + 1)


def followed(
    world: World,
    request: int,
    named: Callable[[RequestLook], bool],
    patience: float = PATIENCE,
    strike: Callable[[RequestLook], None] = lambda _: None,
) -> None:
    """Do the requester's duties until the request is settled. Once all models are `named`, the
    chain's clock goes on to the end of the submissions."""
    deadline = time.monotonic() + patience

    def looked(seen: RequestLook, _: object) -> None:
        world.network.check_daemons()
        assert time.monotonic() < deadline, world.logs()
        strike(seen)
        if seen.facts.phase is Phase.SUBMIT and named(seen):
            pass_the_deadline(world, seen)

    world.requester.follow(request, poll_interval=POLL, on_look=looked)
    assert world.client.market.request(request).status is Status.SETTLED


class Forgetful(EmbeddedStore):
    """A store that has lost all evidence."""

    def get(self, cid: Cid, max_bytes: int) -> bytes:
        content = super().get(cid, max_bytes)
        if b'"votes":' in content and b'"models":"' in content:
            raise ContentMissing(f"{cid} is nowhere")
        return content


def tampered(world: World, request: int, **changes: object) -> set[str]:
    """What an audit says fails where a quorum had signed other records than its votes give."""
    read = Facts.large_record_of

    def other(self: Facts, tx_hash: str, record_hash: bytes) -> LargeRecord | None:
        record = read(self, tx_hash, record_hash)
        return record and replace(record, **changes)  # type: ignore[arg-type]

    with patch.object(Facts, "large_record_of", other):
        return {one.name for one in audit(world.client, world.network.store, request).failed}


def drawn_a_round(world: World, request: int) -> Counter[int]:
    """In how many rounds each provider trained by its ledger, which holds one draw of each."""
    found: Counter[int] = Counter()
    for number, keys in enumerate(world.accounts):
        if world.ledger_file(number).exists():
            with open_ledger(world.ledger_file(number), keys) as ledger:
                rounds = [one.id.round for one in verify(ledger) if one.id.request == request]
                assert len(set(rounds)) == len(rounds)
                found[number] = len(rounds)
    return found


def test_a_whole_pool_trains_and_its_committee_judges(tmp_path: Path) -> None:
    providers, committee, rounds = 5, 2, 2
    with large_world(tmp_path, providers=providers, rounds=rounds) as world:
        for number in range(providers):
            world.serve(number)
        world.network.wait_until_serving()
        request = created(world, committee)
        followed(world, request, named_by(world, request, providers - committee))

        outcome = world.client.any_rounds.outcome(request)
        assert (outcome.final_rounds, outcome.paid_rounds) == (rounds, rounds)
        events = world.all_events(request)
        for kind in (RoundPosted, RoundFinalised, CommitteeDrawn):
            assert [one.round for one in events if isinstance(one, kind)] == [1, 2]
        assert len(world.paid_as_mirrored(request)) == providers
        world.wait_until_all_say("paid ")
        assert drawn_a_round(world, request).total() == rounds * (providers - committee)

        requester = world.requester
        requester.fetch(request)  # members may have settled before it had the model
        spec, model = model_file.read(requester.model_path(request))
        test = world.data.test
        # Noise decides: it was 2,528 to over 6,000 in six runs, and is 9,000 without training.
        assert family_of(spec).error(spec, model, test.x, test.y) < 8_000
        shown = final_rounds(look(world.client, request), spec, store=world.network.store)
        assert [len(one.members) for one in shown] == [providers] * rounds
        for one in shown:
            assert sum(member.submitted for member in one.members) == providers - committee
            assert sum(member.points for member in one.members) <= 100 * providers

        audited = world.audited(request, world.auditor)
        assert audited["votes"] == f"{committee * rounds} votes"
        assert audited["submissions"] == f"{rounds * (providers - committee)} models, 0 forced in"
        world.audited(request)  # without a key: nothing fails
        assert tampered(world, request, points=(1,)) >= {"points", "credits", "history"}
        assert tampered(world, request, submissions=bytes(32)) >= {"submissions", "history"}
        assert tampered(world, request, blind=True) >= {"points", "credits"}
        assert tampered(world, request, digest=b"\1" * 32) >= {"finals", "credits"}
        shown_as_on_chain(world, request, providers, committee)
        without = audit(world.client, Forgetful(world.network.folder / "content"), request)
        assert not without.failed
        assert {"submissions", "votes", "points"} <= {one.name for one in without.unavailable}


def shown_as_on_chain(world: World, request: int, providers: int, committee: int) -> None:
    """The report has each round's committee, record, points and pay, and so have the dashboard's
    pages, which read an index."""
    client, store, links = world.client, world.network.store, Links(pages=False)
    folder = world.network.folder / "shown"
    file = write_report(client, store, audit(client, store, request), "sealed", folder, links)
    report = json.loads(file.with_suffix(".json").read_text())["request"]
    with IndexFile(folder / "index.sqlite", writes=True) as index:
        with Follower(client, store, index) as follower:
            wait_until(lambda: not changed_by(follower))
        site = Site(client, (store, store), index.path, Hub(), Links(), 0, lambda _: None)
        page = site.request(request).model_dump(mode="json")
        own, web = f"/requests/{request}", Web(site)
        for path in (own, f"{own}?round=1", f"{own}/members/{world.accounts[0].address}"):
            text = web.get(path).text
            ids = re.findall(r'id="([^"]*)"', text)
            assert len(ids) == len(set(ids))
            assert set(re.findall(r'href="#([^"]*)"', text)) - set(ids) == set()
        assert f"{committee} of {committee} judges" in re.sub("<[^>]*>", "", web.get(own).text)
    assert {name: page[name] for name in ("rounds", "members", "money", "timeline")} == {
        name: report[name] for name in ("rounds", "members", "money", "timeline")
    }
    paid = world.paid_as_mirrored(request)
    assert {one["account"]: int(one["paid"]) for one in report["members"]} == paid
    for one in report["rounds"]:
        large = one["large"]
        assert large["pool"] == providers
        assert large["trainers"] == providers - committee
        assert large["signed"] == committee == len(one["seats"])
        assert all(seat["attest"] and seat["account"] for seat in one["seats"])
    assert sum(one["large"]["points"] for one in report["rounds"]) == sum(
        one["points"] for one in report["members"]
    )


def changed_by(follower: Follower) -> bool:
    told: list[Change] = []
    follower.step(told.append)
    return any(one.requests or one.others for one in told)


def serve_hostile(world: World, number: int) -> None:
    """A provider that submits weights that are no numbers."""
    name, policy = f"provider-{number + 1}", world.write_policy(number)
    data, listen = world.data.files[number], world.listens[number]
    world.network.start_daemon(name, data, policy, world.poll, PoisonKind.NAN, listen)


def serve_cut_off(world: World, number: int) -> None:
    """A provider whose models reach no judge."""
    network, name, policy = world.network, f"provider-{number + 1}", world.write_policy(number)
    config, data = network.folder / f"{name}.toml", str(world.data.files[number])
    config.write_text(network.settings(name, world.poll, world.listens[number]))
    command = ["tests.support.cut_off_provider", "--config", str(config)]
    command += ["--data", data, "--policy", str(policy)]
    (network.folder / f"{name}.log").write_bytes(b"")
    network.daemons.append(network.start_process(command, network.folder / f"{name}.log"))
    network.names.append(name)


@pytest.mark.slow
def test_contract_wallets_train_and_judge(tmp_path: Path) -> None:
    """All members are wallets. A list of models has signatures of keys alone, so that who trains
    as a wallet forces its model in."""
    providers, committee, rounds = 3, 2, 2
    wallets = [f"provider-{number + 1}" for number in range(providers)]
    with large_world(tmp_path, wallets, providers=providers, rounds=rounds) as world:
        for number in range(providers):
            world.serve(number)
        world.network.wait_until_serving()
        request = created(world, committee)

        def forced(seen: RequestLook) -> bool:
            made = [one.round for one in seen.events(ModelForced)]
            return made.count(seen.facts.round) == providers - committee

        followed(world, request, forced)
        assert [one.round for one in world.events(request, RoundPosted)] == [1, 2]
        assert [one.mask for one in world.events(request, RoundPosted)] == [0b11, 0b11]
        outcome = world.client.any_rounds.outcome(request)
        assert (outcome.final_rounds, outcome.paid_rounds) == (rounds, rounds)
        paid = world.paid_as_mirrored(request)
        assert paid.keys() >= {keys.address for keys in world.accounts}
        audited = world.audited(request, world.auditor)
        assert audited["votes"] == f"{committee * rounds} votes"
        assert audited["submissions"] == f"{rounds} models, {rounds} forced in"


@pytest.mark.slow
@pytest.mark.timeout(2_400)
def test_a_pool_of_forty_with_silent_and_hostile_members(tmp_path: Path) -> None:
    """Two members fall silent after the start, one reaches no judge, one sends no numbers."""
    providers, committee, rounds, most = 40, 5, 2, 1
    silent, cut_off, hostile = (0, 1), 2, 3
    windows = {"join": 3_000, "start": 60, "submit": 120, "commit": 120, "reveal": 60}
    drawn: dict[int, set[str]] = {}
    with large_world(tmp_path, providers=providers, rounds=rounds) as world:
        world.poll = 1.0  # forty look at the same node
        for number in range(providers):
            start = {cut_off: serve_cut_off, hostile: serve_hostile}.get(number, World.serve)
            start(world, number)
        world.network.wait_until_serving(600)
        accounts = [keys.address for keys in world.accounts]
        request = created(world, committee, **windows, propose=60)

        def strike(seen: RequestLook) -> None:
            if seen.facts.round and "provider-1" in world.network.names:
                for one in silent:
                    world.kill(one)

        def named(seen: RequestLook) -> bool:
            """All that can be; and who reaches no judge has forced its model in."""
            if not seen.round_is_drawn:
                return False
            round_, pool = seen.facts.round, seen.client.pool
            drawn[round_] = {one.account for one in pool.cohort_of(request, seen.seed)[1]}
            out = {accounts[one] for one in (*silent, cut_off)} | drawn[round_]
            trainers = len(set(accounts) - out)
            hold = [held_by(world, one, request, round_) for one in range(2, providers)]
            forces = accounts[cut_off] not in drawn[round_]
            forced = [one for one in seen.events(ModelForced) if one.round == round_]
            enough = hold.count(trainers) >= vouchers_needed(committee)
            return enough and len(forced) == forces

        followed(world, request, named, 1_800, strike)
        failed = {one.round for one in world.events(request, RoundFailed)}
        quiet = {accounts[one] for one in silent}
        assert all(len(drawn[one] & quiet) > most for one in failed), world.logs()
        outcome = world.client.any_rounds.outcome(request)
        assert outcome.final_rounds == rounds - len(failed)
        pool = [one.account for one in world.client.pool.members(request)]
        at = {one: pool.index(account) for one, account in enumerate(accounts)}
        forced = world.events(request, ModelForced)
        assert {one.index for one in forced} <= {at[cut_off]}
        paid = world.paid_as_mirrored(request)
        assert len(paid) >= providers - committee - len(silent) - 1
        assert not quiet & paid.keys()
        spec = world.requester.specification(request)
        for one in final_rounds(look(world.client, request), spec, store=world.network.store):
            members, judges = one.members, drawn[one.number]
            assert not members[at[hostile]].submitted or members[at[hostile]].points == 0
            assert not members[at[hostile]].included
            assert members[at[cut_off]].submitted is (accounts[cut_off] not in judges)
            trained = {member.account for member in members if member.submitted}
            assert trained == set(accounts) - judges - quiet
        taken = drawn_a_round(world, request)
        assert taken.total() >= (providers - committee - len(silent)) * outcome.final_rounds
        audited = world.audited(request, world.auditor)
        assert audited["submissions"].endswith(f"{len(forced)} forced in")


@pytest.mark.slow
def test_a_start_whose_committee_is_silent_is_void_and_the_next_goes_on(tmp_path: Path) -> None:
    """Both judges of round 1 are killed, and started again once it has come to nothing. The models
    are sealed again, and not drawn again."""
    providers, committee, rounds = 5, 2, 1
    with large_world(tmp_path, providers=providers, rounds=rounds) as world:
        for number in range(providers):
            world.serve(number)
        world.network.wait_until_serving()
        request = created(world, committee)
        killed: list[int] = []

        def judges(seen: RequestLook) -> list[int]:
            found = seen.client.pool.cohort_of(request, seen.seed)[1]
            return [world.number_of(one.account) for one in found]

        def strike(seen: RequestLook) -> None:
            phase = seen.facts.phase
            if phase is Phase.ATTEST and len(seen.events(Started)) == 1:
                if not killed:
                    killed.extend(judges(seen))
                    for one in killed:
                        world.kill(one)
                pass_the_deadline(world, seen)
            elif killed and phase is not Phase.ATTEST and len(world.network.names) < providers:
                for one in killed:
                    world.serve(one)

        followed(world, request, named_by(world, request, providers - committee), strike=strike)
        assert len(world.events(request, Started)) == 2
        [failed] = world.events(request, RoundFailed)
        assert failed.void_start
        assert world.client.any_rounds.outcome(request).final_rounds == rounds
        assert len(world.paid_as_mirrored(request)) == providers
        assert set(drawn_a_round(world, request).values()) <= {0, 1}
        assert not any("not of this ledger" in world.log(one) for one in range(providers))
        world.audited(request, world.auditor)


@pytest.mark.slow
def test_a_judge_that_is_killed_goes_on_with_the_same_words(tmp_path: Path) -> None:
    providers, committee = 5, 2
    with large_world(tmp_path, providers=providers, rounds=1) as world:
        for number in range(providers):
            world.serve(number)
        world.network.wait_until_serving()
        request = created(world, committee)
        killed: list[int] = []

        def strike(seen: RequestLook) -> None:
            if killed or seen.facts.phase is not Phase.ATTEST:
                return
            for one in seen.client.pool.cohort_of(request, seen.seed)[1]:
                number = world.number_of(one.account)
                if "judges have voted" in world.log(number):
                    killed.append(number)
                    world.kill(number)
                    world.serve(number)
                    return

        followed(world, request, named_by(world, request, providers - committee), strike=strike)
        assert killed
        assert world.client.any_rounds.outcome(request).final_rounds == 1
        audited = world.audited(request, world.auditor)
        assert audited["votes"] == f"{committee} votes"


@pytest.mark.slow
def test_a_requester_that_opens_no_slice_pays_all_alike(tmp_path: Path) -> None:
    providers, committee = 5, 2
    with large_world(tmp_path, providers=providers, rounds=1) as world:
        for number in range(providers):
            world.serve(number)
        world.network.wait_until_serving()
        request, late = created(world, committee), False
        named = named_by(world, request, providers - committee)
        deadline = time.monotonic() + PATIENCE
        while world.client.market.request(request).status is not Status.SETTLED:
            assert time.monotonic() < deadline, world.logs()
            seen = look(world.client, request)
            if seen.facts.phase is Phase.SUBMIT and named(seen):
                pass_the_deadline(world, seen)
            elif seen.facts.phase is Phase.ATTEST and not late:
                late = True  # for the slice
                world.network.devnet.mine(2, LONG["commit"] // 4 + 10)
            elif seen.stored.status is Status.DELIVERED:
                world.network.devnet.mine(2, 2)
            time.sleep(POLL)
        [paid] = [one.entry for one in world.events(request, Credited) if one.entry.paid]
        assert paid.blind
        [entry] = [one for one in world.entries(request) if one.entry.summed]
        points = sorted(points_of(entry, providers))
        assert points == [25, 25, 150, 150, 150]
        world.paid_as_mirrored(request)
        world.audited(request, world.auditor)
