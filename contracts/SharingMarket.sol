// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {IParticipantRegistry} from "./interfaces/IParticipantRegistry.sol";
import {IReputationLedger} from "./interfaces/IReputationLedger.sol";
import {IRequests} from "./interfaces/IRequests.sol";
import {IRoundStart} from "./interfaces/IRoundStart.sol";
import {ISharingMarket} from "./interfaces/ISharingMarket.sol";
import {ITrainingRounds} from "./interfaces/ITrainingRounds.sol";
import {Terms} from "./interfaces/Terms.sol";
import {Point} from "./libraries/Bn254.sol";
import {Earned} from "./libraries/Earned.sol";
import {MemberSum, PayoutLib, Sums} from "./libraries/Payout.sol";
import {Plans} from "./libraries/Plans.sol";
import {SealedDelivery} from "./libraries/SealedDelivery.sol";
import {Signatures} from "./libraries/Signatures.sol";
import {TermsCheck} from "./libraries/TermsCheck.sol";
import {SharingMarketStore} from "./SharingMarketStore.sol";

/// @title SharingMarket
/// @notice See {ISharingMarket}.
contract SharingMarket is SharingMarketStore, Ownable2Step, Pausable, EIP712, ReentrancyGuardTransient {
    using Signatures for bytes32;
    using SealedDelivery for Delivery;

    bytes32 private constant ACCEPT_TYPEHASH = keccak256("Accept(uint256 request)");

    /// @dev A requester's quality in a request that it let run its course and judged in every round.
    uint256 private constant FULL_QUALITY = 10_000;

    IParticipantRegistry private immutable REGISTRY;
    ITrainingRounds private immutable ROUNDS;

    /// @inheritdoc ISharingMarket
    uint256 public immutable override minWindow;
    /// @inheritdoc ISharingMarket
    uint256 public override requestCount;

    /* CONSTRUCTOR */

    /// @param guardian May pause new requests.
    /// @param minWindow_ Seconds; several block times of the chain.
    constructor(
        address registry,
        address pool,
        address rounds,
        address ledger,
        address guardian,
        uint256 minWindow_
    ) SharingMarketStore(pool, ledger) Ownable(guardian) EIP712("fedpact", "2") {
        REGISTRY = IParticipantRegistry(registry);
        ROUNDS = ITrainingRounds(rounds);
        minWindow = minWindow_;
    }

    /* REQUESTER */

    /// @inheritdoc ISharingMarket
    function createRequest(Terms calldata terms) external payable override nonReentrant returns (uint256) {
        return _create(terms);
    }

    /// @inheritdoc ISharingMarket
    function createRequestWithPermit(Terms calldata terms, Permit calldata permit)
        external
        payable
        override
        nonReentrant
        returns (uint256)
    {
        if (terms.token == ETHER) revert SharingMarket_NoToken();
        // Reverts where somebody else has used the permit already; then the allowance is there for `createRequest`.
        IERC20Permit(terms.token).permit(
            msg.sender, address(this), terms.pay, permit.deadline, permit.v, permit.r, permit.s
        );
        return _create(terms);
    }

    /// @inheritdoc ISharingMarket
    function cancel(uint256 request_) external override nonReentrant {
        Record storage record = _records[request_];
        if (msg.sender != record.requester) revert SharingMarket_NotRequester(request_, msg.sender);

        emit Cancelled(request_);

        // Interaction: the rounds revert if they are over or were halted.
        IRoundStart(address(ROUNDS)).halt(request_);
    }

    /* DELIVERY */

    /// @inheritdoc ISharingMarket
    function deliver(uint256 request_, Terms calldata terms, Delivery calldata delivery) external override nonReentrant {
        Record storage record = _recordOf(request_, terms);
        // Check: there is something to deliver, in time.
        if (record.status != Status.Open) revert SharingMarket_WrongStatus(request_, record.status);
        ITrainingRounds.Outcome memory outcome = _ended(request_);
        if (outcome.finalRounds == 0) revert SharingMarket_NothingToDeliver(request_);
        uint256 deadline = uint256(outcome.endedAt) + terms.deliverWindow;
        if (block.timestamp > deadline) revert SharingMarket_TooLate(request_, deadline);
        // Check: the start anchored it, and it can be disputed, for which the point must be on the curve.
        _requireAnchored(request_, delivery, outcome);
        if (!delivery.ephemeral.isValid()) {
            revert SharingMarket_BadPoint(delivery.ephemeral.x, delivery.ephemeral.y);
        }

        // Effect:
        record.status = Status.Delivered;
        record.deliveredAt = uint40(block.timestamp);
        emit Delivered(request_, msg.sender, outcome.finalRounds, delivery);
    }

    /// @inheritdoc ISharingMarket
    function dispute(
        uint256 request_,
        Terms calldata terms,
        Delivery calldata delivery,
        SharedPoint calldata shared
    ) external override nonReentrant {
        Record storage record = _recordOf(request_, terms);
        // Check: it was delivered, and not long ago.
        if (record.status != Status.Delivered) revert SharingMarket_WrongStatus(request_, record.status);
        uint256 deadline = uint256(record.deliveredAt) + terms.disputeWindow;
        if (block.timestamp > deadline) revert SharingMarket_TooLate(request_, deadline);
        ITrainingRounds.Outcome memory outcome = ROUNDS.outcome(request_);
        _requireAnchored(request_, delivery, outcome);
        // Check: the requester opened the seal rightly, and found another key.
        Point memory key = Point(terms.deliveryKeyX, terms.deliveryKeyY);
        bytes32 context = keccak256(abi.encode(block.chainid, address(this), request_));
        if (!key.haveSameLogarithm(
                delivery.ephemeral, shared.shared, shared.challenge, shared.response, context
            )) {
            revert SharingMarket_BadProof(request_);
        }
        (bytes32 opened, bool right) = delivery.open(outcome.finalRounds, shared.shared);
        if (right) revert SharingMarket_RightKey(request_);

        // Effect: the model counts as not delivered, also once this is settled.
        record.status = Status.Disputed;
        record.deliveredAt = 0;
        emit Disputed(request_, shared, opened);
    }

    /* PAYMENT */

    /// @inheritdoc ISharingMarket
    function settle(uint256 request_, Terms calldata terms, Earned[] calldata entries, bytes calldata acceptance)
        external
        override
        nonReentrant
    {
        Record storage record = _recordOf(request_, terms);
        ITrainingRounds.Outcome memory outcome = _ended(request_);
        Verdict verdict = _decided(request_, record, terms, outcome, acceptance);
        uint256 count = POOL.count(request_);
        Payout memory payout = _payoutOf(request_, record, outcome.earned);
        Sums memory sums = _replayed(request_, bytes32(0), entries, payout.cursor, count);

        // Effect: all is fixed before any money moves.
        record.status = Status.Settled;
        bool atOnce = count <= PayoutLib.SEATS;
        _add(payout, sums);
        _judge(payout, verdict, terms, outcome);
        if (!atOnce) _keep(request_, payout, sums);
        else if (record.collecting) _recall(request_, sums);
        uint256 gasLeft = _gasLeft(terms, payout);
        gasLeft -= _capped(sums.refunds, gasLeft);
        uint256 refund = terms.pay - payout.pool;
        emit Settled(request_, payout.pool, payout.points, refund, gasLeft);

        // Interaction:
        _payPosters(request_, sums);
        if (terms.token == ETHER) {
            _pay(request_, ETHER, record.requester, refund + gasLeft);
        } else {
            _pay(request_, terms.token, record.requester, refund);
            _pay(request_, ETHER, record.requester, gasLeft);
        }
        if (atOnce) _payPool(request_, terms.token, payout, sums, count, outcome.endedAt);
        _recordRequester(record.requester, payout, outcome, count);
    }

    /// @inheritdoc ISharingMarket
    function collect(uint256 request_, Terms calldata terms, bytes32 before, Earned[] calldata entries)
        external
        override
        nonReentrant
    {
        Record storage record = _recordOf(request_, terms);
        if (record.status == Status.Settled) revert SharingMarket_WrongStatus(request_, record.status);
        ITrainingRounds.Outcome memory outcome = _ended(request_);
        Payout memory payout = _payoutOf(request_, record, outcome.earned);
        Sums memory sums = _replayed(request_, before, entries, payout.cursor, POOL.count(request_));

        // Effect:
        record.collecting = true;
        payout.cursor = before;
        uint256 refunds = _capped(sums.refunds, _gasLeft(terms, payout));
        _add(payout, sums);
        payout.refunded += uint48(refunds / 1 gwei);
        _keep(request_, payout, sums);
        emit Collected(request_, before, payout.points);

        // Interaction: gas is refunded whatever becomes of the request.
        _payPosters(request_, sums);
    }

    /// @inheritdoc ISharingMarket
    function pay(uint256 request_, Terms calldata terms, uint256[] calldata indices) external override nonReentrant {
        Record storage record = _recordOf(request_, terms);
        if (record.status != Status.Settled) revert SharingMarket_WrongStatus(request_, record.status);

        // Effect:
        MemberSum[] memory sums = new MemberSum[](indices.length);
        address[] memory accounts = new address[](indices.length);
        for (uint256 i; i < indices.length; ++i) {
            sums[i] = _takeOut(request_, indices[i]);
            accounts[i] = POOL.member(request_, indices[i]).account();
        }

        // Interaction:
        _payMembers(request_, terms.token, _payouts[request_], sums, accounts, ROUNDS.outcome(request_).endedAt);
    }

    /// @inheritdoc ISharingMarket
    function withdraw(address token, address to) external override nonReentrant {
        _withdraw(token, to);
    }

    /* GUARDIAN */

    /// @inheritdoc ISharingMarket
    function pause() external override onlyOwner {
        _pause();
    }

    /// @inheritdoc ISharingMarket
    function unpause() external override onlyOwner {
        _unpause();
    }

    /// @dev Without a guardian, nobody could pause, or end a pause.
    function renounceOwnership() public view override onlyOwner {
        revert SharingMarket_GuardianRequired(owner());
    }

    /* VIEWS */

    /// @inheritdoc IRequests
    function requesterOf(uint256 request_) external view override returns (address) {
        return _records[request_].requester;
    }

    /// @inheritdoc ISharingMarket
    function acceptDigest(uint256 request_) public view override returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(ACCEPT_TYPEHASH, request_)));
    }

    /* INTERNAL: CREATION */

    function _create(Terms calldata terms) private whenNotPaused returns (uint256 request_) {
        // Check:
        TermsCheck.check(terms, minWindow);
        uint256 value = _gasBudget(terms) + (terms.token == ETHER ? terms.pay : 0);
        if (msg.value != value) revert SharingMarket_WrongValue(msg.value, value);
        (bool active, uint32 organisation) = REGISTRY.seatInfo(msg.sender);
        if (!active) revert SharingMarket_NotActive(msg.sender);

        // Effect:
        request_ = ++requestCount;
        bytes32 hash = keccak256(abi.encode(terms));
        _records[request_] = Record(msg.sender, 0, Status.Open, false, hash);
        emit RequestCreated(request_, msg.sender, terms.queryKey, hash, terms);

        // Interaction:
        if (terms.token != ETHER) _take(IERC20(terms.token), terms.pay);
        POOL.prepare(request_, Plans.ofPool(terms, organisation));
        IRoundStart(address(ROUNDS)).prepare(request_, Plans.ofRounds(terms, hash));
    }

    /* INTERNAL: CHECKS */

    function _recordOf(uint256 request_, Terms calldata terms) private view returns (Record storage record) {
        record = _records[request_];
        bytes32 given = keccak256(abi.encode(terms));
        if (given != record.termsHash) revert SharingMarket_WrongTerms(request_, given, record.termsHash);
    }

    function _ended(uint256 request_) private view returns (ITrainingRounds.Outcome memory outcome) {
        outcome = ROUNDS.outcome(request_);
        if (!outcome.ended) revert SharingMarket_NotEnded(request_);
    }

    function _requireAnchored(
        uint256 request_,
        Delivery calldata delivery,
        ITrainingRounds.Outcome memory outcome
    ) private pure {
        if (!delivery.isAnchored(outcome.finalRounds, outcome.deliveryHash)) {
            revert SharingMarket_WrongDelivery(request_, outcome.deliveryHash);
        }
    }

    /// @dev Whether the members are to be paid; reverts while that is open.
    function _decided(
        uint256 request_,
        Record storage record,
        Terms calldata terms,
        ITrainingRounds.Outcome memory outcome,
        bytes calldata acceptance
    ) private view returns (Verdict) {
        Status status = record.status;
        if (status == Status.Settled) revert SharingMarket_WrongStatus(request_, status);
        if (status == Status.Disputed) return Verdict.Guilty;
        if (status == Status.Delivered) {
            uint256 disputable = uint256(record.deliveredAt) + terms.disputeWindow;
            if (block.timestamp <= disputable && !_accepted(request_, record.requester, acceptance)) {
                revert SharingMarket_NotDecided(request_, disputable);
            }
            return Verdict.Paid;
        }
        if (outcome.finalRounds == 0) return outcome.halted && outcome.paidRounds != 0 ? Verdict.Paid : Verdict.Unpaid;
        uint256 deadline = uint256(outcome.endedAt) + terms.deliverWindow;
        if (block.timestamp <= deadline) revert SharingMarket_NotDecided(request_, deadline);
        return Verdict.Unpaid;
    }

    function _accepted(uint256 request_, address requester, bytes calldata acceptance) private view returns (bool) {
        return msg.sender == requester
            || (acceptance.length != 0 && acceptDigest(request_).signedBy(requester, acceptance));
    }

    function _replayed(
        uint256 request_,
        bytes32 before,
        Earned[] calldata entries,
        bytes32 stored,
        uint256 count
    ) private pure returns (Sums memory sums) {
        bytes32 folded;
        (sums, folded) = PayoutLib.replay(before, entries, count);
        if (folded != stored) revert SharingMarket_WrongEntries(request_, folded, stored);
    }

    /* INTERNAL: MONEY */

    /// @dev Fixes what the members share, and what the request weighs in reputations.
    function _judge(
        Payout memory payout,
        Verdict verdict,
        Terms calldata terms,
        ITrainingRounds.Outcome memory outcome
    ) private view {
        payout.verdict = verdict;
        uint256 pay_ = terms.pay;
        if (verdict == Verdict.Paid && payout.points != 0) {
            payout.pool = uint128(outcome.reached ? pay_ : pay_ * outcome.paidRounds / terms.maxRounds);
            pay_ = payout.pool;
        }
        payout.weight = uint8(LEDGER.weightOf(terms.token, pay_));
    }

    function _gasBudget(Terms calldata terms) private pure returns (uint256) {
        return uint256(terms.gasPerRound) * terms.maxRounds;
    }

    function _gasLeft(Terms calldata terms, Payout memory payout) private pure returns (uint256) {
        return _gasBudget(terms) - uint256(payout.refunded) * 1 gwei;
    }

    /// @dev A requester is judged by what it paid, if any round was to be paid: less for rounds in which it opened no
    /// slice, half if it cancelled. One that cancels on members that joined, and pays nothing, loses what a fault costs.
    function _recordRequester(
        address requester,
        Payout memory payout,
        ITrainingRounds.Outcome memory outcome,
        uint256 count
    ) private {
        if (payout.weight == 0) return;
        IReputationLedger.Outcome memory own;
        own.account = requester;
        if (payout.verdict == Verdict.Paid) {
            if (outcome.paidRounds == 0) return;
            uint256 quality = FULL_QUALITY * (outcome.paidRounds - payout.blind) / outcome.paidRounds;
            own.quality = uint16(outcome.halted ? quality / 2 : quality);
            LEDGER.recordRequester(own, payout.weight, outcome.endedAt);
        } else if (payout.verdict == Verdict.Unpaid && outcome.halted && count != 0) {
            own.losses = uint16(PayoutLib.LOSS_PER_FAULT);
            LEDGER.recordRequester(own, 0, outcome.endedAt);
        }
    }
}
