// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PointLanes} from "../libraries/Points.sol";
import {PackedScores} from "../libraries/Scores.sol";

/// @title ITrainingRounds
/// @notice The rounds of a request: model digests, votes, tally, leader order, attestations, proposals, fail-over and
/// finalisation by Proof of training Quality.
/// @dev Units: scores and errors are 1/10,000 (0..10,000; lower is better; 16,383 = invalid); times are seconds.
/// A mask has bit i set for seat i. A packed score word has 14 bits a seat, seat i at bit 14 * i.
/// No transaction is needed to change phase: each call derives the phase from the recorded facts, the windows and the
/// clock. A phase ends as soon as all expected seats have acted, or else when its window ends; the next starts there.
/// An action counts while block.timestamp <= start + window.
interface ITrainingRounds {
    /*//////////////////////////////////////////////////////////////
                                 TYPES
    //////////////////////////////////////////////////////////////*/

    /// @notice The phase of a request's round, derived at the time of the call.
    /// @dev None: not opened. Submit, Commit, Reveal, Attest: the members act. Tally: anyone may call `tally`.
    /// Expired: the round failed and anyone may call `expireRound`. Ended: the rounds are over.
    enum Phase {
        None,
        Submit,
        Commit,
        Reveal,
        Tally,
        Attest,
        Expired,
        Ended
    }

    /// @notice What a request fixes for all of its rounds.
    /// @param maxError Models with a higher median error are left out (1/10,000).
    /// @param target The request ends once the median error of the global model is this or lower (1/10,000; 0: never).
    /// @param maxRounds Maximum number of rounds.
    /// @param leaderRule 0: lowest weighted error first (Lu et al. eq. 7). 1: highest reputation first, last leader last.
    /// @param approvalRule 0: two thirds of those who revealed. 1: all who revealed.
    /// @param voteBand Largest distance of a vote from the median that counts as inside the band (1/10,000).
    /// @param submitWindow, commitWindow, revealWindow Lengths of the phases (seconds).
    /// @param proposeWindow How long each leader has, in order, before the next may propose too (seconds).
    struct Params {
        uint16 maxError;
        uint16 target;
        uint16 maxRounds;
        uint8 leaderRule;
        uint8 approvalRule;
        uint16 voteBand;
        uint24 submitWindow;
        uint24 commitWindow;
        uint24 revealWindow;
        uint24 proposeWindow;
    }

    /// @notice What is stored about a member.
    /// @param seat Its seat (255: none).
    /// @param samples The number of training samples it declared on joining.
    /// @param reputation Its reputation on joining (1/10,000).
    /// @param lanes Its last action in this round (0: none), in packed lanes without its own: first the lower 224 bits of its
    /// commitment, then its scores, then the lower 224 bits of its attestation. In an attestation, the lane of the seat
    /// whose number differs from its own in the lowest bit holds the attested error.
    struct Member {
        uint8 seat;
        uint32 samples;
        uint16 reputation;
        uint256 lanes;
    }

    /// @notice All that a daemon needs to know about the current round.
    /// @param phase, start, deadline The derived phase, its start and its last second (deadline 0: none).
    /// @param round The current round, from 1 (0: not opened).
    /// @param seats The number of assigned seats (the length of the arrays that other views return).
    /// @param members Occupied seats.
    /// @param expected Seats that the round waits for.
    /// @param barred Seats whose account was not active when the round opened; they cannot submit in it.
    /// @param ever Seats that have submitted in any round.
    /// @param submitted, committed, revealed, attested Seats that have acted in this round.
    /// @param lastLeader The seat whose proposal made the last final round final (255: none).
    /// @param paidRounds, finalRounds Number of rounds whose tally gave points; number of final rounds.
    /// @param sliceOpened Whether the requester has opened this round's evaluation slice.
    /// @param reached Whether the target was met.
    /// @param finalDigest The digest of the last final global artefact (zero: none).
    /// @param history The running hash over the terms, the keys, all submissions and all tallies (see `verifyHistory`).
    /// @param params The request's parameters.
    struct RoundFacts {
        Phase phase;
        uint40 start;
        uint40 deadline;
        uint16 round;
        uint8 seats;
        uint64 members;
        uint64 expected;
        uint64 barred;
        uint64 ever;
        uint64 submitted;
        uint64 committed;
        uint64 revealed;
        uint64 attested;
        uint8 lastLeader;
        uint16 paidRounds;
        uint16 finalRounds;
        bool sliceOpened;
        bool reached;
        bytes32 finalDigest;
        bytes32 history;
        Params params;
    }

