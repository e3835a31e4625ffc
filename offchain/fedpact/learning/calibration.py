"""The noise that a specification's epsilon needs, over everything that a provider releases."""

from fedpact.errors import SpecificationError
from fedpact.learning.families import family_of
from fedpact.privacy.accounting import calibrate, gaussian_multiplier
from fedpact.privacy.releases import GaussianRelease
from fedpact.types.specification import Specification

STATISTICS_SHARE = 0.01
"""Share of the total precision mu^2 for a statistics round: sums over all examples need little."""


def noise_for(spec: Specification) -> dict[str, float]:
    """The noise multipliers of a specification under `sound`, as its `privacy` names them.

    The least with which all releases together cost at most its epsilon. A given
    statistics_multiplier stays; a given noise_multiplier is ignored.

    Raises PrivacyError, naming the least possible epsilon, for one that cannot be reached, and
    SpecificationError for another privacy mode.
    """
    privacy, sums = spec.privacy, spec.local.noised_sums
    epsilon, delta = privacy.epsilon, privacy.delta
    if epsilon is None or delta is None or sums is None:
        raise SpecificationError(
            "noise is calibrated for privacy mode sound only, with an epsilon and a delta"
        )
    rate, steps = sums
    parts = privacy.honest or 1  # of a secure sum's noise; each draw counts (GaussianRelease)
    if not family_of(spec).statistics:
        multiplier = calibrate(epsilon, delta, spec.rounds * steps * parts, rate)
        return {"noise_multiplier": multiplier / parts}
    statistics = privacy.statistics_multiplier
    if statistics is None:
        whole = gaussian_multiplier(epsilon, delta) / STATISTICS_SHARE**0.5
        statistics = whole / parts**0.5
    beside = (GaussianRelease(parts * statistics, 1.0, parts),)
    steps = max(1, spec.rounds - 1) * steps * parts
    multiplier = calibrate(epsilon, delta, steps, rate, beside)
    return {"noise_multiplier": multiplier / parts, "statistics_multiplier": statistics}
