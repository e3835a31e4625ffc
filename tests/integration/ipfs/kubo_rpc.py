"""The Kubo RPC as curl would call it."""

from typing import Any

import httpx

from fedpact.content.ipfs_node import IpfsNode
from tests.support.waiting import PATIENCE

MAX_REQUEST_BYTES = 51_000_000
"""What the nodes of these tests accept."""


def rpc(
    node: IpfsNode,
    command: str,
    *,
    method: str = "POST",
    headers: dict[str, str] | None = None,
    files: dict[str, bytes] | None = None,
    **options: Any,
) -> httpx.Response:
    """The answer to a command; its name's and its options' spelling is Kubo's."""
    return httpx.request(
        method,
        f"{node.url}/api/v0/{command}",
        params=options,
        headers=headers,
        files=files,
        timeout=PATIENCE,
        trust_env=False,
    )
