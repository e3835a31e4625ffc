// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IParticipantRegistry} from "./interfaces/IParticipantRegistry.sol";
import {ISharingMarket} from "./interfaces/ISharingMarket.sol";
import {ITrainingRounds} from "./interfaces/ITrainingRounds.sol";
import {LeaderOrder} from "./libraries/LeaderOrder.sol";
import {Points} from "./libraries/Points.sol";
import {Quorum} from "./libraries/Quorum.sol";
import {RoundState} from "./libraries/RoundState.sol";
import {Scores} from "./libraries/Scores.sol";
import {Seats} from "./libraries/Seats.sol";
import {TrainingRoundsViews} from "./TrainingRoundsViews.sol";

/// @title TrainingRounds
/// @notice See {ITrainingRounds}.
/// @dev Each function reads the state word once, moves it into the phase that holds now, checks, changes it,
/// and writes it once.
contract TrainingRounds is TrainingRoundsViews {
    using RoundState for uint256;

    IParticipantRegistry private immutable REGISTRY;
    ISharingMarket private immutable MARKET;

    constructor(address registry, address market) {
        REGISTRY = IParticipantRegistry(registry);
        MARKET = ISharingMarket(market);
    }

    modifier onlyMarket() {
        if (msg.sender != address(MARKET)) revert TrainingRounds_NotMarket(msg.sender);
        _;
    }

    /* COMMITTEE (MARKET ONLY) */

    /// @inheritdoc ITrainingRounds
    function enlist(uint256 requestId, address account, uint32 samples, uint32 organisation, uint16 reputation)
        external
        override
        onlyMarket
        returns (uint256 seat, uint256 joined)
    {
        Task storage task = _tasks[requestId];
        uint256 s = task.state;
        // Check: not opened yet, and nobody of this organisation sits there.
        _requirePhase(requestId, s, Phase.None);
        uint256 seats = s.seats();
        uint256 members_ = s.field(RoundState.MEMBERS);
        seat = seats;
        for (uint256 other; other < seats; ++other) {
            if (!_has(members_, other)) {
                if (seat == seats) seat = other;
            } else if (s.lane(other) == organisation & RoundState.LANE_MASK) {
                if (Seats.organisation(task.members[other]) != organisation) continue;
                revert TrainingRounds_OrganisationSeated(requestId, organisation, other);
            }
        }
        if (seat == MAX_SEATS) revert TrainingRounds_NoFreeSeat(requestId);

        // Effect:
        if (seat == seats) s = s.widen();
        s = s.add(RoundState.MEMBERS, seat).setLane(seat, organisation);
        task.members[seat] = Seats.pack(account, samples, organisation, reputation);
        task.state = s;
        joined = Scores.count(s.field(RoundState.MEMBERS));
    }

    /// @inheritdoc ITrainingRounds
    function unseat(uint256 requestId, uint256 seat, address account)
        external
        override
        onlyMarket
        returns (uint256 joined)
    {
        Task storage task = _tasks[requestId];
        uint256 s = task.state;
        bool open_ = s.phase() == Phase.None;
        if (!open_) s = _load(task);
        // Check: the seat is the account's and has not submitted.
        if (s.phase() == Phase.Ended) revert TrainingRounds_WrongPhase(requestId, Phase.Ended, Phase.Submit);
        _requireSeat(task, requestId, seat, account);

        // Effect: the round no longer waits for it.
        s = s.drop(RoundState.MEMBERS, seat);
        if (!open_) {
            if (s.has(RoundState.EVER, seat)) revert TrainingRounds_AlreadyTookPart(requestId, seat);
            s = s.drop(RoundState.EXPECTED, seat);
            if (s.phase() == Phase.Submit) s = _closeIfComplete(task, s);
        }
        delete task.members[seat];
        task.state = s;
        joined = Scores.count(s.field(RoundState.MEMBERS));
    }

    /// @inheritdoc ITrainingRounds
    function open(
        uint256 requestId,
        uint256 seat,
        address account,
        Params calldata params,
        bytes32 keyCommitment
    ) external override onlyMarket {
        Task storage task = _tasks[requestId];
        uint256 s = _recorded(task);
        // Check: not opened yet, and the opener is an active member.
        _requirePhase(requestId, s, Phase.None);
        _requireSeat(task, requestId, seat, account);
        uint256 members_ = s.field(RoundState.MEMBERS);
        uint256 barred = members_ & ~REGISTRY.activeMask(_accounts(task, s));
        if (_has(barred, seat)) revert TrainingRounds_Barred(requestId, seat);

        // Effect:
        s = s.setLastLeader(RoundState.NO_LEADER).nextRound(members_ & ~barred, barred, params.submitWindow);
        task.params = params;
        task.keyCommitment = keyCommitment;
        task.state = s;

        emit RoundOpened(requestId, s.round(), members_ & ~barred, barred);
    }

    /// @inheritdoc ITrainingRounds
    function halt(uint256 requestId) external override onlyMarket {
        Task storage task = _tasks[requestId];
        uint256 s = _load(task);
        // Check: between rounds, so that nobody's submitted work goes unjudged.
        Phase phase = s.phase();
        if (phase == Phase.None || phase == Phase.Ended) {
            revert TrainingRounds_WrongPhase(requestId, phase, Phase.Submit);
        }
        uint256 submitted = s.field(RoundState.SUBMITTED);
        if (submitted != 0) revert TrainingRounds_RoundInProgress(requestId, s.round(), submitted);

        // Effect:
        task.state = _end(requestId, s);
    }

    /* SUBMISSION */

    /// @inheritdoc ITrainingRounds
    function submit(uint256 requestId, uint256 seat, bytes32 digest) external override {
        Task storage task = _tasks[requestId];
        uint256 s = _load(task);
        // Check:
        _requirePhase(requestId, s, Phase.Submit);
        _requireSeat(task, requestId, seat, msg.sender);
        if (s.has(RoundState.BARRED, seat)) revert TrainingRounds_Barred(requestId, seat);
        _requireFirst(requestId, s, RoundState.SUBMITTED, seat);
        if (digest == 0) revert TrainingRounds_ZeroDigest();

        // Effect: whoever was silent and comes back is waited for again.
        s = s.add(RoundState.SUBMITTED, seat).add(RoundState.EXPECTED, seat).add(RoundState.EVER, seat);
        task.digests[seat] = digest;
        task.state = _closeIfComplete(task, s);

        emit ModelSubmitted(requestId, s.round(), seat, msg.sender, digest);
    }

    /* VOTES */

    /// @inheritdoc ITrainingRounds
    function openSlice(uint256 requestId, bytes32 digest) external override {
        Task storage task = _tasks[requestId];
        uint256 s = _load(task);
        // Check: asked of the market, which is dearer than a slot only after seven rounds.
        if (msg.sender != MARKET.requesterOf(requestId)) {
            revert TrainingRounds_NotRequester(requestId, msg.sender);
        }
        _requirePhase(requestId, s, Phase.Commit);
        uint256 window = task.params.commitWindow;
        uint256 deadline = s.mark() - window + window / 2;
        if (block.timestamp >= deadline) revert TrainingRounds_SliceTooLate(requestId, deadline);
        if (s.sliceOpened()) revert TrainingRounds_SliceAlreadyOpen(requestId, s.round());
        if (digest == 0) revert TrainingRounds_ZeroDigest();

        // Effect:
        task.state = s.setSliceOpened();

        emit SliceOpened(requestId, s.round(), digest);
    }

    /// @inheritdoc ITrainingRounds
    function commitVote(uint256 requestId, uint256 seat, bytes32 commitment) external override {
        Task storage task = _tasks[requestId];
        uint256 s = _load(task);
        // Check:
        _requirePhase(requestId, s, Phase.Commit);
        _requireSeat(task, requestId, seat, msg.sender);
        _requirePart(requestId, s, RoundState.SUBMITTED, seat);
        _requireFirst(requestId, s, RoundState.COMMITTED, seat);
        if (commitment == 0) revert TrainingRounds_ZeroCommitment();

        // Effect:
        s = s.add(RoundState.COMMITTED, seat);
        if (s.field(RoundState.COMMITTED) == s.field(RoundState.SUBMITTED)) {
            s = s.enter(Phase.Reveal, task.params.revealWindow);
        }
        task.votes[seat] = commitment;
        task.state = s;

        emit VoteCommitted(requestId, s.round(), seat, commitment);
    }

    /// @inheritdoc ITrainingRounds
    function revealVote(uint256 requestId, uint256 seat, uint256 packedScores, bytes32 salt) external override {
        Task storage task = _tasks[requestId];
        uint256 s = _load(task);
        // Check:
        _requirePhase(requestId, s, Phase.Reveal);
        _requireSeat(task, requestId, seat, msg.sender);
        _requirePart(requestId, s, RoundState.COMMITTED, seat);
        _requireFirst(requestId, s, RoundState.REVEALED, seat);
        bytes32 commitment = keccak256(
            abi.encode(block.chainid, address(this), requestId, s.round(), msg.sender, packedScores, salt)
        );
        if (commitment != task.votes[seat]) {
            revert TrainingRounds_CommitmentMismatch(task.votes[seat], commitment);
        }
        (bool bad, uint256 lane, uint256 value) =
            Scores.firstBadLane(packedScores, s.seats(), s.field(RoundState.SUBMITTED), seat);
        if (bad) revert TrainingRounds_BadScore(lane, value);

        // Effect:
        s = s.add(RoundState.REVEALED, seat);
        if (s.field(RoundState.REVEALED) == s.field(RoundState.COMMITTED)) s = s.enter(Phase.Tally, 0);
        task.votes[seat] = bytes32(packedScores);
        task.state = s;

        emit VoteRevealed(requestId, s.round(), seat, packedScores);
    }

    /// @inheritdoc ITrainingRounds
    function tally(uint256 requestId) external override {
        Task storage task = _tasks[requestId];
        uint256 s = _load(task);
        _requirePhase(requestId, s, Phase.Tally);
        uint256 submitted = s.field(RoundState.SUBMITTED);
        uint256 revealed = s.field(RoundState.REVEALED);

        // Effect: count, record and credit. Adverse voters don't lead: they worked against what they would open.
        (uint256[] memory words, uint256[] memory votes) = _read(task.votes, revealed, s.seats());
        Points.Tally memory t =
            Points.tally(words, submitted, revealed, task.params.maxError, task.params.voteBand);
        uint256 leaders = t.included & revealed & ~t.adverse;
        task.medians = t.medians | (t.included << 224) | (leaders << 240);
        (, uint256[] memory digests_) = _read(task.digests, submitted, s.seats());
        task.history = _chained(task.history, s.round(), submitted, revealed, _asBytes32(digests_), votes, t.medians);
        uint256 faults = (s.field(RoundState.COMMITTED) & ~revealed) | t.adverse | s.noShows();
        uint256 given = _credit(task, t.points, faults);
        if (given != 0) s = s.increment(RoundState.PAID_ROUNDS);
        uint256 turns = Scores.count(leaders);
        s = s.setLeaders(turns);

        emit RoundTallied(requestId, s.round(), t.medians, t.included, t.valid, given, faults);

        // Effect: without two votes, or without anyone who could lead, the round can't become final.
        if (turns == 0 || votes.length < 2) s = _end(requestId, s);
        else s = s.enter(Phase.Attest, turns * task.params.proposeWindow);
        task.state = s;
    }

    /* GLOBAL MODEL */

    /// @inheritdoc ITrainingRounds
    function attest(uint256 requestId, uint256 seat, bytes32 attestation, uint16 mae) external override {
        Task storage task = _tasks[requestId];
        uint256 s = _load(task);
        // Check:
        _requirePhase(requestId, s, Phase.Attest);
        _requireSeat(task, requestId, seat, msg.sender);
        _requirePart(requestId, s, RoundState.REVEALED, seat);
        _requireFirst(requestId, s, RoundState.ATTESTED, seat);
        if (mae > Scores.MAX && mae != Scores.INVALID) revert TrainingRounds_BadError(mae);

        // Effect: the vote is in the history by now, its slot is free.
        task.votes[seat] = ((attestation >> 16) << 16) | bytes32(uint256(mae));
        task.state = s.add(RoundState.ATTESTED, seat);

        emit Attested(requestId, s.round(), seat, attestation, mae);
    }

    /// @inheritdoc ITrainingRounds
    function propose(uint256 requestId, uint256 seat, bytes32 digest) external override {
        Task storage task = _tasks[requestId];
        uint256 s = _load(task);
        // Check: the proposer's turn, its own word, and the others'.
        _requirePhase(requestId, s, Phase.Attest);
        _requireSeat(task, requestId, seat, msg.sender);
        if (digest == 0) revert TrainingRounds_ZeroDigest();
        Params memory p = task.params;
        Committee memory committee = _committee(task, s);
        uint256 passed = _requireTurn(task, s, p, committee, requestId, seat);
        (uint256 approvals, uint256 mae) = _approvals(task, s, committee.accounts, requestId, digest);
        if (!_has(approvals, seat)) revert TrainingRounds_ProposerDisagrees(requestId, seat, digest);
        _requireQuorum(s, p, approvals);

        // Effect: the round is final.
        _creditOne(task, s, seat, Points.LEADER, passed);
        task.finalDigest = digest;
        s = s.setLastLeader(seat).increment(RoundState.FINAL_ROUNDS);
        if (p.target != 0 && mae <= p.target) s = s.setReached();
        emit RoundFinalised(requestId, s.round(), seat, digest, mae, approvals, passed);

        // Effect: end, or open the next round to those who are still active.
        if (s.reached() || s.round() == p.maxRounds) {
            s = _end(requestId, s);
        } else {
            uint256 barred = s.field(RoundState.MEMBERS) & ~REGISTRY.activeMask(committee.accounts);
            uint256 expected = s.field(RoundState.SUBMITTED) & ~barred;
            s = s.nextRound(expected, barred, p.submitWindow);
            emit RoundOpened(requestId, s.round(), expected, barred);
        }
        task.state = s;
    }

    /// @inheritdoc ITrainingRounds
    function expireRound(uint256 requestId) external override {
        Task storage task = _tasks[requestId];
        uint256 s = _load(task);
        _requirePhase(requestId, s, Phase.Expired);

        // Effect: it failed for want of a proposal, or of submissions.
        (,, uint256 leaders) = _unpackMedians(task.medians);
        uint256 faults = s.leaders() > 0 ? leaders : s.noShows();
        _creditOne(task, s, 0, 0, faults);
        emit RoundExpired(requestId, s.round(), faults);

        task.state = _end(requestId, s);
    }

    /* CHECKS */

    function _requirePhase(uint256 requestId, uint256 s, Phase needed) private pure {
        Phase phase = s.phase();
        if (phase != needed) revert TrainingRounds_WrongPhase(requestId, phase, needed);
    }

    /// @dev A seat that was never handed out has no account.
    function _requireSeat(Task storage task, uint256 requestId, uint256 seat, address account) private view {
        if (seat >= MAX_SEATS || Seats.account(task.members[seat]) != account) {
            revert TrainingRounds_NotSeatOwner(requestId, seat, account);
        }
    }

    function _requirePart(uint256 requestId, uint256 s, uint256 mask, uint256 seat) private pure {
        if (!s.has(mask, seat)) revert TrainingRounds_NoPart(requestId, s.round(), seat);
    }

    function _requireFirst(uint256 requestId, uint256 s, uint256 mask, uint256 seat) private pure {
        if (s.has(mask, seat)) revert TrainingRounds_AlreadyActed(requestId, s.round(), seat);
    }

    /// @dev Returns the seats that were to propose before this one and did not.
    function _requireTurn(
        Task storage task,
        uint256 s,
        Params memory p,
        Committee memory committee,
        uint256 requestId,
        uint256 seat
    ) private view returns (uint256 passed) {
        (uint256 medians,, uint256 leaders) = _unpackMedians(task.medians);
        if (!_has(leaders, seat)) revert TrainingRounds_NotEligible(requestId, s.round(), seat);
        passed = LeaderOrder.before(
            seat,
            leaders,
            medians,
            committee.samples,
            committee.accounts,
            s.round(),
            p.leaderRule,
            committee.reputations,
            s.lastLeader()
        );
        uint256 opensAt = s.began(p) + Scores.count(passed) * p.proposeWindow;
        if (block.timestamp < opensAt) revert TrainingRounds_TooEarly(requestId, seat, opensAt);
    }

    function _requireQuorum(uint256 s, Params memory p, uint256 approvals) private pure {
        uint256 given = Scores.count(approvals);
        uint256 needed = Quorum.needed(
            Scores.count(s.field(RoundState.REVEALED)), Scores.count(s.field(RoundState.EXPECTED)), p.approvalRule
        );
        if (given < needed) revert TrainingRounds_NoQuorum(given, needed);
    }

    /* INTERNAL */

    function _closeIfComplete(Task storage task, uint256 s) private view returns (uint256) {
        return s.submissionsComplete() ? s.enter(Phase.Commit, task.params.commitWindow) : s;
    }

    function _end(uint256 requestId, uint256 s) private returns (uint256) {
        emit RequestEnded(requestId, s.round(), s.reached(), s.field(RoundState.FINAL_ROUNDS));
        return s.enter(Phase.Ended, 0);
    }
}
