// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ITrainingRounds} from "../interfaces/ITrainingRounds.sol";
import {Scores} from "./Scores.sol";

/// @title RoundState
/// @notice All moving facts of a request in one storage word, and the phase that they and the clock give.
/// @dev Layout from bit 0: seats 8, members 16, phase 8, mark 40, round 16, expected 16, barred 16, ever 16, submitted 16,
/// committed 16, revealed 16, attested 16, lastLeader 8, paidRounds 16, finalRounds 16, flags 8, leaders 8.
/// Functions take the word and give a new one, so that a step costs a few operations on the stack. The phase is the one
/// that the last transaction recorded; the mark is the last second of that phase if it has one (Submit, Commit, Reveal,
/// Attest), else when it began, so that the parameters need not be read while a phase lasts.
/// Before the first round the bits from the mark on hold each seat's organisation instead (see `organisation`).
library RoundState {
    /// @notice The windows and rules of a request, and what its last tally and the last look at the registry left: one
    /// storage slot.
    struct Plan {
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
        /// @dev The registry's count of status changes as of which the barred seats are known.
        uint16 statusChanges;
        /// @dev Who leads the tallied round: four bits a seat, the first leader in the lowest.
        uint64 order;
    }

    /// @notice `lastLeader` while no round is final.
    uint256 internal constant NO_LEADER = 0xff;

    /// @dev Where the seat masks and the 16-bit numbers lie.
    uint256 internal constant MEMBERS = 8;
    uint256 internal constant EXPECTED = 88;
    uint256 internal constant BARRED = 104;
    uint256 internal constant EVER = 120;
    uint256 internal constant SUBMITTED = 136;
    uint256 internal constant COMMITTED = 152;
    uint256 internal constant REVEALED = 168;
    uint256 internal constant ATTESTED = 184;
    uint256 internal constant PAID_ROUNDS = 208;
    uint256 internal constant FINAL_ROUNDS = 224;

    uint256 private constant PHASE = 24;
    uint256 private constant MARK = 32;
    uint256 private constant ROUND = 72;
    uint256 private constant LAST_LEADER = 200;
    uint256 private constant LEADERS = 248;
    uint256 private constant FLAG_SLICE = 1 << 240;
    uint256 private constant FLAG_REACHED = 1 << 241;
    uint256 private constant ORGANISATION_BITS = 14;
    uint256 private constant ORGANISATION_MASK = 0x3fff;
    uint256 private constant CLOCK = ((1 << 48) - 1) << PHASE;
    /// @dev The phases with a deadline, as a mask.
    uint256 private constant TIMED = (1 << uint256(ITrainingRounds.Phase.Submit))
        | (1 << uint256(ITrainingRounds.Phase.Commit)) | (1 << uint256(ITrainingRounds.Phase.Reveal))
        | (1 << uint256(ITrainingRounds.Phase.Attest));
    /// @dev The masks of one round, the opened slice and the number of leaders.
    uint256 private constant OF_ROUND =
        (((1 << 64) - 1) << SUBMITTED) | (((1 << 32) - 1) << EXPECTED) | FLAG_SLICE | (0xff << LEADERS);

    /* READING */

    function round(uint256 s) internal pure returns (uint256) {
        return (s >> ROUND) & 0xffff;
    }

    function phase(uint256 s) internal pure returns (ITrainingRounds.Phase) {
        return ITrainingRounds.Phase((s >> PHASE) & 0xff);
    }

    function isIn(uint256 s, ITrainingRounds.Phase asked) internal pure returns (bool) {
        return (s >> PHASE) & 0xff == uint256(asked);
    }

    function mark(uint256 s) internal pure returns (uint256) {
        return (s >> MARK) & 0xffffffffff;
    }

    /// @notice Number of seats handed out.
    function seats(uint256 s) internal pure returns (uint256) {
        return s & 0xff;
    }

    /// @notice One of the masks or 16-bit numbers, by its place.
    function field(uint256 s, uint256 place) internal pure returns (uint256) {
        return (s >> place) & 0xffff;
    }

    /// @notice Whether a mask has the seat, which is one of sixteen.
    function has(uint256 s, uint256 place, uint256 seat) internal pure returns (bool) {
        unchecked {
            return (s >> (place + seat)) & 1 == 1;
        }
    }

    function lastLeader(uint256 s) internal pure returns (uint256) {
        return (s >> LAST_LEADER) & 0xff;
    }

    /// @notice How many may lead this round, once tallied: so many turns the phase Attest has.
    function leaders(uint256 s) internal pure returns (uint256) {
        return s >> LEADERS;
    }

    function sliceOpened(uint256 s) internal pure returns (bool) {
        return s & FLAG_SLICE != 0;
    }

    function reached(uint256 s) internal pure returns (bool) {
        return s & FLAG_REACHED != 0;
    }

    /// @notice Whether the phase has a deadline.
    function timed(uint256 s) internal pure returns (bool) {
        return (TIMED >> ((s >> PHASE) & 0xff)) & 1 == 1;
    }

    /// @notice When the phase that `s` is in began.
    function began(uint256 s, Plan memory p) internal pure returns (uint256) {
        ITrainingRounds.Phase now_ = phase(s);
        if (now_ == ITrainingRounds.Phase.Submit) return mark(s) - p.submitWindow;
        if (now_ == ITrainingRounds.Phase.Commit) return mark(s) - p.commitWindow;
        if (now_ == ITrainingRounds.Phase.Reveal) return mark(s) - p.revealWindow;
        if (now_ == ITrainingRounds.Phase.Attest) return mark(s) - leaders(s) * p.proposeWindow;
        return mark(s);
    }

    /// @notice The last second of the phase that `s` is in; 0 where it has none.
    function deadline(uint256 s) internal pure returns (uint256) {
        return timed(s) ? mark(s) : 0;
    }

    /// @notice Whether all who are expected, and at least two, have submitted.
    function submissionsComplete(uint256 s) internal pure returns (bool) {
        uint256 submitted = field(s, SUBMITTED);
        return field(s, EXPECTED) & ~submitted == 0 && Scores.count(submitted) >= 2;
    }

    /// @notice Seats that have submitted before, were waited for, and did not submit in this round.
    function noShows(uint256 s) internal pure returns (uint256) {
        return field(s, EVER) & field(s, EXPECTED) & ~field(s, SUBMITTED);
    }

    /* CHANGING */

    /// @notice `s` with the seat added to a mask that it isn't in.
    function add(uint256 s, uint256 place, uint256 seat) internal pure returns (uint256) {
        unchecked {
            return s | (1 << (place + seat));
        }
    }

    /// @notice `s` with the seat taken out of a mask.
    function drop(uint256 s, uint256 place, uint256 seat) internal pure returns (uint256) {
        unchecked {
            return s & ~(1 << (place + seat));
        }
    }

    /// @notice `s` with one more in a 16-bit number, of which there are at most 1,000.
    function increment(uint256 s, uint256 place) internal pure returns (uint256) {
        unchecked {
            return s + (1 << place);
        }
    }

    /// @notice `s` with one more seat handed out, of at most sixteen.
    function widen(uint256 s) internal pure returns (uint256) {
        return increment(s, 0);
    }

    function setSliceOpened(uint256 s) internal pure returns (uint256) {
        return s | FLAG_SLICE;
    }

    function setReached(uint256 s) internal pure returns (uint256) {
        return s | FLAG_REACHED;
    }

    function setLastLeader(uint256 s, uint256 seat) internal pure returns (uint256) {
        return (s & ~(uint256(0xff) << LAST_LEADER)) | (seat << LAST_LEADER);
    }

    function setLeaders(uint256 s, uint256 count) internal pure returns (uint256) {
        return (s & ~(uint256(0xff) << LEADERS)) | (count << LEADERS);
    }

    /// @notice Starts `next` now, to last `window` seconds (0: without a deadline).
    function enter(uint256 s, ITrainingRounds.Phase next, uint256 window) internal view returns (uint256) {
        return _clock(s, next, block.timestamp + window);
    }

    /// @notice Moves `s`, whose deadline is over at `time`, into the phase that holds then: each window that has run out
    /// starts the next phase at its end. Fewer than two submissions, or no proposal in the last leader's turn, make the
    /// round Expired.
    function advance(uint256 s, Plan memory p, uint256 time) internal pure returns (uint256) {
        ITrainingRounds.Phase next = phase(s);
        uint256 last = mark(s);
        if (next == ITrainingRounds.Phase.Submit && time > last) {
            if (Scores.count(field(s, SUBMITTED)) < 2) {
                next = ITrainingRounds.Phase.Expired;
            } else {
                next = ITrainingRounds.Phase.Commit;
                last += p.commitWindow;
            }
        }
        if (next == ITrainingRounds.Phase.Commit && time > last) {
            if (field(s, COMMITTED) == 0) {
                next = ITrainingRounds.Phase.Tally;
            } else {
                next = ITrainingRounds.Phase.Reveal;
                last += p.revealWindow;
            }
        }
        if (next == ITrainingRounds.Phase.Reveal && time > last) next = ITrainingRounds.Phase.Tally;
        if (next == ITrainingRounds.Phase.Attest && time > last) next = ITrainingRounds.Phase.Expired;
        return _clock(s, next, last);
    }

    /// @notice Starts a round that waits for `expected`.
    function nextRound(uint256 s, uint256 expected, uint256 barred, uint256 window) internal view returns (uint256) {
        s = increment(s & ~OF_ROUND, ROUND) | (expected << EXPECTED) | (barred << BARRED);
        return enter(s, ITrainingRounds.Phase.Submit, window);
    }

    /* BEFORE THE FIRST ROUND */

    /// @notice The organisation of a seat while providers join.
    function organisation(uint256 s, uint256 seat) internal pure returns (uint256) {
        unchecked {
            return (s >> (MARK + ORGANISATION_BITS * seat)) & ORGANISATION_MASK;
        }
    }

    function setOrganisation(uint256 s, uint256 seat, uint256 value) internal pure returns (uint256) {
        uint256 shift = MARK + ORGANISATION_BITS * seat;
        return (s & ~(ORGANISATION_MASK << shift)) | (value << shift);
    }

    /// @notice `s` without what is kept of organisations.
    function withoutOrganisations(uint256 s) internal pure returns (uint256) {
        return s & ((1 << MARK) - 1);
    }

    /* INTERNAL */

    function _clock(uint256 s, ITrainingRounds.Phase next, uint256 last) private pure returns (uint256) {
        return (s & ~CLOCK) | (uint256(next) << PHASE) | (last << MARK);
    }
}
