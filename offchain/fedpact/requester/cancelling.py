"""Cancel a request; take back what of its money is not due."""

from fedpact.chain.client import ChainClient
from fedpact.chain.keystore import AccountKeys
from fedpact.errors import InvalidInput, NotReady, Reverted
from fedpact.requester import buying
from fedpact.requester.accept_or_dispute import Refund, settle
from fedpact.requester.request_view import look
from fedpact.types.requests import Status


def cancel(client: ChainClient, keys: AccountKeys, request_id: int) -> None:
    """As `Requester.cancel`."""
    require_own(client, keys, request_id)
    try:
        client.send(keys, client.market.cancel(request_id))
    except Reverted as error:
        if error.name == "TrainingRounds_WrongPhase":
            raise NotReady(
                f"request {request_id} is over or was cancelled: nothing is left to cancel"
            ) from error
        raise


def refund(client: ChainClient, keys: AccountKeys, request_id: int) -> Refund:
    """As `Requester.refund`."""
    seen = look(client, request_id)
    if seen.stored.requester != keys.address and client.deployment.resale:
        return buying.refund(client, keys, request_id)
    if seen.stored.status is Status.SETTLED:
        raise NotReady(f"request {request_id} is settled: nothing is left to take back")
    try:
        return settle(keys, seen)
    except Reverted as error:
        if error.name == "SharingMarket_NotEnded":
            raise NotReady(
                f"request {request_id} is not over, and its money is in escrow until then:"
                f" `fedpact request cancel {request_id}` ends it before its next round"
            ) from error
        if error.name == "SharingMarket_NotDecided":
            left = int(str(error.arguments[1])) - seen.now
            raise NotReady(
                f"request {request_id}: its members have {left} more seconds to deliver"
            ) from error
        raise


def require_own(client: ChainClient, keys: AccountKeys, request_id: int) -> None:
    """Raise InvalidInput for another account's request."""
    requester = client.market.request(request_id).requester
    if requester != keys.address:
        raise InvalidInput(f"request {request_id} was made by {requester}, not by {keys.address}")
