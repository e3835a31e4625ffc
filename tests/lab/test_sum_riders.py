"""Masking noise alone under secure sums."""

from dataclasses import replace

from lab.incentives.sums import SIZE, measure


def test_noise_alone_earns_less_than_training() -> None:
    trains, rides = measure([0], replace(SIZE, rounds=5))
    assert (trains["rounds"], rides["rounds"]) == (5, 5)
    assert rides["pay"] < 0.8 * trains["pay"]
    assert 0.8 < trains["pay"] < 1.2
