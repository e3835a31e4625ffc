// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IParticipantRegistry} from "./interfaces/IParticipantRegistry.sol";
import {ISharingMarket} from "./interfaces/ISharingMarket.sol";
import {ITrainingRounds} from "./interfaces/ITrainingRounds.sol";
import {Points} from "./libraries/Points.sol";
import {Quorum} from "./libraries/Quorum.sol";
import {RoundState} from "./libraries/RoundState.sol";
import {Scores} from "./libraries/Scores.sol";
import {TrainingRoundsViews} from "./TrainingRoundsViews.sol";

/// @title TrainingRounds
/// @notice See {ITrainingRounds}.
/// @dev Each function reads the state word once, moves it into the phase that holds now, checks, changes it in memory,
/// and writes it once.
contract TrainingRounds is TrainingRoundsViews {
    using RoundState for RoundState.State;

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
        RoundState.State memory s = RoundState.unpack(task.state);
        // Check: not opened yet, and nobody of this organisation sits there.
        _requirePhase(requestId, s, Phase.None);
        seat = s.seats;
        for (uint256 other; other < s.seats; ++other) {
            if (!_has(s.members, other)) {
                if (seat == s.seats) seat = other;
            } else if (task.members[other].organisation == organisation) {
                revert TrainingRounds_OrganisationSeated(requestId, organisation, other);
            }
        }
        if (seat == MAX_SEATS) revert TrainingRounds_NoFreeSeat(requestId);

        // Effect:
        if (seat == s.seats) ++s.seats;
        s.members |= 1 << seat;
        task.members[seat] = Member(account, samples, organisation, reputation);
        task.state = s.pack();
        joined = Scores.count(s.members);
    }

    /// @inheritdoc ITrainingRounds
    function unseat(uint256 requestId, uint256 seat, address account)
        external
        override
        onlyMarket
        returns (uint256 joined)
    {
        Task storage task = _tasks[requestId];
        RoundState.State memory s = _load(task);
        // Check: the seat is the account's and has not submitted.
        if (s.stage == Phase.Ended) revert TrainingRounds_WrongPhase(requestId, Phase.Ended, Phase.Submit);
        _requireSeat(task, s, requestId, seat, account);
        if (_has(s.ever, seat)) revert TrainingRounds_AlreadyTookPart(requestId, seat);

        // Effect: the round no longer waits for it.
        s.members &= ~(1 << seat);
        s.expected &= ~(1 << seat);
        if (s.stage == Phase.Submit) _closeIfComplete(task, s);
        delete task.members[seat];
        task.state = s.pack();
        joined = Scores.count(s.members);
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
        RoundState.State memory s = RoundState.unpack(task.state);
        // Check: not opened yet, and the opener is an active member.
        _requirePhase(requestId, s, Phase.None);
        _requireSeat(task, s, requestId, seat, account);
        uint256 barred = s.members & ~REGISTRY.activeMask(_committee(task, s).accounts);
        if (_has(barred, seat)) revert TrainingRounds_Barred(requestId, seat);

        // Effect:
        s.lastLeader = RoundState.NO_LEADER;
        s.nextRound(s.members & ~barred, barred, params.submitWindow);
        task.params = params;
        task.keyCommitment = keyCommitment;
        task.state = s.pack();

        emit RoundOpened(requestId, s.round, s.expected, barred);
    }

    /// @inheritdoc ITrainingRounds
    function halt(uint256 requestId) external override onlyMarket {
        Task storage task = _tasks[requestId];
        RoundState.State memory s = _load(task);
        // Check: between rounds, so that nobody's submitted work goes unjudged.
        if (s.stage == Phase.None || s.stage == Phase.Ended) {
            revert TrainingRounds_WrongPhase(requestId, s.stage, Phase.Submit);
        }
        if (s.submitted != 0) revert TrainingRounds_RoundInProgress(requestId, s.round, s.submitted);

        // Effect:
        _end(requestId, s);
        task.state = s.pack();
    }

    /* SUBMISSION */

    /// @inheritdoc ITrainingRounds
    function submit(uint256 requestId, uint256 seat, bytes32 digest) external override {
        Task storage task = _tasks[requestId];
        RoundState.State memory s = _load(task);
        // Check:
        _requirePhase(requestId, s, Phase.Submit);
        _requireSeat(task, s, requestId, seat, msg.sender);
        if (_has(s.barred, seat)) revert TrainingRounds_Barred(requestId, seat);
        _requireFirst(requestId, s, s.submitted, seat);
        if (digest == 0) revert TrainingRounds_ZeroDigest();

        // Effect: whoever was silent and comes back is waited for again.
        s.submitted |= 1 << seat;
        s.expected |= 1 << seat;
        s.ever |= 1 << seat;
        _closeIfComplete(task, s);
        task.digests[seat] = digest;
        task.state = s.pack();

        emit ModelSubmitted(requestId, s.round, seat, msg.sender, digest);
    }

    /* VOTES */

    /// @inheritdoc ITrainingRounds
    function openSlice(uint256 requestId, bytes32 digest) external override {
        Task storage task = _tasks[requestId];
        RoundState.State memory s = _load(task);
        // Check: asked of the market, which is dearer than a slot only after seven rounds.
        if (msg.sender != MARKET.requesterOf(requestId)) {
            revert TrainingRounds_NotRequester(requestId, msg.sender);
        }
        _requirePhase(requestId, s, Phase.Commit);
        uint256 deadline = s.began(task.params) + task.params.commitWindow / 2;
        if (block.timestamp >= deadline) revert TrainingRounds_SliceTooLate(requestId, deadline);
        if (s.sliceOpened) revert TrainingRounds_SliceAlreadyOpen(requestId, s.round);
        if (digest == 0) revert TrainingRounds_ZeroDigest();

        // Effect:
        s.sliceOpened = true;
        task.state = s.pack();

        emit SliceOpened(requestId, s.round, digest);
    }

    /// @inheritdoc ITrainingRounds
    function commitVote(uint256 requestId, uint256 seat, bytes32 commitment) external override {
        Task storage task = _tasks[requestId];
        RoundState.State memory s = _load(task);
        // Check:
        _requirePhase(requestId, s, Phase.Commit);
        _requireSeat(task, s, requestId, seat, msg.sender);
        _requirePart(requestId, s, s.submitted, seat);
        _requireFirst(requestId, s, s.committed, seat);
        if (commitment == 0) revert TrainingRounds_ZeroCommitment();

        // Effect:
        s.committed |= 1 << seat;
        if (s.committed == s.submitted) s.enter(Phase.Reveal, task.params.revealWindow);
        task.votes[seat] = commitment;
        task.state = s.pack();

        emit VoteCommitted(requestId, s.round, seat, commitment);
    }

    /// @inheritdoc ITrainingRounds
    function revealVote(uint256 requestId, uint256 seat, uint256 packedScores, bytes32 salt) external override {
        Task storage task = _tasks[requestId];
        RoundState.State memory s = _load(task);
        // Check:
        _requirePhase(requestId, s, Phase.Reveal);
        _requireSeat(task, s, requestId, seat, msg.sender);
        _requirePart(requestId, s, s.committed, seat);
        _requireFirst(requestId, s, s.revealed, seat);
        bytes32 commitment = keccak256(
            abi.encode(block.chainid, address(this), requestId, s.round, msg.sender, packedScores, salt)
        );
        if (commitment != task.votes[seat]) {
            revert TrainingRounds_CommitmentMismatch(task.votes[seat], commitment);
        }
        (bool bad, uint256 lane, uint256 value) = Scores.firstBadLane(packedScores, s.seats, s.submitted, seat);
        if (bad) revert TrainingRounds_BadScore(lane, value);

        // Effect:
        s.revealed |= 1 << seat;
        if (s.revealed == s.committed) s.enter(Phase.Tally, 0);
        task.votes[seat] = bytes32(packedScores);
        task.state = s.pack();

        emit VoteRevealed(requestId, s.round, seat, packedScores);
    }

    /// @inheritdoc ITrainingRounds
    function tally(uint256 requestId) external override {
        Task storage task = _tasks[requestId];
        RoundState.State memory s = _load(task);
        _requirePhase(requestId, s, Phase.Tally);
        Params memory p = task.params;

        // Effect: count, record and credit.
        uint256[] memory words = _revealedWords(task, s);
        Points.Tally memory t = Points.tally(words, s.submitted, s.revealed, p.maxError, p.voteBand);
        task.medians = t.medians | (t.included << 224) | (t.valid << 240);
        task.history = _chained(
            task.history,
            s.round,
            s.submitted,
            s.revealed,
            _submittedDigests(task, s),
            _compact(words, s.revealed),
            t.medians
        );
        uint256 faults = (s.committed & ~s.revealed) | t.adverse | (s.ever & s.expected & ~s.submitted);
        uint256 given = _credit(task, t.points, faults);
        if (given != 0) ++s.paidRounds;
        s.leaders = Scores.count(t.included & s.revealed);

        emit RoundTallied(requestId, s.round, t.medians, t.included, t.valid, given, faults);

        // Effect: without two votes, or without anyone who could lead, the round can't become final.
        if (s.leaders == 0 || Scores.count(s.revealed) < 2) _end(requestId, s);
        else s.enter(Phase.Attest, s.leaders * p.proposeWindow);
        task.state = s.pack();
    }

    /* GLOBAL MODEL */

    /// @inheritdoc ITrainingRounds
    function attest(uint256 requestId, uint256 seat, bytes32 attestation, uint16 mae) external override {
        Task storage task = _tasks[requestId];
        RoundState.State memory s = _load(task);
        // Check:
        _requirePhase(requestId, s, Phase.Attest);
        _requireSeat(task, s, requestId, seat, msg.sender);
        _requirePart(requestId, s, s.revealed, seat);
        _requireFirst(requestId, s, s.attested, seat);
        if (mae > Scores.MAX && mae != Scores.INVALID) revert TrainingRounds_BadError(mae);

        // Effect: the vote is in the history by now, its slot is free.
        s.attested |= 1 << seat;
        task.votes[seat] = ((attestation >> 16) << 16) | bytes32(uint256(mae));
        task.state = s.pack();

        emit Attested(requestId, s.round, seat, attestation, mae);
    }

    /// @inheritdoc ITrainingRounds
    function propose(uint256 requestId, uint256 seat, bytes32 digest) external override {
        Task storage task = _tasks[requestId];
        RoundState.State memory s = _load(task);
        // Check: the proposer's turn, its own word, and the others'.
        _requirePhase(requestId, s, Phase.Attest);
        _requireSeat(task, s, requestId, seat, msg.sender);
        if (digest == 0) revert TrainingRounds_ZeroDigest();
        Params memory p = task.params;
        Committee memory committee = _committee(task, s);
        uint256 passed = _requireTurn(task, s, p, committee, requestId, seat);
        (uint256 approvals, uint256 mae) = _approvals(task, s, committee.accounts, requestId, digest);
        if (!_has(approvals, seat)) revert TrainingRounds_ProposerDisagrees(requestId, seat, digest);
        _requireQuorum(s, p, approvals);

        // Effect: the round is final.
        _credit(task, _leaderPoints(s.seats, seat), passed);
        task.finalDigest = digest;
        s.lastLeader = seat;
        ++s.finalRounds;
        s.reached = p.target != 0 && mae <= p.target;
        emit RoundFinalised(requestId, s.round, seat, digest, mae, approvals, passed);

        // Effect: end, or open the next round to those who are still active.
        if (s.reached || s.round == p.maxRounds) {
            _end(requestId, s);
        } else {
            uint256 barred = s.members & ~REGISTRY.activeMask(committee.accounts);
            s.nextRound(s.submitted & ~barred, barred, p.submitWindow);
            emit RoundOpened(requestId, s.round, s.expected, barred);
        }
        task.state = s.pack();
    }

    /// @inheritdoc ITrainingRounds
    function expireRound(uint256 requestId) external override {
        Task storage task = _tasks[requestId];
        RoundState.State memory s = _load(task);
        _requirePhase(requestId, s, Phase.Expired);

        // Effect: it failed for want of a proposal, or of submissions.
        (, uint256 included,) = _unpackMedians(task.medians);
        uint256 faults = s.leaders > 0 ? included & s.revealed : s.ever & s.expected & ~s.submitted;
        _credit(task, new uint256[](s.seats), faults);
        emit RoundExpired(requestId, s.round, faults);

        _end(requestId, s);
        task.state = s.pack();
    }

    /* CHECKS */

    function _requirePhase(uint256 requestId, RoundState.State memory s, Phase needed) private pure {
        if (s.stage != needed) revert TrainingRounds_WrongPhase(requestId, s.stage, needed);
    }

    function _requireSeat(
        Task storage task,
        RoundState.State memory s,
        uint256 requestId,
        uint256 seat,
        address account
    ) private view {
        if (seat >= s.seats || task.members[seat].account != account) {
            revert TrainingRounds_NotSeatOwner(requestId, seat, account);
        }
    }

    function _requirePart(uint256 requestId, RoundState.State memory s, uint256 mask, uint256 seat) private pure {
        if (!_has(mask, seat)) revert TrainingRounds_NoPart(requestId, s.round, seat);
    }

    function _requireFirst(uint256 requestId, RoundState.State memory s, uint256 mask, uint256 seat) private pure {
        if (_has(mask, seat)) revert TrainingRounds_AlreadyActed(requestId, s.round, seat);
    }

    /// @dev Returns the seats that were to propose before this one and did not.
    function _requireTurn(
        Task storage task,
        RoundState.State memory s,
        Params memory p,
        Committee memory committee,
        uint256 requestId,
        uint256 seat
    ) private view returns (uint256 passed) {
        (uint256 medians, uint256 included,) = _unpackMedians(task.medians);
        uint256 eligible = included & s.revealed;
        if (!_has(eligible, seat)) revert TrainingRounds_NotEligible(requestId, s.round, seat);
        uint256[] memory order = _leaders(s, committee, medians, eligible, p.leaderRule);
        uint256 rank;
        for (; order[rank] != seat; ++rank) {
            passed |= 1 << order[rank];
        }
        uint256 opensAt = s.began(p) + rank * p.proposeWindow;
        if (block.timestamp < opensAt) revert TrainingRounds_TooEarly(requestId, seat, opensAt);
    }

    function _requireQuorum(RoundState.State memory s, Params memory p, uint256 approvals) private pure {
        uint256 given = Scores.count(approvals);
        uint256 needed = Quorum.needed(Scores.count(s.revealed), Scores.count(s.expected), p.approvalRule);
        if (given < needed) revert TrainingRounds_NoQuorum(given, needed);
    }

    /* INTERNAL */

    function _closeIfComplete(Task storage task, RoundState.State memory s) private view {
        if (s.submissionsComplete()) s.enter(Phase.Commit, task.params.commitWindow);
    }

    function _end(uint256 requestId, RoundState.State memory s) private {
        s.enter(Phase.Ended, 0);
        emit RequestEnded(requestId, s.round, s.reached, s.finalRounds);
    }
}
