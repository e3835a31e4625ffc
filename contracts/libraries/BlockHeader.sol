// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Blockhash} from "@openzeppelin/contracts/utils/Blockhash.sol";

/// @title BlockHeader
/// @notice The randomness of an earlier block, from its header.
/// @dev Its hash would not do: whoever builds a block tries millions of them. PREVRANDAO was fixed before the block was built.
library BlockHeader {
    /// @dev Fields of a header before its PREVRANDAO (EIP-4399: the field mixHash).
    uint256 private constant BEFORE = 13;
    /// @dev RLP: up to this a byte stands for itself; above the other it tells how long a length follows.
    uint256 private constant STRING = 0x80;
    uint256 private constant LONG_STRING = 0xb7;
    uint256 private constant LONG_LIST = 0xf7;

    /// @notice The header is not that of this block.
    error BlockHeader_Wrong(uint256 number);

    /// @notice Whether the chain still knows the block's hash: by BLOCKHASH for 256 blocks, by the history contract of EIP-2935
    /// for 8,191.
    function known(uint256 number) internal view returns (bool) {
        return Blockhash.blockHash(number) != 0;
    }

    /// @notice The block's PREVRANDAO; reverts for another block's header, and for a block that is not known.
    /// @param header Encoded as its hash takes it: RLP.
    function prevrandao(uint256 number, bytes calldata header) internal view returns (bytes32) {
        if (keccak256(header) != Blockhash.blockHash(number)) revert BlockHeader_Wrong(number);
        uint256 place = 1 + uint8(header[0]) - LONG_LIST;
        for (uint256 i; i < BEFORE; ++i) {
            place = _after(header, place);
        }
        return bytes32(header[place + 1:place + 33]);
    }

    /// @dev Where the field ends that begins here.
    function _after(bytes calldata header, uint256 place) private pure returns (uint256) {
        uint256 prefix = uint8(header[place]);
        if (prefix < STRING) return place + 1;
        if (prefix <= LONG_STRING) return place + 1 + prefix - STRING;
        uint256 size = prefix - LONG_STRING;
        uint256 length = uint256(bytes32(header[place + 1:place + 1 + size])) >> (256 - 8 * size);
        return place + 1 + size + length;
    }
}
