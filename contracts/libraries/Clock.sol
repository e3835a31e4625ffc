// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Scores} from "./Scores.sol";
import {ITrainingRounds} from "../interfaces/ITrainingRounds.sol";

/// @notice The plan of a request's rounds in one slot.
struct Plan {
    uint16 maxError;
    uint16 target;
    uint16 maxRounds;
    /// @dev Bit 0: the leader rule; bit 1: the approval rule.
    uint8 rules;
    uint16 voteBand;
    uint24 startWindow;
    uint24 submitWindow;
    uint24 commitWindow;
    uint24 revealWindow;
    uint24 attestWindow;
    /// @dev Gwei.
    uint32 gasPerRound;
    /// @dev 1/1,000 gwei.
    uint32 maxGasPrice;
}

/// @notice All changing facts of a request's rounds in one slot, as the last transaction left them.
/// @dev The mark is the last second of a phase with a deadline; in Waiting, when the turns to start began (0: when the pool
/// closed); in Ended, when that was. Masks are of the present round; see {ITrainingRounds-RoundFacts}.
struct State {
    ITrainingRounds.Phase phase;
    uint40 mark;
    uint16 round;
    uint16 finalRounds;
    uint16 paidRounds;
    uint16 expected;
    uint16 submitted;
    uint16 acted;
    uint16 revealed;
    uint16 voided;
    uint16 lastLeader;
    uint16 returning;
    /// @dev Seats that have used their return.
    uint16 returned;
    uint16 turn;
    uint8 size;
    uint8 flags;
}

/// @title Clock
/// @notice Which phase a round is in.
library Clock {
    uint8 internal constant SLICE = 1;
    /// @dev The present phase's window was opened once more: in Submit and Attest.
    uint8 internal constant REOPENED = 2;
    uint8 internal constant HALTED = 4;
    uint8 internal constant REACHED = 8;
    uint8 internal constant DRAWN = 16;
    uint8 internal constant EVER = 32;
    uint8 internal constant BLIND = 64;
    /// @dev All members of the pool have seats and lie in one blob, in its order.
    uint8 internal constant WHOLE = 128;

    /// @dev What a new round clears.
    uint8 private constant OF_ROUND = SLICE | REOPENED | BLIND;

    function has(State memory s, uint8 flag) internal pure returns (bool) {
        return s.flags & flag != 0;
    }

    /// @notice The seats whose model counts.
    function judged(State memory s) internal pure returns (uint256) {
        return s.submitted & ~s.voided;
    }

    /// @notice The seats that may attest: those that revealed, in a blind round those that submitted.
    function attesters(State memory s) internal pure returns (uint256) {
        return (has(s, BLIND) ? s.submitted : s.revealed) & ~s.voided;
    }

    /// @notice Moves `s` to the phase of `time`: passes what is complete and what is over, each phase starting where the one
    /// before ended.
    function advance(State memory s, Plan memory p, uint256 time) internal pure {
        ITrainingRounds.Phase before;
        do {
            before = s.phase;
            if (before == ITrainingRounds.Phase.Submit) _submit(s, p, time);
            else if (before == ITrainingRounds.Phase.Commit) _commit(s, p, time);
            else if (before == ITrainingRounds.Phase.Reveal) _reveal(s, time);
            else if (before == ITrainingRounds.Phase.Attest) _attest(s, p, time);
        } while (s.phase != before);
    }

    /// @notice Starts a round for the `expected` seats, from now.
    function open(State memory s, Plan memory p, uint256 expected, uint256 time) internal pure {
        ++s.round;
        s.phase = ITrainingRounds.Phase.Submit;
        s.mark = uint40(time + p.submitWindow);
        s.expected = uint16(expected);
        s.submitted = s.acted = s.revealed = s.voided = s.returning = 0;
        s.flags &= ~OF_ROUND;
    }

    /// @dev Once all have submitted, or the window is over. If a majority is silent then, the window opens once more, so
    /// that a minority does not go on alone because of a short outage.
    function _submit(State memory s, Plan memory p, uint256 time) private pure {
        uint256 counting = judged(s);
        uint256 present = Scores.count(counting);
        uint256 awaited = has(s, REOPENED) ? (uint256(1) << s.size) - 1 : s.expected;
        bool complete = awaited & ~(uint256(s.submitted) | s.voided) == 0 && present >= 2;
        if (!complete && time <= s.mark) return;
        uint256 from = complete && time <= s.mark ? time : s.mark;
        if (has(s, HALTED)) {
            s.phase = present == 0 ? ITrainingRounds.Phase.Failed : ITrainingRounds.Phase.Tally;
            s.flags |= BLIND;
        } else if (present < 2) {
            s.phase = ITrainingRounds.Phase.Failed;
        } else if (!complete && !has(s, REOPENED) && 2 * present <= Scores.count(s.expected)) {
            s.flags |= REOPENED;
            s.mark += p.submitWindow;
            // The same phase again: the caller's loop would stop here.
            _submit(s, p, time);
        } else {
            s.phase = ITrainingRounds.Phase.Commit;
            s.mark = uint40(from + p.commitWindow);
        }
    }

    /// @dev Without a slice by half of the window the round is blind.
    function _commit(State memory s, Plan memory p, uint256 time) private pure {
        if (!has(s, SLICE)) {
            if (time <= sliceDeadline(s, p)) return;
            s.flags |= BLIND;
            s.phase = ITrainingRounds.Phase.Tally;
            return;
        }
        bool complete = judged(s) & ~s.acted == 0;
        if (!complete && time <= s.mark) return;
        uint256 from = time <= s.mark ? time : s.mark;
        if (s.acted & ~s.voided == 0) {
            s.phase = ITrainingRounds.Phase.Tally;
        } else {
            s.phase = ITrainingRounds.Phase.Reveal;
            s.mark = uint40(from + p.revealWindow);
        }
    }

    function _reveal(State memory s, uint256 time) private pure {
        if (s.acted & ~(s.revealed | s.voided) == 0 || time > s.mark) s.phase = ITrainingRounds.Phase.Tally;
    }

    /// @dev As for the submissions, the window opens once more if at most half have attested: a short outage is nobody's
    /// fault.
    function _attest(State memory s, Plan memory p, uint256 time) private pure {
        uint256 may = attesters(s);
        if (may & ~s.acted != 0) {
            if (time <= s.mark) return;
            if (!has(s, REOPENED) && 2 * Scores.count(may & s.acted) <= Scores.count(may)) {
                s.flags |= REOPENED;
                s.mark += p.attestWindow;
                if (time <= s.mark) return;
            }
        }
        s.phase = ITrainingRounds.Phase.Finalise;
    }

    /// @notice The last second in which the slice may be opened.
    function sliceDeadline(State memory s, Plan memory p) internal pure returns (uint256) {
        return s.mark - p.commitWindow + p.commitWindow / 2;
    }
}
