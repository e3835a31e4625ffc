// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice A registry that admits many accounts at once: for pools too large to admit one by one.
contract OpenRegistry {
    uint256 private constant FIRST = 1000;

    mapping(address account => uint256) private _organisations;

    function admit(address[] calldata accounts, uint256 first) external {
        for (uint256 i; i < accounts.length; ++i) {
            _organisations[accounts[i]] = FIRST + first + i;
        }
    }

    function seatInfo(address account) external view returns (bool active, uint32 organisation) {
        organisation = uint32(_organisations[account]);
        active = organisation != 0;
    }
}
