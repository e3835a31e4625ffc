// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title ISharingMarket
/// @notice Requests for models, the providers that join them, and the escrow: creation, joining, start, cancellation,
/// expiry, delivery of the model's key, claims and refunds.
/// @dev Units: money in wei, times in seconds, errors in 1/10,000. Digests are the 32 bytes of a sha-256 multihash.
interface ISharingMarket {
    /*//////////////////////////////////////////////////////////////
                                 TYPES
    //////////////////////////////////////////////////////////////*/

    /// @notice The status of a request, derived at the time of the call.
    /// @dev Open: providers may join. Running: rounds are under way. Ended: the rounds are over, the model is not delivered.
    /// Delivered: the first sealed key is on chain, the providers may claim. Cancelled: never started, all is refundable.
    enum Status {
        None,
        Open,
        Running,
        Ended,
        Delivered,
        Cancelled
    }

    /// @notice What a requester fixes before anyone joins. Its hash begins the history of the rounds
    /// (`ITrainingRounds.verifyHistory`).
    /// @param specification Digest of the specification document (not zero).
    /// @param evaluation Digest of the list of evaluation slices (zero: none).
    /// @param initialModel Digest of the first global model (zero: none).
    /// @param queryKey Key under which the result may be found for resale.
    /// @param maxError Ceiling of a model's median error, 1..10,000.
    /// @param target The median error of the global model at which the request ends, 1..10,000; 0: never.
    /// @param maxRounds Maximum number of rounds, 1..1,000.
    /// @param minProviders, maxProviders Size of the committee, 2..16.
    /// @param leaderRule 0: Proof of training Quality. 1: reputation.
    /// @param approvalRule 0: two thirds. 1: unanimous.
    /// @param voteBand Largest distance of a vote from the median that counts as inside the band, 0..1,000.
    /// @param joinWindow, startWindow, submitWindow, commitWindow, revealWindow, proposeWindow, deliverWindow Seconds, each
    /// between 5 and 30 days.
    struct Terms {
        bytes32 specification;
        bytes32 evaluation;
        bytes32 initialModel;
        bytes32 queryKey;
        uint16 maxError;
        uint16 target;
        uint16 maxRounds;
        uint8 minProviders;
        uint8 maxProviders;
        uint8 leaderRule;
        uint8 approvalRule;
        uint16 voteBand;
        uint32 joinWindow;
        uint32 startWindow;
        uint32 submitWindow;
        uint32 commitWindow;
        uint32 revealWindow;
        uint32 proposeWindow;
        uint32 deliverWindow;
    }

    /// @notice All stored facts of a request.
    /// @param joinDeadline Last second to join.
    /// @param closedAt When the committee became full (0: not full).
    /// @param claimed Mask of the seats that were paid.
    /// @param settled Whether reputation was recorded.
    /// @param refunded Whether the requester took its refund.
    struct Request {
        Status status;
        address requester;
        uint96 payment;
        uint32 requesterOrganisation;
        uint40 joinDeadline;
        uint40 closedAt;
        uint32 startWindow;
        uint32 deliverWindow;
        uint16 maxRounds;
        uint8 minProviders;
        uint8 maxProviders;
        uint16 claimed;
        bool settled;
        bool refunded;
    }

    /*//////////////////////////////////////////////////////////////
                                 EVENTS
    //////////////////////////////////////////////////////////////*/

    /// @notice A request was published and its payment put into escrow.
    event RequestCreated(
        uint256 indexed requestId,
        address indexed requester,
        bytes32 indexed queryKey,
        uint256 payment,
        Terms terms
    );

    /// @notice A provider joined; `attributes` is the digest of its record of type, size and attributes.
    event Joined(
        uint256 indexed requestId, address indexed provider, uint256 seat, uint256 samples, bytes32 attributes
    );

    /// @notice A provider gave up its seat.
    event Withdrawn(uint256 indexed requestId, address indexed provider, uint256 seat);

    /// @notice Training started. `manifest` is the digest of the manifest of sealed keys, `keyHash` keccak256 of the key.
    event Started(
        uint256 indexed requestId, address indexed leader, uint256 seat, bytes32 manifest, bytes32 keyHash
    );

    /// @notice The requester cancelled, before the start or between rounds.
    event Cancelled(uint256 indexed requestId);

    /// @notice A request was closed because too few providers joined or nobody started it.
    event Expired(uint256 indexed requestId);

    /// @notice A member sealed the delivery key to the requester.
    event Delivered(uint256 indexed requestId, address indexed member, bytes sealedKey);

