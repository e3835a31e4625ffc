// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IParticipantRegistry} from "./interfaces/IParticipantRegistry.sol";
import {ISharingMarket} from "./interfaces/ISharingMarket.sol";
import {ITrainingRounds} from "./interfaces/ITrainingRounds.sol";

/// @title SharingMarketStore
/// @notice The storage of {SharingMarket}, what is derived from it, and the views.
/// @dev The market stores only what it needs to pay; seats and points are read from {TrainingRounds}.
abstract contract SharingMarketStore is ISharingMarket {
    IParticipantRegistry internal immutable REGISTRY;
    ITrainingRounds internal immutable ROUNDS;

    /* STORAGE */

    /// @dev One slot.
    struct Facts {
        /// @dev Open, Running, Delivered or Cancelled; Ended is derived.
        Status status;
        uint32 requesterOrganisation;
        uint40 joinDeadline;
        uint40 closedAt;
        /// @dev Windows are at most 30 days: 22 bits.
        uint24 startWindow;
        uint24 deliverWindow;
        uint16 maxRounds;
        uint8 minProviders;
        uint8 maxProviders;
        uint16 claimed;
        bool settled;
        bool refunded;
        /// @dev How the rounds ended, stored with the delivery.
        uint16 paidRounds;
        bool reached;
    }

    struct Record {
        address requester;
        uint96 payment;
        Facts facts;
    }

    /// @inheritdoc ISharingMarket
    uint256 public override requestCount;
    mapping(uint256 requestId => Record) internal _records;

    constructor(address registry, address rounds) {
        REGISTRY = IParticipantRegistry(registry);
        ROUNDS = ITrainingRounds(rounds);
    }

    /* VIEWS */

    /// @inheritdoc ISharingMarket
    function request(uint256 requestId) external view override returns (Request memory) {
        Record storage record = _records[requestId];
        Facts memory facts = record.facts;
        return Request({
            status: _status(facts, ROUNDS.outcome(requestId)),
            requester: record.requester,
            payment: record.payment,
            requesterOrganisation: facts.requesterOrganisation,
            joinDeadline: facts.joinDeadline,
            closedAt: facts.closedAt,
            startWindow: facts.startWindow,
            deliverWindow: facts.deliverWindow,
            maxRounds: facts.maxRounds,
            minProviders: facts.minProviders,
            maxProviders: facts.maxProviders,
            claimed: facts.claimed,
            settled: facts.settled,
            refunded: facts.refunded
        });
    }

    /// @inheritdoc ISharingMarket
    function requesterOf(uint256 requestId) external view override returns (address) {
        return _records[requestId].requester;
    }

    /// @inheritdoc ISharingMarket
    function claimable(uint256 requestId, uint256 seat) external view override returns (uint256) {
        Record storage record = _records[requestId];
        Facts memory facts = record.facts;
        if ((facts.claimed >> seat) & 1 == 1) return 0;
        (uint256 own, uint256 total) = ROUNDS.shareOf(requestId, seat, facts.maxProviders);
        return _share(record, facts, own, total);
    }

    /// @inheritdoc ISharingMarket
    function refundable(uint256 requestId) external view override returns (uint256) {
        Record storage record = _records[requestId];
        Facts memory facts = record.facts;
        ITrainingRounds.Outcome memory outcome = ROUNDS.outcome(requestId);
        if (facts.refunded || !_decided(_status(facts, outcome), facts, outcome)) return 0;
        return record.payment - _pool(record, facts);
    }

    /* INTERNAL */

    function _status(Facts memory facts, ITrainingRounds.Outcome memory outcome) internal pure returns (Status) {
        return facts.status == Status.Running && outcome.ended ? Status.Ended : facts.status;
    }

    /// @dev Whether it is final who gets what.
    function _decided(Status status, Facts memory facts, ITrainingRounds.Outcome memory outcome)
        internal
        view
        returns (bool)
    {
        if (status == Status.Delivered || status == Status.Cancelled) return true;
        if (status != Status.Ended) return false;
        return outcome.finalRounds == 0 || block.timestamp > _deliverDeadline(facts, outcome);
    }

    /// @dev When the first `turns` turns to start are over.
    function _startDeadline(Facts memory facts, uint256 turns) internal pure returns (uint256) {
        uint256 closedAt = facts.closedAt != 0 ? facts.closedAt : facts.joinDeadline;
        return closedAt + turns * facts.startWindow;
    }

    function _deliverDeadline(Facts memory facts, ITrainingRounds.Outcome memory outcome)
        internal
        pure
        returns (uint256)
    {
        return uint256(outcome.endedAt) + 2 * uint256(facts.deliverWindow);
    }

    /// @dev What the providers share, wei, rounded down; 0 until the model is delivered.
    function _pool(Record storage record, Facts memory facts) internal view returns (uint256) {
        if (facts.status != Status.Delivered) return 0;
        uint256 payment = record.payment;
        return facts.reached ? payment : payment * facts.paidRounds / facts.maxRounds;
    }

    /// @dev The part of the pool for `own` of `total` points, rounded down; the remainder stays in the contract.
    function _share(Record storage record, Facts memory facts, uint256 own, uint256 total)
        internal
        view
        returns (uint256)
    {
        return own == 0 ? 0 : _pool(record, facts) * own / total;
    }
}
