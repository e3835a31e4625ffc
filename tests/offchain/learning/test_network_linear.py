"""The linear model on a public network's features, with the network's real weights."""

from functools import partial

import numpy as np
import pytest

from fedpact.data.dataset import Dataset
from fedpact.errors import PolicyRefusal, SpecificationError
from fedpact.features.networks import named
from fedpact.features.networks.images import WIDTH
from fedpact.features.networks.pinned import EFFICIENTNET_LITE0, MINILM
from fedpact.learning.checks import check_published
from fedpact.learning.families import family, privacy_statement, represented
from fedpact.learning.local_training import train_local
from fedpact.learning.training_inputs import LocalTraining
from fedpact.learning.update_bounds import update_norm, update_norm_bounds
from fedpact.privacy.noise import SeededNoise
from fedpact.privacy_audit import hostile, participation
from fedpact.provider.policy import Policy
from fedpact.types.cid import Cid
from tests.support.networks import SIDE, small_network
from tests.support.specifications import SOUND, specification

NETWORK = {
    "network": EFFICIENTNET_LITE0.name,
    "digest": EFFICIENTNET_LITE0.digest,
    "side": 32,
}
PRIVATE = {**SOUND, "clipping_norm": 0.1, "noise_multiplier": 2.0, "statistics_multiplier": 20.0}


def spec_of(**changes):
    fields = {
        "family": {"name": "network-linear", "parameters": NETWORK},
        "features": {"shape": [3, 8, 8]},
        "rounds": 3,
        "local": {"steps": 1, "learning_rate": 100.0},
        **changes,
    }
    return specification(**fields)


def photos(n=24):
    """Bright, dark and striped images."""
    generator = np.random.default_rng(0)
    y = np.arange(n) % 3
    x = 0.1 * generator.random((n, 3, 8, 8)).astype(np.float32)
    x[y == 0] += 0.8
    x[y == 2, :, :, ::2] += 0.8
    return Dataset(x, y, ())


def trained(spec, number, start, data, seed=0):
    given = LocalTraining(spec, start, data, noise=SeededNoise(seed), round_and_seat=(number, 0))
    return train_local(given)


def test_it_learns_from_a_statistics_round_and_one_step():
    spec, data = spec_of(), photos()
    rows = represented(spec, data)
    assert rows.x.shape == (len(data), WIDTH)
    start = family("network-linear").initial(spec, 0)
    centred = trained(spec, 1, start, rows)
    assert np.allclose(centred["centre"], rows.x.astype(np.float64).mean(axis=0), atol=1e-6)
    model = trained(spec, 2, centred, rows)
    assert family("network-linear").error(spec, model, data.x, data.y) == 0


@pytest.mark.parametrize("number", [1, 2])
def test_noise_alone_and_records_stay_within_the_bounds_of_an_update(number):
    spec = spec_of(privacy=PRIVATE)
    check_published(spec)
    start = family("network-linear").initial(spec, 0)
    rows = represented(spec, photos())
    low, high = update_norm_bounds(spec, len(rows), number)
    assert low < update_norm(start, trained(spec, number, start, rows)) < high
    nothing = Dataset(rows.x[:0], rows.y[:0], (), len(rows))
    assert low < update_norm(start, trained(spec, number, start, nothing)) < high


@pytest.mark.parametrize(
    ("parameters", "features", "said"),
    [
        ({**NETWORK, "network": "another"}, {}, "'another' is neither a CID nor"),
        ({**NETWORK, "digest": "00" * 32}, {}, "has the digest '5793"),
        ({"network": NETWORK["network"]}, {}, "digest"),
        ({**NETWORK, "side": 10_000}, {}, "side"),
        (NETWORK, {"features": {"shape": [8]}}, "takes images"),
    ],
)
def test_a_specification_names_the_pinned_network_and_images(parameters, features, said):
    with pytest.raises(SpecificationError, match=said):
        check_published(
            spec_of(family={"name": "network-linear", "parameters": parameters}, **features)
        )


def test_the_privacy_statement_names_the_network_and_what_is_not_covered():
    said = privacy_statement(spec_of(privacy=PRIVATE))
    assert "at delta 1e-05, for all that a provider releases" in said
    assert "public network efficientnet-lite0" in said
    assert "ImageNet" in said
    assert said.endswith("what it has seen is not covered")
    assert privacy_statement(specification()) == specification().privacy.statement


def named_spec(**changes):
    parameters = {
        "network": str(Cid.of_digest(bytes(32), 1)),
        "digest": "ab" * 32,
        "side": SIDE,
        "width": 12,
        **changes,
    }
    return spec_of(family={"name": "network-linear", "parameters": parameters})


def test_a_network_may_be_named_by_its_cid_with_its_width():
    spec = named_spec()
    check_published(spec)
    tensors = dict(family("network-linear").template(spec).tensors)
    assert tensors["centre"] == (12,)
    statement = privacy_statement(spec)
    assert "which the requester named: what it has seen is not covered" in statement
    assert "abababababab" in statement


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"width": 0}, "needs its width"),
        ({"width": 5_000}, "width"),
        ({"width": -1}, "width"),
        ({"digest": "AB" * 32}, "digest"),
        ({"digest": "../../etc/passwd"}, "digest"),
        ({"network": "../efficientnet"}, "neither a CID nor"),
        ({"network": "b" + "a" * 200}, "network"),
        ({"side": 10_000}, "side"),
        (NETWORK | {"width": 12}, "width must be 0"),
        (NETWORK | {"network": MINILM.name, "width": 0}, "unknown"),
    ],
)
def test_hostile_names_of_networks_are_refused(changes, reason):
    with pytest.raises(SpecificationError, match=reason):
        check_published(named_spec(**changes))


def test_a_provider_serves_the_networks_of_its_policy_alone():
    def decided(policy, spec):
        try:
            policy.check(spec, 10**18, 100, 1_000, 1.0)
        except PolicyRefusal as refusal:
            return str(refusal)
        return "joins"

    spec, open_ = named_spec(), {"accept_without_privacy": True}
    name = spec.family.parameters["network"]
    assert f"network {name} (sha-256 {'ab' * 32}) is not among" in decided(Policy(), spec)
    assert decided(Policy(networks=("ab" * 32,), **open_), spec) == "joins"
    assert "is not among" in decided(Policy(networks=(name,), **open_), spec)  # no digest: any file
    assert decided(Policy(**open_), spec_of()) == "joins"
    assert "efficientnet-lite0" in decided(Policy(networks=()), spec_of())


@pytest.mark.parametrize("factor", [1.0, 1e38])
def test_one_image_changes_nothing_but_noised_bytes_under_a_named_network(
    tmp_path, monkeypatch, factor
):
    """The participation game, with a network that overflows on bright images or on all."""
    monkeypatch.setenv(named.FOLDER_VARIABLE, str(tmp_path))
    content = small_network(factor=factor)
    form, digest = named.keep(content)
    parameters = {"network": str(Cid.of_digest(bytes(32), 1)), "digest": digest}
    parameters |= {"side": form.side, "width": form.width}
    monkeypatch.setitem(hostile._FORMS, "network-linear", ([8, 8], parameters))
    monkeypatch.setattr(participation, "Policy", partial(Policy, networks=(digest,)))
    found = participation.audit_participation("network-linear", requests=2, seed=3)
    assert found.details["differences"] == []
    assert found.details["joined"] == 2
    named._session.cache_clear()
