// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IParticipantRegistry} from "./interfaces/IParticipantRegistry.sol";
import {ISharingMarket} from "./interfaces/ISharingMarket.sol";
import {ITrainingRounds} from "./interfaces/ITrainingRounds.sol";
import {LeaderOrder, LeaderOrderLib} from "./libraries/LeaderOrder.sol";
import {MemberState, MemberStateLib} from "./libraries/MemberState.sol";
import {Points} from "./libraries/Points.sol";
import {Quorum} from "./libraries/Quorum.sol";
import {RoundField, RoundPlan, RoundState, RoundStateLib} from "./libraries/RoundState.sol";
import {PackedScores, Scores} from "./libraries/Scores.sol";
import {UncheckedArrays} from "./libraries/UncheckedArrays.sol";
import {TrainingRoundsViews} from "./TrainingRoundsViews.sol";

/// @title TrainingRounds
/// @notice See {ITrainingRounds}.
/// @dev Each function reads the round state once, advances it to the present phase, checks and changes it, and writes it
/// once.
contract TrainingRounds is TrainingRoundsViews {
    using MemberStateLib for MemberState[];
    using UncheckedArrays for uint256[];

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
    function prepare(uint256 requestId, Params calldata params, bytes32 termsHash) external override onlyMarket {
        Task storage task = _tasks[requestId];
        task.plan = RoundPlan({
            maxError: params.maxError,
            target: params.target,
            maxRounds: params.maxRounds,
            leaderRule: params.leaderRule,
            approvalRule: params.approvalRule,
            voteBand: params.voteBand,
            submitWindow: params.submitWindow,
            commitWindow: params.commitWindow,
            revealWindow: params.revealWindow,
            proposeWindow: params.proposeWindow,
            statusChanges: REGISTRY.statusChanges(),
            order: LeaderOrder.wrap(0)
        });
        task.history = termsHash;
    }

    /// @inheritdoc ITrainingRounds
    function enlist(uint256 requestId, address account, uint32 samples, uint16 organisation, uint16 reputation)
        external
        override
        onlyMarket
        returns (uint256 seat, uint256 joined)
    {
        Task storage task = _tasks[requestId];
        RoundState s = task.state;
        // Check: not started, and the organisation has no seat yet.
        _requirePhase(requestId, s, Phase.None);
        uint256 seats = s.seats();
        uint256 members_ = s.field(RoundStateLib.MEMBERS);
        seat = seats;
        unchecked {
            for (uint256 other; other < seats; ++other) {
                if (!_has(members_, other)) {
                    if (seat == seats) seat = other;
                } else if (s.organisation(other) == organisation) {
                    revert TrainingRounds_OrganisationSeated(requestId, organisation, other);
                }
            }
        }
        if (seat == Scores.SEATS) revert TrainingRounds_NoFreeSeat(requestId);

        // Effect:
        if (seat == seats) s = s.addSeat();
        s = s.add(RoundStateLib.MEMBERS, seat).setOrganisation(seat, organisation);
        task.members[account] = MemberStateLib.pack(seat, samples, reputation);
        task.state = s;
        joined = Scores.count(s.field(RoundStateLib.MEMBERS));
    }

    /// @inheritdoc ITrainingRounds
    function unseat(uint256 requestId, uint256 seat, address account)
        external
        override
        onlyMarket
        returns (uint256 joined)
    {
        Task storage task = _tasks[requestId];
        RoundState s = task.state;
        bool open_ = s.phase() == Phase.None;
        if (!open_) s = _load(task);
        // Check: the seat is the account's.
        if (s.phase() == Phase.Ended) revert TrainingRounds_WrongPhase(requestId, Phase.Ended, Phase.Submit);
        _requireSeat(task, requestId, seat, account);

        // Effect: the round no longer waits for a seat that has never submitted.
        s = s.drop(RoundStateLib.MEMBERS, seat);
        if (!open_) {
            if (s.has(RoundStateLib.EVER, seat)) revert TrainingRounds_AlreadyTookPart(requestId, seat);
            s = s.drop(RoundStateLib.EXPECTED, seat);
            if (s.phase() == Phase.Submit) s = _closeIfComplete(task, s);
        }
        task.members[account] = MemberStateLib.NONE;
        task.state = s;
        joined = Scores.count(s.field(RoundStateLib.MEMBERS));
    }

    /// @inheritdoc ITrainingRounds
    function open(
        uint256 requestId,
        uint256 seat,
        address account,
        bytes32 manifest,
        bytes32 keyHash,
        address[] calldata accounts
    ) external override onlyMarket {
        Task storage task = _tasks[requestId];
        RoundState s = _recorded(task);
        // Check: not started, and the opener is an active member.
        _requirePhase(requestId, s, Phase.None);
        _requireSeat(task, requestId, seat, account);
        if (manifest == 0) revert TrainingRounds_ZeroDigest();
        uint256 members = s.field(RoundStateLib.MEMBERS);
        uint256 barred = _barred(task, requestId, s, accounts);
        if (_has(barred, seat)) revert TrainingRounds_Barred(requestId, seat);

        // Effect:
        s = s.setLastLeader(RoundStateLib.NO_LEADER).nextRound(members & ~barred, barred, task.plan.submitWindow);
        task.history = _withKey(task.history, manifest, keyHash);
        task.state = s;

        emit RoundOpened(requestId, s.round(), members & ~barred, barred);
    }

    /// @inheritdoc ITrainingRounds
    function halt(uint256 requestId) external override onlyMarket {
        Task storage task = _tasks[requestId];
        RoundState s = _load(task);
        // Check: no submissions yet, so that no submitted work goes unjudged.
        Phase phase = s.phase();
        if (phase == Phase.None || phase == Phase.Ended) {
            revert TrainingRounds_WrongPhase(requestId, phase, Phase.Submit);
        }
        uint256 submitted = s.field(RoundStateLib.SUBMITTED);
        if (submitted != 0) revert TrainingRounds_RoundInProgress(requestId, s.round(), submitted);

        // Effect:
        task.state = _end(requestId, s);
    }

    /* SUBMISSION */

    /// @inheritdoc ITrainingRounds
    function submit(uint256 requestId, uint256 seat, bytes32 digest) external override {
        Task storage task = _tasks[requestId];
        RoundState s = _load(task);
        // Check:
        _requirePhase(requestId, s, Phase.Submit);
        _requireSeat(task, requestId, seat, msg.sender);
        if (s.has(RoundStateLib.BARRED, seat)) revert TrainingRounds_Barred(requestId, seat);
        _requireFirst(requestId, s, RoundStateLib.SUBMITTED, seat);
        if (digest == 0) revert TrainingRounds_ZeroDigest();

        // Effect: the round waits again for a member that missed rounds and comes back.
        s = s.add(RoundStateLib.SUBMITTED, seat).add(RoundStateLib.EXPECTED, seat).add(RoundStateLib.EVER, seat);
        task.history = _withModel(task.history, s.round(), seat, digest);
        task.state = _closeIfComplete(task, s);

        emit ModelSubmitted(requestId, s.round(), seat, msg.sender, digest);
    }

    /* VOTES */

    /// @inheritdoc ITrainingRounds
    function openSlice(uint256 requestId, bytes32 digest) external override {
        Task storage task = _tasks[requestId];
        RoundState s = _load(task);
        // Check: reading the requester from the market costs less than a slot of its own, up to seven rounds.
        if (msg.sender != MARKET.requesterOf(requestId)) {
            revert TrainingRounds_NotRequester(requestId, msg.sender);
        }
        _requirePhase(requestId, s, Phase.Commit);
        uint256 window = task.plan.commitWindow;
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
        RoundState s = _load(task);
        // Check:
        _requirePhase(requestId, s, Phase.Commit);
        MemberState member_ = _requireSeat(task, requestId, seat, msg.sender);
        _requirePart(requestId, s, RoundStateLib.SUBMITTED, seat);
        _requireFirst(requestId, s, RoundStateLib.COMMITTED, seat);
        if (commitment == 0) revert TrainingRounds_ZeroCommitment();

        // Effect:
        s = s.add(RoundStateLib.COMMITTED, seat);
        if (s.field(RoundStateLib.COMMITTED) == s.field(RoundStateLib.SUBMITTED)) {
            s = s.enter(Phase.Reveal, task.plan.revealWindow);
        }
        task.members[msg.sender] = member_.withCommitment(commitment);
        task.state = s;

        emit VoteCommitted(requestId, s.round(), seat, commitment);
    }

    /// @inheritdoc ITrainingRounds
    function revealVote(uint256 requestId, uint256 seat, PackedScores packedScores, bytes32 salt) external override {
        Task storage task = _tasks[requestId];
        RoundState s = _load(task);
        // Check:
        _requirePhase(requestId, s, Phase.Reveal);
        MemberState member_ = _requireSeat(task, requestId, seat, msg.sender);
        _requirePart(requestId, s, RoundStateLib.COMMITTED, seat);
        _requireFirst(requestId, s, RoundStateLib.REVEALED, seat);
        bytes32 commitment = keccak256(
            abi.encode(block.chainid, address(this), requestId, s.round(), msg.sender, packedScores, salt)
        );
        if (!member_.hasCommitment(commitment)) {
            revert TrainingRounds_CommitmentMismatch(bytes32(member_.lanes()), commitment);
        }
        (bool bad, uint256 lane, uint256 value) =
            packedScores.firstBadLane(s.seats(), s.field(RoundStateLib.SUBMITTED), seat);
        if (bad) revert TrainingRounds_BadScore(lane, value);

        // Effect:
        s = s.add(RoundStateLib.REVEALED, seat);
        if (s.field(RoundStateLib.REVEALED) == s.field(RoundStateLib.COMMITTED)) s = s.enter(Phase.Tally, 0);
        task.members[msg.sender] = member_.withVote(packedScores);
        task.state = s;

        emit VoteRevealed(requestId, s.round(), seat, packedScores);
    }

    /// @inheritdoc ITrainingRounds
    function tally(uint256 requestId, address[] calldata accounts) external override {
        Task storage task = _tasks[requestId];
        RoundState s = _load(task);
        _requirePhase(requestId, s, Phase.Tally);
        RoundPlan memory plan = task.plan;
        uint256 revealed = s.field(RoundStateLib.REVEALED);
        Committee memory committee = _committee(task, requestId, s, plan.leaderRule, accounts);

        // Effect: count, record and credit.
        Points.Tally memory t =
            Points.tally(committee.members.votes(), s.field(RoundStateLib.SUBMITTED), revealed, plan.maxError, plan.voteBand);
        task.history =
            _withTally(task.history, s.round(), revealed, _votes(committee.members, revealed), t.medians);
        uint256 faults = (s.field(RoundStateLib.COMMITTED) & ~revealed) | t.adverse | s.noShows();
        _credit(task, s.seats(), t.points, faults);
        if (t.points != 0) s = s.increment(RoundStateLib.PAID_ROUNDS);
        emit RoundTallied(requestId, s.round(), t.medians, t.included, t.valid, t.points, faults);

        // Effect: adverse voters do not lead.
        uint256 leaders = t.included & revealed & ~t.adverse;
        uint256 turns = Scores.count(leaders);
        s = s.setLeaders(turns);
        if (turns != 0) task.plan.order = _order(s, plan, committee, accounts, leaders, t.medians);

        // Effect: with fewer than two votes, or without a leader, the round cannot become final.
        if (turns == 0 || Scores.count(revealed) < 2) s = _end(requestId, s);
        else s = s.enter(Phase.Attest, turns * plan.proposeWindow);
        task.state = s;
    }

    /* GLOBAL MODEL */

    /// @inheritdoc ITrainingRounds
    function attest(uint256 requestId, uint256 seat, bytes32 attestation, uint16 mae) external override {
        Task storage task = _tasks[requestId];
        RoundState s = _load(task);
        // Check:
        _requirePhase(requestId, s, Phase.Attest);
        MemberState member_ = _requireSeat(task, requestId, seat, msg.sender);
        _requirePart(requestId, s, RoundStateLib.REVEALED, seat);
        _requireFirst(requestId, s, RoundStateLib.ATTESTED, seat);
        _requireError(mae);

        // Effect: the vote is in the history by now, so the attestation may overwrite it.
        task.members[msg.sender] = member_.withAttestation(attestation, mae);
        task.state = s.add(RoundStateLib.ATTESTED, seat);

        emit Attested(requestId, s.round(), seat, attestation, mae);
    }

    /// @inheritdoc ITrainingRounds
    function propose(uint256 requestId, uint256 seat, bytes32 digest, uint16 mae, address[] calldata accounts)
        external
        override
    {
        Task storage task = _tasks[requestId];
        RoundState s = _load(task);
        // Check: the proposer's turn, and who attested its digest.
        _requirePhase(requestId, s, Phase.Attest);
        _requireSeat(task, requestId, seat, msg.sender);
        if (digest == 0) revert TrainingRounds_ZeroDigest();
        RoundPlan memory plan = task.plan;
        uint256 passed = _requireTurn(requestId, s, plan, seat);
        MemberState[] memory members = _members(task, requestId, s, s.field(RoundStateLib.ATTESTED), accounts);
        (uint256 approvals, uint256[] memory errors) = _approvals(requestId, s.round(), members, accounts, digest);
        if (!s.has(RoundStateLib.ATTESTED, seat)) {
            _attestByProposal(requestId, s.round(), seat, digest, mae);
            approvals |= 1 << seat;
            errors.push(mae);
        }
        if (!_has(approvals, seat)) revert TrainingRounds_ProposerDisagrees(requestId, seat, digest);
        _requireQuorum(s, plan, approvals);

        // Effect: the round is final.
        uint256 error_ = Quorum.medianError(errors);
        _credit(task, s.seats(), Points.LEADER << (16 * seat), passed);
        task.finalDigest = digest;
        s = s.setLastLeader(seat).increment(RoundStateLib.FINAL_ROUNDS);
        if (plan.target != 0 && error_ <= plan.target) s = s.setReached();
        emit RoundFinalised(requestId, s.round(), seat, digest, error_, approvals, passed);

        // Effect: end, or open the next round to the members that are still active.
        if (s.reached() || s.round() == plan.maxRounds) s = _end(requestId, s);
        else s = _openNext(task, requestId, s, plan, accounts);
        task.state = s;
    }

    /// @inheritdoc ITrainingRounds
    function expireRound(uint256 requestId) external override {
        Task storage task = _tasks[requestId];
        RoundState s = _load(task);
        _requirePhase(requestId, s, Phase.Expired);

        // Effect: fault the leaders if a proposal was missing, else the no-shows.
        uint256 turns = s.leaders();
        uint256 faults = turns > 0 ? task.plan.order.first(turns) : s.noShows();
        _credit(task, s.seats(), 0, faults);
        emit RoundExpired(requestId, s.round(), faults);

        task.state = _end(requestId, s);
    }

    /* CHECKS */

    function _requirePhase(uint256 requestId, RoundState s, Phase needed) private pure {
        if (!s.isIn(needed)) revert TrainingRounds_WrongPhase(requestId, s.phase(), needed);
    }

    /// @dev Returns the member in the seat.
    function _requireSeat(Task storage task, uint256 requestId, uint256 seat, address account)
        private
        view
        returns (MemberState member_)
    {
        member_ = task.members[account];
        if (!member_.holds(seat)) revert TrainingRounds_NotSeatOwner(requestId, seat, account);
    }

    function _requirePart(uint256 requestId, RoundState s, RoundField mask, uint256 seat) private pure {
        if (!s.has(mask, seat)) revert TrainingRounds_NoPart(requestId, s.round(), seat);
    }

    function _requireFirst(uint256 requestId, RoundState s, RoundField mask, uint256 seat) private pure {
        if (s.has(mask, seat)) revert TrainingRounds_AlreadyActed(requestId, s.round(), seat);
    }

    /// @dev Returns the seats whose turn came before this one and that did not propose.
    function _requireTurn(uint256 requestId, RoundState s, RoundPlan memory plan, uint256 seat)
        private
        view
        returns (uint256 passed)
    {
        uint256 turns = s.leaders();
        uint256 rank = plan.order.rankOf(turns, seat);
        if (rank == turns) revert TrainingRounds_NotEligible(requestId, s.round(), seat);
        uint256 opensAt = s.began(plan) + rank * plan.proposeWindow;
        if (block.timestamp < opensAt) revert TrainingRounds_TooEarly(requestId, seat, opensAt);
        passed = plan.order.first(rank);
    }

    function _requireError(uint256 mae) private pure {
        if (mae > Scores.MAX && mae != Scores.INVALID) revert TrainingRounds_BadError(mae);
    }

    function _requireQuorum(RoundState s, RoundPlan memory plan, uint256 approvals) private pure {
        uint256 given = Scores.count(approvals);
        uint256 needed = Quorum.needed(
            Scores.count(s.field(RoundStateLib.REVEALED)), Scores.count(s.field(RoundStateLib.EXPECTED)), plan.approvalRule
        );
        if (given < needed) revert TrainingRounds_NoQuorum(given, needed);
    }

    /* INTERNAL */

    /// @dev Members that are not active now. The stored mask is valid as long as no status in the registry has changed since
    /// the request was made or the mask was last updated.
    function _barred(Task storage task, uint256 requestId, RoundState s, address[] calldata accounts)
        private
        returns (uint256)
    {
        uint256 members = s.field(RoundStateLib.MEMBERS);
        uint16 changes = REGISTRY.statusChanges();
        if (changes == task.plan.statusChanges) return s.field(RoundStateLib.BARRED) & members;
        task.plan.statusChanges = changes;
        _members(task, requestId, s, members, accounts);
        return members & ~REGISTRY.activeMask(accounts);
    }

    /// @dev The proposal of a leader that has not attested counts as its attestation.
    function _attestByProposal(uint256 requestId, uint256 round, uint256 seat, bytes32 digest, uint16 mae) private {
        _requireError(mae);
        emit Attested(requestId, round, seat, _attestation(requestId, round, digest, mae, msg.sender), mae);
    }

    function _openNext(
        Task storage task,
        uint256 requestId,
        RoundState s,
        RoundPlan memory plan,
        address[] calldata accounts
    ) private returns (RoundState) {
        uint256 barred = _barred(task, requestId, s, accounts);
        uint256 expected = s.field(RoundStateLib.SUBMITTED) & ~barred;
        s = s.nextRound(expected, barred, plan.submitWindow);
        emit RoundOpened(requestId, s.round(), expected, barred);
        return s;
    }

    function _order(
        RoundState s,
        RoundPlan memory plan,
        Committee memory committee,
        address[] calldata accounts,
        uint256 leaders,
        PackedScores medians
    ) private pure returns (LeaderOrder) {
        return LeaderOrderLib.order(
            leaders,
            medians,
            committee.weights,
            accounts,
            s.round(),
            plan.leaderRule,
            committee.reputations,
            s.lastLeader()
        );
    }

    function _closeIfComplete(Task storage task, RoundState s) private view returns (RoundState) {
        return s.submissionsComplete() ? s.enter(Phase.Commit, task.plan.commitWindow) : s;
    }

    function _end(uint256 requestId, RoundState s) private returns (RoundState) {
        emit RequestEnded(requestId, s.round(), s.reached(), s.field(RoundStateLib.FINAL_ROUNDS));
        return s.enter(Phase.Ended, 0);
    }
}
