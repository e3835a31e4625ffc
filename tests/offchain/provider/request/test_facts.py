"""What a daemon reads of the chain's past."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from fedpact.chain.records import Frame
from fedpact.chain.scanner import SETTLED
from fedpact.provider.context import Cache
from fedpact.provider.forgetting import forget_ended
from fedpact.provider.request.facts import submissions
from fedpact.provider.state.checkpoint import Participation, ProviderState
from fedpact.types.deployment import Deployment

HERE = Deployment(31337, "0xaa", "0x1", "0x2", "0x3", 0, {})
OWN, OTHER = "0x" + "aa" * 20, "0x" + "bb" * 20


def rounds_of(request: int, provider: str) -> list[tuple[int, int, str, dict[str, Any]]]:
    """Events of a request with a round."""
    of: dict[str, Any] = {"request": request}
    return [
        (request, 0, "RequestCreated", of),
        (request, 1, "Joined", {**of, "provider": provider}),
        (request, 2, "RoundOpened", {**of, "round": 1, "seed": "0x" + "01" * 32}),
        (request, 3, "ModelsSubmitted", {**of, "round": 1, "mask": 1, "digests": ["0x02"]}),
    ]


def posted(request: int, block: int, round_: int) -> list[tuple[int, int, str, dict[str, Any]]]:
    """Events of a round that was posted as a whole."""
    of = {"request": request, "round": round_}
    whole = {**of, "mask": 1, "tx": f"0x{block:02x}", "record": "0x0a"}
    return [
        (block, 0, "RoundOpened", {**of, "seed": f"0x{round_:064x}"}),
        (block, 1, "RoundPosted", whole),
    ]


def context(state: ProviderState, asked: list[int], read: list[str] | None = None) -> Any:
    """Of a daemon; `asked`: the requests whose cohorts were asked for; `read`: the transactions."""

    def cohort(request: int, seed: bytes, frame: object = None) -> tuple[Any, Any]:
        asked.append(request)
        return (0,), [SimpleNamespace(account=OWN)]

    def posted_record(tx: str, record: bytes) -> Any:
        if read is not None:
            read.append(tx)
        return SimpleNamespace(digests=(bytes.fromhex(tx[2:]),))

    return SimpleNamespace(
        state=state,
        deployment=HERE,
        keys=SimpleNamespace(address=OWN),
        cache=Cache(),
        client=SimpleNamespace(
            pool=SimpleNamespace(cohort_of=cohort),
            rounds=SimpleNamespace(posted_record=posted_record),
        ),
        exchange=None,
    )


def test_what_was_submitted_outlives_the_events_of_its_request(tmp_path: Path) -> None:
    """Otherwise an older ledger would never be told what it lacks."""
    with (
        ProviderState(tmp_path / "state.sqlite", HERE, OWN) as state,
        ProviderState(tmp_path / "forgetful.sqlite", HERE, OWN) as forgetful,
    ):
        found = []
        for one in (state, forgetful):
            one.ingest(rounds_of(2, OWN), 2, "0xabc")
            one.decide(2, Participation.FINISHED, "paid")
            ctx = context(one, [])
            if one is forgetful:
                forget_ended(ctx, Frame(2 + SETTLED, "0xabc", 0))
                assert len(one.events_of(2)) == 4
                forget_ended(ctx, Frame(3 + SETTLED, "0xabc", 0))
                assert len(one.events_of(2)) == 1
            found.append(submissions(ctx))
        assert found[0] == found[1]
        assert len(found[0]) == 1


def test_nothing_is_asked_of_the_node_for_requests_of_others(tmp_path: Path) -> None:
    """A daemon with 10^5 events of others asked for the cohort of each of their rounds."""
    asked: list[int] = []
    with ProviderState(tmp_path / "state.sqlite", HERE, OWN) as state:
        state.ingest([*rounds_of(1, OTHER), *rounds_of(2, OWN)], 2, "0xabc")
        [(release, digest)] = submissions(context(state, asked))
    assert (release.request, release.round, digest) == (2, 1, b"\x02")
    assert asked == [2]


def test_a_round_more_asks_the_node_for_one_cohort_and_one_record_more(tmp_path: Path) -> None:
    """Each round asked for those of all rounds before it, in every daemon of the pool."""
    asked: list[int] = []
    read: list[str] = []
    with ProviderState(tmp_path / "state.sqlite", HERE, OWN) as state:
        ctx = context(state, asked, read)
        for round_ in range(2, 6):
            events = posted(2, round_ + 1, round_)
            state.ingest([*(rounds_of(2, OWN) if round_ == 2 else ()), *events], round_ + 1, "0xb")
            found = submissions(ctx, [2])
            assert [release.round for release, _ in found] == list(range(1, round_ + 1))
        assert asked == [2] * 5
        assert read == ["0x03", "0x04", "0x05", "0x06"]
        assert [digest for _, digest in found[1:]] == [b"\x03", b"\x04", b"\x05", b"\x06"]
