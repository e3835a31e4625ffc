// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ITrainingRounds} from "../interfaces/ITrainingRounds.sol";
import {LeaderOrder} from "./LeaderOrder.sol";
import {Scores} from "./Scores.sol";

/// @notice All changing facts of a request's rounds in one storage word.
/// @dev Layout from bit 0: seats 8, members 16, phase 8, mark 40, round 16, expected 16, barred 16, ever 16, submitted 16,
/// committed 16, revealed 16, attested 16, lastLeader 8, paidRounds 16, finalRounds 16, flags 8, leaders 8.
/// The phase is the one that the last transaction recorded. The mark is the last second of that phase if it has a
/// deadline (Submit, Commit, Reveal, Attest), else its start, so that the plan need not be read while a phase lasts.
/// Before the first round the bits from the mark on hold each seat's organisation instead (see `organisation`).
type RoundState is uint256;

using RoundStateLib for RoundState global;

/// @notice Where a seat mask or a 16-bit number starts in a `RoundState`: its lowest bit.
type RoundField is uint256;

/// @notice The parameters of a request, the leader order of its last tally, and how far it has followed the registry.
/// @dev One storage slot: a nested `Params` would push the last two fields into a second one.
struct RoundPlan {
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
    LeaderOrder order;
}

/// @title RoundStateLib
/// @notice Reads and changes a `RoundState`, and derives the phase from it and the clock.
/// @dev Functions take the word and return a new one, so that a step costs a few operations on the stack.
library RoundStateLib {
    /// @notice `lastLeader` while no round is final.
    uint256 internal constant NO_LEADER = 0xff;

    /// @dev The seat masks and the 16-bit numbers.
    RoundField internal constant MEMBERS = RoundField.wrap(8);
    RoundField internal constant EXPECTED = RoundField.wrap(88);
    RoundField internal constant BARRED = RoundField.wrap(104);
    RoundField internal constant EVER = RoundField.wrap(120);
    RoundField internal constant SUBMITTED = RoundField.wrap(136);
    RoundField internal constant COMMITTED = RoundField.wrap(152);
    RoundField internal constant REVEALED = RoundField.wrap(168);
    RoundField internal constant ATTESTED = RoundField.wrap(184);
    RoundField internal constant PAID_ROUNDS = RoundField.wrap(208);
    RoundField internal constant FINAL_ROUNDS = RoundField.wrap(224);
    RoundField private constant ROUND = RoundField.wrap(72);

    uint256 private constant PHASE = 24;
    uint256 private constant MARK = 32;
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
    /// @dev What a new round clears: its masks, the opened slice and the number of leaders.
    uint256 private constant OF_ROUND = (((1 << 64) - 1) << RoundField.unwrap(SUBMITTED))
        | (((1 << 32) - 1) << RoundField.unwrap(EXPECTED)) | FLAG_SLICE | (0xff << LEADERS);

    /* READING */

    function round(RoundState s) internal pure returns (uint256) {
        return field(s, ROUND);
    }

    function phase(RoundState s) internal pure returns (ITrainingRounds.Phase) {
        return ITrainingRounds.Phase((RoundState.unwrap(s) >> PHASE) & 0xff);
    }

    function isIn(RoundState s, ITrainingRounds.Phase asked) internal pure returns (bool) {
        return (RoundState.unwrap(s) >> PHASE) & 0xff == uint256(asked);
    }

    function mark(RoundState s) internal pure returns (uint256) {
        return (RoundState.unwrap(s) >> MARK) & 0xffffffffff;
    }

    /// @notice Number of assigned seats.
    function seats(RoundState s) internal pure returns (uint256) {
        return RoundState.unwrap(s) & 0xff;
    }

    /// @notice One of the masks or 16-bit numbers.
    function field(RoundState s, RoundField maskOrNumber) internal pure returns (uint256) {
        return (RoundState.unwrap(s) >> RoundField.unwrap(maskOrNumber)) & 0xffff;
    }

    /// @notice Whether a mask includes the seat, which is one of sixteen.
    function has(RoundState s, RoundField mask, uint256 seat) internal pure returns (bool) {
        unchecked {
            return (RoundState.unwrap(s) >> (RoundField.unwrap(mask) + seat)) & 1 == 1;
        }
    }

    function lastLeader(RoundState s) internal pure returns (uint256) {
        return (RoundState.unwrap(s) >> LAST_LEADER) & 0xff;
    }

    /// @notice How many seats may lead this round, once tallied: the number of turns in the phase Attest.
    function leaders(RoundState s) internal pure returns (uint256) {
        return RoundState.unwrap(s) >> LEADERS;
    }

    function sliceOpened(RoundState s) internal pure returns (bool) {
        return RoundState.unwrap(s) & FLAG_SLICE != 0;
    }

    function reached(RoundState s) internal pure returns (bool) {
        return RoundState.unwrap(s) & FLAG_REACHED != 0;
    }

    /// @notice Whether the phase has a deadline.
    function timed(RoundState s) internal pure returns (bool) {
        return (TIMED >> ((RoundState.unwrap(s) >> PHASE) & 0xff)) & 1 == 1;
    }

    /// @notice When the phase of `s` began.
    function began(RoundState s, RoundPlan memory p) internal pure returns (uint256) {
        ITrainingRounds.Phase now_ = phase(s);
        if (now_ == ITrainingRounds.Phase.Submit) return mark(s) - p.submitWindow;
        if (now_ == ITrainingRounds.Phase.Commit) return mark(s) - p.commitWindow;
        if (now_ == ITrainingRounds.Phase.Reveal) return mark(s) - p.revealWindow;
        if (now_ == ITrainingRounds.Phase.Attest) return mark(s) - leaders(s) * p.proposeWindow;
        return mark(s);
    }

    /// @notice The last second of the phase of `s`; 0 if it has no deadline.
    function deadline(RoundState s) internal pure returns (uint256) {
        return timed(s) ? mark(s) : 0;
    }

    /// @notice Whether all expected seats, and at least two, have submitted.
    function submissionsComplete(RoundState s) internal pure returns (bool) {
        uint256 submitted = field(s, SUBMITTED);
        return field(s, EXPECTED) & ~submitted == 0 && Scores.count(submitted) >= 2;
    }

    /// @notice Expected seats that have submitted in an earlier round, but not in this one.
    function noShows(RoundState s) internal pure returns (uint256) {
        return field(s, EVER) & field(s, EXPECTED) & ~field(s, SUBMITTED);
    }

    /* CHANGING */

    /// @notice `s` with the seat added to a mask.
    function add(RoundState s, RoundField mask, uint256 seat) internal pure returns (RoundState) {
        unchecked {
            return _with(s, 1 << (RoundField.unwrap(mask) + seat));
        }
    }

    /// @notice `s` with the seat removed from a mask.
    function drop(RoundState s, RoundField mask, uint256 seat) internal pure returns (RoundState) {
        unchecked {
            return _without(s, 1 << (RoundField.unwrap(mask) + seat));
        }
    }

    /// @notice `s` with one more in a 16-bit number, of which there are at most 1,000.
    function increment(RoundState s, RoundField number) internal pure returns (RoundState) {
        unchecked {
            return RoundState.wrap(RoundState.unwrap(s) + (1 << RoundField.unwrap(number)));
        }
    }

    /// @notice `s` with one more seat, of at most sixteen.
    function addSeat(RoundState s) internal pure returns (RoundState) {
        unchecked {
            return RoundState.wrap(RoundState.unwrap(s) + 1);
        }
    }

    function setSliceOpened(RoundState s) internal pure returns (RoundState) {
        return _with(s, FLAG_SLICE);
    }

    function setReached(RoundState s) internal pure returns (RoundState) {
        return _with(s, FLAG_REACHED);
    }

    function setLastLeader(RoundState s, uint256 seat) internal pure returns (RoundState) {
        return _with(_without(s, uint256(0xff) << LAST_LEADER), seat << LAST_LEADER);
    }

    function setLeaders(RoundState s, uint256 count) internal pure returns (RoundState) {
        return _with(_without(s, uint256(0xff) << LEADERS), count << LEADERS);
    }

    /// @notice Starts the phase `next` now, for `window` seconds (0: without a deadline).
    function enter(RoundState s, ITrainingRounds.Phase next, uint256 window) internal view returns (RoundState) {
        return _clock(s, next, block.timestamp + window);
    }

    /// @notice Moves `s`, whose deadline has passed at `time`, into the phase of that time: the next phase starts where a
    /// window ends. The round expires with fewer than two submissions, or without a proposal by the last leader's turn.
    function advance(RoundState s, RoundPlan memory p, uint256 time) internal pure returns (RoundState) {
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

    /// @notice Starts a round that waits for the `expected` seats.
    function nextRound(RoundState s, uint256 expected, uint256 barred, uint256 window) internal view returns (RoundState) {
        s = increment(_without(s, OF_ROUND), ROUND);
        s = _with(s, (expected << RoundField.unwrap(EXPECTED)) | (barred << RoundField.unwrap(BARRED)));
        return enter(s, ITrainingRounds.Phase.Submit, window);
    }

    /* BEFORE THE FIRST ROUND */

    /// @notice The organisation of a seat while providers join.
    function organisation(RoundState s, uint256 seat) internal pure returns (uint256) {
        unchecked {
            return (RoundState.unwrap(s) >> (MARK + ORGANISATION_BITS * seat)) & ORGANISATION_MASK;
        }
    }

    function setOrganisation(RoundState s, uint256 seat, uint256 value) internal pure returns (RoundState) {
        uint256 shift = MARK + ORGANISATION_BITS * seat;
        return _with(_without(s, ORGANISATION_MASK << shift), value << shift);
    }

    /// @notice `s` without the organisations.
    function withoutOrganisations(RoundState s) internal pure returns (RoundState) {
        return RoundState.wrap(RoundState.unwrap(s) & ((1 << MARK) - 1));
    }

    /* INTERNAL */

    function _clock(RoundState s, ITrainingRounds.Phase next, uint256 last) private pure returns (RoundState) {
        return _with(_without(s, CLOCK), (uint256(next) << PHASE) | (last << MARK));
    }

    function _with(RoundState s, uint256 bits) private pure returns (RoundState) {
        return RoundState.wrap(RoundState.unwrap(s) | bits);
    }

    function _without(RoundState s, uint256 bits) private pure returns (RoundState) {
        return RoundState.wrap(RoundState.unwrap(s) & ~bits);
    }
}
