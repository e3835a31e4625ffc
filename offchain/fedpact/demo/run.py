"""The demo's story: deploy, register, request, train, judge, pay, fetch, use, audit."""

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console

from fedpact.audit import audit
from fedpact.chain.keystore import AccountKeys
from fedpact.demo.data import DemoData, prepare
from fedpact.demo.network import DemoNetwork, running_network
from fedpact.demo.options import DemoOptions
from fedpact.demo.progress import RoundClock, show_progress
from fedpact.demo.result import DemoResult, FinalModel, collect
from fedpact.demo.tables import print_result
from fedpact.errors import AuditFailed, FedpactError, NotReady
from fedpact.learning.artefact import decode
from fedpact.learning.families import family_of, represented
from fedpact.privacy.noise import SystemNoise
from fedpact.provider.files import features_folder
from fedpact.requester import Answer, Requester, RequestProgress
from fedpact.simulation.baselines import alone, central, without_privacy
from fedpact.simulation.request import quality
from fedpact.types.rounds import RequestStatus, seats_of
from fedpact.types.scores import MAX_SCORE
from fedpact.types.specification import Specification

PAYMENT_WEI = 10**18
POLL_SECONDS = 0.05
CLAIM_SECONDS = 60.0
POLICY = """min_pay_per_round = 1_000_000_000_000
categories = ["{category}"]
families = ["{family}"]
epsilon_per_request = {epsilon}
epsilon_per_requester = {lifetime}
submit_after = 0.0
epsilon_lifetime = {lifetime}
delta = 1e-5
min_samples = 2
accept_without_privacy = {unprotected}
accept_paper_privacy = {paper}
"""


def run(options: DemoOptions, console: Console) -> DemoResult:
    """Run the whole demo; raises FedpactError if an expectation fails."""
    started = time.monotonic()
    with _workspace(options, console) as folder:
        data = prepare(options, folder)
        with running_network(folder, options.store) as (network, registrar):
            console.print(f"chain {network.devnet.url}, contracts deployed, store: {options.store}")
            requester, accounts = _admit(options, network, registrar)
            for number, account in enumerate(accounts):
                _serve(options, network, data, number, account)
            console.print(
                f"{len(accounts)} providers' daemons, each a process with its own data:"
                f" {', '.join(str(count) for count in data.samples)} samples"
            )
            network.wait_until_serving()
            result = _play(options, network, requester, accounts, data, console, started)
        print_result(result, console)
        if options.json is not None:
            options.json.write_text(result.to_json())
            console.print(f"written to {options.json}")
        failed = result.failures()
        if failed:
            raise AuditFailed("the demo failed: " + "; ".join(failed))
        return result


@contextlib.contextmanager
def _workspace(options: DemoOptions, console: Console) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="fedpact-demo-"))
    try:
        yield folder
    finally:
        if options.keep:
            console.print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _admit(
    options: DemoOptions, network: DemoNetwork, registrar: AccountKeys
) -> tuple[AccountKeys, list[AccountKeys]]:
    """The requester, an auditor and the providers, each in its own organisation."""
    requester = network.account("requester")
    auditor = network.account("auditor")
    accounts = [network.account(f"provider-{number + 1}") for number in range(options.providers)]
    for organisation, keys in enumerate([requester, auditor, *accounts], start=1):
        network.register(registrar, keys, organisation)
    return requester, accounts


def _serve(
    options: DemoOptions, network: DemoNetwork, data: DemoData, number: int, account: AccountKeys
) -> None:
    policy = network.folder / f"policy-{number + 1}.toml"
    policy.write_text(
        POLICY.format(
            category=data.draft.specification.category,
            family=data.draft.specification.family.name,
            # Slightly above the request's, so that rounding of the noise causes no decline.
            epsilon=_limit(options) * 1.001,
            lifetime=_limit(options) * 2,
            unprotected=str(options.epsilon is None).lower(),
            paper=str(options.paper is not None).lower(),
        )
    )
    network.start_daemon(
        f"provider-{number + 1}",
        data.files[number],
        policy,
        POLL_SECONDS,
        options.poison_of(number),
    )


