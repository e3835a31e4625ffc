"""Opening a round's evaluation slice to its members, by message or on chain."""

from eth_utils.crypto import keccak

from fedpact.content.keys import seal
from fedpact.errors import InvalidInput
from fedpact.requester.actor import Acting
from fedpact.requester.request_view import RequestLook


def open_slice(acting: Acting, look: RequestLook) -> str:
    """Seal the slice's key to the committee: it opens for all members or for none. It goes to the
    members by message, and on chain where that does not reach them. InvalidInput where there is no
    key of the round."""
    number = look.facts.round
    keys = acting.slices.keys
    if number > len(keys):
        raise InvalidInput(
            f"request {look.request_id}: there are slice keys for {len(keys)} rounds, not for round"
            f" {number}: `fedpact request slice-keys` writes all of them"
        )
    sealed = seal(look.committee_key(), keys[number - 1], acting.account.seal_entropy)
    told = acting.messages.tell(look, sealed)
    if told or look.client.deployment.is_large or not look.slice_is_due:
        return ""  # slices of large rounds are not on chain
    rounds, openers = look.client.rounds, look.terms.openers
    said = rounds.domain.typed("Slice", look.request_id, number, keccak(sealed))
    signature = next(iter(acting.account.for_seat(*said)), None)
    call = rounds.open_slice(look.request_id, openers, acting.account.address, sealed, signature)
    return acting.send(look, call, f"opened slice {number}")
