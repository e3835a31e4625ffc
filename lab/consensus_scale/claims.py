"""What the paper says of proof of training quality against proof of work, and our figures."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab.consensus_scale.mode import Mode
from lab.harness.standalone import StandaloneClaim

SOURCE = "Lu et al. 2020, sections III-C and III-D.2"


def claims(file: Path) -> Sequence[StandaloneClaim]:
    """For the fewest and the most participants; every participant keeps the chain."""
    costs = json.loads(file.read_text(encoding="utf-8"))["costs"]
    whole = {
        (one["mode"], one["members"]): one for one in costs if one["members"] == one["chain_nodes"]
    }
    members = sorted({number for _, number in whole})
    found = []
    for number in dict.fromkeys((members[0], members[-1])):
        poq, work = whole[Mode.POQ, number], whole[Mode.POW, number]
        setting = f"{number:,} participants"
        for text, ours, base, unit in (
            (
                "PoQ takes less computation for consensus than proof of work",
                poq["work"]["consensus"],
                work["work"]["consensus"],
                "CPU s",
            ),
            (
                "PoQ takes less communication than proof of work",
                _messages(poq),
                _messages(work),
                "messages",
            ),
        ):
            found.append(StandaloneClaim(text, SOURCE, setting, ours, base, unit))
    return found


def _messages(cost: dict[str, Any]) -> float:
    return float(sum(cost["messages"].values()))