    /// @notice What the market needs to know to pay and to record reputation.
    /// @param ended Whether the rounds are over; endedAt is the time of the transaction that ended them.
    /// @param reached Whether the target was met.
    /// @param ever Seats that have submitted in any round.
    struct Outcome {
        bool ended;
        bool reached;
        uint8 seats;
        uint8 lastLeader;
        uint64 members;
        uint64 ever;
        uint16 paidRounds;
        uint16 finalRounds;
        uint40 endedAt;
    }

    /// @notice One round's part of the running hash.
    /// @param seats, digests The seats that submitted and their digests, in order of submission.
    /// @param tallied Whether the votes were counted. If not, the fields below are ignored.
    /// @param revealed Seats that revealed a vote.
    /// @param votes The packed scores of the seats that revealed, in seat order.
    /// @param medians The packed medians.
    struct RoundRecord {
        uint256 round;
        uint256[] seats;
        bytes32[] digests;
        bool tallied;
        uint256 revealed;
        PackedScores[] votes;
        PackedScores medians;
    }

    /*//////////////////////////////////////////////////////////////
                                 EVENTS
    //////////////////////////////////////////////////////////////*/

    /// @notice A round opened: the seats it waits for, and the seats barred from it.
    event RoundOpened(uint256 indexed requestId, uint256 round, uint256 expected, uint256 barred);

    /// @notice A member submitted a model: the sha-256 digest of the encrypted model's CID.
    event ModelSubmitted(
        uint256 indexed requestId, uint256 round, uint256 seat, address indexed member, bytes32 digest
    );

    /// @notice The requester published the sealed evaluation slice of this round.
    event SliceOpened(uint256 indexed requestId, uint256 round, bytes32 digest);

    /// @notice A member committed to its vote.
    event VoteCommitted(uint256 indexed requestId, uint256 round, uint256 seat, bytes32 commitment);

    /// @notice A member opened its vote.
    event VoteRevealed(uint256 indexed requestId, uint256 round, uint256 seat, PackedScores packedScores);

    /// @notice The votes of a round were counted.
    /// @param medians Packed medians, 14 bits a seat.
    /// @param included Seats whose median is valid and at or below maxError.
    /// @param valid Seats whose median is valid.
    /// @param points Points of this tally, 16 bits a seat, seat i at bit 16 * i (the leader's come with RoundFinalised).
    /// @param faults Seats that got a fault in this tally (no-show, vote not revealed, votes outside the band).
    event RoundTallied(
        uint256 indexed requestId,
        uint256 round,
        PackedScores medians,
        uint256 included,
        uint256 valid,
        uint256 points,
        uint256 faults
    );

    /// @notice A member posted its masked attestation of the global model, and the error it measured.
    event Attested(
        uint256 indexed requestId, uint256 round, uint256 seat, bytes32 attestation, uint256 mae
    );

    /// @notice A round is final.
    /// @param leader The seat that proposed; it got 500 points.
    /// @param digest The digest of the global artefact.
    /// @param mae The median of the errors the approvers measured (16,383: not measured).
    /// @param approvals Seats whose attestation matched.
    /// @param passed Seats ranked above the leader that did not propose in time; each got a fault.
    event RoundFinalised(
        uint256 indexed requestId,
        uint256 round,
        uint256 leader,
        bytes32 digest,
        uint256 mae,
        uint256 approvals,
        uint256 passed
    );

    /// @notice A round failed because submissions or a proposal were missing; seats in `faults` got a fault.
    event RoundExpired(uint256 indexed requestId, uint256 round, uint256 faults);

    /// @notice The rounds of a request are over.
    event RequestEnded(uint256 indexed requestId, uint256 round, bool reached, uint256 finalRounds);

    /*//////////////////////////////////////////////////////////////
                                 ERRORS
    //////////////////////////////////////////////////////////////*/

