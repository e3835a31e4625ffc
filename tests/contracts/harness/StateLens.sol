// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IParticipantRegistry} from "../../../contracts/interfaces/IParticipantRegistry.sol";
import {ISharingMarket} from "../../../contracts/interfaces/ISharingMarket.sol";
import {ITrainingRounds} from "../../../contracts/interfaces/ITrainingRounds.sol";

/// @notice All that the contracts' views say about some requests and accounts, in one call: words without offsets, so
/// that a test reads them by place.
contract StateLens {
    uint256 private constant SEATS = 16;
    uint256 private constant ACCOUNTS = 12;

    struct Sight {
        ITrainingRounds.RoundFacts facts;
        ISharingMarket.Request request;
        uint256[SEATS] points;
        uint256[SEATS] faults;
        uint256 leaders;
        uint256[SEATS] order;
        ITrainingRounds.Member[ACCOUNTS] members;
        uint256[SEATS] claimable;
        uint256 refundable;
    }

    /// @return words Time, the market's balance, (balance, active, reputation) of each account, one Sight a request.
    function look(
        IParticipantRegistry registry,
        ISharingMarket market,
        ITrainingRounds rounds,
        address[] calldata accounts,
        uint256[] calldata requests
    ) external view returns (bytes memory words) {
        words = abi.encode(block.timestamp, address(market).balance);
        for (uint256 i; i < accounts.length; ++i) {
            (bool active,, uint16 reputation) = registry.seatInfo(accounts[i]);
            words = bytes.concat(words, abi.encode(accounts[i].balance, active, reputation));
        }
        for (uint256 i; i < requests.length; ++i) {
            words = bytes.concat(words, abi.encode(_sight(market, rounds, requests[i], accounts)));
        }
    }

    function _sight(ISharingMarket market, ITrainingRounds rounds, uint256 id, address[] calldata accounts)
        private
        view
        returns (Sight memory s)
    {
        s.facts = rounds.roundState(id);
        s.request = market.request(id);
        (uint256[] memory points, uint256[] memory faults) = rounds.points(id);
        for (uint256 i; i < points.length; ++i) {
            (s.points[i], s.faults[i]) = (points[i], faults[i]);
            s.claimable[i] = market.claimable(id, i);
        }
        uint256[] memory order = rounds.leaderOrder(id);
        s.leaders = order.length;
        for (uint256 i; i < order.length; ++i) {
            s.order[i] = order[i];
        }
        for (uint256 i; i < accounts.length; ++i) {
            s.members[i] = rounds.member(id, accounts[i]);
        }
        s.refundable = market.refundable(id);
    }
}
