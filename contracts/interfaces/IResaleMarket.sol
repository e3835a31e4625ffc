// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title IResaleMarket
/// @notice Resale of results: a delivered model is sold to further participants at the price its requester set before
/// the training, and its providers are paid by their points. Also records how a request's providers were found.
/// @dev Units: money in wei, times in seconds. Facts of a request are read from market and rounds. A sealed key cannot be
/// checked on chain: a buyer trusts that one of the seats with points seals the right one.
interface IResaleMarket {
    /// @notice The status of one account's purchase of one result.
    /// @dev Pending: paid, no key yet. Sealed: a key is on chain, the price is earned. Refunded: the buyer took the
    /// price back, and may buy again.
    enum Status {
        None,
        Pending,
        Sealed,
        Refunded
    }

    /// @param price The price paid.
    /// @param deadline Last second in which a first key may be sealed.
    struct Purchase {
        Status status;
        uint96 price;
        uint40 deadline;
    }

    /// @notice How a request's providers were found: digest of the CID of the lookup record.
    event RetrievalRecorded(uint256 indexed requestId, address indexed requester, bytes32 digest);

    /// @notice The result of a request will be resold at this price.
    event ResaleOffered(uint256 indexed requestId, uint256 price);

    /// @notice A buyer paid for a result and waits for its key.
    event ResultBought(uint256 indexed requestId, address indexed buyer, uint256 price, uint256 deadline);

    /// @notice A member sealed the delivery key to a buyer.
    event KeySealed(uint256 indexed requestId, address indexed buyer, address indexed holder, bytes sealedKey);

    /// @notice A provider was paid its share of the resales.
    event ResaleClaimed(uint256 indexed requestId, address indexed provider, uint256 seat, uint256 amount);

    /// @notice A buyer that got no key in time was refunded.
    event PurchaseRefunded(uint256 indexed requestId, address indexed buyer, uint256 amount);

    /// @notice The caller did not make the request.
    error ResaleMarket_NotRequester(uint256 requestId, address caller);
    /// @notice The request has started or is over.
    error ResaleMarket_NotOpen(uint256 requestId);
    /// @notice The digest is zero.
    error ResaleMarket_ZeroDigest();
    /// @notice The price is zero or does not fit 96 bits.
    error ResaleMarket_BadPrice(uint256 price);
    /// @notice The price is already set.
    error ResaleMarket_AlreadyOffered(uint256 requestId, uint256 price);
    /// @notice The requester did not allow resale.
    error ResaleMarket_NotOffered(uint256 requestId);
    /// @notice The amount sent is not the price.
    error ResaleMarket_WrongPayment(uint256 sent, uint256 price);
    /// @notice The request has no delivered model.
    error ResaleMarket_NotDelivered(uint256 requestId);
    /// @notice The account is not an active participant.
    error ResaleMarket_NotActive(address account);
    /// @notice The buyer's organisation requested the model, or submitted to it.
    error ResaleMarket_TookPart(uint256 requestId, uint256 organisation);
    /// @notice The account is waiting for a key, or has one.
    error ResaleMarket_AlreadyBought(uint256 requestId, address buyer);
    /// @notice The account has bought nothing, or was refunded.
    error ResaleMarket_NothingBought(uint256 requestId, address buyer);
    /// @notice The caller does not hold this seat.
    error ResaleMarket_NotSeatOwner(uint256 requestId, uint256 seat, address caller);
    /// @notice The seat has no points: it did not contribute to the model.
    error ResaleMarket_NoPoints(uint256 requestId, uint256 seat);
    /// @notice A sealed key has 80 bytes.
    error ResaleMarket_BadSealedKey(uint256 length);
    /// @notice The time for a first key is over.
    error ResaleMarket_TooLate(uint256 requestId, uint256 deadline);
    /// @notice A key may still be sealed.
    error ResaleMarket_TooEarly(uint256 requestId, uint256 deadline);
    /// @notice The seat has earned nothing, or was paid in full.
    error ResaleMarket_NothingToClaim(uint256 requestId, uint256 seat);
    /// @notice The receiver did not accept the payment.
    error ResaleMarket_TransferFailed(address receiver, uint256 amount);

    /*//////////////////////////////////////////////////////////////
                               REQUESTER
    //////////////////////////////////////////////////////////////*/

    /// @notice Records how the request's providers were found, before the start. For audits only; may be repeated.
    /// @param digest sha-256 digest of the record's CID, not zero.
    function recordRetrieval(uint256 requestId, bytes32 digest) external;

    /// @notice Allows resale of the result, at a price that cannot be changed. Only before the start, so that a provider
    /// that disagrees can withdraw.
    /// @param price 1 wei up to 2^96 - 1.
    function offer(uint256 requestId, uint256 price) external;

    /*//////////////////////////////////////////////////////////////
                                 BUYER
    //////////////////////////////////////////////////////////////*/

    /// @notice Buys a delivered result; the value sent is the price. Active participants only, whose organisation neither
    /// requested the model nor ever submitted to it. A key must be sealed within the request's deliver window.
    /// @param accounts Who holds each seat, as in `ISharingMarket.settle`.
    function buy(uint256 requestId, address[] calldata accounts) external payable;

    /// @notice Refunds the caller, if nobody sealed a key to it in time.
    function refund(uint256 requestId) external;

    /*//////////////////////////////////////////////////////////////
                               PROVIDERS
    //////////////////////////////////////////////////////////////*/

    /// @notice Seals the delivery key to a buyer's encryption key. Any active member whose seat has points. The first key
    /// must come in time and earns the price; further ones only let a member correct a wrong key.
    /// @param sealedKey 80 bytes: a libsodium sealed box of 32.
    function seal(uint256 requestId, uint256 seat, address buyer, bytes calldata sealedKey) external;

    /// @notice Pays the caller's seat its share of the resales, less what it was paid before: earned * points / all points,
    /// rounded down.
    function claim(uint256 requestId, uint256 seat) external;

    /*//////////////////////////////////////////////////////////////
                                 VIEWS
    //////////////////////////////////////////////////////////////*/

    /// @notice The price of a result (0: not offered) and what its sealed purchases have earned.
    function offered(uint256 requestId) external view returns (uint256 price, uint256 earned);

    /// @notice The last purchase of a result by an account.
    function purchase(uint256 requestId, address buyer) external view returns (Purchase memory);

    /// @notice What the seat could claim now, wei.
    function claimable(uint256 requestId, uint256 seat) external view returns (uint256);
}
