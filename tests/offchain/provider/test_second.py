"""What the second protocol's daemon reads of the chain's past."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from fedpact.provider.state import ProviderState
from fedpact.provider.v2.second import SecondProtocol
from fedpact.types.deployment import Deployment

HERE = Deployment(31337, "0xaa", "0x1", "0x2", "0x3", 0, {})
OWN, OTHER = "0x" + "aa" * 20, "0x" + "bb" * 20


def test_nothing_is_asked_of_the_node_for_requests_of_others(tmp_path: Path) -> None:
    """A daemon with 10^5 events of others asked for the cohort of each of their rounds."""
    asked: list[int] = []

    def cohort(request: int, seed: bytes) -> tuple[Any, Any]:
        asked.append(request)
        return (0,), [SimpleNamespace(account=OWN)]

    events: list[tuple[int, int, str, dict[str, Any]]] = []
    for request, provider in ((1, OTHER), (2, OWN)):
        of: dict[str, Any] = {"request": request}
        events += [
            (request, 0, "RequestCreated", of),
            (request, 1, "Joined", {**of, "provider": provider}),
            (request, 2, "RoundOpened", {**of, "round": 1, "seed": "0x" + "01" * 32}),
            (request, 3, "ModelsSubmitted", {**of, "round": 1, "mask": 1, "digests": ["0x02"]}),
        ]
    with ProviderState(tmp_path / "state.sqlite", HERE, OWN) as state:
        state.ingest(events, 2, "0xabc")
        ctx: Any = SimpleNamespace(
            state=state,
            deployment=HERE,
            keys=SimpleNamespace(address=OWN),
            client=SimpleNamespace(pool=SimpleNamespace(cohort=cohort)),
        )
        [(release, digest)] = SecondProtocol(ctx).submissions()
    assert (release.request, release.round, digest) == (2, 1, b"\x02")
    assert asked == [2]
