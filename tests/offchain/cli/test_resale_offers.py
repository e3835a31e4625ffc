"""What is shown of a result for sale."""

import pytest

from fedpact.cli.request_resale import _lines
from fedpact.learning.families import privacy_statement
from fedpact.requester.offers import Offer
from fedpact.types.privacy import CLAIM
from tests.support.specifications import specification

SOUND = {"mode": "sound", "epsilon": 2.0, "delta": 1e-5, "clipping_norm": 1.0}
PAPER = {
    **{"mode": "paper", "mechanism": "laplace", "epsilon": 2.0},
    **{"sensitivity": 1.0},
}


@pytest.mark.parametrize(
    ("privacy", "said"), [(PAPER, CLAIM), ({**SOUND, "noise_multiplier": 5.0}, "at delta 1e-05")]
)
def test_an_epsilon_is_shown_with_what_it_is_worth(privacy: dict, said: str) -> None:
    spec = specification(privacy=privacy)
    offer = Offer(
        *(7, 10**15, 1200, 50, 3, 10**18, 9000, 3, 3, 5000, 60, spec.privacy.epsilon),
        *(privacy_statement(spec), "", "", ()),
    )
    [line] = [one for one in _lines(offer) if "epsilon" in one]
    assert "epsilon 2" in line
    assert said in line
