// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Point} from "../libraries/Bn254.sol";
import {Earned} from "../libraries/Earned.sol";
import {ISharingMarket} from "./ISharingMarket.sol";
import {Terms} from "./Terms.sol";

/// @title IResaleMarket
/// @notice Resale of results: a model whose makers are paid is sold to further participants at a price that its requester
/// fixed, and its makers are paid again, by their points. Also records how a request's providers were found.
/// @dev Prices are in the token of the request's terms, or in ether (wei). Times in seconds. A key is sealed to a buyer as
/// a delivery is to the requester: with the ephemeral point E = e * G of the request's delivery, the buyer's key Q and
/// S = e * Q, the sealed key is the model's key XOR keccak256(abi.encode(S, final rounds)). A buyer whose key is wrong
/// shows it with a proof that S is to E as Q is to G ({Bn254}).
interface IResaleMarket {
    /*//////////////////////////////////////////////////////////////
                                 TYPES
    //////////////////////////////////////////////////////////////*/

    /// @notice What became of one account's purchase of one result.
    /// @dev Pending: paid, no key yet. Sealed: a key is on chain, which the buyer may dispute until the deadline. Sold: the
    /// makers have the price. Refunded: the buyer has it back, and may buy again.
    enum Status {
        None,
        Pending,
        Sealed,
        Sold,
        Refunded
    }

    /// @param deadline Pending: last second in which a key may be sealed. Sealed: last second for a dispute.
    /// @param sealer Pool index of the member whose key it is.
    /// @param anchor Pending: keccak256(abi.encode(buyer's key)). Later: keccak256(abi.encode(buyer's key, sealed key)).
    struct Purchase {
        Status status;
        uint40 deadline;
        uint16 sealer;
        bytes32 anchor;
    }

    /// @param price Zero: not for sale.
    /// @param token What it is paid in; zero: ether.
    /// @param deliverWindow, disputeWindow Of the request's terms.
    /// @param tallied All of the makers' points are stored.
    /// @param points Of all makers, as far as they are stored. Members that sealed a wrong key are left out.
    struct Offer {
        uint96 price;
        address token;
        uint32 deliverWindow;
        uint32 disputeWindow;
        bool tallied;
        uint32 points;
    }

    /*//////////////////////////////////////////////////////////////
                                 EVENTS
    //////////////////////////////////////////////////////////////*/

    /// @notice How the request's providers were found: digest of the CID of the lookup's record.
    event RetrievalRecorded(uint256 indexed request, address indexed requester, bytes32 digest);
    /// @notice The result will be resold at this price.
    event ResaleOffered(uint256 indexed request, uint256 price, address token);
    /// @notice A part of the list of what the rounds earned was taken in; `cursor` is the running hash before it, `points`
    /// what the makers have so far.
    event PointsTallied(uint256 indexed request, bytes32 cursor, uint256 points);
    /// @notice A buyer paid, and waits for the key to be sealed to `key`.
    event ResultBought(uint256 indexed request, address indexed buyer, uint256 price, Point key, uint256 deadline);
    /// @notice A maker sealed the model's key to a buyer, who may dispute it until `deadline`.
    event KeySealed(
        uint256 indexed request, address indexed buyer, address indexed maker, uint256 index, bytes32 cipher, uint256 deadline
    );
    /// @notice The buyer has shown that the sealed key is wrong. Its maker gets nothing more, and the others may seal until
    /// `deadline`; `forfeited` is what it had not yet claimed.
    event SealDisputed(
        uint256 indexed request, address indexed buyer, uint256 index, bytes32 opened, uint256 forfeited, uint256 deadline
    );
    /// @notice A sale is final: the makers have the price.
    event ResultSold(uint256 indexed request, address indexed buyer, uint256 price);
    /// @notice A maker took its share of the sales.
    event ResaleClaimed(uint256 indexed request, address indexed maker, uint256 index, address to, uint256 amount);
    /// @notice A buyer that got no key in time has its money back.
    event PurchaseRefunded(uint256 indexed request, address indexed buyer, uint256 amount);

    /*//////////////////////////////////////////////////////////////
                                 ERRORS
    //////////////////////////////////////////////////////////////*/

