"""Strategies, by hand from the papers' equations."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fedpact.errors import SpecificationError
from fedpact.learning.artefact import encode
from fedpact.learning.strategies import STRATEGIES, Globals, Memory, strategy
from fedpact.learning.strategies.base import combine
from fedpact.learning.strategies.ditto import Ditto
from fedpact.learning.strategies.dlmu import DLMU
from fedpact.learning.strategies.fedavg import FedAvg
from fedpact.learning.strategies.fedavgm import FedAvgM
from fedpact.learning.strategies.fedprox import FedProx
from fedpact.learning.strategies.scaffold import Scaffold
from fedpact.types.specification import StrategyChoice

MODELS = arrays(np.float32, (3,), elements=st.floats(-1e6, 1e6, width=32)).map(lambda w: {"w": w})


def model(*values):
    return {"w": np.array(values, np.float32)}


def values(found):
    assert found["w"].dtype == np.float32
    return found["w"].tolist()


def start_of(found):
    return values(found.start)


# ---------------------------------------------------------------------- FedAvg, FedAvgM


def test_fedavg_trains_from_the_global_model_and_uses_the_aggregate():
    globals_ = Globals(model(0), model(1), model(7))
    assert start_of(FedAvg().local(globals_, None)) == [1.0]
    assert FedAvg().remember(globals_, None, model(2), 1.0) is None
    assert values(FedAvg().server(globals_, model(3), {}, 5)[0]) == [3.0]


def test_server_momentum_by_hand():
    # v_1 = 1 - 0 = 1; v_2 = 0.5 * 1 + (3 - 1) = 2.5; with rate 2: w_2 = 0 + 2 * 1 = 2,
    # v_2 = 0.5 * 1 + (3 - 2) = 1.5, w_3 = 2 + 2 * 1.5 = 5.
    plain, fast = FedAvgM(momentum=0.5), FedAvgM(momentum=0.5, learning_rate=2.0)
    assert values(plain.server(Globals(model(0), model(0)), model(1), {}, 2)[0]) == [1.0]
    assert values(plain.server(Globals(model(0), model(1), model(0)), model(3), {}, 2)[0]) == [3.5]
    assert values(fast.server(Globals(model(0), model(0)), model(1), {}, 2)[0]) == [2.0]
    assert values(fast.server(Globals(model(0), model(2), model(0)), model(3), {}, 2)[0]) == [5.0]


@given(MODELS, MODELS, MODELS)
def test_server_momentum_of_zero_is_fedavg(start, before, aggregate):
    found, _ = FedAvgM(momentum=0).server(Globals(start, start, before), aggregate, {}, 3)
    assert np.array_equal(found["w"], aggregate["w"])


# ---------------------------------------------------------------------- DLMU


def test_dlmu_by_hand():
    # |W^1 - W^0| = 5; w^r = (0, 10), the own last model (6, 2): apart 10, beta = 0.4 * 10 / 5.
    dlmu = DLMU(tau=0.4)
    first = dlmu.remember(Globals(model(0, 0), model(0, 0)), None, model(3, 4), 1.0)
    later = dlmu.remember(Globals(model(0, 0), model(9, 9)), first, model(6, 2), 1.0)
    globals_ = Globals(model(0, 0), model(0, 10))
    assert dlmu.beta(globals_.start, later) == pytest.approx(0.8)
    assert start_of(dlmu.local(globals_, later)) == pytest.approx([4.8, 3.6])


@pytest.mark.parametrize(
    "name", [name for name, one in STRATEGIES.items() if one.published and one.remembers]
)
@given(models=st.lists(MODELS, min_size=2, max_size=5))
def test_a_published_memory_follows_from_the_first_and_the_last_submission(name, models):
    # A replay that lost its memories fetches no others.
    plan, initial = STRATEGIES[name](), model(0, 0, 0)
    rounds = [
        Globals(initial, model(number, 1, 2), model(number - 1, 1, 2))
        for number in range(len(models))
    ]
    all_of_them, two = None, None
    for globals_, submitted in zip(rounds, models, strict=True):
        all_of_them = plan.remember(globals_, all_of_them, submitted, 1.0)
    for index in (0, -1):
        two = plan.remember(rounds[index], two, models[index], 1.0)
    assert encode(plan.local(rounds[0], two).start) == encode(
        plan.local(rounds[0], all_of_them).start
    )


def test_dlmu_starts_from_the_global_model_the_first_time():
    assert start_of(DLMU().local(Globals(model(0), model(4)), None)) == [4.0]


def test_dlmu_keeps_only_its_own_model():
    memory = DLMU().remember(Globals(model(0), model(0)), None, model(1), 1.0)
    assert start_of(DLMU().local(Globals(model(0), model(100)), memory)) == [1.0]  # beta is 1


@pytest.mark.parametrize(("apart", "expected"), [(0.0, [5.0]), (1e-30, [1e-30])])
def test_dlmu_if_the_first_training_did_not_move(apart, expected):
    memory = DLMU().remember(Globals(model(5), model(5)), None, model(5), 1.0)
    start = model(5) if apart == 0 else model(0)
    memory = Memory(memory.models if apart == 0 else {"last": model(1e-30)}, memory.numbers)
    assert start_of(DLMU().local(Globals(model(5), start), memory)) == pytest.approx(expected)


@given(MODELS, MODELS, MODELS)
def test_dlmu_of_tau_zero_is_fedavg(initial, start, own):
    memory = DLMU().remember(Globals(initial, initial), None, own, 1.0)
    found = DLMU(tau=0).local(Globals(initial, start), memory)
    assert np.array_equal(found.start["w"], start["w"])


@given(MODELS, MODELS, MODELS, st.floats(0, 10))
def test_dlmu_starts_between_the_two_models(initial, start, own, tau):
    memory = DLMU().remember(Globals(initial, initial), None, own, 1.0)
    found = DLMU(tau=tau).local(Globals(initial, start), memory).start["w"]
    low, high = np.minimum(start["w"], own["w"]), np.maximum(start["w"], own["w"])
    assert (found >= low).all()
    assert (found <= high).all()


@given(st.lists(MODELS, min_size=1, max_size=5), MODELS)
def test_dlmus_memory_follows_from_the_first_and_last_submissions(own, initial):
    globals_ = Globals(initial, initial)
    memory = shorter = None
    for one in own:
        memory = DLMU().remember(globals_, memory, one, 1.0)
    for one in (own[0], own[-1]):
        shorter = DLMU().remember(globals_, shorter, one, 1.0)
    assert memory.numbers == shorter.numbers
    assert encode(memory.models["last"]) == encode(shorter.models["last"])


# ---------------------------------------------------------------------- rivals


def test_fedprox_pulls_towards_the_global_model():
    task = FedProx(mu=0.3).local(Globals(model(0), model(2)), None)
    assert (task.correction.proximal, values(task.correction.anchor)) == (0.3, [2.0])
    assert start_of(task) == [2.0]


def test_scaffold_by_hand():
    # Round 1: x = 0, y_1 = -2, y_2 = 4, K * rate = 2: c_1 = 1, c_2 = -2, c = (1 - 2) / 4.
    scaffold = Scaffold(learning_rate=0.5)
    globals_ = Globals(model(0), model(0))
    assert values(scaffold.local(globals_, None).correction.shift) == [0.0]
    memories = {
        seat: scaffold.remember(globals_, None, model(y), 2.0) for seat, y in {1: -2, 2: 4}.items()
    }
    assert [values(memories[seat].models["control"]) for seat in (1, 2)] == [[1.0], [-2.0]]
    changes = {seat: (None, memory) for seat, memory in memories.items()}
    moved, server = scaffold.server(globals_, model(1), changes, 4)
    assert values(moved) == [0.5]
    assert values(server.models["control"]) == [-0.25]
    # Round 2, the first of them: shift c - c_1; y = 1.5: c_1+ = 1 + 0.25 + (0.5 - 1.5) / 2.
    globals_ = Globals(model(0), moved, model(0), server)
    assert values(scaffold.local(globals_, memories[1]).correction.shift) == [-1.25]
    again = scaffold.remember(globals_, memories[1], model(1.5), 2.0)
    assert values(again.models["control"]) == [0.75]
    _, server = scaffold.server(globals_, moved, {1: (memories[1], again)}, 4)
    assert values(server.models["control"]) == [-0.3125]


@given(MODELS, MODELS)
def test_scaffold_without_variates_is_fedavg(start, aggregate):
    globals_ = Globals(start, start)
    assert not Scaffold().local(globals_, None).correction.shift["w"].any()
    assert np.array_equal(Scaffold().server(globals_, aggregate, {}, 3)[0]["w"], aggregate["w"])


def test_ditto_keeps_a_personal_model_besides_fedavg():
    ditto, globals_ = Ditto(lam=0.5), Globals(model(0), model(3))
    assert start_of(ditto.local(globals_, None)) == [3.0]
    task = ditto.personal(globals_, None)
    assert (start_of(task), values(task.correction.anchor)) == ([0.0], [3.0])
    assert task.correction.proximal == 0.5
    memory = ditto.keep(None, model(1))
    assert start_of(ditto.personal(globals_, memory)) == [1.0]
    assert values(ditto.server(globals_, model(7), {}, 2)[0]) == [7.0]


# ---------------------------------------------------------------------- registry


def test_combinations_are_rounded_once():
    assert values(combine((1.0, model(1)), (2.0**-30, model(1)), (-1.0, model(1)))) == [2.0**-30]


def test_every_strategy_has_the_name_that_it_is_found_by():
    assert {name: strategy(StrategyChoice(name=name)).name for name in STRATEGIES} == {
        name: name for name in STRATEGIES
    }
    assert {name for name, one in STRATEGIES.items() if one.published} == {
        "fedavg",
        "fedavgm",
        "dlmu",
        "fedprox",
        "ditto",
        "algorithm-one",
    }


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        (StrategyChoice(name="fedsgd"), "unknown"),
        (StrategyChoice(name="fedavg", parameters={"mu": 1}), "mu"),
        (StrategyChoice(name="dlmu", parameters={"tau": -1}), "tau"),
        (StrategyChoice(name="dlmu", parameters={"tau": float("inf")}), "tau"),
        (StrategyChoice(name="fedavgm", parameters={"momentum": 1.0}), "momentum"),
    ],
)
def test_unknown_strategies_and_parameters_are_refused_by_name(asked, named):
    with pytest.raises(SpecificationError, match=named):
        strategy(asked)
