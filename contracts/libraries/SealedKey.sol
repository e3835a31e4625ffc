// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @dev Length of a 32-byte key in a libsodium sealed box: crypto_box_SEALBYTES (48) + 32.
uint256 constant SEALED_KEY_BYTES = 80;
