// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ITrainingRounds} from "../interfaces/ITrainingRounds.sol";
import {Scores} from "./Scores.sol";

/// @title RoundState
/// @notice All moving facts of a request in one storage word, and the phase that they and the clock give.
/// @dev Layout from bit 0: round 16, stage 8, mark 40, seats 8, members 16, expected 16, barred 16, ever 16, submitted 16,
/// committed 16, revealed 16, attested 16, lastLeader 8, paidRounds 16, finalRounds 16, flags 8, leaders 8.
library RoundState {
    /// @notice `lastLeader` while no round is final.
    uint256 internal constant NO_LEADER = 0xff;

    uint256 private constant FLAG_SLICE = 1;
    uint256 private constant FLAG_REACHED = 2;

    struct State {
        uint256 round;
        /// @dev The phase that the last transaction recorded.
        ITrainingRounds.Phase stage;
        /// @dev The last second of that phase if it has one (Submit, Commit, Reveal, Attest), else when it began. So the
        /// parameters need not be read while a phase lasts.
        uint256 mark;
        uint256 seats;
        uint256 members;
        uint256 expected;
        uint256 barred;
        uint256 ever;
        uint256 submitted;
        uint256 committed;
        uint256 revealed;
        uint256 attested;
        uint256 lastLeader;
        uint256 paidRounds;
        uint256 finalRounds;
        bool sliceOpened;
        bool reached;
        /// @dev How many may lead this round, once tallied: so many turns the phase Attest has.
        uint256 leaders;
    }

    function unpack(uint256 word) internal pure returns (State memory s) {
        s.round = word & 0xffff;
        s.stage = ITrainingRounds.Phase((word >> 16) & 0xff);
        s.mark = (word >> 24) & 0xffffffffff;
        s.seats = (word >> 64) & 0xff;
        s.members = (word >> 72) & 0xffff;
        s.expected = (word >> 88) & 0xffff;
        s.barred = (word >> 104) & 0xffff;
        s.ever = (word >> 120) & 0xffff;
        s.submitted = (word >> 136) & 0xffff;
        s.committed = (word >> 152) & 0xffff;
        s.revealed = (word >> 168) & 0xffff;
        s.attested = (word >> 184) & 0xffff;
        s.lastLeader = (word >> 200) & 0xff;
        s.paidRounds = (word >> 208) & 0xffff;
        s.finalRounds = (word >> 224) & 0xffff;
        s.sliceOpened = (word >> 240) & FLAG_SLICE != 0;
        s.reached = (word >> 240) & FLAG_REACHED != 0;
        s.leaders = word >> 248;
    }

    function pack(State memory s) internal pure returns (uint256 word) {
        word = s.round | (uint256(s.stage) << 16) | (s.mark << 24) | (s.seats << 64) | (s.members << 72);
        word |= (s.expected << 88) | (s.barred << 104) | (s.ever << 120) | (s.submitted << 136);
        word |= (s.committed << 152) | (s.revealed << 168) | (s.attested << 184) | (s.lastLeader << 200);
        word |= (s.paidRounds << 208) | (s.finalRounds << 224) | (s.leaders << 248);
        if (s.sliceOpened) word |= FLAG_SLICE << 240;
        if (s.reached) word |= FLAG_REACHED << 240;
    }

    /// @notice Whether the phase has a deadline.
    function timed(State memory s) internal pure returns (bool) {
        return s.stage != ITrainingRounds.Phase.None && s.stage < ITrainingRounds.Phase.Expired
            && s.stage != ITrainingRounds.Phase.Tally;
    }

    /// @notice Moves `s`, whose deadline is over at `time`, into the phase that holds then: each window that has run out
    /// starts the next phase at its end. Fewer than two submissions, or no proposal in the last leader's turn, make the
    /// round Expired.
    function advance(State memory s, ITrainingRounds.Params memory p, uint256 time) internal pure {
        if (s.stage == ITrainingRounds.Phase.Submit && time > s.mark) {
            if (Scores.count(s.submitted) < 2) {
                s.stage = ITrainingRounds.Phase.Expired;
            } else {
                s.stage = ITrainingRounds.Phase.Commit;
                s.mark += p.commitWindow;
            }
        }
        if (s.stage == ITrainingRounds.Phase.Commit && time > s.mark) {
            if (s.committed == 0) {
                s.stage = ITrainingRounds.Phase.Tally;
            } else {
                s.stage = ITrainingRounds.Phase.Reveal;
                s.mark += p.revealWindow;
            }
        }
        if (s.stage == ITrainingRounds.Phase.Reveal && time > s.mark) s.stage = ITrainingRounds.Phase.Tally;
        if (s.stage == ITrainingRounds.Phase.Attest && time > s.mark) s.stage = ITrainingRounds.Phase.Expired;
    }

    /// @notice When the phase that `s` is in began.
    function began(State memory s, ITrainingRounds.Params memory p) internal pure returns (uint256) {
        if (s.stage == ITrainingRounds.Phase.Submit) return s.mark - p.submitWindow;
        if (s.stage == ITrainingRounds.Phase.Commit) return s.mark - p.commitWindow;
        if (s.stage == ITrainingRounds.Phase.Reveal) return s.mark - p.revealWindow;
        if (s.stage == ITrainingRounds.Phase.Attest) return s.mark - s.leaders * p.proposeWindow;
        return s.mark;
    }

    /// @notice The last second of the phase that `s` is in; 0 where it has none.
    function deadline(State memory s) internal pure returns (uint256) {
        return timed(s) ? s.mark : 0;
    }

    /// @notice Starts `stage` now, to last `window` seconds (0: without a deadline).
    function enter(State memory s, ITrainingRounds.Phase stage, uint256 window) internal view {
        s.stage = stage;
        s.mark = block.timestamp + window;
    }

    /// @notice Whether all who are expected, and at least two, have submitted.
    function submissionsComplete(State memory s) internal pure returns (bool) {
        return s.expected & ~s.submitted == 0 && Scores.count(s.submitted) >= 2;
    }

    /// @notice Starts a round that waits for `expected`.
    function nextRound(State memory s, uint256 expected, uint256 barred, uint256 window) internal view {
        ++s.round;
        s.expected = expected;
        s.barred = barred;
        s.submitted = 0;
        s.committed = 0;
        s.revealed = 0;
        s.attested = 0;
        s.leaders = 0;
        s.sliceOpened = false;
        enter(s, ITrainingRounds.Phase.Submit, window);
    }
}
