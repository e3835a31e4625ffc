// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedScores} from "../libraries/Scores.sol";
import {ITrainingRounds} from "./ITrainingRounds.sol";

/// @title ILargeRounds
/// @notice Rounds in which a whole pool of up to 1,024 members trains and a drawn committee of at most sixteen judges.
/// @dev Stands where `TrainingRounds` stands, with a market and a pool of the same code of its own. Phases, events
/// and errors that both kinds of rounds share are those of {ITrainingRounds}:
/// Waiting; Submit, in which trainers send their models to the committee; Attest, in which the committee judges and
/// anyone posts what a quorum signed; Failed, if nobody did in time; Finalise, until the points are summed; Ended.
interface ILargeRounds {
    /*//////////////////////////////////////////////////////////////
                                 TYPES
    //////////////////////////////////////////////////////////////*/

    /// @notice What a committee found in a round.
    /// @param submissions Root of a tree with a leaf keccak256(keccak256(abi.encode(index, digest))) for each model: hashed
    /// twice, so that no inner node passes for a leaf. Inner nodes hash their children in ascending order; zeros fill the
    /// leaves up to a power of two.
    /// @param evidence Digest of a document with all digests and votes, from which anyone recomputes the points.
    /// @param digest The global model; zero: none came about.
    /// @param errors The error of the global model that each judge measured, 14 bits a seat.
    /// @param blind The requester's slice was missing or useless, and all models count as equal.
    struct Record {
        bytes32 submissions;
        bytes32 evidence;
        bytes32 digest;
        PackedScores errors;
        bool blind;
    }

    /// @notice That all models that were forced in are in the tree of submissions.
    /// @param indices The members that forced, strictly ascending.
    /// @param proof, flags As OpenZeppelin's MerkleProof takes them, the leaves in the order of `indices`.
    struct Inclusion {
        uint256[] indices;
        bytes32[] proof;
        bool[] flags;
    }

    /// @notice All that a daemon needs to know about the present round.
    /// @param deadline In Submit: the last second for models. In Attest: the last second to post. In Waiting: when the turns
    /// to start began (0: when the pool closed). In Ended: when that was. Otherwise 0.
    /// @param members Size of the pool, those that left included.
    /// @param forced How many models were forced into this round.
    /// @param turn The lowest pool index that may still start.
    /// @param drawBlock The block that draws the committee; 0: it is drawn (or there is none).
    /// @param seed Draws the committee: `ITrainingPool.cohortOf`. With a `drawBlock`, the seed before: the committee's is
    /// keccak256(seed, PREVRANDAO of that block).
    /// @param points Running hash of the points of all rounds; zero: nobody has any.
    struct Facts {
        ITrainingRounds.Phase phase;
        uint40 deadline;
        uint16 round;
        uint16 members;
        uint16 forced;
        uint16 turn;
        uint16 finalRounds;
        uint16 paidRounds;
        bool halted;
        bool reached;
        uint40 drawBlock;
        bytes32 history;
        bytes32 seed;
        bytes32 points;
        bytes32 earned;
    }

    /*//////////////////////////////////////////////////////////////
                                 EVENTS
    //////////////////////////////////////////////////////////////*/

    /// @notice The seed of the round's committee.
    event CommitteeDrawn(uint256 indexed request, uint256 round, bytes32 seed);
    /// @notice The chain no longer knew the block that was to draw the committee; now this one will.
    event DrawMoved(uint256 indexed request, uint256 round, uint256 drawBlock);
    /// @notice A trainer put its model into the round by itself.
    event ModelForced(uint256 indexed request, uint256 round, uint256 index, bytes32 digest);
    /// @notice What a committee found, of a round that a contract posted, in whose calldata nobody need find it.
    event LargeRecordPosted(uint256 indexed request, uint256 round, Record record, uint256[] points);

    /*//////////////////////////////////////////////////////////////
                                 ERRORS
    //////////////////////////////////////////////////////////////*/

