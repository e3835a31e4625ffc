// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ITrainingPool} from "../interfaces/ITrainingPool.sol";

/// @notice A pool's plan and its state, in one slot.
/// @dev From the bottom: joinDeadline 40, closedAt 40, members 16, left 16, batches 8, weight 32, minPool 16, maxPool 16,
/// cohort 8, weightRule 8, sampleCap 16, requesterOrganisation 16, reputations 8, firstEnd 16.
type PoolState is uint256;

using PoolStateLib for PoolState global;

/// @title PoolStateLib
/// @notice Packs and reads a `PoolState`.
library PoolStateLib {
    uint256 private constant LAST = 0xffffffff_ff_0000_ffff << 80;

    /// @notice A pool that nobody has joined.
    function opened(ITrainingPool.PoolPlan calldata plan) internal pure returns (PoolState) {
        uint256 bounds = (uint256(plan.minPool) << 152) | (uint256(plan.maxPool) << 168);
        uint256 drawn = (uint256(plan.cohort) << 184) | (uint256(plan.weightRule) << 192) | (uint256(plan.sampleCap) << 200);
        uint256 reads = (uint256(plan.requesterOrganisation) << 216) | (plan.reputations ? 1 << 232 : 0);
        return PoolState.wrap(plan.joinDeadline | bounds | drawn | reads);
    }

    function joinDeadline(PoolState s) internal pure returns (uint256) {
        return uint40(PoolState.unwrap(s));
    }

    /// @notice When the pool became full; 0 before.
    function closedAt(PoolState s) internal pure returns (uint256) {
        return uint40(PoolState.unwrap(s) >> 40);
    }

    /// @notice All that joined, the `left` among them.
    function members(PoolState s) internal pure returns (uint256) {
        return uint16(PoolState.unwrap(s) >> 80);
    }

    function left(PoolState s) internal pure returns (uint256) {
        return uint16(PoolState.unwrap(s) >> 96);
    }

    /// @notice How many blobs hold the members.
    function batches(PoolState s) internal pure returns (uint256) {
        return uint8(PoolState.unwrap(s) >> 112);
    }

    /// @notice The sum of all weights.
    function weight(PoolState s) internal pure returns (uint256) {
        return uint32(PoolState.unwrap(s) >> 120);
    }

    function minPool(PoolState s) internal pure returns (uint256) {
        return uint16(PoolState.unwrap(s) >> 152);
    }

    function maxPool(PoolState s) internal pure returns (uint256) {
        return uint16(PoolState.unwrap(s) >> 168);
    }

    /// @notice How many members take part in a round.
    function cohort(PoolState s) internal pure returns (uint256) {
        return uint8(PoolState.unwrap(s) >> 184);
    }

    function weightRule(PoolState s) internal pure returns (uint256) {
        return uint8(PoolState.unwrap(s) >> 192);
    }

    function sampleCap(PoolState s) internal pure returns (uint256) {
        return uint16(PoolState.unwrap(s) >> 200);
    }

    function requesterOrganisation(PoolState s) internal pure returns (uint256) {
        return uint16(PoolState.unwrap(s) >> 216);
    }

    function reputations(PoolState s) internal pure returns (bool) {
        return uint8(PoolState.unwrap(s) >> 232) != 0;
    }

    /// @notice The index after the first batch's last member, where all weigh alike and it is not the last batch.
    function firstEnd(PoolState s) internal pure returns (uint256) {
        return PoolState.unwrap(s) >> 240;
    }

    function withClosedAt(PoolState s, uint256 closedAt_) internal pure returns (PoolState) {
        return PoolState.wrap((PoolState.unwrap(s) & ~(uint256(type(uint40).max) << 40)) | (closedAt_ << 40));
    }

    function withOneMoreLeft(PoolState s) internal pure returns (PoolState) {
        return PoolState.wrap(PoolState.unwrap(s) + (1 << 96));
    }

    /// @notice `s` where the last batch is another: how many there are with it, and members and weights up to its end.
    function withLast(PoolState s, uint256 batches_, uint256 members_, uint256 weight_) internal pure returns (PoolState) {
        uint256 last = (members_ << 80) | (batches_ << 112) | (weight_ << 120);
        return PoolState.wrap((PoolState.unwrap(s) & ~LAST) | last);
    }

    function withFirstEnd(PoolState s, uint256 end) internal pure returns (PoolState) {
        return PoolState.wrap((PoolState.unwrap(s) & (type(uint256).max >> 16)) | (end << 240));
    }
}
