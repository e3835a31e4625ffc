// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {IParticipantRegistry} from "./interfaces/IParticipantRegistry.sol";
import {IResaleMarket} from "./interfaces/IResaleMarket.sol";
import {ISharingMarket} from "./interfaces/ISharingMarket.sol";
import {ITrainingPool} from "./interfaces/ITrainingPool.sol";
import {ITrainingRounds} from "./interfaces/ITrainingRounds.sol";
import {Terms} from "./interfaces/Terms.sol";
import {Point} from "./libraries/Bn254.sol";
import {Earned} from "./libraries/Earned.sol";
import {PayoutLib, Sums} from "./libraries/Payout.sol";
import {SealedDelivery} from "./libraries/SealedDelivery.sol";

/// @title ResaleMarket
/// @notice See {IResaleMarket}.
contract ResaleMarket is IResaleMarket, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;
    using SealedDelivery for ISharingMarket.Delivery;

    address private constant ETHER = address(0);
    /// @dev Binary places of what a point earns: the shares of a sale lose less than a unit together, and 2^24 sales at the
    /// highest price fit a word.
    uint256 private constant PLACES = 112;
    uint256 private constant SUM_BITS = 64;

    IParticipantRegistry private immutable REGISTRY;
    ISharingMarket private immutable MARKET;
    ITrainingPool private immutable POOL;
    ITrainingRounds private immutable ROUNDS;

    /* STORAGE */

    /// @dev What is known of a result beside its offer.
    struct Result {
        /// @dev What all final sales have earned each point, times 2^PLACES.
        uint256 perPoint;
        /// @dev Of the entries that are not yet tallied.
        bytes32 cursor;
    }

    mapping(uint256 request => Offer) private _offers;
    mapping(uint256 request => Result) private _results;
    /// @dev Four `MemberSum` a word.
    mapping(uint256 request => mapping(uint256 word => uint256)) private _sums;
    mapping(uint256 request => mapping(uint256 index => uint256)) private _claimed;
    mapping(uint256 request => mapping(address buyer => Purchase)) private _purchases;

    constructor(address registry, address market, address pool, address rounds) {
        REGISTRY = IParticipantRegistry(registry);
        MARKET = ISharingMarket(market);
        POOL = ITrainingPool(pool);
        ROUNDS = ITrainingRounds(rounds);
    }

    /* REQUESTER */

    /// @inheritdoc IResaleMarket
    function recordRetrieval(uint256 request, bytes32 digest) external override {
        // Check:
        _requireRequester(request, MARKET.requesterOf(request));
        ITrainingRounds.Outcome memory outcome = ROUNDS.outcome(request);
        if (outcome.running || outcome.ended) revert ResaleMarket_Started(request);
        if (digest == 0) revert ResaleMarket_ZeroDigest();

        // Effect:
        emit RetrievalRecorded(request, msg.sender, digest);
    }

    /// @inheritdoc IResaleMarket
    function offer(uint256 request, Terms calldata terms, uint256 price) external override {
        // Check:
        ISharingMarket.Request memory stored = MARKET.request(request);
        _requireRequester(request, stored.requester);
        bytes32 given = keccak256(abi.encode(terms));
        if (given != stored.termsHash) revert ResaleMarket_WrongTerms(request, given, stored.termsHash);
        if (ROUNDS.outcome(request).ended) revert ResaleMarket_Ended(request);
        if (price == 0 || price > type(uint96).max) revert ResaleMarket_BadPrice(price);
        Offer storage offer_ = _offers[request];
        if (offer_.price != 0) revert ResaleMarket_AlreadyOffered(request, offer_.price);

        // Effect:
        offer_.price = uint96(price);
        offer_.token = terms.token;
        offer_.deliverWindow = terms.deliverWindow;
        offer_.disputeWindow = terms.disputeWindow;
        emit ResaleOffered(request, price, terms.token);
    }

    /* BUYER */

    /// @inheritdoc IResaleMarket
    function buy(uint256 request, Point calldata key) external payable override nonReentrant {
        // Check: the result is for sale, to this account.
        Offer memory offer_ = _offers[request];
        if (offer_.price == 0) revert ResaleMarket_NotOffered(request);
        _requirePaidFor(request);
        (bool active,) = REGISTRY.seatInfo(msg.sender);
        if (!active) revert ResaleMarket_NotActive(msg.sender);
        if (!key.isValid()) revert ResaleMarket_BadPoint(key.x, key.y);
        uint256 value = offer_.token == ETHER ? offer_.price : 0;
        if (msg.value != value) revert ResaleMarket_WrongPayment(msg.value, value);
        Purchase storage bought = _purchases[request][msg.sender];
        if (bought.status != Status.None && bought.status != Status.Refunded) {
            revert ResaleMarket_AlreadyBought(request, msg.sender);
        }

        // Effect:
        uint40 deadline = uint40(block.timestamp + offer_.deliverWindow);
        _purchases[request][msg.sender] = Purchase(Status.Pending, deadline, 0, keccak256(abi.encode(key)));
        emit ResultBought(request, msg.sender, offer_.price, key, deadline);

        // Interaction:
        if (offer_.token != ETHER) _take(IERC20(offer_.token), offer_.price);
    }

    /// @inheritdoc IResaleMarket
    function dispute(
        uint256 request,
        address buyer,
        Point calldata key,
        bytes32 cipher,
        ISharingMarket.Delivery calldata delivery,
        ISharingMarket.SharedPoint calldata shared
    ) external override nonReentrant {
        Purchase storage bought = _purchases[request][buyer];
        // Check: this key was sealed to the buyer, not long ago.
        if (bought.status != Status.Sealed) revert ResaleMarket_WrongStatus(request, buyer, bought.status);
        if (block.timestamp > bought.deadline) revert ResaleMarket_TooLate(request, bought.deadline);
        bytes32 anchor = _anchorOf(keccak256(abi.encode(key)), cipher);
        if (anchor != bought.anchor) revert ResaleMarket_WrongSeal(request, anchor, bought.anchor);
        // Check: the buyer opened it rightly, and found another key.
        bytes32 opened = _opened(request, buyer, key, cipher, delivery, shared);
        if (keccak256(abi.encode(opened)) == delivery.keyDigest) revert ResaleMarket_RightKey(request);

        // Effect:
        uint256 index = bought.sealer;
        uint256 forfeited = _exclude(request, index);
        uint40 deadline = uint40(block.timestamp + _offers[request].deliverWindow);
        _purchases[request][buyer] = Purchase(Status.Pending, deadline, 0, keccak256(abi.encode(key)));
        emit SealDisputed(request, buyer, index, opened, forfeited, deadline);
    }

    /// @inheritdoc IResaleMarket
    function refund(uint256 request) external override nonReentrant {
        Purchase storage bought = _purchases[request][msg.sender];
        // Check:
        if (bought.status != Status.Pending) revert ResaleMarket_WrongStatus(request, msg.sender, bought.status);
        if (block.timestamp <= bought.deadline) revert ResaleMarket_TooEarly(request, bought.deadline);
        uint256 amount = _offers[request].price;

        // Effect:
        bought.status = Status.Refunded;
        emit PurchaseRefunded(request, msg.sender, amount);

        // Interaction:
        _send(_offers[request].token, msg.sender, amount);
    }

    /* MEMBERS */

    /// @inheritdoc IResaleMarket
    function tally(uint256 request, bytes32 before, Earned[] calldata entries) external override {
        Offer storage offer_ = _offers[request];
        Result storage result = _results[request];
        // Check: the entries are the end of what is left of the list.
        if (offer_.tallied) revert ResaleMarket_AlreadyTallied(request);
        _requirePaidFor(request);
        bytes32 cursor = result.cursor;
        if (cursor == 0) cursor = ROUNDS.outcome(request).earned;
        (Sums memory sums, bytes32 folded) = PayoutLib.replay(before, entries, POOL.count(request));
        if (folded != cursor || before == cursor) revert ResaleMarket_WrongEntries(request, folded, cursor);

        // Effect:
        for (uint256 i; i < sums.members.length; ++i) {
            if (sums.members[i] != 0) _sums[request][i] += sums.members[i];
        }
        uint32 points = offer_.points + uint32(sums.points);
        offer_.points = points;
        offer_.tallied = before == 0;
        result.cursor = before;
        emit PointsTallied(request, before, points);
    }

    /// @inheritdoc IResaleMarket
    function seal(uint256 request, uint256 index, address buyer, bytes32 cipher) external override {
        Purchase storage bought = _purchases[request][buyer];
        // Check: a buyer waits, and the caller helped to make the model.
        if (bought.status != Status.Pending) revert ResaleMarket_WrongStatus(request, buyer, bought.status);
        if (block.timestamp > bought.deadline) revert ResaleMarket_TooLate(request, bought.deadline);
        Offer storage offer_ = _offers[request];
        if (!offer_.tallied) revert ResaleMarket_NotTallied(request);
        _requireMember(request, index);
        if (pointsOf(request, index) == 0) revert ResaleMarket_NoPoints(request, index);

        // Effect:
        uint40 deadline = uint40(block.timestamp + offer_.disputeWindow);
        _purchases[request][buyer] = Purchase(Status.Sealed, deadline, uint16(index), _anchorOf(bought.anchor, cipher));
        emit KeySealed(request, buyer, msg.sender, index, cipher, deadline);
    }

    /// @inheritdoc IResaleMarket
    function claim(uint256 request, address[] calldata buyers, uint256 index, address to) external override nonReentrant {
        // Check:
        _requireMember(request, index);

        // Effect:
        for (uint256 i; i < buyers.length; ++i) {
            _finish(request, buyers[i]);
        }
        uint256 amount = claimable(request, index);
        if (amount == 0) revert ResaleMarket_NothingToClaim(request, index);
        _claimed[request][index] += amount;
        emit ResaleClaimed(request, msg.sender, index, to, amount);

        // Interaction:
        _send(_offers[request].token, to, amount);
    }

    /* VIEWS */

    /// @inheritdoc IResaleMarket
    function offered(uint256 request) external view override returns (Offer memory) {
        return _offers[request];
    }

    /// @inheritdoc IResaleMarket
    function purchase(uint256 request, address buyer) external view override returns (Purchase memory) {
        return _purchases[request][buyer];
    }

    /// @inheritdoc IResaleMarket
    function pointsOf(uint256 request, uint256 index) public view override returns (uint256) {
        return PayoutLib.inWord(_sums[request][index / PayoutLib.MEMBERS_PER_WORD], index).points();
    }

    /// @inheritdoc IResaleMarket
    function claimable(uint256 request, uint256 index) public view override returns (uint256) {
        uint256 points = pointsOf(request, index);
        if (points == 0) return 0;
        return ((_results[request].perPoint * points) >> PLACES) - _claimed[request][index];
    }

    /* CHECKS */

    function _requireRequester(uint256 request, address requester) private view {
        if (msg.sender != requester) revert ResaleMarket_NotRequester(request, msg.sender);
    }

    function _requireMember(uint256 request, uint256 index) private view {
        if (POOL.member(request, index).account() != msg.sender) {
            revert ResaleMarket_NotMember(request, index, msg.sender);
        }
    }

    /// @dev A model was delivered, nobody disputed it, and its makers are paid.
    function _requirePaidFor(uint256 request) private view {
        ISharingMarket.Request memory stored = MARKET.request(request);
        if (stored.status != ISharingMarket.Status.Settled || stored.deliveredAt == 0) {
            revert ResaleMarket_NotDelivered(request);
        }
    }

    /// @dev What a sealed key opens to; reverts unless the proof shows it.
    function _opened(
        uint256 request,
        address buyer,
        Point calldata key,
        bytes32 cipher,
        ISharingMarket.Delivery calldata delivery,
        ISharingMarket.SharedPoint calldata shared
    ) private view returns (bytes32) {
        ITrainingRounds.Outcome memory outcome = ROUNDS.outcome(request);
        if (!delivery.isAnchored(outcome.finalRounds, outcome.deliveryHash)) {
            revert ResaleMarket_WrongDelivery(request, outcome.deliveryHash);
        }
        bytes32 context = keccak256(abi.encode(block.chainid, address(this), request, buyer));
        if (!key.haveSameLogarithm(
                delivery.ephemeral, shared.shared, shared.challenge, shared.response, context
            )) {
            revert ResaleMarket_BadProof(request);
        }
        return SealedDelivery.opened(cipher, outcome.finalRounds, shared.shared);
    }

    /* INTERNAL */

    function _anchorOf(bytes32 key, bytes32 cipher) private pure returns (bytes32) {
        return keccak256(abi.encode(key, cipher));
    }

    /// @dev A maker that sealed a wrong key has no points any more; what it has not claimed goes to the others.
    function _exclude(uint256 request, uint256 index) private returns (uint256 forfeited) {
        uint256 points = pointsOf(request, index);
        if (points == 0) return 0;
        forfeited = claimable(request, index);
        uint256 shift = SUM_BITS * (index % PayoutLib.MEMBERS_PER_WORD);
        _sums[request][index / PayoutLib.MEMBERS_PER_WORD] &= ~(uint256(type(uint64).max) << shift);
        _offers[request].points -= uint32(points);
        _share(request, forfeited);
    }

    /// @dev Makes a sale final whose key nobody disputed in time. One that is final stays so: makers who claim at the
    /// same time name the same sale, and only the first finds it sealed.
    function _finish(uint256 request, address buyer) private {
        Purchase storage bought = _purchases[request][buyer];
        if (bought.status == Status.Sold) return;
        if (bought.status != Status.Sealed) revert ResaleMarket_WrongStatus(request, buyer, bought.status);
        if (block.timestamp <= bought.deadline) revert ResaleMarket_TooEarly(request, bought.deadline);
        uint256 price = _offers[request].price;
        bought.status = Status.Sold;
        emit ResultSold(request, buyer, price);
        _share(request, price);
    }

    /// @dev Gives every point its part of an amount. Where no maker is left, it stays in the contract.
    function _share(uint256 request, uint256 amount) private {
        uint256 points = _offers[request].points;
        if (points != 0) _results[request].perPoint += (amount << PLACES) / points;
    }

    /// @dev Takes an amount of a token from the sender; the token must move exactly that.
    function _take(IERC20 token, uint256 amount) private {
        uint256 before = token.balanceOf(address(this));
        token.safeTransferFrom(msg.sender, address(this), amount);
        uint256 received = token.balanceOf(address(this)) - before;
        if (received != amount) revert ResaleMarket_WrongAmount(address(token), received, amount);
    }

    function _send(address token, address to, uint256 amount) private {
        if (token != ETHER) {
            IERC20(token).safeTransfer(to, amount);
            return;
        }
        (bool sent,) = to.call{value: amount}("");
        if (!sent) revert ResaleMarket_TransferFailed(to, amount);
    }
}
