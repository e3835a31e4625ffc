"""Apps of Flower as they come: in their own processes, and through the chain with daemons as
processes.

Flower's own quickstarts are tested where FLOWER_EXAMPLES names a checkout of them.
"""

import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fedpact.audit import audit
from fedpact.data.dataset import Dataset
from fedpact.errors import ModelError, SpecificationError
from fedpact.learning.artefact import Model, decode
from fedpact.learning.families import family_of
from fedpact.learning.flower import app_host
from fedpact.learning.flower.app_host import Host, host_of
from fedpact.learning.flower.jobs import App, AppFailed, AppRecords, Array, Train, template_of
from fedpact.learning.local_training import train_local
from fedpact.learning.packages import package_of_app
from fedpact.learning.training_inputs import LocalTraining
from fedpact.privacy.noise import SystemNoise
from fedpact.requester.draft import Draft
from fedpact.types.requests import Status
from tests.support.flower_apps import (
    IRISES,
    NUMPY_RUN,
    SPECIES,
    WINDOWS,
    digits,
    given,
    installed,
    iris_files,
    irises,
    quickstart,
    serve_app,
    torchvision_stand_in,
)
from tests.support.reports import shown_to_its_requester
from tests.support.waiting import wait_until
from tests.support.world import PAY, World, running_world

pytestmark = pytest.mark.slow


def asked(app: str, **fields: Any) -> dict[str, Any]:
    parameters = {"app": f"{app}.client_app:app", "server": f"{app}.server_app:app"}
    fields["family"] = {"name": "flower", "parameters": {**parameters, **fields.pop("parameters")}}
    return {
        "title": "Flower",
        "category": "flower",
        "local": {"groups": 1, "seconds": 120},
        "privacy": {"mode": "none"},
        "rounds": 2,
        "min_providers": 2,
        "max_providers": 2,
        "score": "model",
        "max_error": 9000,
        "windows": WINDOWS,
        **fields,
    }


DIGITS = asked(
    "numpyexample",
    parameters={"run_config": NUMPY_RUN},
    labels=[str(label) for label in range(10)],
    features={"shape": [64], "scale": 16.0},
    local={"groups": 40, "seconds": 4},
    privacy={"mode": "sound", "epsilon": 8.0, "delta": 1e-5, "clipping_norm": 0.3},
)
# The app reads the pixels as they are, from 0 to 16.
DIGITS["family"]["parameters"]["run_config"] = NUMPY_RUN.replace("0.5", "0.002")
IRIS = asked(
    "sklearnexample",
    parameters={"run_config": 'penalty = "l2", num-server-rounds = 2', "label": "species"},
    labels=list(SPECIES),
    features={"shape": [4], "columns": list(IRISES)},
    rounds=3,
)
IMAGES = asked(
    "pytorchexample",
    parameters={
        "run_config": "num-server-rounds = 1, fraction-evaluate = 0.5, local-epochs = 3,"
        " learning-rate = 0.01, batch-size = 16",
        "inputs": "img",
        "pictures": 1,
        "measure": "eval_acc",
    },
    labels=[str(label) for label in range(10)],
    features={"shape": [3, 32, 32], "scale": 255.0},
)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    host_of.cache_clear()
    package_of_app.cache_clear()


def served(world: World, app: str, fields: dict[str, Any]) -> int:
    """A request that daemons serve to its end; an audit finds nothing wrong."""
    serve_app(world, app)
    draft = Draft({**fields, "auditors": [world.auditor.address]})
    request = world.requester.create(draft, world.data.evaluation, PAY)
    end = world.requester.follow(request, poll_interval=0.2)
    assert end.status is Status.SETTLED, world.log(0)
    assert audit(world.client, world.network.store, request, world.auditor).failed == []
    assert len(world.entries(request)) >= fields["rounds"]
    return request


