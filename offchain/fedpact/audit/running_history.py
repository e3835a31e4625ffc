"""The running hash of a request: what the chain keeps of its terms, starts and rounds."""

from collections.abc import Callable

from fedpact.audit.chain import Facts
from fedpact.audit.report import require
from fedpact.audit.request_events import Evidence, RoundEvidence
from fedpact.chain.signed_messages import history_after_round, history_after_start


def running_history(
    facts: Facts,
    evidence: Evidence,
    links: Callable[[RoundEvidence], tuple[bytes, bytes] | None],
) -> str:
    """Require that terms, starts and rounds give the hash that is on chain, link by link.

    `links`: the two hashes (32 bytes each) by which a round enters it, None for one that does not;
    it may require more.
    """
    running = facts.terms_hash(evidence.terms)
    stored = facts.record.terms_hash
    require(running == stored, f"the terms hash to 0x{running.hex()}, 0x{stored.hex()} stored")
    for start in evidence.starts:
        told = start.event.start
        parts = (told.manifest, told.key_hash, told.committee_key, told.delivery_hash)
        running = history_after_start(running, parts)
        if start is not evidence.start:
            continue
        for one in start.rounds:
            require(
                one.opened.history == running,
                f"{one.name}: it opened with 0x{one.opened.history.hex()},"
                f" 0x{running.hex()} computed",
            )
            entered = links(one)
            if one.end is not None and entered is not None:
                running = history_after_round(running, one.number, *entered)
    stored = facts.state.history
    require(running == stored, f"0x{stored.hex()} on chain, 0x{running.hex()} computed")
    return f"0x{stored.hex()}"
