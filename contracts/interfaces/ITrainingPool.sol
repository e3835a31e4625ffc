// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PoolMember} from "../libraries/PoolMember.sol";

/// @title ITrainingPool
/// @notice The providers that opted in to a request, and who of them takes part in a round.
/// @dev A member is known by its index in the pool. Indices are final once the pool is closed: before, a new batch may be
/// merged with earlier ones. A pool of at most `cohort` members takes part in every round; from a larger one, each round
/// draws a cohort.
interface ITrainingPool {
    /// @notice What a request fixes for its pool.
    /// @param minPool, maxPool How many members it needs, and may have (2..65,535).
    /// @param cohort How many members take part in a round (2..16).
    /// @param weightRule How likely a member is drawn. 0: all alike. 1: by declared samples, at most `sampleCap`. 2: by
    /// reputation as of joining, at least 1.
    /// @param sampleCap With rule 1: 1..65,535; else 0.
    /// @param joinDeadline The last second in which providers may join.
    /// @param requesterOrganisation None of its accounts may join.
    /// @param reputations Whether the request reads its members' reputations: to draw them, or to choose leaders.
    struct PoolPlan {
        uint16 minPool;
        uint16 maxPool;
        uint8 cohort;
        uint8 weightRule;
        uint16 sampleCap;
        uint40 joinDeadline;
        uint16 requesterOrganisation;
        bool reputations;
    }

    /// @notice A provider's consent to train for a request.
    /// @dev Signed under EIP-712 (name "fedpact", version "2", chain id, this address) as
    /// Join(uint256 request,uint32 samples,bytes32 attributes,bytes32 terms), with the hash of the request's terms.
    /// @param samples The number of training samples (1..16,777,215).
    /// @param attributes Root of the attributes that the provider declares for this request.
    struct Join {
        address account;
        uint32 samples;
        bytes32 attributes;
    }

    /// @param members How many have joined; `left` of them have left again, and are passed over.
    /// @param batches How many blobs of code hold them.
    /// @param weight Sum of all weights.
    /// @param closed Whether nobody can join any more; closedAt is when that became so (or will, at the latest).
    /// @param drawn Whether the pool is larger than a cohort, so that each round draws one.
    /// @param enough Whether the members that have not left are as many as the request needs.
    struct PoolFacts {
        uint16 members;
        uint16 left;
        uint16 batches;
        uint32 weight;
        bool closed;
        uint40 closedAt;
        bool drawn;
        bool enough;
        PoolPlan plan;
    }

    event Joined(
        uint256 indexed request, address indexed provider, uint256 organisation, uint256 samples, bytes32 attributes
    );
    event Left(uint256 indexed request, address indexed provider);

    /// @notice Only the market may call this.
    error TrainingPool_NotMarket(address caller);
    /// @notice The plan is out of bounds.
    error TrainingPool_BadPlan(PoolPlan plan);
    /// @notice The pool does not take members any more.
    error TrainingPool_Closed(uint256 request, uint256 closedAt);
    /// @notice No joins were given.
    error TrainingPool_NoJoins();
    /// @notice More members would join than the request takes.
    error TrainingPool_Full(uint256 request, uint256 members, uint256 maxPool);
    /// @notice A batch may have at most 700 members, so that its code stays within EIP-170.
    error TrainingPool_BatchTooLarge(uint256 given);
    /// @notice The pool is held in 255 batches: larger portions make fewer.
    error TrainingPool_TooManyBatches(uint256 request);
    /// @notice The account is not an active participant.
    error TrainingPool_NotActive(address account);
    /// @notice The account belongs to the requester's organisation.
    error TrainingPool_OwnOrganisation(uint256 request, uint256 organisation);
    /// @notice The joins must ascend strictly by organisation.
    error TrainingPool_NotSorted(uint256 organisation, uint256 before);
    /// @notice An account of this organisation is already a member.
    error TrainingPool_OrganisationJoined(uint256 request, uint256 organisation);
    /// @notice The number of samples is out of bounds.
    error TrainingPool_BadSamples(uint256 samples);
    /// @notice There is no member with this index.
    error TrainingPool_NoMember(uint256 request, uint256 index);
    /// @notice The account is not the member with this index.
    error TrainingPool_NotMember(uint256 request, uint256 index, address account);
    /// @notice The member has left.
    error TrainingPool_HasLeft(uint256 request, uint256 index);

    /// @notice Stores the plan of a new request (market only).
    function prepare(uint256 request, PoolPlan calldata plan) external;

    /// @notice Adds providers to the pool; anyone may call it, any number of times while the pool is open.
    /// @param joins Ascending by organisation.
    /// @param signatures As in {SeatSignatures}, one for each join but that of the sender.
    function enrol(uint256 request, Join[] calldata joins, bytes calldata signatures) external;

    /// @notice Takes the sender out again while the pool is open. Its organisation cannot join this request again.
    /// @param index Its present index.
    function withdraw(uint256 request, uint256 index) external;

    /// @notice Who takes part in a round with this seed, and as which seat.
    /// @dev Bounded work: at most 8 draws a seat, then the next members in order.
    /// @param seed Ignored unless the pool is larger than a cohort.
    /// @return cohort_ The pool index of each seat, 16 bits a seat, seat i at bit 16 * i.
    /// @return seats The member in each seat.
    function cohortOf(uint256 request, bytes32 seed)
        external
        view
        returns (uint256 cohort_, PoolMember[] memory seats);

    /// @notice The member with an index, whether it has left or not.
    function member(uint256 request, uint256 index) external view returns (PoolMember);

    /// @notice The members with the indices from `from` to below `to`.
    function members(uint256 request, uint256 from, uint256 to) external view returns (PoolMember[] memory);

    /// @notice The number of members, including those that have left.
    function count(uint256 request) external view returns (uint256);

    /// @notice The members that have not left: bit i % 256 of word i / 256 for index i.
    function presence(uint256 request) external view returns (uint256[] memory);

    /// @notice Whether a member has left.
    function hasLeft(uint256 request, uint256 index) external view returns (bool);

    /// @notice All facts of a pool.
    function facts(uint256 request) external view returns (PoolFacts memory);
}
