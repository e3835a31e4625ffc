"""The linear model on a public network's features, with the network's real weights."""

import numpy as np
import pytest

from fedpact.data.dataset import Dataset
from fedpact.errors import SpecificationError
from fedpact.features.networks.images import WIDTH
from fedpact.features.networks.pinned import EFFICIENTNET_LITE0
from fedpact.learning.bounds import update_norm, update_norm_bounds
from fedpact.learning.checks import check_published
from fedpact.learning.families import family, privacy_statement, represented
from fedpact.learning.local import train_local
from fedpact.learning.training import LocalTraining
from fedpact.privacy.noise import SeededNoise
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
    """Bright, dark and striped ones."""
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
        ({**NETWORK, "network": "another"}, {}, "'another' .* is unknown"),
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
