// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedScores} from "../libraries/Scores.sol";

/// @title ITrainingRounds
/// @notice The rounds of a request: start, models, votes, tally, attestations, and what each round earned.
/// @dev A round is one transaction where all agree (`postRound`), else a few batches that anyone may post with the
/// members' signatures. A member may always act for itself: the sender's own seat needs no signature.
/// Units: scores and errors 1/10,000 (lower is better; 16,383: invalid or not measured); times in seconds. A mask has bit
/// i set for seat i. Seats are those of the round's cohort (see {ITrainingPool-cohort}).
/// Nothing is stored per member. Lists that a later step needs are given again by its caller and checked against a hash.
/// Signatures are EIP-712 (name "fedpact", version "2", chain id, this address); for their encoding see {SeatSignatures}:
///     Model(uint256 request,uint256 round,bytes32 digest)
///     Slice(uint256 request,uint256 round,bytes32 key)              key: keccak256 of the sealed key
///     Vote(uint256 request,uint256 round,bytes32 commitment)
///     Attest(uint256 request,uint256 round,bytes32 digest,uint16 error)
///     Round(uint256 request,uint256 round,bytes32 history,bytes32 record)   record: keccak256(abi.encode(record))
/// The contract's code is in two places, since one contract's code may have 24,576 bytes (EIP-170): {TrainingRounds} answers
/// {IRoundSteps} as well, by code that it created itself and that works on its storage.
interface ITrainingRounds {
    /*//////////////////////////////////////////////////////////////
                                 TYPES
    //////////////////////////////////////////////////////////////*/

    /// @notice The phase of a request's round, derived at the time of the call.
    /// @dev None: no such request. Waiting: not started. Submit, Commit, Reveal, Attest: the members act. Tally: anyone
    /// may call `tally`. Finalise: anyone may call `finalise`. Failed: too few submitted, anyone may call `close`. Ended.
    enum Phase {
        None,
        Waiting,
        Submit,
        Commit,
        Reveal,
        Tally,
        Attest,
        Finalise,
        Failed,
        Ended
    }

    /// @notice What two signatures of one seat can contradict each other about.
    enum Kind {
        Model,
        Vote,
        Attest
    }

    /// @notice What a request fixes for its rounds.
    /// @param terms Hash of the request's terms: signed with each join, and the first link of the history.
    /// @param openers keccak256(abi.encode(address[])) of the accounts that may open slices besides the requester; 0: none.
    /// @param maxError Models with a higher median error are left out, unless no model is better.
    /// @param target The request ends once a quorum attests errors of at most this (0: never).
    /// @param maxRounds 1..1,000.
    /// @param leaderRule 0: lowest weighted error first. 1: by reputation, taking turns.
    /// @param approvalRule 0: two thirds of those who attested. 1: all of them. More than half of all judged in both cases.
    /// @param voteBand Largest distance of a vote from the median that counts as inside the band; at most 1,000.
    /// @param gasPerRound Most gas refunded for a round, in gwei.
    /// @param maxGasPrice Highest gas price refunded, in 1/1,000 gwei.
    struct RoundPlan {
        bytes32 terms;
        bytes32 openers;
        uint16 maxError;
        uint16 target;
        uint16 maxRounds;
        uint8 leaderRule;
        uint8 approvalRule;
        uint16 voteBand;
        uint24 startWindow;
        uint24 submitWindow;
        uint24 commitWindow;
        uint24 revealWindow;
        uint24 attestWindow;
        uint32 gasPerRound;
        uint32 maxGasPrice;
    }

    /// @notice What the member that starts a request fixes for all of its rounds.
    /// @param manifest Digest of the manifest of sealed request keys, not zero.
    /// @param keyHash keccak256 of the request key.
    /// @param committeeKey X25519 public key to which slices are sealed: a slice opens for all members or for none.
    /// @param deliveryHash keccak256 of the sealed delivery key, which every member can recompute.
    struct Start {
        bytes32 manifest;
        bytes32 keyHash;
        bytes32 committeeKey;
        bytes32 deliveryHash;
    }

