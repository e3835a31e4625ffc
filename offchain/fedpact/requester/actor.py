"""Who acts for a request, and with what."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fedpact.chain.keystore import AccountKeys
from fedpact.chain.records import Call
from fedpact.requester.content import RequesterContent
from fedpact.requester.request_view import RequestLook
from fedpact.requester.slice_keys import SliceKeys
from fedpact.requester.slice_messages import SliceMessages


@dataclass(frozen=True)
class Acting:
    """Who acts for a request, and with what."""

    account: AccountKeys
    content: RequesterContent
    slices: SliceKeys
    secret: int | None
    """Of the delivery key; None for an opener, which only opens slices."""
    output: Path
    """Where the model goes."""
    messages: SliceMessages

    def send(self, look: RequestLook, call: Call, what: str) -> str:
        """Send a call; returns what was done, as `what` says, and its gas."""
        receipt = look.client.send(self.account, call)
        return f"{what} ({receipt.gas_used} gas)"