    /// @notice Only the market may call this.
    error TrainingRounds_NotMarket(address caller);
    /// @notice The action is not possible in the present phase.
    error TrainingRounds_WrongPhase(uint256 requestId, Phase phase, Phase needed);
    /// @notice The account does not hold this seat.
    error TrainingRounds_NotSeatOwner(uint256 requestId, uint256 seat, address account);
    /// @notice The list must have one account for each assigned seat.
    error TrainingRounds_WrongNumber(uint256 requestId, uint256 given, uint256 seats);
    /// @notice An account of this organisation already has a seat.
    error TrainingRounds_OrganisationSeated(uint256 requestId, uint256 organisation, uint256 seat);
    /// @notice All 16 seats are taken.
    error TrainingRounds_NoFreeSeat(uint256 requestId);
    /// @notice The seat has submitted before, so it cannot be given up.
    error TrainingRounds_AlreadyTookPart(uint256 requestId, uint256 seat);
    /// @notice The requester cannot stop a round that has submissions.
    error TrainingRounds_RoundInProgress(uint256 requestId, uint256 round, uint256 submitted);
    /// @notice The account was not active when the round opened.
    error TrainingRounds_Barred(uint256 requestId, uint256 seat);
    /// @notice The seat has already acted in this phase.
    error TrainingRounds_AlreadyActed(uint256 requestId, uint256 round, uint256 seat);
    /// @notice The digest is zero.
    error TrainingRounds_ZeroDigest();
    /// @notice Only the requester may open a slice.
    error TrainingRounds_NotRequester(uint256 requestId, address caller);
    /// @notice The slice must be opened in the first half of the commit window.
    error TrainingRounds_SliceTooLate(uint256 requestId, uint256 deadline);
    /// @notice This round's slice is already open.
    error TrainingRounds_SliceAlreadyOpen(uint256 requestId, uint256 round);
    /// @notice The seat did not take the step before: submit (to commit), commit (to reveal) or reveal (to attest).
    error TrainingRounds_NoPart(uint256 requestId, uint256 round, uint256 seat);
    /// @notice The commitment is zero.
    error TrainingRounds_ZeroCommitment();
    /// @notice The scores and the salt do not open the stored commitment.
    error TrainingRounds_CommitmentMismatch(bytes32 stored, bytes32 computed);
    /// @notice A lane of the packed scores is neither a score nor the invalid mark, or should be empty and is not.
    error TrainingRounds_BadScore(uint256 lane, uint256 value);
    /// @notice An attested error is neither at most 10,000 nor the invalid mark.
    error TrainingRounds_BadError(uint256 mae);
    /// @notice The seat is not among the leaders of this round.
    error TrainingRounds_NotEligible(uint256 requestId, uint256 round, uint256 seat);
    /// @notice The seat's turn to propose has not started.
    error TrainingRounds_TooEarly(uint256 requestId, uint256 seat, uint256 opensAt);
    /// @notice The proposer attested another digest itself.
    error TrainingRounds_ProposerDisagrees(uint256 requestId, uint256 seat, bytes32 digest);
    /// @notice Too few attestations match the proposed digest.
    error TrainingRounds_NoQuorum(uint256 approvals, uint256 needed);

    /*//////////////////////////////////////////////////////////////
                              MARKET ONLY
    //////////////////////////////////////////////////////////////*/

    /// @notice Stores the parameters of a new request, and the hash of its terms.
    function prepare(uint256 requestId, Params calldata params, bytes32 termsHash) external;

    /// @notice Gives a provider the lowest open seat of a request that has not started.
    /// @return seat The seat.
    /// @return joined The number of occupied seats after the call.
    function enlist(uint256 requestId, address account, uint32 samples, uint16 organisation, uint16 reputation)
        external
        returns (uint256 seat, uint256 joined);

    /// @notice Removes a provider that has not submitted yet from the committee.
    /// @return joined The number of occupied seats after the call.
    function unseat(uint256 requestId, uint256 seat, address account) external returns (uint256 joined);

    /// @notice Opens round 1. Accounts that are not active now are barred from it; the opener must be active.
    /// @param manifest Digest of the manifest of sealed request keys, not zero.
    /// @param keyHash keccak256 of the request key.
    /// @param accounts As in `tally`; ignored unless an account's status has changed since the request was made.
    function open(
        uint256 requestId,
        uint256 seat,
        address account,
        bytes32 manifest,
        bytes32 keyHash,
        address[] calldata accounts
    ) external;

    /// @notice Ends the rounds for the requester; reverts once the current round has a submission.
    function halt(uint256 requestId) external;

    /*//////////////////////////////////////////////////////////////
                                MEMBERS
    //////////////////////////////////////////////////////////////*/

    /// @notice Records the digest of a member's encrypted model (phase Submit).
    /// @dev A member that missed rounds and is no longer expected may come back by submitting. Closes the phase once all
    /// expected seats, and at least two, have submitted.
    /// @param digest sha-256 digest of the CID; not zero. A copy of another seat's digest is accepted and worthless:
    /// a model is encrypted under its owner's account and opens under no other.
    function submit(uint256 requestId, uint256 seat, bytes32 digest) external;

    /// @notice Publishes the sealed evaluation slice of this round (requester; first half of phase Commit; once a round).
    function openSlice(uint256 requestId, bytes32 digest) external;

    /// @notice Commits to a packed vote (phase Commit; seats that submitted).
    /// @param commitment keccak256(abi.encode(block.chainid, address(this), requestId, round, member, packedScores, salt)).
    function commitVote(uint256 requestId, uint256 seat, bytes32 commitment) external;

    /// @notice Opens a vote (phase Reveal; seats that committed).
    /// @param packedScores Lane i holds the score of seat i's model, or 16,383. The voter's own lane, lanes of seats
    /// that did not submit and all bits above must be 0.
    function revealVote(uint256 requestId, uint256 seat, PackedScores packedScores, bytes32 salt) external;

