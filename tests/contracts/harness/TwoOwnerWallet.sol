// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @notice A wallet of two owners, both of whom must sign: the least multisig that may be a registrar.
contract TwoOwnerWallet is IERC1271 {
    address public immutable first;
    address public immutable second;

    constructor(address first_, address second_) {
        first = first_;
        second = second_;
    }

    /// @notice Valid where the signature is that of the first owner, 65 bytes, then that of the second.
    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        bool signed = signature.length == 130 && ECDSA.recover(hash, signature[:65]) == first
            && ECDSA.recover(hash, signature[65:]) == second;
        return signed ? IERC1271.isValidSignature.selector : bytes4(0);
    }
}
