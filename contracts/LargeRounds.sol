// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";

import {ILargeRounds} from "./interfaces/ILargeRounds.sol";
import {IRoundStart} from "./interfaces/IRoundStart.sol";
import {ITrainingPool} from "./interfaces/ITrainingPool.sol";
import {ITrainingRounds} from "./interfaces/ITrainingRounds.sol";
import {BlockHeader} from "./libraries/BlockHeader.sol";
import {Plan} from "./libraries/Clock.sol";
import {Draw} from "./libraries/Draw.sol";
import {Earned, EarnedLib} from "./libraries/Earned.sol";
import {Plans} from "./libraries/Plans.sol";
import {PoolMember} from "./libraries/PoolMember.sol";
import {PoolPoints} from "./libraries/PoolPoints.sol";
import {Quorum} from "./libraries/Quorum.sol";
import {PackedScores, Scores} from "./libraries/Scores.sol";
import {SeatSignatures} from "./libraries/SeatSignatures.sol";
import {StartTurns} from "./libraries/StartTurns.sol";

/// @title LargeRounds
/// @notice See {ILargeRounds}.
/// @dev Why it is built so: docs/adr/0066-a-committee-judges-a-whole-pool.md; the draw: docs/adr/0070.
contract LargeRounds is ILargeRounds, IRoundStart, EIP712 {
    using PoolPoints for uint256[];
    using SeatSignatures for bytes;

    uint256 private constant MAX_POOL = 1_024;
    /// @dev Those that left again keep their index, and their lane. The points of 50 rounds of so many are 124 kB in `sum`;
    /// nodes pass on no transaction above 128 KiB.
    uint256 private constant MAX_MEMBERS = 1_200;
    /// @dev The seat of a leader that there is not: no such round has one.
    uint256 private constant NO_LEADER = 16;
    bytes32 private constant LARGE_ROUND =
        keccak256("LargeRound(uint256 request,uint256 round,bytes32 history,bytes32 record)");

    /// @dev Gas that a refund covers besides what it measures: the base fee of a transaction, what follows the measurement in
    /// `post` and in `sum`, and the calldata of a seat's signature, of a word of points and of a header.
    uint256 private constant BASE_GAS = 21_000;
    uint256 private constant POST_GAS = 30_000;
    uint256 private constant SUM_GAS = 15_000;
    uint256 private constant SEAT_GAS = 1_100;
    uint256 private constant WORD_GAS = 550;
    uint256 private constant HEADER_GAS = 9_500;

    ITrainingPool private immutable POOL;
    address private immutable MARKET;
    uint256 private immutable DRAW_DELAY;

    /* STORAGE */

    /// @dev All changing facts in one slot, as the last transaction left them. The phase is None (also of a request that
    /// waits for its first start), Waiting, Submit (also once its windows are over), Finalise or Ended. The mark is the last
    /// second of the submissions; in Waiting, when the turns to start began; in Ended, when that was.
    struct State {
        ITrainingRounds.Phase phase;
        uint40 mark;
        uint16 round;
        uint16 finalRounds;
        uint16 paidRounds;
        uint16 members;
        uint16 forced;
        uint16 turn;
        bool halted;
        bool reached;
        /// @dev The block that draws the committee; 0 once it has been drawn.
        uint40 drawBlock;
    }

    struct Task {
        Plan plan;
        State state;
        bytes32 history;
        bytes32 earned;
        bytes32 deliveryHash;
        /// @dev Draws the committee of the present round, once that is drawn; before, that of the round before.
        bytes32 seed;
        /// @dev Running hash of the points of all rounds.
        bytes32 points;
        mapping(uint256 place => bytes32 digest) forced;
    }

    mapping(uint256 request => Task) private _tasks;

    constructor(address pool, address market, uint256 drawDelay_) EIP712("fedpact", "2") {
        if (drawDelay_ == 0) revert LargeRounds_NoDelay();
        POOL = ITrainingPool(pool);
        MARKET = market;
        DRAW_DELAY = drawDelay_;
    }

    /* MARKET ONLY */

    modifier onlyMarket() {
        if (msg.sender != MARKET) revert ITrainingRounds.TrainingRounds_NotMarket(msg.sender);
        _;
    }

    /// @inheritdoc IRoundStart
    function prepare(uint256 request, ITrainingRounds.RoundPlan calldata plan) external override onlyMarket {
        ITrainingPool.PoolPlan memory pool = POOL.facts(request).plan;
        if (pool.minPool <= pool.cohort || pool.maxPool > MAX_POOL || plan.maxRounds > PoolPoints.MAX_ROUNDS) {
            revert LargeRounds_BadPlan(pool.minPool, pool.maxPool, pool.cohort, plan.maxRounds);
        }

        // Effect: slices are opened off chain, so that the openers are of no interest here.
        Task storage task = _tasks[request];
        task.plan = Plans.stored(plan);
        task.history = plan.terms;
    }

    /// @inheritdoc IRoundStart
    function halt(uint256 request) external override onlyMarket {
        Task storage task = _tasks[request];
        State memory s = _state(task);
        bool over = s.phase == ITrainingRounds.Phase.None || s.phase >= ITrainingRounds.Phase.Finalise;
        if (over || s.halted) {
            revert ITrainingRounds.TrainingRounds_WrongPhase(request, s.phase, ITrainingRounds.Phase.Submit);
        }

        // Effect: a round under way takes its course.
        s.halted = true;
        emit ITrainingRounds.Halted(request);
        if (s.phase == ITrainingRounds.Phase.Waiting) _end(request, s);
        task.state = s;
    }

    /* START */

    /// @inheritdoc IRoundStart
    function start(uint256 request, uint256 index, ITrainingRounds.Start calldata facts) external override {
        Task storage task = _tasks[request];
        State memory s = _state(task);
        Plan memory p = task.plan;
        _requirePhase(request, s.phase, ITrainingRounds.Phase.Waiting);
        ITrainingPool.PoolFacts memory pool =
            StartTurns.check(POOL, request, index, s.turn, s.mark, p.startWindow, facts);
        if (pool.members > MAX_MEMBERS) revert LargeRounds_TooManyMembers(request, pool.members, MAX_MEMBERS);

        // Effect:
        s.turn = uint16(index + 1);
        s.members = pool.members;
        bytes32 history = keccak256(abi.encode(task.history, facts));
        task.history = history;
        task.deliveryHash = facts.deliveryHash;
        emit ITrainingRounds.Started(request, msg.sender, index, facts);
        _open(request, task, s, p, history, bytes32(request));
        task.state = s;
    }

    /// @inheritdoc IRoundStart
    function expire(uint256 request) external override {
        Task storage task = _tasks[request];
        State memory s = _state(task);
        _requirePhase(request, s.phase, ITrainingRounds.Phase.Waiting);
        StartTurns.requireExpired(POOL, request, s.turn, s.mark, task.plan.startWindow);
        _end(request, s);
        task.state = s;
    }

    /* A ROUND */

    /// @inheritdoc ILargeRounds
    function draw(uint256 request, bytes calldata header) external override {
        Task storage task = _tasks[request];
        State memory s = _state(task);
        // Check: the round is under way, and its committee not drawn.
        ITrainingRounds.Phase phase = _phase(s, task.plan);
        if (phase != ITrainingRounds.Phase.Attest) _requirePhase(request, phase, ITrainingRounds.Phase.Submit);
        if (s.drawBlock == 0) revert LargeRounds_Drawn(request, s.round);

        // Effect:
        if (block.number > s.drawBlock && !BlockHeader.known(s.drawBlock)) {
            s.drawBlock = _drawBlock();
            emit DrawMoved(request, s.round, s.drawBlock);
        } else {
            task.seed = _draw(request, s, task.seed, header);
            s.drawBlock = 0;
        }
        task.state = s;
    }

    /// @inheritdoc ILargeRounds
    function force(uint256 request, uint256 index, bytes32 digest) external override {
        Task storage task = _tasks[request];
        State memory s = _state(task);
        // Check: the sender trains in this round, which takes models.
        _requirePhase(request, _phase(s, task.plan), ITrainingRounds.Phase.Submit);
        if (digest == 0) revert ITrainingRounds.TrainingRounds_Zero();
        if (POOL.member(request, index).account() != msg.sender || POOL.hasLeft(request, index)) {
            revert ITrainingRounds.TrainingRounds_NotMember(request, index, msg.sender);
        }
        if (s.drawBlock != 0) revert LargeRounds_NotDrawn(request, s.round, s.drawBlock);
        (uint256 committee, PoolMember[] memory seats) = POOL.cohortOf(request, task.seed);
        if (Draw.contains(committee, seats.length, index)) revert LargeRounds_Judges(request, index);
        uint256 place = _place(s, index);
        if (task.forced[place] != 0) revert LargeRounds_AlreadyForced(request, index);

        // Effect:
        task.forced[place] = digest;
        ++s.forced;
        task.state = s;
        emit ModelForced(request, s.round, index, digest);
    }

    /// @inheritdoc ILargeRounds
    function post(
        uint256 request,
        Record calldata record,
        uint256[] calldata points,
        Inclusion calldata forced,
        uint256 mask,
        bytes calldata signatures,
        bytes calldata header
    ) external override {
        uint256 gas_ = gasleft();
        Task storage task = _tasks[request];
        State memory s = _state(task);
        Plan memory p = task.plan;
        // Check: nobody is left out.
        _requirePhase(request, _phase(s, p), ITrainingRounds.Phase.Attest);
        if (record.submissions == 0 || record.evidence == 0) revert ITrainingRounds.TrainingRounds_Zero();
        _requireIncluded(request, task, s, record.submissions, forced);
        // Check: a quorum of the committee signed, and points are within their bounds.
        bool drawn = s.drawBlock == 0;
        bytes32 seed = drawn ? task.seed : _draw(request, s, task.seed, header);
        (uint256 committee, PoolMember[] memory seats) = POOL.cohortOf(request, seed);
        uint256[] memory points_ = points;
        bytes32 pointsHash = keccak256(abi.encodePacked(points_));
        bytes32 hash = keccak256(abi.encode(record, pointsHash));
        bytes32 history = task.history;
        uint256 needed = Quorum.needed(seats.length, seats.length, p.rules >> 1);
        uint256[] memory errors =
            _requireQuorum(request, s, history, hash, seats, mask, needed, record.errors, signatures);
        uint256 total = points_.check(s.members, committee, seats.length);
        if (record.digest != 0 && total == 0) revert LargeRounds_Unpaid(request, s.round);

        // Effect:
        uint256 flags;
        if (total != 0) {
            ++s.paidRounds;
            flags = record.blind ? EarnedLib.PAID | EarnedLib.BLIND : EarnedLib.PAID;
            task.points = Hashes.efficientKeccak256(task.points, pointsHash);
        }
        history = keccak256(abi.encode(history, s.round, pointsHash, hash));
        emit ITrainingRounds.RoundPosted(request, s.round, mask, hash);
        // A key's account without code calls with the transaction's calldata; any other could hide the record.
        // solhint-disable-next-line avoid-tx-origin
        if (msg.sender != tx.origin || msg.sender.code.length != 0) {
            emit LargeRecordPosted(request, s.round, record, points_);
        }
        _judge(request, s, p, record.digest, errors, needed, mask);
        uint256 unmeasured = POST_GAS + seats.length * SEAT_GAS + points_.length * WORD_GAS;
        uint256 refund = _refund(p, gas_, drawn ? unmeasured : unmeasured + HEADER_GAS);
        address poster = refund == 0 ? address(0) : msg.sender;
        _credit(request, task, Earned(0, 0, EarnedLib.pack(0, flags, refund, poster), record.digest));
        _next(request, task, s, p, history, seed);
    }

    /// @inheritdoc ILargeRounds
    function close(uint256 request) external override {
        Task storage task = _tasks[request];
        State memory s = _state(task);
        Plan memory p = task.plan;
        _requirePhase(request, _phase(s, p), ITrainingRounds.Phase.Failed);

        // Effect: whether the starter's key opens for nobody or the committee is silent, nobody can tell.
        bool void = s.round == 1 && !s.halted;
        emit ITrainingRounds.RoundFailed(request, s.round, void);
        if (void) {
            s.phase = ITrainingRounds.Phase.Waiting;
            s.round = 0;
            s.drawBlock = 0;
            s.mark = uint40(block.timestamp);
            task.state = s;
            return;
        }
        bytes32 history = keccak256(abi.encode(task.history, s.round, bytes32(0), bytes32(0)));
        _next(request, task, s, p, history, task.seed);
    }

    /// @inheritdoc ILargeRounds
    function sum(uint256 request, uint256[][] calldata points) external override {
        uint256 gas_ = gasleft();
        Task storage task = _tasks[request];
        State memory s = _state(task);
        _requirePhase(request, s.phase, ITrainingRounds.Phase.Finalise);
        (uint256[] memory sums, bytes32 folded) = _added(points, s.members);
        if (folded != task.points) revert ITrainingRounds.TrainingRounds_WrongList(task.points, folded);

        // Effect:
        bytes32 earned = _summed(request, task.earned, sums, s.members);
        uint256 refund = _refund(task.plan, gas_, SUM_GAS + points.length * sums.length * WORD_GAS);
        task.earned = earned;
        if (refund != 0) _credit(request, task, Earned(0, 0, EarnedLib.pack(0, 0, refund, msg.sender), bytes32(0)));
        _end(request, s);
        task.state = s;
    }

    /* VIEWS */

    /// @inheritdoc ILargeRounds
    function drawDelay() external view override returns (uint256) {
        return DRAW_DELAY;
    }

    /// @inheritdoc ILargeRounds
    function openTerms(uint256 request) external view override returns (bytes32) {
        Task storage task = _tasks[request];
        _requirePhase(request, _state(task).phase, ITrainingRounds.Phase.Waiting);
        return task.history;
    }

    /// @inheritdoc ILargeRounds
    function outcome(uint256 request) external view override returns (ITrainingRounds.Outcome memory result) {
        Task storage task = _tasks[request];
        State memory s = task.state;
        result.ended = s.phase == ITrainingRounds.Phase.Ended;
        result.running = s.round != 0 && !result.ended;
        result.halted = s.halted;
        result.anySubmission = s.paidRounds != 0;
        result.reached = s.reached;
        result.endedAt = result.ended ? s.mark : 0;
        result.finalRounds = s.finalRounds;
        result.paidRounds = s.paidRounds;
        result.earned = task.earned;
        result.deliveryHash = task.deliveryHash;
    }

    /// @inheritdoc ILargeRounds
    function roundFacts(uint256 request) external view override returns (Facts memory facts) {
        Task storage task = _tasks[request];
        State memory s = _state(task);
        facts.phase = _phase(s, task.plan);
        facts.deadline = s.mark;
        if (facts.phase == ITrainingRounds.Phase.Attest) facts.deadline = uint40(_judged(s, task.plan));
        bool open = facts.phase != ITrainingRounds.Phase.Failed && facts.phase != ITrainingRounds.Phase.Finalise;
        if (!open) facts.deadline = 0;
        facts.round = s.round;
        facts.members = s.members;
        facts.forced = s.forced;
        facts.turn = s.turn;
        facts.finalRounds = s.finalRounds;
        facts.paidRounds = s.paidRounds;
        facts.halted = s.halted;
        facts.reached = s.reached;
        facts.drawBlock = s.drawBlock;
        facts.history = task.history;
        facts.seed = task.seed;
        facts.points = task.points;
        facts.earned = task.earned;
    }

    /// @inheritdoc ILargeRounds
    function forcedModel(uint256 request, uint256 index) external view override returns (bytes32) {
        Task storage task = _tasks[request];
        return task.forced[_place(task.state, index)];
    }

    /* INTERNAL: CHECKS */

    /// @dev Nothing is stored of a request that waits for its first start, but that it exists.
    function _state(Task storage task) private view returns (State memory s) {
        s = task.state;
        if (s.phase == ITrainingRounds.Phase.None && task.history != 0) s.phase = ITrainingRounds.Phase.Waiting;
    }

    /// @dev The present phase.
    function _phase(State memory s, Plan memory p) private view returns (ITrainingRounds.Phase) {
        if (s.phase != ITrainingRounds.Phase.Submit || block.timestamp <= s.mark) return s.phase;
        return block.timestamp <= _judged(s, p) ? ITrainingRounds.Phase.Attest : ITrainingRounds.Phase.Failed;
    }

    /// @dev The last second in which the round may be posted.
    function _judged(State memory s, Plan memory p) private pure returns (uint256) {
        return uint256(s.mark) + p.commitWindow + p.revealWindow + p.attestWindow;
    }

    function _requirePhase(uint256 request, ITrainingRounds.Phase phase, ITrainingRounds.Phase needed) private pure {
        if (phase != needed) revert ITrainingRounds.TrainingRounds_WrongPhase(request, phase, needed);
    }

    /// @dev Where the model is that a member forced: each start begins with round 1 again.
    function _place(State memory s, uint256 index) private pure returns (uint256) {
        return (uint256(s.turn) << 32) | (uint256(s.round) << 16) | index;
    }

    function _requireIncluded(
        uint256 request,
        Task storage task,
        State memory s,
        bytes32 submissions,
        Inclusion calldata forced
    ) private view {
        if (forced.indices.length != s.forced) revert LargeRounds_LeftOut(request, s.round);
        if (s.forced == 0) return;
        bytes32[] memory leaves = new bytes32[](s.forced);
        uint256 before;
        for (uint256 i; i < leaves.length; ++i) {
            uint256 index = forced.indices[i];
            if (i != 0 && index <= before) revert LargeRounds_NotSorted(index, before);
            before = index;
            bytes32 digest = index > type(uint16).max ? bytes32(0) : task.forced[_place(s, index)];
            if (digest == 0) revert LargeRounds_LeftOut(request, s.round);
            leaves[i] = keccak256(bytes.concat(Hashes.efficientKeccak256(bytes32(index), digest)));
        }
        if (!MerkleProof.multiProofVerifyCalldata(forced.proof, forced.flags, submissions, leaves)) {
            revert LargeRounds_LeftOut(request, s.round);
        }
    }

    /// @dev The errors that those measured who signed.
    function _requireQuorum(
        uint256 request,
        State memory s,
        bytes32 history,
        bytes32 record,
        PoolMember[] memory seats,
        uint256 mask,
        uint256 needed,
        PackedScores measured,
        bytes calldata signatures
    ) private view returns (uint256[] memory errors) {
        uint256 full = (uint256(1) << seats.length) - 1;
        if (mask & ~full != 0) revert ITrainingRounds.TrainingRounds_BadMask(request, mask, full);
        if (Scores.count(mask) < needed) revert LargeRounds_NoQuorum(Scores.count(mask), needed);
        bytes32 digest = _hashTypedDataV4(keccak256(abi.encode(LARGE_ROUND, request, s.round, history, record)));
        errors = new uint256[](Scores.count(mask));
        uint256 signed;
        uint256 k;
        unchecked {
            for (uint256 seat; mask >> seat != 0; ++seat) {
                if ((mask >> seat) & 1 == 0) continue;
                signed = signatures.check(signed, seats[seat].account(), digest);
                errors[k++] = measured.lane(seat);
            }
        }
    }

    /* INTERNAL: THE DRAW */

    /// @dev Far enough ahead that nobody who opens a round knows what it will draw.
    function _drawBlock() private view returns (uint40) {
        return uint40(block.number + DRAW_DELAY);
    }

    /// @dev The seed that draws the round's committee, from the one before.
    function _draw(uint256 request, State memory s, bytes32 seed, bytes calldata header) private returns (bytes32 next) {
        next = Hashes.efficientKeccak256(seed, BlockHeader.prevrandao(s.drawBlock, header));
        emit CommitteeDrawn(request, s.round, next);
    }

    /* INTERNAL: ROUNDS */

    function _open(uint256 request, Task storage task, State memory s, Plan memory p, bytes32 history, bytes32 seed)
        private
    {
        ++s.round;
        s.phase = ITrainingRounds.Phase.Submit;
        s.mark = uint40(block.timestamp + p.submitWindow);
        s.forced = 0;
        s.drawBlock = _drawBlock();
        task.seed = seed;
        emit ITrainingRounds.RoundOpened(request, s.round, history, bytes32(0), 0);
    }

    /// @dev Opens the round after one that is closed, or ends the rounds.
    function _next(uint256 request, Task storage task, State memory s, Plan memory p, bytes32 history, bytes32 seed)
        private
    {
        task.history = history;
        s.drawBlock = 0;
        if (!s.reached && !s.halted && s.round != p.maxRounds) {
            _open(request, task, s, p, history, seed);
        } else if (s.paidRounds != 0) {
            s.phase = ITrainingRounds.Phase.Finalise;
        } else {
            _end(request, s);
        }
        task.state = s;
    }

    /// @dev Whether the round is final, and within the target.
    function _judge(
        uint256 request,
        State memory s,
        Plan memory p,
        bytes32 digest,
        uint256[] memory errors,
        uint256 needed,
        uint256 mask
    ) private {
        if (digest == 0) {
            emit ITrainingRounds.RoundFailed(request, s.round, false);
            return;
        }
        ++s.finalRounds;
        // Sorted from here on: a quorum is within the target if the last of the lowest so many is.
        uint256 median = Quorum.medianError(errors);
        s.reached = p.target != 0 && errors[needed - 1] <= p.target;
        emit ITrainingRounds.RoundFinalised(request, s.round, NO_LEADER, digest, median, mask);
    }

    function _end(uint256 request, State memory s) private {
        s.phase = ITrainingRounds.Phase.Ended;
        s.mark = uint40(block.timestamp);
        emit ITrainingRounds.RoundsEnded(request, s.round, s.reached, s.finalRounds);
    }

    /* INTERNAL: POINTS */

    /// @dev The sums of all rounds' points, and the running hash of these. No lane overflows: see {PoolPoints}.
    function _added(uint256[][] calldata points, uint256 members)
        private
        pure
        returns (uint256[] memory sums, bytes32 folded)
    {
        sums = new uint256[]((members + PoolPoints.MEMBERS_PER_WORD - 1) / PoolPoints.MEMBERS_PER_WORD);
        for (uint256 r; r < points.length; ++r) {
            uint256[] calldata ofRound = points[r];
            folded = Hashes.efficientKeccak256(folded, keccak256(abi.encodePacked(ofRound)));
            // Of what was posted, each list has this length: the hash will tell.
            if (ofRound.length != sums.length) continue;
            unchecked {
                for (uint256 i; i < sums.length; ++i) {
                    sums[i] += ofRound[i];
                }
            }
        }
    }

    /// @dev Adds an entry for every sixteen members that have not left to what the rounds earned.
    function _summed(uint256 request, bytes32 earned, uint256[] memory sums, uint256 members) private returns (bytes32) {
        uint256[] memory mask = POOL.presence(request);
        uint256[] memory present = new uint256[](members);
        uint256 n;
        uint256 total;
        for (uint256 index; index < members; ++index) {
            if ((mask[index >> 8] >> (index & 0xff)) & 1 == 0) continue;
            present[n++] = index;
            total += sums.pointsOf(index);
        }
        uint256 extra = EarnedLib.pack(0, EarnedLib.SUMMED, total / n, address(0));
        for (uint256 i; i < n; i += PoolPoints.MEMBERS_PER_WORD) {
            Earned memory entry = Earned(0, 0, extra, bytes32(0));
            for (uint256 seat; seat < PoolPoints.MEMBERS_PER_WORD && i + seat < n; ++seat) {
                uint256 index = present[i + seat];
                entry.cohort |= index << (16 * seat);
                entry.points |= sums.pointsOf(index) << (16 * seat);
            }
            earned = EarnedLib.fold(earned, entry);
            emit ITrainingRounds.Credited(request, entry.cohort, entry.points, entry.extra, entry.digest);
        }
        return earned;
    }

    /// @dev Adds an entry to what the rounds earned.
    function _credit(uint256 request, Task storage task, Earned memory entry) private {
        task.earned = EarnedLib.fold(task.earned, entry);
        emit ITrainingRounds.Credited(request, entry.cohort, entry.points, entry.extra, entry.digest);
    }

    /// @dev What the sender is to be refunded, in gwei.
    /// @param gas_ The gas that was left when the call began.
    /// @param more What is not measured, but for the base fee.
    function _refund(Plan memory p, uint256 gas_, uint256 more) private view returns (uint256) {
        uint256 price = tx.gasprice;
        uint256 most = uint256(p.maxGasPrice) * 1e6;
        if (price > most) price = most;
        uint256 used = gas_ - gasleft() + BASE_GAS + more;
        uint256 refund = used * price / 1 gwei;
        return refund < p.gasPerRound ? refund : p.gasPerRound;
    }
}
