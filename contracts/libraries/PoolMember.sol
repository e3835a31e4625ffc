// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice A member of a pool in one word.
/// @dev From the top: organisation 16, account 160, samples 24, reputation 16, weight 32, of 248 bits. The weight is the
/// sum of the weights of all members up to and including this one. The organisation is on top so that members sort as
/// numbers.
type PoolMember is uint256;

using PoolMemberLib for PoolMember global;

/// @title PoolMemberLib
/// @notice Packs and reads a `PoolMember`.
library PoolMemberLib {
    uint256 internal constant MAX_SAMPLES = type(uint24).max;

    function pack(
        uint256 organisation_,
        address account_,
        uint256 samples_,
        uint256 reputation_,
        uint256 weight_
    ) internal pure returns (PoolMember) {
        return PoolMember.wrap(
            (organisation_ << 232) | (uint256(uint160(account_)) << 72) | (samples_ << 48) | (reputation_ << 32)
                | weight_
        );
    }

    function organisation(PoolMember m) internal pure returns (uint256) {
        return PoolMember.unwrap(m) >> 232;
    }

    function account(PoolMember m) internal pure returns (address) {
        return address(uint160(PoolMember.unwrap(m) >> 72));
    }

    /// @notice The number of training samples that the member declared.
    function samples(PoolMember m) internal pure returns (uint256) {
        return uint24(PoolMember.unwrap(m) >> 48);
    }

    /// @notice Reputation as of joining, 1/10,000; 0 where the request does not read it.
    function reputation(PoolMember m) internal pure returns (uint256) {
        return uint16(PoolMember.unwrap(m) >> 32);
    }

    /// @notice The sum of the weights of all members up to and including this one.
    function weight(PoolMember m) internal pure returns (uint256) {
        return uint32(PoolMember.unwrap(m));
    }

    /// @notice `m` with another sum of weights.
    function withWeight(PoolMember m, uint256 weight_) internal pure returns (PoolMember) {
        return PoolMember.wrap((PoolMember.unwrap(m) & ~uint256(type(uint32).max)) | weight_);
    }

    /// @notice An array whose elements are not set yet: clearing them would cost 200 gas.
    function allocate(uint256 length) internal pure returns (PoolMember[] memory members) {
        assembly ("memory-safe") {
            members := mload(0x40)
            mstore(members, length)
            mstore(0x40, add(add(members, 0x20), shl(5, length)))
        }
    }

    /// @notice Sets an element of an array, without a bounds check.
    function put(PoolMember[] memory members, uint256 index, PoolMember m) internal pure {
        assembly ("memory-safe") {
            mstore(add(add(members, 0x20), shl(5, index)), m)
        }
    }
}
