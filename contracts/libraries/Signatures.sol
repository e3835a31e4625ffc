// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

/// @title Signatures
/// @notice Whether an account signed a digest, with its key (ECDSA) or as a contract wallet (ERC-1271).
/// @dev The key comes first: an account that has delegated to a contract (EIP-7702) has code, but still signs with its
/// key. OpenZeppelin's `isValidSignatureNow` asks its code alone.
library Signatures {
    /// @param signer Not zero.
    /// @param signature 65 bytes, or 64 (EIP-2098); of a contract wallet whatever it takes.
    function signedBy(bytes32 digest, address signer, bytes calldata signature) internal view returns (bool) {
        (address recovered,,) = signature.length == 64
            ? ECDSA.tryRecover(digest, bytes32(signature[:32]), bytes32(signature[32:]))
            : ECDSA.tryRecover(digest, signature);
        return recovered == signer || SignatureChecker.isValidERC1271SignatureNow(signer, digest, signature);
    }
}
