// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ITrainingRounds} from "../interfaces/ITrainingRounds.sol";

/// @title Seats
/// @notice One member of a committee in one storage word.
/// @dev Layout from bit 0: account 160, samples 32, organisation 32, reputation 16.
library Seats {
    function pack(address account_, uint256 samples_, uint256 organisation_, uint256 reputation_)
        internal
        pure
        returns (uint256)
    {
        return uint256(uint160(account_)) | (samples_ << 160) | (organisation_ << 192) | (reputation_ << 224);
    }

    function unpack(uint256 word) internal pure returns (ITrainingRounds.Member memory) {
        return ITrainingRounds.Member(
            account(word), uint32(samples(word)), uint32(organisation(word)), uint16(reputation(word))
        );
    }

    function account(uint256 word) internal pure returns (address) {
        return address(uint160(word));
    }

    function samples(uint256 word) internal pure returns (uint256) {
        return (word >> 160) & type(uint32).max;
    }

    function organisation(uint256 word) internal pure returns (uint256) {
        return (word >> 192) & type(uint32).max;
    }

    function reputation(uint256 word) internal pure returns (uint256) {
        return word >> 224;
    }
}
