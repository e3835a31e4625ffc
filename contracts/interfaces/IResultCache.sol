// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title IResultCache
/// @notice Results that may be had again: a delivered model is sold to further participants at the price that its
/// requester fixed before the training, and those who made it are paid by their points. Beside it the record of how a
/// request's providers were found.
/// @dev Units: money in wei, times in seconds. All that is known of a request is read from market and rounds. A sealed
/// key can't be checked on chain: a buyer trusts that one of the seats with points seals the right one.
interface IResultCache {
    /// @notice Where the purchase of one result by one account stands.
    /// @dev Pending: paid, no key yet. Sealed: a key is on chain, the price is earned. Refunded: the buyer took it back,
    /// and may buy again.
    enum Status {
        None,
        Pending,
        Sealed,
        Refunded
    }

    /// @param price What was paid.
    /// @param deadline Last second in which a first key may be sealed.
    struct Purchase {
        Status status;
        uint96 price;
        uint40 deadline;
    }

    /// @notice How a request's providers were found: digest of the CID of the record of the lookup.
    event RetrievalRecorded(uint256 indexed requestId, address indexed requester, bytes32 digest);

    /// @notice The result of a request may be had again at this price.
    event ReuseOffered(uint256 indexed requestId, uint256 price);

    /// @notice Somebody paid for a result and waits for its key.
    event ResultBought(uint256 indexed requestId, address indexed buyer, uint256 price, uint256 deadline);

    /// @notice A member sealed the delivery key to a buyer.
    event KeySealed(uint256 indexed requestId, address indexed buyer, address indexed holder, bytes sealedKey);

    /// @notice A provider was paid its share of what a result earned again.
    event ReuseClaimed(uint256 indexed requestId, address indexed provider, uint256 seat, uint256 amount);

    /// @notice A buyer that got no key in time took its money back.
    event PurchaseRefunded(uint256 indexed requestId, address indexed buyer, uint256 amount);

    /// @notice The caller did not make the request.
    error ResultCache_NotRequester(uint256 requestId, address caller);
    /// @notice The training has begun, or the request is over.
    error ResultCache_NotOpen(uint256 requestId);
    /// @notice A digest of zero says nothing.
    error ResultCache_ZeroDigest();
    /// @notice The price is zero or does not fit 96 bits.
    error ResultCache_BadPrice(uint256 price);
    /// @notice A price once fixed stands.
    error ResultCache_AlreadyOffered(uint256 requestId, uint256 price);
    /// @notice The requester did not allow reuse.
    error ResultCache_NotOffered(uint256 requestId);
    /// @notice The money sent is not the price.
    error ResultCache_WrongPayment(uint256 sent, uint256 price);
    /// @notice The request has no delivered model.
    error ResultCache_NotDelivered(uint256 requestId);
    /// @notice The account is not an active participant.
    error ResultCache_NotActive(address account);
    /// @notice The buyer's organisation asked for the model, or took part in making it.
    error ResultCache_TookPart(uint256 requestId, uint256 organisation);
    /// @notice The account waits for a key, or has one.
    error ResultCache_AlreadyBought(uint256 requestId, address buyer);
    /// @notice The account has bought nothing, or took its money back.
    error ResultCache_NothingBought(uint256 requestId, address buyer);
    /// @notice The caller doesn't hold this seat.
    error ResultCache_NotSeatOwner(uint256 requestId, uint256 seat, address caller);
    /// @notice The seat has no points: the model is not of its making.
    error ResultCache_NoPoints(uint256 requestId, uint256 seat);
    /// @notice A sealed key has 80 bytes.
    error ResultCache_BadSealedKey(uint256 length);
    /// @notice The time for a first key is over.
    error ResultCache_TooLate(uint256 requestId, uint256 deadline);
    /// @notice A key may still come.
    error ResultCache_TooEarly(uint256 requestId, uint256 deadline);
    /// @notice The seat has earned nothing, or was paid all of it.
    error ResultCache_NothingToClaim(uint256 requestId, uint256 seat);
    /// @notice The receiver did not take the money.
    error ResultCache_TransferFailed(address receiver, uint256 amount);

    /*//////////////////////////////////////////////////////////////
                               REQUESTER
    //////////////////////////////////////////////////////////////*/

    /// @notice Records how the request's providers were found, before the training. For audit alone; may be repeated.
    /// @param digest sha-256 digest of the record's CID, not zero.
    function recordRetrieval(uint256 requestId, bytes32 digest) external;

    /// @notice Allows reuse of the result, at a price that then stands. Only before the training: a provider that does
    /// not agree leaves without loss.
    /// @param price 1 wei up to 2^96 - 1.
    function offer(uint256 requestId, uint256 price) external;

    /*//////////////////////////////////////////////////////////////
                                 BUYER
    //////////////////////////////////////////////////////////////*/

    /// @notice Pays the price of a delivered result; the value sent is the price. Active participants of organisations
    /// that neither asked for the model nor ever submitted to it. A key must come within the request's deliver window.
    /// @param accounts Who holds each seat, as in `ISharingMarket.settle`.
    function buy(uint256 requestId, address[] calldata accounts) external payable;

    /// @notice Returns the price to a buyer to whom nobody sealed a key in time.
    function refund(uint256 requestId) external;

    /*//////////////////////////////////////////////////////////////
                               PROVIDERS
    //////////////////////////////////////////////////////////////*/

    /// @notice Seals the delivery key to a buyer's encryption key. Any active member whose seat has points; the first key
    /// must come in time and makes the price due, further ones change nothing but mend a wrong one.
    /// @param sealedKey 80 bytes: a libsodium sealed box of 32.
    function seal(uint256 requestId, uint256 seat, address buyer, bytes calldata sealedKey) external;

    /// @notice Pays the caller's seat its share of all that the result has earned again, less what it was paid: earned *
    /// points / all points, rounded down.
    function claim(uint256 requestId, uint256 seat) external;

    /*//////////////////////////////////////////////////////////////
                                 VIEWS
    //////////////////////////////////////////////////////////////*/

    /// @notice The price of a result (0: not offered) and what its sealed purchases have earned.
    function offered(uint256 requestId) external view returns (uint256 price, uint256 earned);

    /// @notice The last purchase of a result by an account.
    function purchase(uint256 requestId, address buyer) external view returns (Purchase memory);

    /// @notice What the seat could claim now.
    function claimable(uint256 requestId, uint256 seat) external view returns (uint256);
}