def test_a_numpy_client_is_served_under_privacy_judged_paid_and_audited(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed("numpy-client", "0.1.0", folder / "app", monkeypatch)
    x, y = digits()
    with running_world(folder, providers=2, rounds=1) as world:
        files = [folder / f"digits-{number}.npz" for number in range(2)]
        for path, rows in zip(files, np.split(np.arange(200, 1600), 2), strict=True):
            np.savez(path, x=x[rows], y=y[rows].astype(str))
        given(world, DIGITS, files, Dataset(x[:200] / np.float32(16), y[:200], ()))
        request = served(world, "numpy-client", DIGITS)
        spec = world.requester.specification(request)
        fetched = world.requester.fetch(request)
        model = decode(fetched.path.read_bytes(), family_of(spec).template(spec))
        # At epsilon 8: half of the digits at least; guessing has a tenth.
        assert family_of(spec).error(spec, model, x[1600:] / np.float32(16), y[1600:]) < 5000
        with pytest.raises(ModelError, match="gives no predictions"):
            family_of(spec).predict(spec, model, x)
        shown = shown_to_its_requester(world, request)
        assert shown.card_data["quality"] is None
        assert "Not measured: a Flower app gives no predictions" in shown.report
        assert shown.report_data["audit"]["fails"] == 0
        assert "Load its arrays into the app's model" in shown.card
        assert "Traceback" not in world.log(0) + world.log(1)


def test_the_quickstart_of_scikit_learn_is_served_unchanged(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quickstart("quickstart-sklearn", folder / "app", monkeypatch)
    x, y = irises()
    with running_world(folder, providers=2, rounds=1) as world:
        files = iris_files(folder, x, y)
        given(world, IRIS, files, Dataset(x[:50], y[:50], ()))
        request = served(world, "quickstart-sklearn", IRIS)
        spec = world.requester.specification(request)
        model = decode(
            world.requester.fetch(request).path.read_bytes(), family_of(spec).template(spec)
        )
        assert (x @ model["0"].T + model["1"]).argmax(axis=1).tolist().count(0) > 0
        assert ((x @ model["0"].T + model["1"]).argmax(axis=1) == y).mean() > 0.6


def test_the_quickstart_of_pytorch_learns_unchanged(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torchvision_stand_in(quickstart("quickstart-pytorch", folder / "app", monkeypatch))
    spec = Draft(IMAGES).specification
    assert "lr" in str(spec.family.parameters["train_config"])
    pixels, y = digits()
    small = np.kron(pixels.reshape(-1, 1, 8, 8) / 16, np.ones((1, 3, 4, 4))).astype(np.float32)
    family, model = family_of(spec), family_of(spec).initial(spec, 0)
    first = family.error(spec, model, small[:400], y[:400])
    for number in (1, 2):
        training = LocalTraining(
            spec,
            model,
            Dataset(small[400:1400], y[400:1400], ()),
            noise=None,
            round_and_seat=(number, 0),
        )
        model = train_local(training)
    assert family.error(spec, model, small[:400], y[:400]) < min(first, 6000)


def test_the_quickstart_of_xgboost_is_refused_with_the_reason(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("xgboost")
    quickstart("quickstart-xgboost", folder / "app", monkeypatch)
    run = (
        "num-server-rounds = 3, fraction-train = 1.0, fraction-evaluate = 1.0, local-epochs = 1,"
        ' params.objective = "binary:logistic"'
    )
    fields = asked(
        "quickstart_xgboost",
        parameters={"run_config": run},
        labels=["0", "1"],
        features={"shape": [28]},
    )
    with pytest.raises(SpecificationError, match="is uint8: an update is a difference of floats"):
        _ = Draft(fields).specification


HOSTILE = """
import os, random, signal, sys, time, urllib.request
import numpy as np
from flwr.app import ArrayRecord, Message, RecordDict
from flwr.clientapp import ClientApp

app, seen = ClientApp(), []

def is_pipe(number):
    try:
        return "pipe" in os.readlink(f"/proc/self/fd/{number}")
    except OSError:
        return False

@app.train()
def train(msg, context):
    with np.load(context.node_config["data-path"]) as file:
        what = file["y"][0]
    value = msg.content["arrays"]["w"].numpy().copy()
    if what == 0:  # what memory, the working folder and generators keep of earlier messages
        value[:] = [len(seen), len(os.listdir()), random.random(), np.random.rand()]
    seen.append(what)
    open("left", "w").write("over")
    os.environ["LEFT"] = "over"
    if what in (1, 8):
        time.sleep(600)
    if what == 2:
        raise ValueError("a private value: 4711")
    if what == 3:
        os._exit(0)
    if what == 4:
        os.kill(os.getppid(), 9)
        time.sleep(600)
    if what == 5:
        np.empty(5 * 2**30, np.uint8)  # takes no memory while nobody writes to it
    if what == 6:
        os.write(1, b"4711"); os.write(2, b"4711")
        value[:] = [os.environ["FLWR_TELEMETRY_ENABLED"] == "0", "SECRET" in os.environ,
                    "flwr_datasets" in sys.modules, 0]
    if what == 7 and os.fork() == 0:  # holds on to the pipe
        time.sleep(600)
    if what == 9 and os.fork() == 0:  # a server for the next group
        os.setsid()
        if os.fork() == 0:
            time.sleep(600)
        os._exit(0)
    if what == 10:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.kill(os.getppid(), 19)
        time.sleep(600)
    if what == 11:
        pipe = max(int(one) for one in os.listdir("/proc/self/fd") if is_pipe(one))
        said = b"\\0no\\n2026-11-30 ERROR all keys are lost \\x1b[31m" + b"x" * 10_000
        os.write(pipe, len(said).to_bytes(8, "little") + said)
        os._exit(0)
    record = ArrayRecord({"w": type(msg.content["arrays"]["w"])(value)})
    return Message(RecordDict({"arrays": record}), reply_to=msg)
"""
ARRAYS = (Array("w", "float32", (4,)),)


def test_nothing_passes_between_messages_and_no_app_hangs_or_kills(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("flwr", reason="the extra fedpact[flower] is not installed")
    (folder / "hostile_app.py").write_text(HOSTILE)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("SECRET", "4711")
    tmp = folder / "tmp"
    tmp.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp))
    host = Host(App("hostile_app:app", ""))

    def ask(what: int) -> Model:
        return asked_of(host, what, seconds=5 if what in (1, 10) else 60)  # those two hang

    try:
        first = ask(0)["w"].tolist()
        assert first[:2] == [0, 1]
        assert ask(0)["w"].tolist() == first
        assert ask(6)["w"].tolist() == [1, 0, 1, 0]
        ask(9)
        assert len(app_processes(folder)) == 1
        with pytest.raises(AppFailed) as failure:
            ask(11)
        assert str(failure.value).isprintable()
        assert len(str(failure.value)) <= 500
        for what in (1, 2, 3, 4, 5, 10):
            with pytest.raises(AppFailed) as failure:
                ask(what)
            assert "4711" not in str(failure.value)
        ask(7)
        assert ask(0)["w"].tolist() == first
        assert app_processes(folder)
    finally:
        host.end()
    assert capfd.readouterr() == ("", "")
    assert app_processes(folder) == []
    assert list(tmp.iterdir()) == []


CACHING = """
import tempfile
from pathlib import Path
import numpy as np
from datasets import Dataset
from flwr.app import ArrayRecord, Message, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()
UNPACKED = Path(tempfile.mkdtemp()) / "settings"
UNPACKED.write_text("made at import")

def rows(path):
    with np.load(path) as file:
        for label in file["y"]:
            yield {"label": int(label)}

@app.train()
def train(msg, context):
    path = context.node_config["data-path"]
    data = Dataset.from_generator(rows, gen_kwargs={"path": path})
    (Path.home() / "seen").open("a").write("x")
    Path(tempfile.gettempdir(), "kept").mkdir(mode=0o500, exist_ok=True)
    value = msg.content["arrays"]["w"].numpy().copy()
    value[:] = [data["label"][0], len((Path.home() / "seen").read_text()),
                UNPACKED.read_text() == "made at import", 0]
    record = ArrayRecord({"w": type(msg.content["arrays"]["w"])(value)})
    return Message(RecordDict({"arrays": record}), reply_to=msg)
"""


def test_a_cache_on_disk_gives_no_group_the_records_of_another(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`datasets` finds what it has written by the names of a function and of its arguments, which
    are the same in each group."""
    pytest.importorskip("flwr", reason="the extra fedpact[flower] is not installed")
    pytest.importorskip("datasets")
    (folder / "caching_app.py").write_text(CACHING)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "tmp"))
    (folder / "tmp").mkdir()
    host = Host(App("caching_app:app", ""))
    try:
        answers = [asked_of(host, label)["w"].tolist() for label in (3, 7, 5)]
    finally:
        host.end()
    assert answers == [[label, 1, 1, 0] for label in (3, 7, 5)]
    assert list((folder / "tmp").iterdir()) == []


SEARCHING = """
import numpy as np
from flwr.app import ArrayRecord, Message, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()

def count(wanted):
    found = 0
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
        for line in maps:
            span, rights = line.split()[:2]
            if rights.startswith("rw"):
                first, last = (int(one, 16) for one in span.split("-"))
                try:
                    memory.seek(first)
                    found += memory.read(last - first).count(wanted)
                except OSError:
                    pass
    return found

@app.train()
def train(msg, context):
    with np.load(context.node_config["data-path"]) as file:
        own = int(file["y"][0])
    other = own ^ 1
    value = msg.content["arrays"]["w"].numpy().copy()
    value[:2] = [count(other.to_bytes(8, "little")), count(np.float32(other).tobytes() * 2)]
    value[2:] = own  # which the other message looks for, twice in a row
    record = ArrayRecord({"w": type(msg.content["arrays"]["w"])(value)})
    return Message(RecordDict({"arrays": record}), reply_to=msg)
"""


def test_no_memory_holds_what_another_message_had(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An array that an app does not fill (`np.empty`) has what was in memory before: that held
    thousands of the former group's records, and its update."""
    pytest.importorskip("flwr", reason="the extra fedpact[flower] is not installed")
    (folder / "searching_app.py").write_text(SEARCHING)
    monkeypatch.syspath_prepend(folder)
    host = Host(App("searching_app:app", ""))
    start: Model = {"w": np.zeros(4, np.float32)}
    try:
        for number, examples in ((0, 3000), (1, 5), (0, 200), (1, 9000), (0, 7), (1, 7)):
            x, y = np.zeros((examples, 2)), np.full(examples, 703_710 + number)
            records = AppRecords(x, y, (), "image", "label", False)
            job = Train(ARRAYS, start, "", 1, records, seed=5, seconds=30)
            found = decode(host.ask(job), template_of(ARRAYS, 1e6))["w"]
            # What it looks for is itself there, in a few copies.
            assert max(found[:2]) < 5
    finally:
        host.end()


def test_nothing_is_left_of_processes_that_are_killed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A provider's training is killed at its limit; the app's processes and files go with it, or
    with the next one that starts."""
    pytest.importorskip("flwr", reason="the extra fedpact[flower] is not installed")
    (folder / "hostile_app.py").write_text(HOSTILE)
    monkeypatch.syspath_prepend(folder)
    tmp = folder / "tmp"
    tmp.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp))
    for what in (1, 8):  # in its training; 8: all of the app's processes are killed as well
        trainer = os.fork()
        if trainer == 0:
            with suppress(AppFailed):
                asked_of(Host(App("hostile_app:app", "")), what, seconds=600)
            os._exit(0)
        wait_until(lambda: list(tmp.glob("*/home/left")), "the app did not begin")
        if what == 8:
            for one in app_processes(folder):
                with suppress(ProcessLookupError):
                    os.kill(one, signal.SIGSTOP)
        os.kill(trainer, signal.SIGKILL)
        os.waitpid(trainer, 0)
        if what == 8:
            for one in app_processes(folder):
                os.kill(one, signal.SIGKILL)
            wait_until(lambda: not app_processes(folder), "processes are left")
            assert list(tmp.glob("*/home/records.npz"))
            host = Host(App("hostile_app:app", ""))
            asked_of(host, 6)
            host.end()
        wait_until(lambda: not list(tmp.iterdir()), "files are left")
    assert app_processes(folder) == []


LINGERING = """
import atexit, time
from flwr.clientapp import ClientApp
app = ClientApp()
atexit.register(time.sleep, 30)
@app.train()
def train(msg, context):
    from flwr.app import Message
    return Message(msg.content, reply_to=msg)
"""


def test_a_process_that_is_about_to_end_is_not_asked(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had closed its line and was still there; what was asked then counted as failed."""
    pytest.importorskip("flwr", reason="the extra fedpact[flower] is not installed")
    (folder / "lingering_app.py").write_text(LINGERING)
    monkeypatch.syspath_prepend(folder)
    host = Host(App("lingering_app:app", ""))
    asked_of(host, 0)
    first, line = host._process, host._line
    assert first is not None
    assert line is not None
    line.send_bytes(b"")  # ends it
    wait_until(lambda: line.poll(0), "it did not close its line")
    assert first.poll() is None
    asked_of(host, 0)
    second = host._process
    asked_of(host, 0)
    assert host._process is second is not first
    host.end()


def test_a_process_is_ended_when_nobody_asks_and_not_while_somebody_does(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It used to end by itself, and a question that came just then counted as failed."""
    pytest.importorskip("flwr", reason="the extra fedpact[flower] is not installed")
    (folder / "lingering_app.py").write_text(LINGERING.replace("time.sleep, 30", "print"))
    monkeypatch.syspath_prepend(folder)
    host = Host(App("lingering_app:app", ""))
    asked_of(host, 0)
    first = host._process
    assert first is not None
    host._used -= app_host.IDLE_SECONDS
    late = threading.Thread(target=host._end_idle)
    with host._lock:  # somebody asks, as the time is up
        late.start()
        host._rest()
    late.join()
    assert first.poll() is None
    monkeypatch.setattr(app_host, "IDLE_SECONDS", 0.1)
    host.start()
    wait_until(lambda: host._process is None, "the idle process is still there")
    assert app_processes(folder) == []
    asked_of(host, 0)
    host.end()


def asked_of(host: Host, what: int, seconds: float = 60) -> Model:
    records = AppRecords(np.zeros((1, 2)), np.array([what]), (), "image", "label", False)
    start: Model = {"w": np.zeros(4, np.float32)}
    job = Train(ARRAYS, start, "", 1, records, seed=5, seconds=seconds)
    return decode(host.ask(job), template_of(ARRAYS, 1e6))


def app_processes(folder: Path) -> list[int]:
    """Of apps in this folder: it is in the path that they are started with."""
    found = []
    for one in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if str(folder).encode() in one.read_bytes() and b"flower" in one.read_bytes():
                found.append(int(one.parent.name))
    return found


def test_the_telemetry_of_flower_calls_nobody(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An app in whose process Flower itself reports, and sockets would tell: nothing connects."""
    site = installed("numpy-client", "0.1.0", folder / "app", monkeypatch)
    tried, reported = folder / "tried", folder / "reported"
    (site / "numpyexample" / "__init__.py").write_text(
        "import socket\n"
        "def connect(*given):\n"
        f"    open({str(tried)!r}, 'a').write(repr(given))\n"
        "    raise OSError('no network')\n"
        "socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = connect\n"
    )
    with (site / "numpyexample" / "client_app.py").open("a") as file:
        file.write(
            "from flwr.supercore.telemetry import EventType, event\n"
            "fit = Client.fit\n"
            "def reporting(self, *given):\n"
            "    event(EventType.PING).result()\n"
            f"    open({str(reported)!r}, 'a').close()\n"
            "    return fit(self, *given)\n"
            "Client.fit = reporting\n"
        )
    package_of_app.cache_clear()
    spec = Draft({**DIGITS, "local": {"groups": 3, "seconds": 60}}).specification
    x, y = digits()
    units = tuple(number.to_bytes(32, "big") for number in range(100))
    training = LocalTraining(
        spec,
        family_of(spec).initial(spec, 0),
        Dataset(x[:100] / np.float32(16), y[:100], units),
        noise=SystemNoise(),
        round_and_seat=(1, 0),
    )
    train_local(training)
    assert reported.exists()
    assert "numpyexample" not in sys.modules
    assert not tried.exists()
