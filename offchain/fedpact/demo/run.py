"""The demo's story: deploy, register, request, train, judge, pay, fetch, use, audit."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from fedpact.audit import AuditReport, audit
from fedpact.chain.client import ChainClient
from fedpact.chain.keystore import AccountKeys
from fedpact.dashboard.links import Links
from fedpact.dashboard.terminal.live import follow_live
from fedpact.demo.data import DemoData, prepare
from fedpact.demo.figures import collect
from fedpact.demo.network import DemoNetwork, running_network
from fedpact.demo.options import DemoOptions
from fedpact.demo.parties import POLL_SECONDS, admit, poll_seconds, serve, wait_for_daemons
from fedpact.demo.progress import RoundClock, show_progress
from fedpact.demo.result import DemoProvider, DemoResult, Ending, FinalModel
from fedpact.demo.result_output import print_result
from fedpact.demo.workspace import workspace
from fedpact.errors import AuditFailed, FedpactError, NotReady
from fedpact.learning.artefact import decode
from fedpact.learning.families import family_of, represented
from fedpact.learning.training_inputs import without_privacy
from fedpact.privacy.noise import SystemNoise
from fedpact.provider.files import features_folder
from fedpact.requester import FetchedModel, Model, RequestProgress
from fedpact.requester.requester import Requester
from fedpact.simulation.baselines import alone, central
from fedpact.simulation.request import quality
from fedpact.types.specification import Specification

PAYMENT_WEI = 10**18
CLAIM_SECONDS = 60.0
"""Least time for all providers to collect; each takes part of a second."""


@dataclass(frozen=True)
class Demo:
    """What a demo consists of: its options, the data, the network, and who takes part."""

    started: float
    """By time.monotonic."""
    options: DemoOptions
    console: Console
    data: DemoData
    network: DemoNetwork
    requester: Requester
    auditor: AccountKeys
    providers: tuple[AccountKeys, ...]


def run(options: DemoOptions, console: Console) -> DemoResult:
    """Run the whole demo. `DemoResult.failures` says which expectations failed."""
    started = time.monotonic()
    with workspace(options.keep, console) as folder:
        data = prepare(options, folder)
        with running_network(folder, options.store) as (network, registrar):
            console.print(f"chain {network.devnet.url}, contracts deployed, store: {options.store}")
            parties = admit(network, registrar, options.providers)
            demo = Demo(started, options, console, data, network, *parties)
            for number in range(options.providers):
                serve(network, data, options, number)
            console.print(
                f"{options.providers} providers' daemons, each a process with its own data:"
                f" {', '.join(str(count) for count in data.samples)} samples"
            )
            wait_for_daemons(network, options)
            result, report = _play(demo)
        print_result(result, console)
        if report is not None:
            console.print(f"report: {report}", soft_wrap=True)
        if options.json is not None:
            options.json.write_text(result.to_json())
            console.print(f"written to {options.json}")
        return result


def _play(demo: Demo) -> tuple[DemoResult, Path | None]:
    """The request's life, from its creation to the answers; the report, if one was asked for."""
    requester, network, console = demo.requester, demo.network, demo.console
    client = network.client
    request_id = requester.create(
        demo.data.draft.changed(auditors=[demo.auditor.address]),
        demo.data.evaluation,
        PAYMENT_WEI,
        queries=demo.data.queries,
    )
    console.print(f"request {request_id}: {PAYMENT_WEI / 1e18:g} ether in escrow")
    clock = RoundClock()
    spec = requester.specification(request_id)
    pause = poll_seconds(demo.options)

    def report(progress: RequestProgress) -> None:
        network.check_daemons()
        clock.tick(progress)

    if console.is_terminal:
        end = follow_live(requester, request_id, console, pause, report)
    else:
        with show_progress(console, spec.rounds) as show:

            def report_and_show(progress: RequestProgress) -> None:
                report(progress)
                show(progress)

            end = requester.follow(request_id, report_and_show, poll_interval=pause)
    if not end.model:
        raise NotReady(f"request {request_id} ended as {end.status.name}, without a model")
    _wait_for_pay(network, client, request_id)
    fetched = requester.fetch(request_id)
    verdict = audit(client, network.store, request_id, demo.auditor)
    written = None
    if demo.options.report is not None:
        written = _write_report(demo, verdict, demo.options.report)
    network.stop_daemons()  # they have nothing left to do, and the baselines need the cores
    final = _final_model(demo, spec, fetched)
    _answer(demo, spec, request_id)
    providers = [
        DemoProvider(keys.address, demo.data.samples[number], demo.options.poison_of(number))
        for number, keys in enumerate(demo.providers)
    ]
    seconds = time.monotonic() - demo.started
    ending = Ending(clock.seconds, seconds, final, verdict)
    return collect(client, request_id, spec, providers, ending), written


def _write_report(demo: Demo, verdict: AuditReport, folder: Path) -> Path:
    """As `fedpact request report` does, with the audit that a named auditor has made."""
    from fedpact.dashboard.report.writing import write_report

    requester, network = demo.requester, demo.network
    quality, links = requester.quality(verdict.request_id), Links(pages=False)
    assert quality is not None  # The demo's store has lost nothing.
    return write_report(requester.client, network.store, verdict, quality, folder, links)


def _answer(demo: Demo, spec: Specification, request_id: int) -> None:
    """The request's queries, answered as `fedpact request answer` does: as the model says of the
    examples from which the file of queries was made, with the requester's own thresholds."""
    answers = demo.requester.answer(request_id, demo.data.queries)
    demo.console.print(f"{len(answers)} queries answered with the fetched model")
    if spec.task != "classification":
        return
    model = Model(demo.requester.model_path(request_id))
    expected = model.decided(model.raw(represented(spec, demo.data.test).x))
    assert answers.decided is not None
    others = np.flatnonzero(answers.decided != expected)
    if len(others):
        raise AuditFailed(f"{len(others)} of {len(answers)} answers are not the fetched model's")


def _wait_for_pay(network: DemoNetwork, client: ChainClient, request_id: int) -> None:
    """Wait until all members have their pay: those of a large pool collect it themselves."""
    members = client.pool.count(request_id)
    deadline = time.monotonic() + max(CLAIM_SECONDS, members)
    while unpaid := client.market.all_unpaid(request_id, members):
        network.check_daemons()
        if time.monotonic() > deadline:
            raise FedpactError(f"request {request_id}: members {unpaid} did not collect in time")
        time.sleep(POLL_SECONDS)


def _final_model(demo: Demo, spec: Specification, fetched: FetchedModel) -> FinalModel:
    """The fetched model and the two baselines, measured on the held-out records."""
    model = decode(fetched.path.read_bytes(), family_of(spec).template(spec))
    # The features that the providers kept: computing them again can take minutes.
    state = demo.network.folder / "state"
    parts = [
        represented(spec, part, features_folder(state, keys.address))
        for part, keys in zip(demo.data.parts, demo.providers, strict=True)
    ]
    test = represented(spec, demo.data.test)
    honest = [n for n in range(len(parts)) if demo.options.poison_of(n) is None]
    single = [alone(spec, parts[n], lambda _: SystemNoise(), n) for n in honest]
    return FinalModel(
        spec.task,
        quality(spec, model, test),
        quality(without_privacy(spec), central(spec, parts), test),
        max(quality(spec, one, test) for one in single),
        fetched.cid,
    )