    /// @notice A whole round on which all expected members agree. Arrays have one entry for each of them, in seat order.
    /// @param votes Packed scores of the other members' models.
    /// @param sliceKey The sealed key of the requester's slice.
    /// @param digest The global model.
    /// @param errors The error of the global model that each member measured, 14 bits a seat.
    struct Record {
        bytes32[] digests;
        PackedScores[] votes;
        bytes sliceKey;
        bytes32 digest;
        PackedScores errors;
    }

    /// @notice All that the round anchored since its slice: first commitments, then votes, in the order of their anchoring.
    /// @param log The round's log once the slice was open, as in {SliceOpened}.
    /// @param seats The seats, four bits each, the first in the lowest.
    struct Anchored {
        bytes32 log;
        uint256 seats;
        bytes32[] values;
    }

    /// @notice What a tally found.
    /// @param medians Packed medians; INVALID without a model. All 0 in a blind round.
    /// @param included Seats whose model is aggregated.
    /// @param eligible Seats that share in the points: valid, voted, not adverse; in a blind round without a fault. They may also lead and earn by attesting.
    /// @param points Points so far, 16 bits a seat.
    /// @param faults Seats with a fault in this round.
    struct Board {
        PackedScores medians;
        uint256 included;
        uint256 eligible;
        uint256 points;
        uint256 faults;
    }

    /// @notice A tally's result as it was anchored.
    /// @param log The round's log before it, as in {RoundTallied}.
    struct Tallied {
        bytes32 log;
        Board board;
    }

    /// @notice An attestation as it was anchored.
    struct Attestation {
        uint256 seat;
        bytes32 digest;
        uint256 error_;
    }

    /// @notice What the market needs to know.
    /// @param running A round is open.
    /// @param ended The rounds are over, at endedAt.
    /// @param halted The requester cancelled. What the rounds earned is then due even without a final round.
    /// @param anySubmission Somebody has submitted a model in some round.
    /// @param reached The target was met.
    /// @param earned Running hash of the `Earned` entries. The last digest in the list that is not zero is the final model.
    struct Outcome {
        bool running;
        bool ended;
        bool halted;
        bool anySubmission;
        bool reached;
        uint40 endedAt;
        uint16 finalRounds;
        uint16 paidRounds;
        bytes32 earned;
        bytes32 deliveryHash;
    }

    /// @notice All that a daemon needs to know about the present round.
    /// @param deadline The last second of the phase (0: none). In Waiting: when the turns to start began.
    /// @param round The present round, from 1 (0: not started).
    /// @param size The number of seats of the cohort.
    /// @param expected Seats that the round waits for.
    /// @param acted Seats that have committed (in Commit, Reveal, Tally) or attested (in Attest, Finalise).
    /// @param voided Seats that contradicted themselves in this round.
    /// @param returning Seats that the next round waits for again.
    /// @param turn The lowest pool index that may still start.
    /// @param lastLeader Pool index of the last leader, plus 1 (0: none).
    /// @param reopened Whether the window of the present phase (Submit, Attest) was opened once more, because at most half
    /// had acted; in the phases between: that of the submissions.
    /// @param blind Whether the tally found the round blind.
    /// @param drawn Whether each round draws a cohort.
    struct RoundFacts {
        Phase phase;
        uint40 deadline;
        uint16 round;
        uint8 size;
        uint16 expected;
        uint16 submitted;
        uint16 revealed;
        uint16 acted;
        uint16 voided;
        uint16 returning;
        uint16 turn;
        uint16 lastLeader;
        uint16 paidRounds;
        uint16 finalRounds;
        bool sliceOpened;
        bool reopened;
        bool halted;
        bool reached;
        bool blind;
        bool drawn;
        bytes32 history;
        bytes32 seed;
        bytes32 log;
        bytes32 earned;
    }

