"""An experiment's file, and the cases that it asks for."""

from pathlib import Path

import pytest

from fedpact.errors import InvalidInput
from lab.harness import configuration
from lab.harness.configuration import Device, Scale
from tests.lab.little_study import TOML

GRIDDED = (
    (
        TOML
        + """
[methods.other]
partitions = ["iid"]
settings = { family = { parameters = { hidden = 8 } } }

[grid]
share = [0.0, 0.3]
"""
    )
    .replace('partitions = ["class5"]', 'partitions = ["class5", "iid"]')
    .replace("rounds = 3", 'rounds = 3\nfamily = { name = "mlp", parameters = { depth = 2 } }')
)


def test_there_is_a_case_for_every_partition_method_grid_point_and_seed() -> None:
    cases = list(configuration.cases(configuration.parse("little", GRIDDED), Scale.SMALL))

    assert len(cases) == 2 * (2 + 4)
    assert {case.method for case in cases if case.partition == "class5"} == {
        "plain share=0.0",
        "plain share=0.3",
    }
    assert len({case.state_path for case in cases}) == len(cases)
    assert [case.seed for case in cases] == [0] * 6 + [1] * 6


def test_settings_are_merged_table_by_table_from_general_to_specific() -> None:
    cases = configuration.cases(configuration.parse("little", GRIDDED), Scale.SMALL, seeds=1)
    case = next(one for one in cases if one.method == "other share=0.3")

    assert case.settings == {
        "rounds": 3,
        "share": 0.3,
        "family": {"name": "mlp", "parameters": {"depth": 2, "hidden": 8}},
    }


def test_a_scale_may_replace_the_values_of_an_axis() -> None:
    text = GRIDDED.replace("seeds = 2", "seeds = 2\ngrid = { share = [0.4] }")
    cases = configuration.cases(configuration.parse("little", text), Scale.SMALL)

    assert {case.settings["share"] for case in cases} == {0.4}


def test_the_number_of_providers_may_be_an_axis() -> None:
    text = GRIDDED.replace("[grid]", "[grid]\nproviders = [2, 4]")
    cases = list(configuration.cases(configuration.parse("little", text), Scale.SMALL, seeds=1))

    assert {case.providers for case in cases} == {2, 4}
    assert len({case.state_path for case in cases}) == len(cases)
    case = next(one for one in cases if one.method == "plain providers=4 share=0.3")
    assert (case.at("providers"), case.at("share")) == (4, 0.3)
    assert "providers" not in case.settings


def test_a_claim_may_compare_grid_points() -> None:
    claim = """
[[claims]]
text = "more shares, more of it"
partition = "class5"
metric = "global_accuracy"
method = "plain share=0.3"
base = "plain share={base}"
source = "Fig. 1"
"""
    found = configuration.parse("little", GRIDDED + claim.format(base="0.0"))
    assert found.claims[0].base == "plain share=0.0"
    with pytest.raises(InvalidInput, match="compares the unknown methods"):
        configuration.parse("little", GRIDDED + claim.format(base="0.4"))


def test_an_invalid_number_of_providers_is_refused() -> None:
    text = GRIDDED.replace("[grid]", '[grid]\nproviders = [2, "many"]')
    with pytest.raises(InvalidInput, match="number of providers is 'many'"):
        configuration.parse("little", text)


def test_the_identity_depends_on_the_settings_and_not_on_the_device() -> None:
    def first(text: str, device: Device = Device.CPU) -> str:
        little = configuration.parse("little", text)
        return next(configuration.cases(little, Scale.SMALL, 1, device)).identity

    assert first(TOML) == first(TOML, Device.CUDA)
    assert first(TOML) != first(TOML.replace("rounds = 3", "rounds = 4"))


@pytest.mark.parametrize("name", configuration.names())
def test_every_experiment_has_cases_of_a_known_kind(name: str) -> None:
    experiment = configuration.load(name)

    for scale in experiment.scales:
        assert list(configuration.cases(experiment, scale))


@pytest.mark.parametrize(
    ("wrong", "right", "said"),
    [
        ("kind", "sort", "kind: Field required"),
        ("title =", "title", "Expected '='"),
        ("seeds = 2", "seeds = 0", "scales.small.seeds"),
        ("[scales.small]", "[scales.tiny]", "scales.tiny"),
        (
            "[methods.plain]",
            '[[gaps]]\nmetric="m"\ncurve="c"\nmethod="plain"\nbase="b"\n[methods.plain]',
            "'b'",
        ),
        ("[methods.plain]", '[methods.plain]\npartitions=["iid"]', "'iid'"),
    ],
)
def test_an_invalid_file_is_refused_naming_the_field(wrong: str, right: str, said: str) -> None:
    with pytest.raises(InvalidInput, match="experiment little: ") as error:
        configuration.parse("little", TOML.replace(wrong, right))
    assert said in str(error.value)


def test_an_unknown_name_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="'none-such' is unknown: one of"):
        configuration.load("none-such")
    with pytest.raises(InvalidInput, match=r"absent\.toml cannot be read"):
        configuration.load(str(tmp_path / "absent.toml"))


def test_a_missing_scale_is_refused() -> None:
    little = configuration.parse("little", TOML)
    with pytest.raises(InvalidInput, match="has no scale full: only small"):
        list(configuration.cases(little, Scale.FULL))
