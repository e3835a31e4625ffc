"""The settings of Flower's apps, as a specification names them."""

import math
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from fedpact.learning.flower.jobs import config_of, config_text

WHOLE = st.integers(-(2**63), 2**63 - 1)
KINDS = (st.booleans(), WHOLE, st.floats(), st.text())
SETTING = st.one_of(*KINDS, *(st.lists(kind, max_size=3) for kind in KINDS))


def test_settings_in_tables_have_the_tables_name() -> None:
    said = 'penalty = "l2", params.eta = 0.1, params.tree.depth = 3'
    assert config_of(said) == {"penalty": "l2", "params.eta": 0.1, "params.tree.depth": 3}
    assert config_of(config_text(config_of(said))) == config_of(said)


@given(st.dictionaries(st.text(), SETTING, max_size=3))
@example({"an emoji": "\N{GRINNING FACE}", "\N{GRINNING FACE}": ["\x7f", "\x00"]})
@example({"not finite": [math.inf, -math.inf, math.nan]})
def test_settings_written_are_read_as_they_were(config: dict[str, Any]) -> None:
    assert repr(config_of(config_text(config))) == repr(config)
