// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ISharingMarket} from "../../../contracts/interfaces/ISharingMarket.sol";
import {ITrainingRounds} from "../../../contracts/interfaces/ITrainingRounds.sol";
import {Moves} from "./Moves.sol";

/// @title Handler
/// @notice What the fuzzer may do. Its numbers pick a request, a seat, an account; mostly the one whose turn it is.
contract Handler is Moves {
    uint256 private constant MAX_REQUESTS = 3;
    uint256 private constant PROVIDERS = 6;

    /* MARKET */

    function create(uint256 who, uint256 seed) external {
        if (market.requestCount() == MAX_REQUESTS) return;
        uint256[5] memory payments = [uint256(1 ether), 1 ether + 7, 0.0001 ether, 1, 3];
        _create(_anyone(who), _terms(seed), payments[_roll(seed, "payment", 5)]);
    }

    function join(uint256 which, uint256 who, uint32 samples) external {
        if (_none()) return;
        _join(_pick(which), _anyone(who), samples % 20_000_000);
    }

    function withdraw(uint256 which, uint256 place, uint256 who) external {
        if (_none()) return;
        uint256 id = _pick(which);
        uint256 seat = place % 6;
        _withdraw(id, seat, _holderOr(id, seat, who));
    }

    function start(uint256 which, uint256 place, uint256 who) external {
        if (_none()) return;
        uint256 id = _pick(which);
        uint256 seat = place % 6;
        _start(id, seat, _holderOr(id, seat, who));
    }

    function cancel(uint256 which, uint256 who) external {
        if (_none()) return;
        uint256 id = _pick(which);
        _cancel(id, who % 4 == 0 ? _books[id].requester : _anyone(who));
    }

    function expire(uint256 which, uint256 who) external {
        if (_none()) return;
        _expire(_pick(which), _anyone(who));
    }

    function deliver(uint256 which, uint256 place, uint256 who) external {
        if (_none()) return;
        uint256 id = _pick(which);
        uint256 seat = place % 6;
        _deliver(id, seat, _holderOr(id, seat, who), place % 7 == 0 ? 79 : 80);
    }

    function claim(uint256 which, uint256 place, uint256 who) external {
        if (_none()) return;
        uint256 id = _pick(which);
        uint256 seat = place % 6;
        _claim(id, seat, _holderOr(id, seat, who));
    }

    function refund(uint256 which, uint256 who) external {
        if (_none()) return;
        uint256 id = _pick(which);
        _refund(id, who % 4 == 0 ? _anyone(who / 4) : _books[id].requester);
    }

    function settle(uint256 which, uint256 who) external {
        if (_none()) return;
        _settle(_pick(which), _anyone(who));
    }

    /* ROUNDS */

    function submit(uint256 which, uint256 place, uint256 who) external {
        if (_none()) return;
        uint256 id = _pick(which);
        uint256 seat = place % 6;
        _submit(id, seat, _holderOr(id, seat, who));
    }

    function openSlice(uint256 which, uint256 who) external {
        if (_none()) return;
        uint256 id = _pick(which);
        _openSlice(id, who % 4 == 0 ? _anyone(who / 4) : _books[id].requester);
    }

    function commitVote(uint256 which, uint256 place, uint256 who, uint256 mood) external {
        if (_none()) return;
        uint256 id = _pick(which);
        uint256 seat = place % 6;
        _commit(id, seat, _holderOr(id, seat, who), mood);
    }

    function revealVote(uint256 which, uint256 place, uint256 who) external {
        if (_none()) return;
        uint256 id = _pick(which);
        uint256 seat = place % 6;
        _reveal(id, seat, _holderOr(id, seat, who));
    }

    function tally(uint256 which, uint256 who) external {
        if (_none()) return;
        _tally(_pick(which), _anyone(who));
    }

    function attest(uint256 which, uint256 place, uint256 who, uint256 mood) external {
        if (_none()) return;
        uint256 id = _pick(which);
        uint256 seat = place % 6;
        _attest(id, seat, _holderOr(id, seat, who), mood);
    }

    function propose(uint256 which, uint256 place, uint256 who, uint256 mood) external {
        if (_none()) return;
        uint256 id = _pick(which);
        uint256 seat = place % 6;
        _propose(id, seat, _holderOr(id, seat, who), mood);
    }

    function expireRound(uint256 which, uint256 who) external {
        if (_none()) return;
        _expireRound(_pick(which), _anyone(who));
    }

    /* SEVERAL AT ONCE */

    /// @notice Brings a request up to twenty steps further, with all members that `seed` lets come.
    function further(uint256 which, uint256 steps, uint256 seed) external {
        if (_none()) return;
        uint256 id = _pick(which);
        for (uint256 i; i <= steps % 20; ++i) {
            _step(id, _roll(seed, bytes32(i), type(uint256).max));
        }
    }

    /// @notice Ends every request by deadlines and by what an outsider may call, and lets everybody take what is theirs.
    function finish() external {
        address outsider = accounts[accounts.length - 1];
        for (uint256 id = 1; id <= market.requestCount(); ++id) {
            for (uint256 i; i < 8 && !_over(id); ++i) {
                _expire(id, outsider);
                _tally(id, outsider);
                _expireRound(id, outsider);
                _pass(_now + 10_000);
            }
            // The time to deliver runs out too.
            _pass(_now + 10_000);
            _settle(id, outsider);
            _collect(id);
        }
    }

    /* OUTSIDE */

    function wait(uint256 seconds_) external {
        _pass(_now + seconds_ % 300);
    }

    function force(uint64 amount) external {
        forced += amount;
        VM.deal(address(market), address(market).balance + amount);
    }

    function suspendOrRestore(uint256 who) external {
        address account = accounts[who % (accounts.length - 1)];
        (bool active,,) = registry.seatInfo(account);
        VM.prank(registrar);
        if (active) registry.suspend(account);
        else registry.restore(account);
    }

    /// @notice Somebody who is not one of the contracts calls what only they may call.
    function trespass(uint256 which, uint256 who, uint256 what) external {
        address account = who % 10 == 9 ? registrar : _anyone(who);
        uint256 id = _none() ? 1 : _pick(which);
        bytes memory data;
        address to = address(rounds);
        if (what % 5 == 0) data = abi.encodeCall(ITrainingRounds.enlist, (id, account, 1, 1, 10_000));
        else if (what % 5 == 1) data = abi.encodeCall(ITrainingRounds.unseat, (id, 0, account));
        else if (what % 5 == 2) data = abi.encodeCall(ITrainingRounds.halt, (id));
        else to = address(registry);
        if (what % 5 > 2) data = abi.encodeCall(registry.recordOutcomes, (accounts, 1, 10_000, 0, 100, uint40(_now)));
        (bool taken,) = _try(account, to, 0, data);
        if (taken) trespassed = true;
    }

    /* INTERNAL */

    function _none() private view returns (bool) {
        return market.requestCount() == 0;
    }

    function _pick(uint256 which) private view returns (uint256) {
        return 1 + which % market.requestCount();
    }

    function _anyone(uint256 who) private view returns (address) {
        return accounts[who % accounts.length];
    }

    /// @dev Who holds the seat, but in one of eight cases, or where nobody does, somebody else.
    function _holderOr(uint256 id, uint256 seat, uint256 who) private view returns (address) {
        address[] storage held = _books[id].holders;
        if (who % 8 == 0 || seat >= held.length || held[seat] == address(0)) return _anyone(who / 8);
        return held[seat];
    }

    function _over(uint256 id) private view returns (bool) {
        ISharingMarket.Status status = market.request(id).status;
        return status != ISharingMarket.Status.Open && status != ISharingMarket.Status.Running;
    }

    function _terms(uint256 seed) private pure returns (ISharingMarket.Terms memory terms) {
        uint32 window = [uint32(200), 90, 20, 5][_roll(seed, "window", 4)];
        terms.specification = keccak256("specification");
        terms.maxError = [uint16(9000), 4000, 10_000][_roll(seed, "maxError", 3)];
        terms.target = [uint16(0), 500][_roll(seed, "target", 2)];
        terms.maxRounds = [uint16(1), 2, 3, 1000][_roll(seed, "maxRounds", 4)];
        terms.minProviders = uint8(2 + _roll(seed, "min", 2));
        terms.maxProviders = uint8(3 + _roll(seed, "max", 3));
        terms.leaderRule = uint8(_roll(seed, "leader", 2));
        terms.approvalRule = uint8(_roll(seed, "approval", 2));
        terms.voteBand = [uint16(0), 50, 1000][_roll(seed, "band", 3)];
        terms.joinWindow = terms.startWindow = terms.submitWindow = window;
        terms.commitWindow = terms.revealWindow = terms.proposeWindow = terms.deliverWindow = window;
    }

    /// @dev One step of all who come: in the present phase, or with the present status.
    function _step(uint256 id, uint256 seed) private {
        ISharingMarket.Status status = market.request(id).status;
        if (status == ISharingMarket.Status.Open) _assemble(id);
        else if (status == ISharingMarket.Status.Running) _phase(id, seed);
        else if (status == ISharingMarket.Status.Ended && rounds.outcome(id).finalRounds > 0) _handOver(id);
        else _collect(id);
    }

    function _assemble(uint256 id) private {
        for (uint256 i = 1; i <= PROVIDERS; ++i) {
            _join(id, accounts[i], uint32(50 + 37 * i));
        }
        ISharingMarket.Request memory seen = market.request(id);
        if (seen.closedAt == 0) _pass(uint256(seen.joinDeadline) + 1);
        address[] memory held = holders(id);
        for (uint256 seat; seat < held.length; ++seat) {
            _start(id, seat, held[seat]);
        }
        _expire(id, accounts[accounts.length - 1]);
    }

    function _phase(uint256 id, uint256 seed) private {
        ITrainingRounds.RoundFacts memory seen = rounds.roundState(id);
        address[] memory held = holders(id);
        if (seen.phase == ITrainingRounds.Phase.Tally) _tally(id, accounts[8]);
        if (seen.phase == ITrainingRounds.Phase.Expired) _expireRound(id, accounts[8]);
        for (uint256 seat; seat < held.length; ++seat) {
            uint256 mood = _roll(seed, bytes32(seat), 1000);
            // One in forty stays away.
            if (held[seat] == address(0) || mood % 40 == 39) continue;
            if (seen.phase == ITrainingRounds.Phase.Submit) _submit(id, seat, held[seat]);
            if (seen.phase == ITrainingRounds.Phase.Commit) _commit(id, seat, held[seat], mood);
            if (seen.phase == ITrainingRounds.Phase.Reveal) _reveal(id, seat, held[seat]);
            if (seen.phase == ITrainingRounds.Phase.Attest) _attest(id, seat, held[seat], mood);
        }
        if (seen.phase == ITrainingRounds.Phase.Attest) {
            uint256 leader = rounds.leaderOrder(id)[0];
            _propose(id, leader, held[leader], 1);
        }
        // Where somebody stayed away, the phase ends by its deadline.
        if (rounds.roundState(id).phase == seen.phase && seen.deadline != 0) _pass(uint256(seen.deadline) + 1);
    }

    function _handOver(uint256 id) private {
        uint256 leader = rounds.outcome(id).lastLeader;
        _deliver(id, leader, holders(id)[leader], 80);
    }

    function _collect(uint256 id) private {
        address[] memory held = holders(id);
        for (uint256 seat; seat < held.length; ++seat) {
            if (held[seat] != address(0)) _claim(id, seat, held[seat]);
        }
        _refund(id, _books[id].requester);
    }
}
