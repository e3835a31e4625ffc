// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

/// @title SeatSignatures
/// @notice The signatures of several accounts as one byte string.
/// @dev 64 bytes each (r, vs: EIP-2098), in the order of the accounts; the sender's own is left out. A contract wallet has
/// r = 0 and vs = where its ERC-1271 signature begins in the string, behind a length of 32 bytes. An account that has
/// delegated to a contract (EIP-7702) signs with its key, as any other.
library SeatSignatures {
    uint256 private constant BYTES = 64;

    /// @notice The account has not signed the digest with the signature of this number.
    error SeatSignatures_NotSigned(address account, uint256 ordinal);
    /// @notice The string is too short for a signature, or for what a contract wallet's refers to.
    error SeatSignatures_Short(uint256 length, uint256 needed);

    /// @notice Reverts unless the account signed the digest or sends this transaction.
    /// @param ordinal How many signatures of the string were checked before.
    /// @return How many are checked now.
    function check(bytes calldata signatures, uint256 ordinal, address account, bytes32 digest)
        internal
        view
        returns (uint256)
    {
        if (account == msg.sender) return ordinal;
        unchecked {
            uint256 end = (ordinal + 1) * BYTES;
            if (signatures.length < end) revert SeatSignatures_Short(signatures.length, end);
            bytes32 r;
            bytes32 vs;
            assembly ("memory-safe") {
                let from := add(signatures.offset, mul(ordinal, BYTES))
                r := calldataload(from)
                vs := calldataload(add(from, 32))
            }
            bool signed;
            if (r == 0) {
                bytes memory own = _tail(signatures, uint256(vs));
                signed = SignatureChecker.isValidERC1271SignatureNow(account, digest, own);
            } else {
                (address recovered,,) = ECDSA.tryRecover(digest, r, vs);
                signed = recovered == account;
            }
            if (!signed) revert SeatSignatures_NotSigned(account, ordinal);
            return ordinal + 1;
        }
    }

    function _tail(bytes calldata signatures, uint256 begin) private pure returns (bytes calldata) {
        uint256 size = signatures.length;
        if (begin > size || size - begin < 32) revert SeatSignatures_Short(size, begin);
        uint256 length = uint256(bytes32(signatures[begin:begin + 32]));
        if (size - begin - 32 < length) revert SeatSignatures_Short(size, length);
        return signatures[begin + 32:begin + 32 + length];
    }
}
