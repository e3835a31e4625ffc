"""Checks of the keys that the start fixed, of the delivery, and of a dispute about it."""

from eth_utils.crypto import keccak

from fedpact.audit.chain import Facts
from fedpact.audit.pool_history import PoolHistory
from fedpact.audit.report import Unavailable, require
from fedpact.audit.request_events import Evidence
from fedpact.chain.bindings.events import Delivered, Disputed
from fedpact.content.bn254 import Point
from fedpact.content.delivery import Deliveries, Delivery
from fedpact.content.keys import committee_key
from fedpact.content.wrong_key_proof import SharedPoint, dispute_context, proof_holds
from fedpact.types.requests import Start, Status


class DeliveryChecks:
    """One method per item; each returns what it saw, or raises Broken or Unavailable."""

    def __init__(self, evidence: Evidence, facts: Facts, history: PoolHistory) -> None:
        self._e = evidence
        self._facts = facts
        self._history = history

    def start_keys(self) -> str:
        """Committee key and deliveries of the start follow from the request key."""
        self._history.require_key()
        key, start = self._history.request_key, self._started()
        here = self._facts.deployment.fingerprint
        public = bytes(committee_key(key, here, self._e.request_id).public_key)
        require(public == start.committee_key, "the committee key is of another request key")
        require(
            self._deliveries(key).root == start.delivery_hash,
            "the deliveries that the start anchors do not follow from the request key",
        )
        return f"0x{start.delivery_hash.hex()}"

    def delivery(self) -> str:
        """What was delivered is what the start anchored for this number of final rounds, in time;
        only a key that is not the model's was disputed with success."""
        sent, record = self._e.delivered, self._facts.record
        disputed = self._e.disputed is not None
        require(disputed <= (sent is not None), "a dispute without a delivery")
        known = record.delivered_at != 0
        if not disputed:  # after a dispute newer markets say that nothing was delivered
            require(known == (sent is not None), "whether a key was delivered is contradicted")
        if record.status in (Status.DELIVERED, Status.DISPUTED):
            stands = record.status is Status.DISPUTED
            require(disputed == stands, "whether the delivery was disputed is contradicted")
        if sent is None:
            raise Unavailable("nothing was delivered")
        given = _delivery(sent)
        finals = self._facts.outcome.final_rounds
        require(
            sent.final_rounds == finals, f"delivered for {sent.final_rounds} of {finals} rounds"
        )
        anchored = given.is_anchored(finals, self._started().delivery_hash)
        require(anchored, "what was delivered is not what the start anchored")
        at = self._facts.timestamp(sent.at.block)
        deadline = self._facts.outcome.ended_at + self._e.terms.deliver_window
        require(at == (record.delivered_at or at) <= deadline, f"delivered at {at}, by {deadline}")
        if self._e.disputed is None:
            return f"delivered by {sent.sender}"
        return self._disputed(given, self._e.disputed, at)

    def _disputed(self, given: Delivery, dispute: Disputed, delivered_at: int) -> str:
        terms, deployment = self._e.terms, self._facts.deployment
        at = self._facts.timestamp(dispute.at.block)
        require(at <= delivered_at + terms.dispute_window, "the dispute came too late")
        shared = SharedPoint(Point(*dispute.shared), dispute.challenge, dispute.response)
        requester = Point(terms.delivery_key_x, terms.delivery_key_y)
        context = dispute_context(deployment.chain_id, deployment.market, self._e.request_id)
        require(proof_holds(requester, given, shared, context), "the proof of the dispute is wrong")
        opened = given.opened_by(shared.shared, self._facts.outcome.final_rounds)
        require(opened == dispute.opened, "the dispute names another key than it opens")
        require(keccak(opened) != given.key_digest, "the delivered key was the model's")
        return "the delivered key is not the model's: disputed"

    def _deliveries(self, key: bytes) -> Deliveries:
        terms = self._e.terms
        requester = Point(terms.delivery_key_x, terms.delivery_key_y)
        here = self._facts.deployment.fingerprint
        return Deliveries.seal(key, requester, here, self._e.request_id, terms.max_rounds)

    def _started(self) -> Start:
        if self._e.start is None:
            raise Unavailable("the request has not started")
        return self._e.start.event.start


def _delivery(sent: Delivered) -> Delivery:
    return Delivery(Point(*sent.ephemeral), sent.cipher, sent.key_digest, sent.proof)
