// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PoolMember} from "./PoolMember.sol";

/// @title MemberBlob
/// @notice Members as the code of a contract: written once, at 200 gas a byte, and read at a hundredth of a storage slot's
/// price for each further member.
/// @dev The code is the byte 0 (STOP: nobody can run it), then 31 bytes a member.
library MemberBlob {
    uint256 internal constant MEMBER_BYTES = 31;
    /// @notice 21,701 bytes of code, of the 24,576 that EIP-170 allows.
    uint256 internal constant MAX_MEMBERS = 700;

    /// @dev CREATE failed, for want of gas.
    error MemberBlob_NotWritten();

    /// @notice Creates a contract that holds the members, at most `MAX_MEMBERS`.
    function write(PoolMember[] memory members) internal returns (address blob) {
        uint256 size = members.length * MEMBER_BYTES + 1;
        // Initialisation: PUSH2 size, DUP1, PUSH1 10, RETURNDATASIZE (0), CODECOPY, RETURNDATASIZE, RETURN.
        bytes memory code = new bytes(size + 32 + 10);
        assembly ("memory-safe") {
            let start := add(code, 32)
            mstore(start, shl(176, or(0x61000080600a3d393df3, shl(56, size))))
            // Each word's lowest byte is overwritten by the next member; the last one writes into the spare bytes.
            let to := add(start, 11)
            let from := add(members, 32)
            let end := add(from, shl(5, mload(members)))
            for {} lt(from, end) { from := add(from, 32) } {
                mstore(to, shl(8, mload(from)))
                to := add(to, MEMBER_BYTES)
            }
            blob := create(0, start, add(size, 10))
        }
        if (blob == address(0)) revert MemberBlob_NotWritten();
    }

    /// @notice One member of a blob.
    function read(address blob, uint256 index) internal view returns (PoolMember member) {
        assembly ("memory-safe") {
            mstore(0, 0)
            extcodecopy(blob, 0, add(1, mul(index, MEMBER_BYTES)), MEMBER_BYTES)
            member := shr(8, mload(0))
        }
    }

    /// @notice The first `count` members of a blob.
    function readAll(address blob, uint256 count) internal view returns (PoolMember[] memory members) {
        bytes memory code = new bytes(count * MEMBER_BYTES + 32);
        members = new PoolMember[](count);
        assembly ("memory-safe") {
            let from := add(code, 32)
            extcodecopy(blob, from, 1, mul(count, MEMBER_BYTES))
            let to := add(members, 32)
            let end := add(to, shl(5, count))
            for {} lt(to, end) { to := add(to, 32) } {
                mstore(to, shr(8, mload(from)))
                from := add(from, MEMBER_BYTES)
            }
        }
    }
}