    /// @notice The sharing record: who got which model, after how many rounds, from whose work (mask of seats).
    event ModelShared(
        uint256 indexed requestId,
        address indexed requester,
        bytes32 indexed finalDigest,
        uint256 rounds,
        uint256 contributors
    );

    /// @notice The reputation of the participating seats was recorded.
    event Settled(uint256 indexed requestId, uint256 pool, uint256 totalPoints);

    /// @notice A provider was paid.
    event Claimed(uint256 indexed requestId, address indexed provider, uint256 seat, uint256 amount);

    /// @notice The requester was refunded what the providers did not earn.
    event Refunded(uint256 indexed requestId, address indexed requester, uint256 amount);

    /*//////////////////////////////////////////////////////////////
                                 ERRORS
    //////////////////////////////////////////////////////////////*/

    /// @notice The account is not an active participant.
    error SharingMarket_NotActive(address account);
    /// @notice The payment is zero or does not fit 96 bits.
    error SharingMarket_BadPayment(uint256 payment);
    /// @notice A request needs a specification.
    error SharingMarket_NoSpecification();
    /// @notice The committee's bounds are not 2 <= min <= max <= 16.
    error SharingMarket_BadProviders(uint256 minProviders, uint256 maxProviders);
    /// @notice The number of rounds is not in 1..1,000.
    error SharingMarket_BadRounds(uint256 maxRounds);
    /// @notice maxError is not in 1..10,000 or target is above 10,000.
    error SharingMarket_BadErrors(uint256 maxError, uint256 target);
    /// @notice The leader rule or the approval rule is unknown.
    error SharingMarket_BadRules(uint256 leaderRule, uint256 approvalRule);
    /// @notice The band is above 1,000.
    error SharingMarket_BadVoteBand(uint256 voteBand);
    /// @notice A window is shorter than 5 seconds or longer than 30 days.
    error SharingMarket_BadWindow(uint256 window);
    /// @notice The request is not in the status that the action needs.
    error SharingMarket_WrongStatus(uint256 requestId, Status status);
    /// @notice The join window is over.
    error SharingMarket_JoinClosed(uint256 requestId, uint256 joinDeadline);
    /// @notice The committee is full.
    error SharingMarket_Full(uint256 requestId, uint256 maxProviders);
    /// @notice The number of samples is not in 1..10,000,000.
    error SharingMarket_BadSamples(uint256 samples);
    /// @notice The account belongs to the requester's organisation.
    error SharingMarket_OwnOrganisation(uint256 requestId, uint256 organisation);
    /// @notice The committee is not full, and the join window is still open.
    error SharingMarket_CommitteeOpen(uint256 requestId, uint256 joinDeadline);
    /// @notice Too few providers joined.
    error SharingMarket_TooFewProviders(uint256 requestId, uint256 joined, uint256 minProviders);
    /// @notice The seat's turn to start has not begun.
    error SharingMarket_TooEarly(uint256 requestId, uint256 opensAt);
    /// @notice The time to start or to deliver is over.
    error SharingMarket_TooLate(uint256 requestId, uint256 deadline);
    /// @notice Providers may still join or start.
    error SharingMarket_NotExpired(uint256 requestId);
    /// @notice The caller is not the requester.
    error SharingMarket_NotRequester(uint256 requestId, address caller);
    /// @notice The caller does not hold this seat.
    error SharingMarket_NotSeatOwner(uint256 requestId, uint256 seat, address caller);
    /// @notice No round was finalised, so there is nothing to deliver.
    error SharingMarket_NothingToDeliver(uint256 requestId);
    /// @notice Only the last leader may deliver until `opensAt`.
    error SharingMarket_NotYourTurn(uint256 requestId, uint256 seat, uint256 opensAt);
    /// @notice A sealed key has 80 bytes.
    error SharingMarket_BadSealedKey(uint256 length);
    /// @notice The model may still be delivered until `deadline`.
    error SharingMarket_NotDecided(uint256 requestId, uint256 deadline);
    /// @notice Reputation was already recorded.
    error SharingMarket_AlreadySettled(uint256 requestId);
    /// @notice The seat was already paid.
    error SharingMarket_AlreadyClaimed(uint256 requestId, uint256 seat);
    /// @notice The seat has earned nothing.
    error SharingMarket_NothingToClaim(uint256 requestId, uint256 seat);
    /// @notice The requester was already refunded.
    error SharingMarket_AlreadyRefunded(uint256 requestId);
    /// @notice The providers earned the whole payment.
    error SharingMarket_NothingToRefund(uint256 requestId);
    /// @notice The receiver did not accept the payment.
    error SharingMarket_TransferFailed(address receiver, uint256 amount);

