"""Families of installed packages: found, named by their digest, tried, and refused if they are not
what a specification names."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from fedpact.data.dataset import Dataset
from fedpact.data.documents import documents
from fedpact.errors import InvalidInput, PolicyRefusal, SettingsError, UnknownFamily
from fedpact.learning import packages
from fedpact.learning.families import family_of, privacy_statement
from fedpact.learning.families.new_package import write_package
from fedpact.privacy_audit.family_check import check_family
from fedpact.provider.duties.declining import public_reason
from fedpact.provider.policy import Policy
from fedpact.requester.draft import Draft
from fedpact.simulation.adversaries import SimulatedProvider
from fedpact.simulation.request import Seat, noise, simulate
from fedpact.types.decline_reason import Reason
from fedpact.types.specification import Specification

EXAMPLES = Path(__file__).parents[3] / "examples"
Install = Callable[[Path], None]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Put a package's folder on the path, with the metadata that pip would write."""

    def installed(folder: Path) -> None:
        project = (folder / "pyproject.toml").read_text()
        name = project.split('\nname = "')[1].split('"')[0]
        offered = project.split('fedpact.families"]\n')[1].split("\n")[0].replace('"', "")
        kept = folder / f"{name.replace('-', '_')}-0.1.0.dist-info"
        kept.mkdir(exist_ok=True)
        (kept / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n")
        (kept / "entry_points.txt").write_text(f"[fedpact.families]\n{offered}\n")
        monkeypatch.syspath_prepend(folder)
        forget()

    yield installed
    monkeypatch.undo()
    forget()


def forget() -> None:
    packages.packaged.cache_clear()
    packages.package_of.cache_clear()


def drafted(folder: Path, **fields: object) -> Specification:
    return Draft.read(folder / "draft.toml").changed(**fields).specification


def test_a_new_package_passes_its_checks_and_is_named_by_its_files(
    tmp_path: Path, install: Install
) -> None:
    folder = tmp_path / "package"
    code = write_package("my-net", folder)[-1]
    with pytest.raises(UnknownFamily, match="'my-net' is unknown: fedpact has softmax-regression"):
        drafted(folder)
    install(folder)
    spec = drafted(folder)
    assert spec.family.package == packages.package_of("my-net")
    assert (spec.family.package.name, spec.family.package.version) == ("fedpact-my-net", "0.1.0")
    assert Specification.decode(spec.encode()) == spec
    assert privacy_statement(spec).endswith("if the package fedpact-my-net 0.1.0 trains as it says")
    found = check_family(spec)
    assert [one for one in found if not one.passed] == []
    assert len(found) == 11
    code.write_text(code.read_text().replace("torch.tanh", "torch.relu"))
    forget()
    with pytest.raises(UnknownFamily, match=r"my-net 0\.1\.0 \(sha-256 .*is asked for") as refused:
        family_of(spec)
    assert public_reason(refused.value) is Reason.FAMILY
    for wrong in (
        spec.family.model_copy(update={"package": None}),
        spec.family.model_copy(update={"name": "mlp"}),
        spec.family.model_copy(update={"name": "another"}),
    ):
        with pytest.raises(UnknownFamily):
            family_of(spec.model_copy(update={"family": wrong}))


PARTS = '''
class Network(nn.Module):
    """A convolution over the window; its means beside the other parts."""

    def __init__(self, parts, outputs):
        super().__init__()
        self._parts = {part.name: part for part in parts}
        rows, width = self._parts["window"].shape
        others = sum(part.size for part in parts) - rows * width
        self.over_time = nn.Conv1d(width, 4, 2)
        self.output = nn.Linear(4 + others, outputs)

    def forward(self, x):
        window = self._parts["window"].of(x).transpose(1, 2)
        seen = torch.tanh(self.over_time(window)).mean(dim=2)
        others = [self._parts[name].of(x) for name in ("columns", "note")]
        return self.output(torch.cat([seen, *others], dim=1))
'''
"""A network that takes an example apart, as docs/families.md says."""


def test_a_network_of_ones_own_takes_the_parts_of_an_example(
    tmp_path: Path, install: Install
) -> None:
    folder = tmp_path / "package"
    code = write_package("my-parts", folder)[-1]
    text = code.read_text().split("class Network")[0] + PARTS
    text = text.replace(
        "Network(inputs, self.parameters(spec).hidden,", "Network(spec.features.parts,"
    )
    code.write_text(text)
    install(folder)
    features = {
        "shape": [74],
        "table": [
            {"name": "heat", "range": [0.0, 1.0]},
            {"name": "torque", "range": [0.0, 1.0]},
            {"name": "site", "type": "category", "values": ["x", "y"]},
            {"name": "note", "type": "text", "encoding": "words", "buckets": 64},
        ],
        "series": {"window": 4, "stride": 1, "by": "machine", "static": ["site", "note"]},
    }
    spec = drafted(folder, features=features)
    assert dict(family_of(spec).template(spec).tensors) == {
        "output.bias": (2,),
        "output.weight": (2, 70),
        "over_time.bias": (4,),
        "over_time.weight": (4, 2, 2),
    }
    found = check_family(spec)
    assert [one for one in found if not one.passed] == []


@pytest.mark.parametrize(
    "local",
    [
        {"epochs": 2, "batch_size": 4, "learning_rate": 0.1},
        {"steps": 2, "learning_rate": 0.1},
    ],
)
def test_a_network_with_a_scalar_parameter_is_trained_in_a_request(
    tmp_path: Path, install: Install, local: dict[str, object]
) -> None:
    """Epochs gave the scalar as a vector of one value, so that all members' models were invalid."""
    folder = tmp_path / "package"
    name = f"scaled-{'-'.join(local).split('_')[0]}"
    code = write_package(name, folder)[-1]
    text = code.read_text().replace(
        "super().__init__()",
        "super().__init__()\n        self.scale = nn.Parameter(torch.ones(()))",
    )
    code.write_text(text.replace("= self.output(", "= self.scale * self.output("))
    install(folder)
    assert [one for one in check_family(drafted(folder)) if not one.passed] == []
    spec = drafted(folder, local=local, privacy={"mode": "none"}, rounds=1, max_error=10_000)
    x = np.random.default_rng(1).normal(size=(12, 8)).astype(np.float32)
    part = Dataset(x, (x[:, 0] > 0).astype(np.int64), ())
    result = simulate(
        spec,
        [Seat(number, part, SimulatedProvider()) for number in range(3)],
        [part],
        lambda provider, number: noise(1, provider, number),
    )
    assert [one.included for one in result.rounds] == [0b111]
    assert result.model["scale"].shape == ()


def test_a_policy_lists_families_by_name_or_by_their_packages_digest(
    tmp_path: Path, install: Install
) -> None:
    folder = tmp_path / "package"
    write_package("my-net", folder)
    install(folder)
    spec, given = drafted(folder), (10**18, 100, 500, 4.0)
    assert spec.family.package is not None
    with pytest.raises(PolicyRefusal, match="family 'my-net' is not among"):
        Policy().check(spec, *given)
    for listed in ("my-net", spec.family.package.digest):
        Policy(families=("mlp", listed)).check(spec, *given)
    with pytest.raises(PolicyRefusal, match="family 'my-net' is not among"):
        Policy(families=("0" * 64,)).check(spec, *given)
    file = tmp_path / "policy.toml"
    file.write_text('families = ["resnet"]')
    with pytest.raises(
        SettingsError, match="'resnet' is not a family of fedpact or of an installed"
    ):
        Policy.read(file)


@pytest.mark.parametrize(
    ("before", "after", "check", "said"),
    [
        ("x.flatten(1)", "x.flatten(1) - x.flatten(1).mean(0)", "predictions", "beside it"),
        ("torch.tanh(", "nn.functional.dropout(", "predictions", "is random"),
    ],
)
def test_a_network_that_mixes_examples_or_is_random_fails(
    tmp_path: Path, install: Install, before: str, after: str, check: str, said: str
) -> None:
    folder = tmp_path / "package"
    name = f"net-{abs(hash(after)) % 10**6}"  # modules are imported once
    code = write_package(name, folder)[-1]
    code.write_text(code.read_text().replace(before, after))
    install(folder)
    failed = {one.check: one.said for one in check_family(drafted(folder)) if not one.passed}
    assert failed
    assert said in failed.get(check, "")


@pytest.mark.parametrize("layer", ["nn.BatchNorm1d(16, track_running_stats=False)", "nn.Dropout()"])
def test_layers_that_mix_examples_or_draw_are_refused(
    tmp_path: Path, install: Install, layer: str
) -> None:
    """A batch normalisation that keeps no statistics passed before."""
    folder = tmp_path / "package"
    name = f"layer-{abs(hash(layer)) % 10**6}"
    code = write_package(name, folder)[-1]
    line = "self.output = nn.Linear(hidden, outputs)"
    code.write_text(code.read_text().replace(line, f"{line}\n        self.other = {layer}"))
    install(folder)
    with pytest.raises(InvalidInput, match="no layer that mixes examples or draws at random"):
        drafted(folder)


SMALL: dict[str, list[dict[str, object]]] = {
    "sensor-cnn": [
        {"family": {"name": "sensor-cnn", "parameters": {"channels": [4, 4], "groups": groups}}}
        for groups in (0, 2)
    ],
    "resnet": [
        {
            "features": {"shape": [3, 8, 8]},
            "family": {"name": "resnet", "parameters": {"channels": [4, 8], "groups": 4}},
        }
    ],
    "text-transformer": [
        {
            "family": {
                "name": "text-transformer",
                "parameters": {"words": 8, "bits": 6, "width": 4, "heads": 2},
            }
        }
    ],
    "image-adapters": [
        {
            "features": {"shape": [3, 16, 16]},
            "family": {"name": "image-adapters", "parameters": {"rank": 2, "side": 32}},
        }
    ],
}
"""Of each example, drafts that are checked quickly."""
QUICK = ("sensor-cnn", "image-adapters")
"""Those that `make test` checks."""


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in SMALL],
)
def test_an_example_passes_its_checks(name: str, install: Install, tmp_path: Path) -> None:
    folder = tmp_path / name
    shutil.copytree(EXAMPLES / name, folder, ignore=shutil.ignore_patterns("__pycache__"))
    install(folder)
    spec = drafted(folder)
    assert spec.family.package is not None
    assert spec.family.package.name == f"fedpact-{name}"
    for fields in SMALL[name]:
        found = check_family(drafted(folder, **fields))
        assert [one for one in found if not one.passed] == []
        assert "device" in {one.check for one in found}