    /// @notice One round's link in the history.
    /// @param log The running hash of what the steps of the round anchored (0: none).
    /// @param record keccak256 of the record (0: the round was not posted as a whole).
    struct Link {
        uint256 round;
        bytes32 log;
        bytes32 record;
    }

    /*//////////////////////////////////////////////////////////////
                                 EVENTS
    //////////////////////////////////////////////////////////////*/

    /// @notice A member started the request.
    event Started(uint256 indexed request, address indexed member, uint256 index, Start start);
    /// @notice A round opened to the cohort of this seed, of which it expects these seats.
    event RoundOpened(uint256 indexed request, uint256 round, bytes32 history, bytes32 seed, uint256 expected);
    /// @notice Models were submitted: digests in seat order of the mask.
    event ModelsSubmitted(uint256 indexed request, uint256 round, uint256 mask, bytes32[] digests);
    /// @notice The slice of this round is open to the committee. `log`: of the round so far.
    event SliceOpened(uint256 indexed request, uint256 round, bytes sealedKey, bytes32 log);
    /// @notice Votes were committed: commitments in seat order of the mask.
    event VotesCommitted(uint256 indexed request, uint256 round, uint256 mask, bytes32[] commitments);
    /// @notice Votes were opened, in seat order of the mask.
    event VotesRevealed(uint256 indexed request, uint256 round, uint256 mask, PackedScores[] votes);
    /// @notice The votes of a round were counted. `log`: of the round before the board.
    event RoundTallied(uint256 indexed request, uint256 round, bool blind, Board board, bytes32 log);
    /// @notice Members attested a global model and the errors that they measured.
    event Attested(uint256 indexed request, uint256 round, uint256 mask, bytes32 digest, PackedScores errors);
    /// @notice All agreed on a round. The record itself is in the transaction's calldata, and with all who signed it.
    event RoundPosted(uint256 indexed request, uint256 round, uint256 mask, bytes32 record);
    /// @notice The record of a round that a contract posted, in whose calldata nobody need find it.
    event RecordPosted(uint256 indexed request, uint256 round, Record record);
    /// @notice A round is final.
    /// @param leader The seat that got the leader's points (16: none).
    /// @param error_ The median of the approvers' errors.
    event RoundFinalised(
        uint256 indexed request, uint256 round, uint256 leader, bytes32 digest, uint256 error_, uint256 approvals
    );
    /// @notice A round did not become final, or its start was void.
    event RoundFailed(uint256 indexed request, uint256 round, bool voidStart);
    /// @notice An entry was added to what the request's rounds earned: the fields of `Earned`.
    event Credited(uint256 indexed request, uint256 cohort, uint256 points, uint256 extra, bytes32 digest);
    /// @notice A seat signed two different messages of one kind for one round.
    event Equivocated(uint256 indexed request, uint256 round, uint256 seat, Kind kind);
    /// @notice A member that the rounds no longer wait for will be back in the next round.
    event Returning(uint256 indexed request, uint256 round, uint256 seat);
    /// @notice The requester cancelled: the present round is the last.
    event Halted(uint256 indexed request);
    /// @notice The rounds are over.
    event RoundsEnded(uint256 indexed request, uint256 round, bool reached, uint256 finalRounds);

    /*//////////////////////////////////////////////////////////////
                                 ERRORS
    //////////////////////////////////////////////////////////////*/

