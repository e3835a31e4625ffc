// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ITrainingRounds} from "../../../contracts/interfaces/ITrainingRounds.sol";
import {Clock, Plan, State} from "../../../contracts/libraries/Clock.sol";
import {Plans} from "../../../contracts/libraries/Plans.sol";
import {Scores} from "../../../contracts/libraries/Scores.sol";

/// @notice What `make symbolic` proves of a request's clock and plan, for all arguments.
contract ClockProofs {
    uint8 private constant OF_ROUND = Clock.SLICE | Clock.REOPENED | Clock.BLIND;

    State private _state;
    Plan private _plan;

    function check_state_is_stored_as_it_is(State calldata s) external {
        _state = s;
        State memory found = _state;
        _assertSameFacts(s, found);
        assert(found.phase == s.phase && found.mark == s.mark && found.flags == s.flags);
    }

    function check_plan_is_stored_as_it_is(ITrainingRounds.RoundPlan calldata plan) external {
        Plan memory p = Plans.stored(plan);
        _plan = p;
        Plan memory found = _plan;
        assert(found.maxError == plan.maxError && found.maxError > 0 && found.maxError <= Scores.MAX);
        assert(found.target == plan.target && found.target <= Scores.MAX);
        assert(found.maxRounds == plan.maxRounds && found.maxRounds > 0 && found.voteBand == plan.voteBand);
        assert(found.startWindow == plan.startWindow && found.submitWindow == plan.submitWindow);
        assert(found.commitWindow == plan.commitWindow && found.revealWindow == plan.revealWindow);
        assert(found.attestWindow == plan.attestWindow);
        assert(found.gasPerRound == plan.gasPerRound && found.maxGasPrice == plan.maxGasPrice);
        // As the rounds read them.
        assert(found.rules & 1 == plan.leaderRule && found.rules >> 1 == plan.approvalRule);
    }

    function check_a_new_round_clears_its_own_facts(State memory s, Plan memory p, uint16 expected, uint32 time)
        external
        pure
    {
        if (s.round == type(uint16).max) return;
        State memory found = _copy(s);
        Clock.open(found, p, expected, time);
        assert(found.phase == ITrainingRounds.Phase.Submit && found.round == s.round + 1 && found.expected == expected);
        assert(found.mark == uint256(time) + p.submitWindow);
        assert(found.submitted == 0 && found.acted == 0 && found.revealed == 0);
        assert(found.voided == 0 && found.returning == 0);
        assert(found.flags & OF_ROUND == 0 && (found.flags | OF_ROUND) == (s.flags | OF_ROUND));
        assert(found.finalRounds == s.finalRounds && found.paidRounds == s.paidRounds && found.turn == s.turn);
        assert(found.lastLeader == s.lastLeader && found.returned == s.returned && found.size == s.size);
    }

    /// @dev Time moves the phase forwards, and nothing else but the mark and two flags; once more at the same time, nothing.
    function check_time_moves_phases_forwards(State memory s, Plan memory p, uint32 time) external pure {
        if (!_isPossible(s)) return;
        State memory found = _copy(s);
        Clock.advance(found, p, time);
        assert(found.phase >= s.phase);
        assert(found.phase != ITrainingRounds.Phase.Ended || s.phase == ITrainingRounds.Phase.Ended);
        assert(found.flags & s.flags == s.flags);
        assert((found.flags ^ s.flags) & ~(Clock.REOPENED | Clock.BLIND) == 0);
        _assertSameFacts(s, found);

        State memory again = _copy(found);
        Clock.advance(again, p, time);
        assert(again.phase == found.phase && again.mark == found.mark && again.flags == found.flags);
    }

    /// @dev What a transaction left may be looked at at any time in between: the phase of later is the same.
    function check_looking_in_between_changes_nothing(State memory s, Plan memory p, uint32 before, uint32 between, uint32 later)
        external
        pure
    {
        if (!_isPossible(s) || before > between || between > later) return;
        Clock.advance(s, p, before);
        State memory once = _copy(s);
        Clock.advance(once, p, later);
        Clock.advance(s, p, between);
        Clock.advance(s, p, later);
        assert(s.phase == once.phase && s.mark == once.mark && s.flags == once.flags);
    }

    /// @dev What the contracts keep to: masks are of the cohort, later ones of those before; nobody has acted before the
    /// commitments; a mark is a time of our days, and so later than any window is long.
    function _isPossible(State memory s) private pure returns (bool) {
        if (s.size > 16 || s.size < 2) return false;
        uint256 full = (uint256(1) << s.size) - 1;
        if ((s.expected | s.submitted | s.voided) & ~full != 0) return false;
        if (s.acted & ~s.submitted != 0 || s.revealed & ~s.submitted != 0) return false;
        if (s.phase == ITrainingRounds.Phase.Submit && (s.acted | s.revealed) != 0) return false;
        return s.mark <= type(uint32).max && s.mark >= type(uint24).max;
    }

    function _copy(State memory s) private pure returns (State memory) {
        return State({
            phase: s.phase,
            mark: s.mark,
            round: s.round,
            finalRounds: s.finalRounds,
            paidRounds: s.paidRounds,
            expected: s.expected,
            submitted: s.submitted,
            acted: s.acted,
            revealed: s.revealed,
            voided: s.voided,
            lastLeader: s.lastLeader,
            returning: s.returning,
            returned: s.returned,
            turn: s.turn,
            size: s.size,
            flags: s.flags
        });
    }

    /// @dev All but phase, mark and flags.
    function _assertSameFacts(State memory a, State memory b) private pure {
        assert(a.round == b.round && a.finalRounds == b.finalRounds && a.paidRounds == b.paidRounds);
        assert(a.expected == b.expected && a.submitted == b.submitted && a.acted == b.acted);
        assert(a.revealed == b.revealed && a.voided == b.voided && a.lastLeader == b.lastLeader);
        assert(a.returning == b.returning && a.returned == b.returned && a.turn == b.turn && a.size == b.size);
    }
}