    /*//////////////////////////////////////////////////////////////
                               REQUESTER
    //////////////////////////////////////////////////////////////*/

    /// @notice Publishes a request; the value sent is the payment (1 wei up to 2^96 - 1). Active participants only.
    /// @return requestId Counted from 1.
    function createRequest(Terms calldata terms) external payable returns (uint256 requestId);

    /// @notice Cancels: before the start, or while the current round has no submission. Rounds paid so far stay paid.
    function cancel(uint256 requestId) external;

    /// @notice Refunds what the providers did not earn, once that is final: the request was cancelled, ended without a final
    /// round, was delivered, or was not delivered within twice the deliver window. Settles first if that is due.
    /// @param accounts As in `settle`; ignored if there is nothing to settle.
    function refund(uint256 requestId, address[] calldata accounts) external;

    /*//////////////////////////////////////////////////////////////
                               PROVIDERS
    //////////////////////////////////////////////////////////////*/

    /// @notice Takes a seat. Active participants only, whose organisation is not the requester's and has no seat yet.
    /// @param samples Number of training units, 1..10,000,000.
    /// @param attributes Digest of the provider's record of type, size and attributes.
    function join(uint256 requestId, uint32 samples, bytes32 attributes) external returns (uint256 seat);

    /// @notice Gives up the seat, before the seat's first submission.
    function withdraw(uint256 requestId, uint256 seat) external;

    /// @notice Starts training: possible once the committee is full, or the join window is over with enough providers.
    /// The k-th occupied seat (from 0) may start k start windows after the committee closed; all may until the last
    /// seat's turn is over.
    /// @param manifest Digest of the manifest of sealed request keys.
    /// @param keyHash keccak256 of the 32-byte request key.
    /// @param accounts Who holds each assigned seat; ignored unless an account's status changed since the request was made.
    function start(
        uint256 requestId,
        uint256 seat,
        bytes32 manifest,
        bytes32 keyHash,
        address[] calldata accounts
    ) external;

    /// @notice Seals the delivery key of the final model to the requester. Only the last leader may at first, any member
    /// after the deliver window. The first delivery settles, and must come within two deliver windows of the end; more
    /// may follow.
    /// @param sealedKey 80 bytes: a libsodium sealed box of 32.
    /// @param accounts As in `settle`; ignored in later deliveries.
    function deliver(uint256 requestId, uint256 seat, bytes calldata sealedKey, address[] calldata accounts) external;

    /// @notice Pays the caller's seat: pool * points / all points, rounded down; the pool is the whole payment if the
    /// target was reached, else payment * paid rounds / maxRounds.
    function claim(uint256 requestId, uint256 seat) external;

    /*//////////////////////////////////////////////////////////////
                                 ANYONE
    //////////////////////////////////////////////////////////////*/

    /// @notice Closes a request that too few providers joined in time, or that nobody started in time.
    function expire(uint256 requestId) external;

    /// @notice Records the reputation of the participating seats, once it is final whether they are paid.
    /// @dev Delivered: each seat that ever submitted is recorded with the weight of the pool, quality min(10,000, 5,000 *
    /// its points * number of such seats / all points), and losses of 100 a fault. Not delivered: nobody is paid, and
    /// only seats with faults are recorded, with quality 0 and weight 1 at most, so that nobody can build or ruin a
    /// reputation for free. Payments below the registry's unit are not recorded.
    /// @param accounts Who holds each assigned seat; those of seats that never submitted are ignored.
    function settle(uint256 requestId, address[] calldata accounts) external;

    /*//////////////////////////////////////////////////////////////
                                 VIEWS
    //////////////////////////////////////////////////////////////*/

    /// @notice All stored facts and the derived status.
    function request(uint256 requestId) external view returns (Request memory);

    /// @notice The number of requests made so far; it is also the last id.
    function requestCount() external view returns (uint256);

    /// @notice Who made the request.
    function requesterOf(uint256 requestId) external view returns (address);

    /// @notice What the seat could claim now, wei (0: nothing, not yet, or already paid).
    function claimable(uint256 requestId, uint256 seat) external view returns (uint256);

    /// @notice What the requester could be refunded now, wei (0: nothing, not yet, or already refunded).
    function refundable(uint256 requestId) external view returns (uint256);
}