    /// @notice Only the market may call this.
    error TrainingRounds_NotMarket(address caller);
    /// @notice The action is not possible in the present phase.
    error TrainingRounds_WrongPhase(uint256 request, Phase phase, Phase needed);
    /// @notice The plan is out of bounds.
    error TrainingRounds_BadPlan(RoundPlan plan);
    /// @notice The pool is open, or has too few members.
    error TrainingRounds_PoolNotReady(uint256 request);
    /// @notice The account is not the member with this index, or has left.
    error TrainingRounds_NotMember(uint256 request, uint256 index, address account);
    /// @notice It is not this member's turn to start: opensAt is when it begins (0: it was passed over).
    error TrainingRounds_NotYourTurn(uint256 request, uint256 index, uint256 opensAt);
    /// @notice All turns to start are over.
    error TrainingRounds_TooLate(uint256 request, uint256 deadline);
    /// @notice Somebody may still start or join.
    error TrainingRounds_NotExpired(uint256 request);
    /// @notice A manifest, digest or commitment is zero.
    error TrainingRounds_Zero();
    /// @notice The mask names no seat, or seats that may not do this, or that have done it already.
    error TrainingRounds_BadMask(uint256 request, uint256 mask, uint256 allowed);
    /// @notice A list has the wrong number of entries.
    error TrainingRounds_WrongNumber(uint256 given, uint256 needed);
    /// @notice The account is neither the requester nor one of the openers.
    error TrainingRounds_NotOpener(uint256 request, address account);
    /// @notice The slice must be opened in the first half of the commit window.
    error TrainingRounds_SliceTooLate(uint256 request, uint256 deadline);
    /// @notice This round's slice is already open.
    error TrainingRounds_SliceAlreadyOpen(uint256 request, uint256 round);
    /// @notice Votes are committed once the slice is open.
    error TrainingRounds_SliceNotOpen(uint256 request, uint256 round);
    /// @notice What is given is not what was anchored: the round's log, and what follows from it.
    error TrainingRounds_WrongList(bytes32 log, bytes32 given);
    /// @notice The vote and the salt do not open the commitment.
    error TrainingRounds_CommitmentMismatch(uint256 seat, bytes32 anchored, bytes32 computed);
    /// @notice A lane of a vote is neither a score nor INVALID, or should be empty and is not.
    error TrainingRounds_BadScore(uint256 seat, uint256 lane, uint256 value);
    /// @notice An attested error is neither at most 10,000 nor 16,383.
    error TrainingRounds_BadError(uint256 seat, uint256 error_);
    /// @notice The two messages are the same.
    error TrainingRounds_SameMessage();
    /// @notice The seat has already used its return; it may come back by submitting.
    error TrainingRounds_AlreadyReturned(uint256 request, uint256 seat);
    /// @notice The account has no seat in this round's cohort.
    error TrainingRounds_NoSeat(uint256 request, address account);

    /*//////////////////////////////////////////////////////////////
                               FUNCTIONS
    //////////////////////////////////////////////////////////////*/

    /// @notice A whole round in one transaction, signed by every expected member: until the round's tally, and instead
    /// of `close`.
    function postRound(uint256 request, Record calldata record, bytes calldata signatures) external;

    /// @notice Opens votes (phase Reveal), and tallies if all committed votes are open then. Needs no signature: what opens
    /// a commitment is its maker's.
    /// @param votes Packed scores, in seat order of the mask; or the word `BLIND` from a member whose slice did not open.
    function revealVotes(
        uint256 request,
        Anchored calldata anchored,
        uint256 mask,
        PackedScores[] calldata votes,
        bytes32[] calldata salts
    ) external;

    /// @notice Counts the votes (phase Tally).
    /// @param anchored Empty if no vote was committed.
    function tally(uint256 request, Anchored calldata anchored) external;

    /// @notice Makes the round final if a quorum attested one model, else closes it without one (phase Finalise, or phase
    /// Attest if the seats of the mask are all that are missing).
    /// @param attestations All attestations that are anchored.
    /// @param mask Seats that attest by this call, as in {IRoundSteps-attest}; 0: none, and the rest is not read.
    function finalise(
        uint256 request,
        Tallied calldata tallied,
        Attestation[] calldata attestations,
        uint256 mask,
        bytes32 digest,
        PackedScores errors,
        bytes calldata signatures
    ) external;

    /// @notice Closes a round in which too few submitted (phase Failed). In round 1 the start is void and its maker is at
    /// fault. Later, the silent are.
    function close(uint256 request) external;

    /// @notice What the market needs to know.
    function outcome(uint256 request) external view returns (Outcome memory);
}
