"""A slice's key as a message to the members' daemons, so that a round on which all agree is one
transaction."""

import logging
from collections.abc import Collection, Mapping
from functools import partial

from fedpact.chain.bindings.events import Joined
from fedpact.chain.keystore import AccountKeys
from fedpact.content.fetching import Fetching
from fedpact.errors import ContentSought, Retryable
from fedpact.exchange.gossip import Exchange
from fedpact.exchange.messages import SLICE_SEAT, Ballot, Kind, LargeBallot, Message
from fedpact.exchange.peer_address import RECORD_MAX_BYTES, endpoint_in
from fedpact.requester.request_view import RequestLook
from fedpact.types.cid import Cid
from fedpact.types.requests import Phase, mask_of

log = logging.getLogger(__name__)

CHAIN_AFTER = 8
"""After this part of the commit window a slice that members did not use goes on chain."""


class SliceMessages:
    """To the members of one request. `exchange`: of the whole service."""

    def __init__(self, exchange: Exchange, fetching: Fetching, keys: AccountKeys) -> None:
        self._exchange, self._fetching, self._keys = exchange, fetching, keys
        self._peers: dict[str, str] = {}

    def tell(self, look: RequestLook, sealed: bytes) -> bool:
        """Send the sealed key once the submissions are fixed; whether members may still use it.

        Fixed: every member that the round waits for has signed for its model, or submitted it.
        """
        if not look.round_is_drawn:
            return False
        facts, place = look.facts, (look.request_id, look.facts.round)
        _, members = look.client.pool.cohort_of(look.request_id, look.seed, look.frame)
        accounts = tuple(member.account for member in members)
        peers = self._known_peers(look, accounts)
        if not peers:
            return False
        openers = (look.stored.requester, *look.terms.openers)
        domain = look.client.any_rounds.domain
        wallets = look.client.wallets
        kind = LargeBallot if look.client.deployment.is_large else Ballot
        ballot = kind(domain, *place, facts.history, accounts, openers, wallets)
        self._exchange.forget(*place)
        self._exchange.open(ballot, peers, lambda: ())
        board = self._exchange.board(place)
        if not self._fixed(look, board.held(Kind.MODEL)):
            return True
        if not board.held(Kind.SLICE):
            said = Message(
                kind=Kind.SLICE,
                seat=SLICE_SEAT,
                value=sealed.hex(),
                extra=self._keys.address[2:].lower(),
            )
            signed = said.signed_with(self._keys.sign_typed(*ballot.typed(said)))
            self._exchange.say(place, signed)
            log.info("request %d: sent the key of slice %d", *place)
        window = look.terms.commit_window
        return facts.phase is Phase.SUBMIT or (
            look.now <= facts.deadline - window + window // CHAIN_AFTER
        )

    @staticmethod
    def _fixed(look: RequestLook, said: Mapping[int, Message]) -> bool:
        facts = look.facts
        if facts.phase in (Phase.COMMIT, Phase.ATTEST):
            return True
        bound = facts.submitted | mask_of(said)
        return not facts.expected & ~(bound | facts.voided)

    def _known_peers(self, look: RequestLook, accounts: Collection[str]) -> list[str]:
        """Addresses of these members' daemons, as far as they are known: a record may be nowhere,
        and is looked for beside the other duties."""
        joined = [
            event
            for event in look.events(Joined)
            if event.provider in accounts and event.provider not in self._peers
        ]
        for event in joined:
            cid = Cid.of_digest(event.attributes, RECORD_MAX_BYTES)
            self._fetching.begin(look.request_id, cid, RECORD_MAX_BYTES)
        read = partial(self._read, look.request_id)
        for event in joined:
            try:
                self._peers[event.provider] = endpoint_in(read, event.attributes)
            except Retryable as error:
                log.debug("the record of %s: %s", event.provider, error)
        return sorted({self._peers[one] for one in accounts if self._peers.get(one)})

    def _read(self, request: int, cid: Cid, most: int) -> bytes:
        """Raises ContentSought while it is looked for."""
        data = self._fetching.take(request, cid, most)
        if data is None:
            raise ContentSought(f"looking for {cid}")
        return data
