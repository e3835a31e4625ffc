// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC7821} from "@openzeppelin/contracts/account/extensions/draft-ERC7821.sol";
import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {SignerECDSA} from "@openzeppelin/contracts/utils/cryptography/signers/SignerECDSA.sol";

/// @notice A wallet of one owner, whose signatures are its own and who may act for it.
contract OwnerWallet is ERC7821, SignerECDSA, IERC1271 {
    constructor(address owner) SignerECDSA(owner) {}

    receive() external payable {}

    /// @notice Hands the wallet over; only by a call of its own.
    function setOwner(address owner) external {
        require(msg.sender == address(this));
        _setSigner(owner);
    }

    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        return _rawSignatureValidation(hash, signature) ? IERC1271.isValidSignature.selector : bytes4(0);
    }

    function _erc7821AuthorizedExecutor(address caller, bytes32 mode, bytes calldata executionData)
        internal
        view
        override
        returns (bool)
    {
        return caller == signer() || super._erc7821AuthorizedExecutor(caller, mode, executionData);
    }
}
