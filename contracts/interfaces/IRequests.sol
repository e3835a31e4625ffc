// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title IRequests
/// @notice What the rounds read from the market.
interface IRequests {
    /// @notice The account that made a request; zero if there is none.
    function requesterOf(uint256 request) external view returns (address);
}
