// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IParticipantRegistry} from "./interfaces/IParticipantRegistry.sol";
import {IResaleMarket} from "./interfaces/IResaleMarket.sol";
import {ISharingMarket} from "./interfaces/ISharingMarket.sol";
import {ITrainingRounds} from "./interfaces/ITrainingRounds.sol";
import {Scores} from "./libraries/Scores.sol";
import {SEALED_KEY_BYTES} from "./libraries/SealedKey.sol";

/// @title ResaleMarket
/// @notice See {IResaleMarket}.
contract ResaleMarket is IResaleMarket {
    IParticipantRegistry private immutable REGISTRY;
    ISharingMarket private immutable MARKET;
    ITrainingRounds private immutable ROUNDS;

    /* STORAGE */

    /// @dev One slot. 128 bits hold 2^32 purchases at the highest price.
    struct Offer {
        uint96 price;
        uint128 earned;
    }

    mapping(uint256 requestId => Offer) private _offers;
    mapping(uint256 requestId => mapping(address buyer => Purchase)) private _purchases;
    mapping(uint256 requestId => mapping(uint256 seat => uint256)) private _paid;

    constructor(address registry, address market, address rounds) {
        REGISTRY = IParticipantRegistry(registry);
        MARKET = ISharingMarket(market);
        ROUNDS = ITrainingRounds(rounds);
    }

    /* REQUESTER */

    /// @inheritdoc IResaleMarket
    function recordRetrieval(uint256 requestId, bytes32 digest) external override {
        // Check:
        _requireOpenToRequester(requestId);
        if (digest == 0) revert ResaleMarket_ZeroDigest();

        // Effect:
        emit RetrievalRecorded(requestId, msg.sender, digest);
    }

    /// @inheritdoc IResaleMarket
    function offer(uint256 requestId, uint256 price) external override {
        // Check:
        _requireOpenToRequester(requestId);
        if (price == 0 || price > type(uint96).max) revert ResaleMarket_BadPrice(price);
        Offer storage offer_ = _offers[requestId];
        if (offer_.price != 0) revert ResaleMarket_AlreadyOffered(requestId, offer_.price);

        // Effect:
        offer_.price = uint96(price);
        emit ResaleOffered(requestId, price);
    }

    /* BUYER */

    /// @inheritdoc IResaleMarket
    function buy(uint256 requestId, address[] calldata accounts) external payable override {
        // Check: the result is for sale, at this price, to this account.
        uint96 price = _offers[requestId].price;
        if (price == 0) revert ResaleMarket_NotOffered(requestId);
        if (msg.value != price) revert ResaleMarket_WrongPayment(msg.value, price);
        ISharingMarket.Request memory request = MARKET.request(requestId);
        if (request.status != ISharingMarket.Status.Delivered) revert ResaleMarket_NotDelivered(requestId);
        _requireOutsider(requestId, request.requesterOrganisation, accounts);
        Purchase storage bought = _purchases[requestId][msg.sender];
        if (bought.status == Status.Pending || bought.status == Status.Sealed) {
            revert ResaleMarket_AlreadyBought(requestId, msg.sender);
        }

        // Effect:
        uint40 deadline = uint40(block.timestamp + request.deliverWindow);
        _purchases[requestId][msg.sender] = Purchase(Status.Pending, price, deadline);
        emit ResultBought(requestId, msg.sender, price, deadline);
    }

    /// @inheritdoc IResaleMarket
    function refund(uint256 requestId) external override {
        Purchase storage bought = _purchases[requestId][msg.sender];
        // Check:
        if (bought.status != Status.Pending) revert ResaleMarket_NothingBought(requestId, msg.sender);
        if (block.timestamp <= bought.deadline) revert ResaleMarket_TooEarly(requestId, bought.deadline);
        uint256 amount = bought.price;

        // Effect:
        bought.status = Status.Refunded;
        emit PurchaseRefunded(requestId, msg.sender, amount);

        // Interaction:
        _send(msg.sender, amount);
    }

    /* PROVIDERS */

    /// @inheritdoc IResaleMarket
    function seal(uint256 requestId, uint256 seat, address buyer, bytes calldata sealedKey) external override {
        Purchase storage bought = _purchases[requestId][buyer];
        // Check: there is a buyer, and the caller contributed to the model.
        Status status = bought.status;
        if (status != Status.Pending && status != Status.Sealed) revert ResaleMarket_NothingBought(requestId, buyer);
        if (status == Status.Pending && block.timestamp > bought.deadline) {
            revert ResaleMarket_TooLate(requestId, bought.deadline);
        }
        if (sealedKey.length != SEALED_KEY_BYTES) revert ResaleMarket_BadSealedKey(sealedKey.length);
        (uint256 points,) = _shareOfCaller(requestId, seat);
        if (points == 0) revert ResaleMarket_NoPoints(requestId, seat);
        (bool active,,) = REGISTRY.seatInfo(msg.sender);
        if (!active) revert ResaleMarket_NotActive(msg.sender);

        // Effect: the first key earns the price.
        if (status == Status.Pending) {
            bought.status = Status.Sealed;
            _offers[requestId].earned += bought.price;
        }
        emit KeySealed(requestId, buyer, msg.sender, sealedKey);
    }

    /// @inheritdoc IResaleMarket
    function claim(uint256 requestId, uint256 seat) external override {
        // Check:
        (uint256 points, uint256 total) = _shareOfCaller(requestId, seat);
        uint256 amount = _due(requestId, seat, points, total);
        if (amount == 0) revert ResaleMarket_NothingToClaim(requestId, seat);

        // Effect:
        _paid[requestId][seat] += amount;
        emit ResaleClaimed(requestId, msg.sender, seat, amount);

        // Interaction:
        _send(msg.sender, amount);
    }

    /* VIEWS */

    /// @inheritdoc IResaleMarket
    function offered(uint256 requestId) external view override returns (uint256 price, uint256 earned) {
        Offer storage offer_ = _offers[requestId];
        return (offer_.price, offer_.earned);
    }

    /// @inheritdoc IResaleMarket
    function purchase(uint256 requestId, address buyer) external view override returns (Purchase memory) {
        return _purchases[requestId][buyer];
    }

    /// @inheritdoc IResaleMarket
    function claimable(uint256 requestId, uint256 seat) external view override returns (uint256) {
        (uint256 points, uint256 total) = ROUNDS.shareOf(requestId, seat, Scores.SEATS);
        return _due(requestId, seat, points, total);
    }

    /* CHECKS */

    function _requireOpenToRequester(uint256 requestId) private view {
        ISharingMarket.Request memory request = MARKET.request(requestId);
        if (msg.sender != request.requester) revert ResaleMarket_NotRequester(requestId, msg.sender);
        if (request.status != ISharingMarket.Status.Open) revert ResaleMarket_NotOpen(requestId);
    }

    /// @dev An organisation that requested or helped to make the model has it already, and would pay itself.
    function _requireOutsider(uint256 requestId, uint256 requesterOrganisation, address[] calldata accounts) private view {
        (bool active, uint256 organisation,) = REGISTRY.seatInfo(msg.sender);
        if (!active) revert ResaleMarket_NotActive(msg.sender);
        if (organisation == requesterOrganisation) revert ResaleMarket_TookPart(requestId, organisation);
        // The rounds revert unless the accounts hold the seats that ever submitted, sixteen at most.
        (uint256 ever,,) = ROUNDS.results(requestId, accounts);
        for (uint256 seat; ever >> seat != 0; ++seat) {
            if ((ever >> seat) & 1 == 0) continue;
            (, uint256 seated,) = REGISTRY.seatInfo(accounts[seat]);
            if (seated == organisation) revert ResaleMarket_TookPart(requestId, organisation);
        }
    }

    /* INTERNAL */

    function _shareOfCaller(uint256 requestId, uint256 seat) private view returns (uint256 points, uint256 total) {
        bool holds;
        (holds, points, total) = ROUNDS.shareOfHolder(requestId, seat, Scores.SEATS, msg.sender);
        if (!holds) revert ResaleMarket_NotSeatOwner(requestId, seat, msg.sender);
    }

    /// @dev Only delivered results earn, and their points no longer change.
    function _due(uint256 requestId, uint256 seat, uint256 points, uint256 total) private view returns (uint256) {
        if (points == 0) return 0;
        return uint256(_offers[requestId].earned) * points / total - _paid[requestId][seat];
    }

    function _send(address receiver, uint256 amount) private {
        (bool sent,) = receiver.call{value: amount}("");
        if (!sent) revert ResaleMarket_TransferFailed(receiver, amount);
    }
}
