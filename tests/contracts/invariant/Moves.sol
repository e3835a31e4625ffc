// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ISharingMarket} from "../../../contracts/interfaces/ISharingMarket.sol";
import {ITrainingRounds} from "../../../contracts/interfaces/ITrainingRounds.sol";
import {PackedScores} from "../../../contracts/libraries/Scores.sol";
import {World} from "./World.sol";

/// @title Moves
/// @notice Every call of every actor, each of which may be refused, and what is written down where it is taken.
abstract contract Moves is World {
    /* MARKET */

    function _create(address account, ISharingMarket.Terms memory terms, uint256 payment) internal {
        VM.deal(account, account.balance + payment);
        (bool taken, bytes memory result) =
            _try(account, address(market), payment, abi.encodeCall(ISharingMarket.createRequest, (terms)));
        if (!taken) return;
        Book storage book = _books[abi.decode(result, (uint256))];
        book.requester = account;
        book.payment = payment;
    }

    function _join(uint256 id, address account, uint32 samples) internal {
        (bool taken, bytes memory result) =
            _try(account, address(market), 0, abi.encodeCall(ISharingMarket.join, (id, samples, keccak256("record"))));
        if (!taken) return;
        uint256 seat = abi.decode(result, (uint256));
        address[] storage held = _books[id].holders;
        if (seat == held.length) held.push(account);
        else held[seat] = account;
    }

    function _withdraw(uint256 id, uint256 seat, address account) internal {
        (bool taken,) = _try(account, address(market), 0, abi.encodeCall(ISharingMarket.withdraw, (id, seat)));
        if (taken) _books[id].holders[seat] = address(0);
    }

    function _start(uint256 id, uint256 seat, address account) internal {
        _try(
            account,
            address(market),
            0,
            abi.encodeCall(ISharingMarket.start, (id, seat, keccak256("manifest"), keccak256("key"), holders(id)))
        );
    }

    function _cancel(uint256 id, address account) internal {
        _try(account, address(market), 0, abi.encodeCall(ISharingMarket.cancel, (id)));
    }

    function _expire(uint256 id, address account) internal {
        _try(account, address(market), 0, abi.encodeCall(ISharingMarket.expire, (id)));
    }

    function _deliver(uint256 id, uint256 seat, address account, uint256 length) internal {
        _try(
            account, address(market), 0, abi.encodeCall(ISharingMarket.deliver, (id, seat, new bytes(length), holders(id)))
        );
    }

    function _claim(uint256 id, uint256 seat, address account) internal {
        uint256 before = account.balance;
        (bool taken,) = _try(account, address(market), 0, abi.encodeCall(ISharingMarket.claim, (id, seat)));
        if (!taken) return;
        _books[id].claimed += account.balance - before;
        _books[id].paid[account] += account.balance - before;
    }

    function _refund(uint256 id, address account) internal {
        uint256 before = account.balance;
        (bool taken,) = _try(account, address(market), 0, abi.encodeCall(ISharingMarket.refund, (id, holders(id))));
        if (taken) _books[id].refunded += account.balance - before;
    }

    function _settle(uint256 id, address account) internal {
        _try(account, address(market), 0, abi.encodeCall(ISharingMarket.settle, (id, holders(id))));
    }

    /* ROUNDS */

    function _submit(uint256 id, uint256 seat, address account) internal {
        uint256 round = rounds.roundState(id).round;
        (bool taken,) = _try(
            account, address(rounds), 0, abi.encodeCall(ITrainingRounds.submit, (id, seat, _modelOf(id, round, seat)))
        );
        if (taken) _books[id].ballots[round].submitted |= 1 << seat;
    }

    function _openSlice(uint256 id, address account) internal {
        _try(account, address(rounds), 0, abi.encodeCall(ITrainingRounds.openSlice, (id, keccak256("slice"))));
    }

    function _commit(uint256 id, uint256 seat, address account, uint256 mood) internal {
        uint256 round = rounds.roundState(id).round;
        PackedScores vote = _vote(id, round, seat, mood);
        bytes32 commitment =
            keccak256(abi.encode(block.chainid, address(rounds), id, round, account, vote, _salt(id, round, seat)));
        (bool taken,) =
            _try(account, address(rounds), 0, abi.encodeCall(ITrainingRounds.commitVote, (id, seat, commitment)));
        if (taken) _books[id].ballots[round].votes[seat] = vote;
    }

    function _reveal(uint256 id, uint256 seat, address account) internal {
        uint256 round = rounds.roundState(id).round;
        Ballots storage ballots = _books[id].ballots[round];
        (bool taken,) = _try(
            account,
            address(rounds),
            0,
            abi.encodeCall(ITrainingRounds.revealVote, (id, seat, ballots.votes[seat], _salt(id, round, seat)))
        );
        if (taken) ballots.revealed |= 1 << seat;
    }

    function _tally(uint256 id, address account) internal {
        uint256 round = rounds.roundState(id).round;
        (bool taken,) = _try(account, address(rounds), 0, abi.encodeCall(ITrainingRounds.tally, (id, holders(id))));
        if (!taken) return;
        Book storage book = _books[id];
        for (uint256 seat; seat < book.holders.length; ++seat) {
            if (_stands(book.ballots[round], seat)) book.stood[book.holders[seat]] = true;
        }
    }

    function _attest(uint256 id, uint256 seat, address account, uint256 mood) internal {
        uint256 round = rounds.roundState(id).round;
        uint16 mae = [uint16(300), 700, uint16(INVALID)][_roll(mood, "mae", 3)];
        bytes32 attestation = keccak256(
            abi.encode(block.chainid, address(rounds), id, round, _globalOf(id, round, mood), mae, account)
        );
        _try(account, address(rounds), 0, abi.encodeCall(ITrainingRounds.attest, (id, seat, attestation, mae)));
    }

    function _propose(uint256 id, uint256 seat, address account, uint256 mood) internal {
        bytes32 digest = _globalOf(id, rounds.roundState(id).round, mood);
        (bool taken,) = _try(
            account, address(rounds), 0, abi.encodeCall(ITrainingRounds.propose, (id, seat, digest, 500, holders(id)))
        );
        if (!taken) return;
        ++_books[id].finalRounds;
        _books[id].finalDigest = digest;
    }

    function _expireRound(uint256 id, address account) internal {
        _try(account, address(rounds), 0, abi.encodeCall(ITrainingRounds.expireRound, (id)));
    }

    /* CONTENT */

    function _roll(uint256 seed, bytes32 what, uint256 sides) internal pure returns (uint256) {
        return uint256(keccak256(abi.encode(seed, what))) % sides;
    }

    /// @dev A model that got a vote and that at most half of its judges call invalid, by a seat that revealed its own vote.
    function _stands(Ballots storage ballots, uint256 seat) private view returns (bool) {
        if ((ballots.submitted & ballots.revealed) >> seat & 1 == 0) return false;
        uint256 votes;
        uint256 invalid;
        for (uint256 judge; judge < 16; ++judge) {
            if (judge == seat || ballots.revealed >> judge & 1 == 0) continue;
            ++votes;
            if ((PackedScores.unwrap(ballots.votes[judge]) >> (LANE * seat)) & INVALID == INVALID) ++invalid;
        }
        return votes > 0 && 2 * invalid <= votes;
    }

    /// @dev Three in sixteen vote at random, call all rivals invalid, or all but one; the others vote near the models' worth,
    /// and find one model in eight invalid.
    function _vote(uint256 id, uint256 round, uint256 own, uint256 mood) private view returns (PackedScores) {
        uint256 lanes;
        uint256 submitted = _books[id].ballots[round].submitted;
        for (uint256 seat; seat < 16; ++seat) {
            if (seat == own || submitted >> seat & 1 == 0) continue;
            uint256 model = uint256(_modelOf(id, round, seat));
            uint256 score = model % 8 == 7 ? INVALID : model % 6000 + mood % 40;
            if (mood % 16 == 13) score = _roll(mood, bytes32(seat), 10_001);
            if (mood % 16 == 14 || (mood % 16 == 15 && seat != own ^ 1)) score = INVALID;
            lanes |= score << (LANE * seat);
        }
        return PackedScores.wrap(lanes);
    }

    /// @dev One in 32 computes another global model.
    function _globalOf(uint256 id, uint256 round, uint256 mood) private pure returns (bytes32) {
        return keccak256(abi.encode("global", id, round, mood % 32 == 0));
    }

    function _modelOf(uint256 id, uint256 round, uint256 seat) private pure returns (bytes32) {
        return keccak256(abi.encode("model", id, round, seat));
    }

    function _salt(uint256 id, uint256 round, uint256 seat) private pure returns (bytes32) {
        return keccak256(abi.encode("salt", id, round, seat));
    }
}