def test_a_family_is_tried_with_the_numbers_that_it_makes_of_images(
    tmp_path: Path, install: Install
) -> None:
    folder = tmp_path / "package"
    code = write_package("my-rows", folder)[-1]
    text = code.read_text().replace("math.prod(spec.features.shape)", "3")
    code.write_text(text.replace("    def module(", f"{ROWS}\n    def module(", 1))
    install(folder)
    found = check_family(drafted(folder))
    assert [one for one in found if not one.passed] == []


ROWS = """    def represented(self, spec, x, folder=None):
        return x if x.shape[1:] == (3,) else x[:, :3] + x[:, 3:6]
"""


def test_an_example_over_texts_is_trained_and_judged_in_a_request(
    install: Install, tmp_path: Path
) -> None:
    """From documents to a global model: members make numbers of texts by themselves."""
    folder = tmp_path / "text-transformer"
    shutil.copytree(EXAMPLES / "text-transformer", folder)
    install(folder)
    spec = drafted(
        folder, **SMALL["text-transformer"][0], labels=["sea", "sky"], rounds=2, max_error=10_000
    )
    texts = ["tide and wave", "cloud and wind"] * 6
    y = np.array([0, 1] * 6)
    part = Dataset(documents(texts), y, ())
    result = simulate(
        spec,
        [Seat(number, part, SimulatedProvider()) for number in range(3)],
        [part] * 2,
        lambda provider, number: noise(1, provider, number),
    )
    assert len(result.rounds) == 2
    model = result.model
    predicted = family_of(spec).predict(spec, model, part.x)
    numbers = family_of(spec).represented(spec, part.x)
    assert np.array_equal(predicted, family_of(spec).predict(spec, model, numbers))


@pytest.mark.parametrize("name", ["My-Net", "1d", "", "mlp"])
def test_a_name_that_cannot_be_used_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match="name"):
        write_package(name, tmp_path / "package")
