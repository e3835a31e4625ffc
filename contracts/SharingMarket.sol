// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ISharingMarket} from "./interfaces/ISharingMarket.sol";
import {ITrainingRounds} from "./interfaces/ITrainingRounds.sol";
import {PointLanes, Points} from "./libraries/Points.sol";
import {Scores} from "./libraries/Scores.sol";
import {SEALED_KEY_BYTES} from "./libraries/SealedKey.sol";
import {TermsCheck} from "./libraries/TermsCheck.sol";
import {SharingMarketStore} from "./SharingMarketStore.sol";

/// @title SharingMarket
/// @notice See {ISharingMarket}.
contract SharingMarket is SharingMarketStore {
    uint256 private constant MAX_SAMPLES = 10_000_000;
    /// @dev A member's mean quality, 1/10,000.
    uint256 private constant MEAN_QUALITY = 5000;
    uint256 private constant LOSS_PER_FAULT = 100;

    constructor(address registry, address rounds) SharingMarketStore(registry, rounds) {}

    /* REQUEST AND COMMITTEE */

    /// @inheritdoc ISharingMarket
    function createRequest(Terms calldata terms) external payable override returns (uint256 requestId) {
        // Check:
        TermsCheck.check(terms);
        if (msg.value == 0 || msg.value > type(uint96).max) revert SharingMarket_BadPayment(msg.value);
        (bool active, uint32 organisation,) = REGISTRY.seatInfo(msg.sender);
        if (!active) revert SharingMarket_NotActive(msg.sender);

        // Effect:
        requestId = ++requestCount;
        Record storage record = _records[requestId];
        record.requester = msg.sender;
        record.payment = uint96(msg.value);
        record.facts = Facts({
            status: Status.Open,
            requesterOrganisation: organisation,
            joinDeadline: uint40(block.timestamp + terms.joinWindow),
            closedAt: 0,
            startWindow: uint24(terms.startWindow),
            deliverWindow: uint24(terms.deliverWindow),
            maxRounds: terms.maxRounds,
            minProviders: terms.minProviders,
            maxProviders: terms.maxProviders,
            claimed: 0,
            settled: false,
            refunded: false,
            paidRounds: 0,
            reached: false
        });

        emit RequestCreated(requestId, msg.sender, terms.queryKey, msg.value, terms);

        // Interaction: the rounds store the parameters, and start their history with the hash of all terms.
        ROUNDS.prepare(
            requestId,
            ITrainingRounds.Params({
                maxError: terms.maxError,
                target: terms.target,
                maxRounds: terms.maxRounds,
                leaderRule: terms.leaderRule,
                approvalRule: terms.approvalRule,
                voteBand: terms.voteBand,
                submitWindow: uint24(terms.submitWindow),
                commitWindow: uint24(terms.commitWindow),
                revealWindow: uint24(terms.revealWindow),
                proposeWindow: uint24(terms.proposeWindow)
            }),
            keccak256(abi.encode(terms))
        );
    }

    /// @inheritdoc ISharingMarket
    function join(uint256 requestId, uint32 samples, bytes32 attributes) external override returns (uint256 seat) {
        Record storage record = _records[requestId];
        Facts memory facts = record.facts;
        // Check: the request is open to this provider.
        _requireOpen(requestId, facts);
        if (block.timestamp > facts.joinDeadline) revert SharingMarket_JoinClosed(requestId, facts.joinDeadline);
        if (facts.closedAt != 0) revert SharingMarket_Full(requestId, facts.maxProviders);
        if (samples == 0 || samples > MAX_SAMPLES) revert SharingMarket_BadSamples(samples);
        (bool active, uint32 organisation, uint16 reputation) = REGISTRY.seatInfo(msg.sender);
        if (!active) revert SharingMarket_NotActive(msg.sender);
        if (organisation == facts.requesterOrganisation) {
            revert SharingMarket_OwnOrganisation(requestId, organisation);
        }

        // Interaction: the rounds keep the committee; they revert for a second account of one organisation.
        uint256 joined;
        (seat, joined) = ROUNDS.enlist(requestId, msg.sender, samples, uint16(organisation), reputation);

        // Effect: a full committee is closed.
        if (joined == facts.maxProviders) record.facts.closedAt = uint40(block.timestamp);

        emit Joined(requestId, msg.sender, seat, samples, attributes);
    }

    /// @inheritdoc ISharingMarket
    function withdraw(uint256 requestId, uint256 seat) external override {
        Record storage record = _records[requestId];
        Facts memory facts = record.facts;
        // Check:
        if (facts.status != Status.Open && facts.status != Status.Running) {
            revert SharingMarket_WrongStatus(requestId, facts.status);
        }

        // Effect: a full committee opens again.
        if (facts.status == Status.Open && facts.closedAt != 0) record.facts.closedAt = 0;

        // Interaction:
        ROUNDS.unseat(requestId, seat, msg.sender);

        emit Withdrawn(requestId, msg.sender, seat);
    }

    /// @inheritdoc ISharingMarket
    function start(
        uint256 requestId,
        uint256 seat,
        bytes32 manifest,
        bytes32 keyHash,
        address[] calldata accounts
    ) external override {
        Record storage record = _records[requestId];
        Facts memory facts = record.facts;
        // Check: a closed committee, the caller's turn.
        _requireOpen(requestId, facts);
        _requireTurnToStart(requestId, seat, facts);

        // Effect:
        record.facts.status = Status.Running;
        emit Started(requestId, msg.sender, seat, manifest, keyHash);

        // Interaction: the rounds revert if the seat is not the caller's.
        ROUNDS.open(requestId, seat, msg.sender, manifest, keyHash, accounts);
    }

    /// @inheritdoc ISharingMarket
    function cancel(uint256 requestId) external override {
        Record storage record = _records[requestId];
        Status status = record.facts.status;
        _requireRequester(requestId, record);

        if (status == Status.Open) {
            // Effect:
            record.facts.status = Status.Cancelled;
        } else if (status == Status.Running) {
            // Interaction: the rounds revert while a round has submissions.
            ROUNDS.halt(requestId);
        } else {
            revert SharingMarket_WrongStatus(requestId, status);
        }

        emit Cancelled(requestId);
    }

    /// @inheritdoc ISharingMarket
    function expire(uint256 requestId) external override {
        Record storage record = _records[requestId];
        Facts memory facts = record.facts;
        // Check: too few joined, or none of those who joined started in time.
        _requireOpen(requestId, facts);
        uint256 joined = Scores.count(ROUNDS.outcome(requestId).members);
        bool closed = facts.closedAt != 0 || block.timestamp > facts.joinDeadline;
        bool tooFew = joined < facts.minProviders;
        if (!closed || (!tooFew && block.timestamp <= _startDeadline(facts, joined))) {
            revert SharingMarket_NotExpired(requestId);
        }

        // Effect:
        record.facts.status = Status.Cancelled;

        emit Expired(requestId);
    }

    /* DELIVERY AND PAYMENT */

    /// @inheritdoc ISharingMarket
    function deliver(uint256 requestId, uint256 seat, bytes calldata sealedKey, address[] calldata accounts)
        external
        override
    {
        Record storage record = _records[requestId];
        Facts memory facts = record.facts;
        (ITrainingRounds.Outcome memory outcome, uint256 held, bytes32 finalDigest, uint256 contributors) =
            ROUNDS.deliverable(requestId, msg.sender);
        // Check: there is something to deliver, and it is the caller's turn.
        Status status = _status(facts, outcome);
        if (status != Status.Ended && status != Status.Delivered) revert SharingMarket_WrongStatus(requestId, status);
        if (outcome.finalRounds == 0) revert SharingMarket_NothingToDeliver(requestId);
        if (!_holds(held, seat)) revert SharingMarket_NotSeatOwner(requestId, seat, msg.sender);
        if (sealedKey.length != SEALED_KEY_BYTES) revert SharingMarket_BadSealedKey(sealedKey.length);
        bool first = status == Status.Ended;
        if (first) {
            uint256 deadline = _deliverDeadline(facts, outcome);
            if (block.timestamp > deadline) revert SharingMarket_TooLate(requestId, deadline);
            uint256 opensAt = uint256(outcome.endedAt) + facts.deliverWindow;
            if (seat != outcome.lastLeader && block.timestamp < opensAt) {
                revert SharingMarket_NotYourTurn(requestId, seat, opensAt);
            }
        }

        // Effect:
        emit Delivered(requestId, msg.sender, sealedKey);
        if (first) {
            facts.status = Status.Delivered;
            facts.paidRounds = outcome.paidRounds;
            facts.reached = outcome.reached;
            emit ModelShared(requestId, record.requester, finalDigest, outcome.finalRounds, contributors);
            _settle(requestId, record, facts, accounts);
            record.facts = facts;
        }
    }

    /// @inheritdoc ISharingMarket
    function claim(uint256 requestId, uint256 seat) external override {
        Record storage record = _records[requestId];
        Facts memory facts = record.facts;
        // Check:
        if (facts.status != Status.Delivered) {
            revert SharingMarket_WrongStatus(requestId, _status(facts, ROUNDS.outcome(requestId)));
        }
        (bool holds, uint256 own, uint256 total) =
            ROUNDS.shareOfHolder(requestId, seat, facts.maxProviders, msg.sender);
        if (!holds) revert SharingMarket_NotSeatOwner(requestId, seat, msg.sender);
        uint256 amount = _share(record, facts, own, total);
        if ((facts.claimed >> seat) & 1 == 1) revert SharingMarket_AlreadyClaimed(requestId, seat);
        if (amount == 0) revert SharingMarket_NothingToClaim(requestId, seat);

        // Effect:
        record.facts.claimed = facts.claimed | uint16(1 << seat);
        emit Claimed(requestId, msg.sender, seat, amount);

        // Interaction:
        _send(msg.sender, amount);
    }

    /// @inheritdoc ISharingMarket
    function settle(uint256 requestId, address[] calldata accounts) external override {
        Record storage record = _records[requestId];
        Facts memory facts = record.facts;
        ITrainingRounds.Outcome memory outcome = ROUNDS.outcome(requestId);
        // Check:
        Status status = _status(facts, outcome);
        if (status != Status.Ended && status != Status.Delivered) revert SharingMarket_WrongStatus(requestId, status);
        if (facts.settled) revert SharingMarket_AlreadySettled(requestId);
        _requireDecided(requestId, status, facts, outcome);

        // Effect:
        _settle(requestId, record, facts, accounts);
        record.facts = facts;
    }

    /// @inheritdoc ISharingMarket
    function refund(uint256 requestId, address[] calldata accounts) external override {
        Record storage record = _records[requestId];
        Facts memory facts = record.facts;
        ITrainingRounds.Outcome memory outcome = ROUNDS.outcome(requestId);
        // Check:
        _requireRequester(requestId, record);
        if (facts.refunded) revert SharingMarket_AlreadyRefunded(requestId);
        Status status = _status(facts, outcome);
        if (status == Status.Open || status == Status.Running) revert SharingMarket_WrongStatus(requestId, status);
        _requireDecided(requestId, status, facts, outcome);
        uint256 amount = record.payment - _pool(record, facts);
        if (amount == 0) revert SharingMarket_NothingToRefund(requestId);

        // Effect:
        facts.refunded = true;
        if (!facts.settled && status != Status.Cancelled) _settle(requestId, record, facts, accounts);
        record.facts = facts;
        emit Refunded(requestId, msg.sender, amount);

        // Interaction:
        _send(msg.sender, amount);
    }

    /* CHECKS */

    function _requireOpen(uint256 requestId, Facts memory facts) private pure {
        if (facts.status != Status.Open) revert SharingMarket_WrongStatus(requestId, facts.status);
    }

    function _requireRequester(uint256 requestId, Record storage record) private view {
        if (msg.sender != record.requester) revert SharingMarket_NotRequester(requestId, msg.sender);
    }

    function _requireTurnToStart(uint256 requestId, uint256 seat, Facts memory facts) private view {
        uint256 members = ROUNDS.outcome(requestId).members;
        uint256 joined = Scores.count(members);
        if (facts.closedAt == 0) {
            if (block.timestamp <= facts.joinDeadline) {
                revert SharingMarket_CommitteeOpen(requestId, facts.joinDeadline);
            }
            if (joined < facts.minProviders) {
                revert SharingMarket_TooFewProviders(requestId, joined, facts.minProviders);
            }
        }
        // The rounds revert for a seat that nobody holds.
        uint256 rank = Scores.count(members & (seat < Scores.SEATS ? (1 << seat) - 1 : type(uint256).max));
        uint256 opensAt = _startDeadline(facts, rank);
        if (block.timestamp < opensAt) revert SharingMarket_TooEarly(requestId, opensAt);
        uint256 deadline = _startDeadline(facts, joined);
        if (block.timestamp > deadline) revert SharingMarket_TooLate(requestId, deadline);
    }

    function _requireDecided(
        uint256 requestId,
        Status status,
        Facts memory facts,
        ITrainingRounds.Outcome memory outcome
    ) private view {
        if (!_decided(status, facts, outcome)) {
            revert SharingMarket_NotDecided(requestId, _deliverDeadline(facts, outcome));
        }
    }

    /* INTERNAL */

    /// @dev Marks the facts as settled. If nobody is paid, only faults are recorded, with low weight: see
    /// {ISharingMarket-settle}.
    function _settle(uint256 requestId, Record storage record, Facts memory facts, address[] calldata accounts) private {
        facts.settled = true;
        uint256 pool = _pool(record, facts);
        (uint256 ever, PointLanes[2] memory lanes, uint40 endedAt) = ROUNDS.results(requestId, accounts);
        uint256 total = lanes[0].sum() + lanes[1].sum();
        emit Settled(requestId, pool, total);

        // Interaction: the registry is trusted, and makes no calls itself.
        uint256 weight = REGISTRY.outcomeWeight(pool > 0 ? pool : record.payment);
        if (weight == 0) return;
        if (pool == 0) weight = 1;
        (uint256 seats, uint256 qualities, uint256 losses) = _outcomes(ever, lanes, pool == 0 ? 0 : total);
        if (seats != 0) REGISTRY.recordOutcomes(accounts, seats, qualities, losses, weight, endedAt);
    }

    /// @dev 16 bits a seat. With a `total` of 0 nobody is paid, and only seats with faults have an outcome.
    function _outcomes(uint256 ever, PointLanes[2] memory lanes, uint256 total)
        private
        pure
        returns (uint256 seats, uint256 qualities, uint256 losses)
    {
        // At most 16 seats, 24 bits of points and 8 of faults.
        unchecked {
            uint256 scale = MEAN_QUALITY * Scores.count(ever);
            for (uint256 seat; ever >> seat != 0; ++seat) {
                if ((ever >> seat) & 1 == 0) continue;
                (uint256 points, uint256 faults) =
                    lanes[seat / Points.SEATS_PER_WORD].read(seat % Points.SEATS_PER_WORD);
                if (total == 0 && faults == 0) continue;
                uint256 quality = total == 0 ? 0 : scale * points / total;
                if (quality > Scores.MAX) quality = Scores.MAX;
                seats |= 1 << seat;
                qualities |= quality << (16 * seat);
                losses |= (LOSS_PER_FAULT * faults) << (16 * seat);
            }
        }
    }

    /// @dev Whether the account's seat is this one; `held` is 255 for an account without a seat.
    function _holds(uint256 held, uint256 seat) private pure returns (bool) {
        return held == seat && seat < Scores.SEATS;
    }

    function _send(address receiver, uint256 amount) private {
        (bool sent,) = receiver.call{value: amount}("");
        if (!sent) revert SharingMarket_TransferFailed(receiver, amount);
    }
}