    /// @notice The caller did not make the request.
    error ResaleMarket_NotRequester(uint256 request, address caller);
    /// @notice The request has started or is over.
    error ResaleMarket_Started(uint256 request);
    /// @notice The rounds are over: members may have let go of the request.
    error ResaleMarket_Ended(uint256 request);
    /// @notice The digest is zero.
    error ResaleMarket_ZeroDigest();
    /// @notice These are not the terms of the request.
    error ResaleMarket_WrongTerms(uint256 request, bytes32 given, bytes32 stored);
    /// @notice The price is zero or does not fit 96 bits.
    error ResaleMarket_BadPrice(uint256 price);
    /// @notice The price is already fixed.
    error ResaleMarket_AlreadyOffered(uint256 request, uint256 price);
    /// @notice The requester did not allow resale.
    error ResaleMarket_NotOffered(uint256 request);
    /// @notice The request is not settled, or without a model that its members were paid for.
    error ResaleMarket_NotDelivered(uint256 request);
    /// @notice The ether sent is not the price (if that is in ether).
    error ResaleMarket_WrongPayment(uint256 sent, uint256 price);
    /// @notice The token moved another amount than asked for.
    error ResaleMarket_WrongAmount(address token, uint256 received, uint256 needed);
    /// @notice The account is not an active participant.
    error ResaleMarket_NotActive(address account);
    /// @notice The buyer's key is not a point of BN254 other than zero.
    error ResaleMarket_BadPoint(uint256 x, uint256 y);
    /// @notice The account waits for a key, or has one.
    error ResaleMarket_AlreadyBought(uint256 request, address buyer);
    /// @notice The purchase is not in the status that the action needs.
    error ResaleMarket_WrongStatus(uint256 request, address buyer, Status status);
    /// @notice The time for it is over.
    error ResaleMarket_TooLate(uint256 request, uint256 deadline);
    /// @notice Until `deadline` a key may still be sealed, or the sealed one disputed.
    error ResaleMarket_TooEarly(uint256 request, uint256 deadline);
    /// @notice The caller is not the member with this index.
    error ResaleMarket_NotMember(uint256 request, uint256 index, address caller);
    /// @notice The member has no points here: it did not make the model, its points are not tallied, or it sealed a wrong
    /// key.
    error ResaleMarket_NoPoints(uint256 request, uint256 index);
    /// @notice All points are stored already.
    error ResaleMarket_AlreadyTallied(uint256 request);
    /// @notice Points are stored once all of the list was given.
    error ResaleMarket_NotTallied(uint256 request);
    /// @notice The entries do not lead to the running hash of what the rounds earned.
    error ResaleMarket_WrongEntries(uint256 request, bytes32 given, bytes32 stored);
    /// @notice These are not the buyer's key and the sealed key.
    error ResaleMarket_WrongSeal(uint256 request, bytes32 given, bytes32 stored);
    /// @notice This is not the request's delivery.
    error ResaleMarket_WrongDelivery(uint256 request, bytes32 root);
    /// @notice The proof does not show the shared point.
    error ResaleMarket_BadProof(uint256 request);
    /// @notice The sealed key is the model's.
    error ResaleMarket_RightKey(uint256 request);
    /// @notice The member has earned nothing, or taken all of it.
    error ResaleMarket_NothingToClaim(uint256 request, uint256 index);
    /// @notice The receiver did not accept the payment.
    error ResaleMarket_TransferFailed(address receiver, uint256 amount);

    /*//////////////////////////////////////////////////////////////
                               REQUESTER
    //////////////////////////////////////////////////////////////*/

    /// @notice Records how the request's providers were found, before the start. For audits alone; may be repeated.
    /// @param digest sha-256 digest of the record's CID.
    function recordRetrieval(uint256 request, bytes32 digest) external;

    /// @notice Allows resale of the result, at a price that cannot be changed, until the rounds are over. Members agreed to
    /// the price that the specification names, and seal for no other.
    /// @param price 1 to 2^96 - 1, in the terms' token.
    function offer(uint256 request, Terms calldata terms, uint256 price) external;

    /*//////////////////////////////////////////////////////////////
                                 BUYER
    //////////////////////////////////////////////////////////////*/

    /// @notice Buys a result of a settled request; takes the price in its token, or as the ether sent. Active participants
    /// only. A key must be sealed within the request's deliver window.
    /// @param key The buyer's public key on BN254.
    function buy(uint256 request, Point calldata key) external payable;

    /// @notice Shows that the key sealed to a buyer is not the model's, within the request's dispute window. Only the
    /// buyer can make the proof. The purchase waits for another member's key, as long as for the first.
    /// @param key, cipher The buyer's key and the sealed one, as in `ResultBought` and `KeySealed`.
    /// @param delivery The request's, as in `ISharingMarket.Delivered`.
    /// @param shared Bound to keccak256(abi.encode(chain id, this address, request, buyer)).
    function dispute(
        uint256 request,
        address buyer,
        Point calldata key,
        bytes32 cipher,
        ISharingMarket.Delivery calldata delivery,
        ISharingMarket.SharedPoint calldata shared
    ) external;

    /// @notice Gives the caller its money back, if nobody sealed a key to it in time.
    function refund(uint256 request) external;

    /*//////////////////////////////////////////////////////////////
                                MEMBERS
    //////////////////////////////////////////////////////////////*/

    /// @notice Stores the makers' points, from the end of the list of what the rounds earned to its beginning; anyone, once
    /// the request is settled. Most lists fit one call.
    /// @param before The running hash before `entries`; zero: they begin the list.
    function tally(uint256 request, bytes32 before, Earned[] calldata entries) external;

    /// @notice Seals the model's key to a buyer: a member with points, once these are tallied.
    /// @param index The caller's index in the pool.
    function seal(uint256 request, uint256 index, address buyer, bytes32 cipher) external;

    /// @notice Makes sales final whose dispute window is over, and pays the caller what it has not yet taken of its share
    /// in all final sales: for each, price * points / all points.
    /// @param buyers Whose purchases become final, or are; may be empty.
    /// @param to Who gets the money.
    function claim(uint256 request, address[] calldata buyers, uint256 index, address to) external;

    /*//////////////////////////////////////////////////////////////
                                 VIEWS
    //////////////////////////////////////////////////////////////*/

    /// @notice The price of a result, and its makers' points.
    function offered(uint256 request) external view returns (Offer memory);

    /// @notice The last purchase of a result by an account.
    function purchase(uint256 request, address buyer) external view returns (Purchase memory);

    /// @notice The points of a maker, as far as they are stored; zero if it sealed a wrong key.
    function pointsOf(uint256 request, uint256 index) external view returns (uint256);

    /// @notice What `claim` would pay the member now, of sales that are final.
    function claimable(uint256 request, uint256 index) external view returns (uint256);
}
