// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ITrainingPool} from "../../../contracts/interfaces/ITrainingPool.sol";
import {PoolMember, PoolMemberLib} from "../../../contracts/libraries/PoolMember.sol";

/// @notice A pool whose members the test names.
contract FakePool {
    event PoolPrepared(uint256 indexed request, ITrainingPool.PoolPlan plan);

    mapping(uint256 request => address[]) private _members;

    function prepare(uint256 request, ITrainingPool.PoolPlan calldata plan) external {
        emit PoolPrepared(request, plan);
    }

    function setMembers(uint256 request, address[] calldata accounts) external {
        _members[request] = accounts;
    }

    function count(uint256 request) external view returns (uint256) {
        return _members[request].length;
    }

    function member(uint256 request, uint256 index) public view returns (PoolMember) {
        return PoolMemberLib.pack(index + 1, _members[request][index], 100, 4000, 0);
    }

    function members(uint256 request, uint256 from, uint256 to) external view returns (PoolMember[] memory found) {
        found = new PoolMember[](to - from);
        for (uint256 i; i < found.length; ++i) {
            found[i] = member(request, from + i);
        }
    }
}