def _limit(options: DemoOptions) -> float:
    return 1.0 if options.epsilon is None else options.epsilon


def _play(
    options: DemoOptions,
    network: DemoNetwork,
    keys: AccountKeys,
    accounts: list[AccountKeys],
    data: DemoData,
    console: Console,
    started: float,
) -> DemoResult:
    requester = Requester(network.client, network.store, keys, network.folder / "state")
    auditor = _auditor(network)
    request_id = requester.create(
        data.draft.changed(auditors=[auditor.address]),
        data.evaluation,
        PAYMENT_WEI,
        queries=data.queries,
    )
    console.print(f"request {request_id}: {PAYMENT_WEI / 1e18:g} ether in escrow")
    clock = RoundClock()
    spec = requester.specification(request_id)
    with show_progress(console, spec.rounds) as show:

        def report(progress: RequestProgress) -> None:
            network.check_daemons()
            clock.tick(progress)
            show(progress)

        end = requester.follow(request_id, report, poll_interval=POLL_SECONDS)
    if end.status is not RequestStatus.DELIVERED:
        raise NotReady(f"request {request_id} ended as {end.status.name}, without a model")
    _wait_for_claims(network, request_id)
    refunded = requester.refund(request_id) if network.client.market.refundable(request_id) else 0
    fetched = requester.fetch(request_id)
    verdict = audit(network.client, network.store, request_id, auditor)
    network.stop_daemons()  # they have nothing left to do, and the baselines need the cores
    features = [features_folder(network.folder / "state", one.address) for one in accounts]
    final = _final_model(options, spec, fetched.path, fetched.cid, data, features)
    _answer(requester, spec, request_id, data, final, console)
    return collect(
        network, request_id, spec, accounts, options, data, clock, final, verdict, refunded, started
    )


def _answer(
    requester: Requester,
    spec: Specification,
    request_id: int,
    data: DemoData,
    final: FinalModel,
    console: Console,
) -> None:
    """The request's queries, answered as `fedpact request answer` does."""
    answers = requester.answer(request_id, data.queries)
    console.print(f"{len(answers)} queries answered with the fetched model")
    if spec.task != "classification":
        return
    given = [one.label for one in answers if isinstance(one, Answer)]
    right = sum(spec.labels[y] == one for y, one in zip(data.test.y, given, strict=True))
    if abs(right / len(given) - final.quality) > 1 / MAX_SCORE:
        raise AuditFailed(
            f"{right} of {len(given)} answers are right, but the accuracy is {final.quality}"
        )


def _auditor(network: DemoNetwork) -> AccountKeys:
    from fedpact.chain import keystore

    return keystore.unlock(network.folder / "keys", "auditor", network.password_file.read_text())


def _wait_for_claims(network: DemoNetwork, request_id: int) -> None:
    """Wait until every provider has claimed its share."""
    deadline = time.monotonic() + CLAIM_SECONDS
    market = network.client.market
    seats = seats_of(network.client.rounds.round_state(request_id).members)
    while time.monotonic() < deadline:
        network.check_daemons()
        claimed = market.request(request_id).claimed
        open_ = [s for s in seats if not claimed >> s & 1 and market.claimable(request_id, s)]
        if not open_:
            return
        time.sleep(POLL_SECONDS)
    raise FedpactError(f"request {request_id}: seats {open_} did not claim in time")


def _final_model(
    options: DemoOptions,
    spec: Specification,
    path: Path,
    cid: str,
    data: DemoData,
    features: Sequence[Path],
) -> FinalModel:
    """The fetched model and the two baselines, measured on the held-out records.

    `features`: folder of each provider's cached features, which take long to compute again.
    """
    model = decode(path.read_bytes(), family_of(spec).template(spec))
    parts = [represented(spec, part, at) for part, at in zip(data.parts, features, strict=True)]
    test = represented(spec, data.test)
    honest = [n for n in range(options.providers) if options.poison_of(n) is None]
    single = [alone(spec, parts[n], lambda _: SystemNoise(), n) for n in honest]
    return FinalModel(
        spec.task,
        quality(spec, model, test),
        quality(without_privacy(spec), central(spec, parts), test),
        max(quality(spec, one, test) for one in single),
        cid,
    )