    /// @notice The pool must need more members than a committee has, and have room for at most 1,024 at a time; at most 50
    /// rounds.
    error LargeRounds_BadPlan(uint256 minPool, uint256 maxPool, uint256 cohort, uint256 maxRounds);
    /// @notice With those that left again the pool has so many members that `sum` might fit into no transaction. Nobody can
    /// start the request; once all turns are over, it expires.
    error LargeRounds_TooManyMembers(uint256 request, uint256 members, uint256 most);
    /// @notice The block that opens a round must not draw its committee.
    error LargeRounds_NoDelay();
    /// @notice The round's committee is drawn already.
    error LargeRounds_Drawn(uint256 request, uint256 round);
    /// @notice Call `draw` first, once the block is there.
    error LargeRounds_NotDrawn(uint256 request, uint256 round, uint256 drawBlock);
    /// @notice The member judges in this round, and does not train.
    error LargeRounds_Judges(uint256 request, uint256 index);
    /// @notice The member has forced a model into this round already.
    error LargeRounds_AlreadyForced(uint256 request, uint256 index);
    /// @notice A round has a global model, but pays nobody.
    error LargeRounds_Unpaid(uint256 request, uint256 round);
    /// @notice Too few judges have signed.
    error LargeRounds_NoQuorum(uint256 signed, uint256 needed);
    /// @notice A model that was forced in is not in the tree of submissions.
    error LargeRounds_LeftOut(uint256 request, uint256 round);
    /// @notice The indices of those that forced must ascend strictly.
    error LargeRounds_NotSorted(uint256 index, uint256 before);

    /*//////////////////////////////////////////////////////////////
                               FUNCTIONS
    //////////////////////////////////////////////////////////////*/

    /// @notice Draws the round's committee (phases Submit and Attest), which `post` does otherwise. For who wants to force a
    /// model in, or before the chain forgets the block: if it has, another one will draw.
    /// @param header Of the round's `drawBlock`, encoded as its hash takes it (RLP).
    function draw(uint256 request, bytes calldata header) external;

    /// @notice Puts the sender's model into the round, whoever wants to leave it out (phase Submit, once the committee is drawn). Once
    /// a round.
    /// @param index The sender's index in the pool.
    function force(uint256 request, uint256 index, bytes32 digest) external;

    /// @notice A whole round, signed by a quorum of its committee (phase Attest): two thirds of its seats, or all of them by
    /// the approval rule 1.
    /// @dev Signed under EIP-712 (name "fedpact", version "2", chain id, this address) as LargeRound(uint256 request,
    /// uint256 round,bytes32 history,bytes32 record) with keccak256(abi.encode(record, keccak256(abi.encodePacked(points)))).
    /// @param points 16 bits a member, in the order of the pool; see {PoolPoints}.
    /// @param mask The seats that signed.
    /// @param signatures As in {SeatSignatures}, in seat order.
    /// @param header As in `draw`; not looked at if the committee is drawn already.
    function post(
        uint256 request,
        Record calldata record,
        uint256[] calldata points,
        Inclusion calldata forced,
        uint256 mask,
        bytes calldata signatures,
        bytes calldata header
    ) external;

    /// @notice Closes a round that nobody posted in time (phase Failed). In round 1 the start is void, and the member after
    /// the starter may start; later another committee is drawn.
    function close(uint256 request) external;

    /// @notice Sums up the points of all rounds, as entries of {Earned} (phase Finalise). This ends the request.
    /// @param points What was posted for each round, in their order; rounds that gave no points are left out.
    function sum(uint256 request, uint256[][] calldata points) external;

    /// @notice How many blocks after the one that opens a round the block comes that draws its committee.
    function drawDelay() external view returns (uint256);

    /// @notice The hash of the request's terms while it waits for members; reverts otherwise.
    function openTerms(uint256 request) external view returns (bytes32);

    /// @notice What the market needs to know.
    function outcome(uint256 request) external view returns (ITrainingRounds.Outcome memory);

    /// @notice The facts of the present round.
    function roundFacts(uint256 request) external view returns (Facts memory);

    /// @notice The model that a member forced into the present round; zero: none.
    function forcedModel(uint256 request, uint256 index) external view returns (bytes32);
}
