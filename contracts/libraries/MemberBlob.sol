// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {TransientSlot} from "@openzeppelin/contracts/utils/TransientSlot.sol";

import {PoolMember} from "./PoolMember.sol";

/// @title MemberBlob
/// @notice Members as the code of a contract: written once, at 200 gas a byte, and read at a hundredth of a storage slot's
/// price for each further member.
/// @dev The code is the byte 0 (STOP: nobody can run it), then 31 bytes a member.
library MemberBlob {
    using TransientSlot for bytes32;
    using TransientSlot for TransientSlot.Bytes32Slot;
    using TransientSlot for TransientSlot.Uint256Slot;

    uint256 internal constant MEMBER_BYTES = 31;
    /// @notice 21,701 bytes of code, of the 24,576 that EIP-170 allows.
    uint256 internal constant MAX_MEMBERS = 700;

    /// @dev For want of gas.
    error MemberBlob_NotWritten();
    /// @dev The contract has no such function.
    error MemberBlob_NothingWritten();

    /// @dev What creates a blob: asks its creator for the code, and returns it. PUSH0 four times, CALLER, GAS, STATICCALL,
    /// POP; RETURNDATASIZE, PUSH0 twice, RETURNDATACOPY; RETURNDATASIZE, PUSH0, RETURN.
    bytes15 private constant INIT = 0x5f5f5f5f335afa503d5f5f3e3d5ff3;
    uint256 private constant INIT_BYTES = 15;
    bytes32 private constant INIT_HASH = keccak256(hex"5f5f5f5f335afa503d5f5f3e3d5ff3");

    /// @notice Creates a contract that holds the members, at most `MAX_MEMBERS`.
    /// @dev Its address follows from the salt alone, so that nobody need store it. The contract that calls this answers with
    /// {serve} in its fallback.
    function write(PoolMember[] memory members, uint256 salt) internal {
        uint256 size = members.length * MEMBER_BYTES + 1;
        bytes memory code = new bytes(size + 32);
        address blob;
        bytes15 init = INIT;
        assembly ("memory-safe") {
            // Each word's lowest byte is overwritten by the next member; the last one writes into the spare bytes.
            let to := add(code, 33)
            let from := add(members, 32)
            let end := add(from, shl(5, mload(members)))
            for {} lt(from, end) { from := add(from, 32) } {
                mstore(to, shl(8, mload(from)))
                to := add(to, MEMBER_BYTES)
            }
        }
        bytes32(0).asUint256().tstore(size);
        for (uint256 slot = 1; (slot - 1) * 32 < size; ++slot) {
            bytes32 word;
            assembly ("memory-safe") {
                word := mload(add(code, shl(5, slot)))
            }
            bytes32(slot).asBytes32().tstore(word);
        }
        assembly ("memory-safe") {
            mstore(0, init)
            blob := create2(0, 0, INIT_BYTES, salt)
        }
        bytes32(0).asUint256().tstore(0);
        // With too little gas for {serve} the code would be empty.
        if (blob.code.length != size) revert MemberBlob_NotWritten();
    }

    /// @notice Ends the call with the code that is being written; reverts at any other time.
    function serve() internal view {
        uint256 size = bytes32(0).asUint256().tload();
        if (size == 0) revert MemberBlob_NothingWritten();
        bytes memory code = new bytes(size + 32);
        for (uint256 slot = 1; (slot - 1) * 32 < size; ++slot) {
            bytes32 word = bytes32(slot).asBytes32().tload();
            assembly ("memory-safe") {
                mstore(add(code, shl(5, slot)), word)
            }
        }
        assembly ("memory-safe") {
            return(add(code, 32), size)
        }
    }

    /// @notice The salt of the blob that ends at a pool's member `end`. No two have the same end: each enrolment makes the
    /// pool larger.
    function saltOf(uint256 request, uint256 end) internal pure returns (uint256) {
        return (request << 16) | end;
    }

    /// @notice Where a pool's blob with a salt is (EIP-1014).
    function placeOf(address pool, uint256 salt) internal pure returns (address place) {
        bytes32 hash = INIT_HASH;
        assembly ("memory-safe") {
            let from := mload(0x40)
            mstore8(from, 0xff)
            mstore(add(from, 1), shl(96, pool))
            mstore(add(from, 21), salt)
            mstore(add(from, 53), hash)
            place := and(keccak256(from, 85), 0xffffffffffffffffffffffffffffffffffffffff)
        }
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