    /// @notice Counts the votes (phase Tally; anyone): medians, points, faults, running hash.
    /// @dev Ends the request if fewer than two revealed or no model is included.
    /// @param accounts Who holds each assigned seat; those of seats without a submission are ignored.
    function tally(uint256 requestId, address[] calldata accounts) external;

    /// @notice Attests the global model that the member computed itself (phase Attest; seats that revealed).
    /// @param attestation keccak256(abi.encode(block.chainid, address(this), requestId, round, digest, mae, member)); 196
    /// bits of it are stored (see `Member`).
    /// @param mae The global model's error as the member measured it, or 16,383 if there was no slice to measure on.
    function attest(uint256 requestId, uint256 seat, bytes32 attestation, uint16 mae) external;

    /// @notice Opens the attested digest and finalises the round (phase Attest; the k-th leader from start + k * window).
    /// @dev Needs two thirds of those who revealed (or all, by rule 1), at least two, and more than half of those expected.
    /// The proposal of a leader that has not attested counts as its attestation.
    /// @param mae As in `attest`; ignored if the leader has attested.
    /// @param accounts As in `tally`. Those of seats that did not attest are ignored unless an account's status has changed.
    function propose(uint256 requestId, uint256 seat, bytes32 digest, uint16 mae, address[] calldata accounts) external;

    /// @notice Ends a request whose round failed (phase Expired; anyone).
    function expireRound(uint256 requestId) external;

    /*//////////////////////////////////////////////////////////////
                                 VIEWS
    //////////////////////////////////////////////////////////////*/

    /// @notice All facts of the current round.
    function roundState(uint256 requestId) external view returns (RoundFacts memory);

    /// @notice All facts of the current round, and an account's seat (255: none).
    function duty(uint256 requestId, address account) external view returns (RoundFacts memory facts, uint256 seat);

    /// @notice The seat of an account (255: none).
    function seatOf(uint256 requestId, address account) external view returns (uint256);

    /// @notice What is stored about an account. The market's events `Joined` and `Withdrawn` tell who holds which seat.
    function member(uint256 requestId, address account) external view returns (Member memory);

    /// @notice Points and faults over all rounds, one number a seat.
    function points(uint256 requestId) external view returns (uint256[] memory points_, uint256[] memory faults);

    /// @notice The leaders of the tallied round, in order. Empty before the tally.
    function leaderOrder(uint256 requestId) external view returns (uint256[] memory seats);

    /// @notice What the market needs to compute a seat's share: its points and all points.
    /// @param seats The number of seats, or more: lanes beyond it are not read.
    function shareOf(uint256 requestId, uint256 seat, uint256 seats) external view returns (uint256 own, uint256 total);

    /// @notice What the market needs to pay a seat: `shareOf`, and whether the account holds the seat.
    function shareOfHolder(uint256 requestId, uint256 seat, uint256 seats, address account)
        external
        view
        returns (bool holds, uint256 own, uint256 total);

    /// @notice What the market needs to deliver: the outcome, an account's seat (255: none), the digest of the last final
    /// global artefact (zero: none), and the seats that have points.
    function deliverable(uint256 requestId, address account)
        external
        view
        returns (Outcome memory outcome_, uint256 seat, bytes32 digest, uint256 contributors);

    /// @notice What the market needs to settle: the seats that ever submitted, the points and faults of all seats, and when
    /// the rounds ended. Reverts if the accounts do not hold these seats.
    /// @param accounts As in `tally`, of the seats that ever submitted.
    /// @return ever Mask of seats.
    /// @return lanes Eight seats a word, 32 bits each: 24 bits of points below 8 bits of faults.
    function results(uint256 requestId, address[] calldata accounts)
        external
        view
        returns (uint256 ever, PointLanes[2] memory lanes, uint40 endedAt);

    /// @notice The state of the rounds, for the market.
    function outcome(uint256 requestId) external view returns (Outcome memory);

    /// @notice The digest of the last final global artefact (zero: none).
    function finalDigest(uint256 requestId) external view returns (bytes32);

    /// @notice Whether a request was made with these terms and started with these keys, and the records are exactly its
    /// rounds up to the present one.
    /// @dev The running hash starts as the hash of the terms. The start makes it keccak256(abi.encode(hash, manifest,
    /// keyHash)), a submission keccak256(abi.encode(hash, round, seat, digest)), a tally keccak256(abi.encode(hash, round,
    /// revealed, votes, medians)).
    /// @param termsHash keccak256(abi.encode(terms)).
    /// @param manifest, keyHash As given at the start (manifest zero: not started).
    function verifyHistory(
        uint256 requestId,
        bytes32 termsHash,
        bytes32 manifest,
        bytes32 keyHash,
        RoundRecord[] calldata records
    ) external view returns (bool);
}
