// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title IReputationLedger
/// @notice Reputations of providers and requesters, apart from any market, so that they outlive one.
/// @dev Units: scores, qualities and losses 1/10,000; times seconds. Everything that changes who may record, or what a
/// payment weighs, is announced and takes effect after `delay`.
interface IReputationLedger {
    /// @notice What one request tells about one account.
    /// @param quality The account's share relative to the fair share, 5,000 for just that, less what its faults cost.
    /// Counts with the request's weight.
    /// @param losses Subtracted from the score whatever the weight, in all at most 1,000 until they decay.
    struct Outcome {
        address account;
        uint16 quality;
        uint16 losses;
    }

    /// @notice The outcomes of a request for its providers.
    event ProvidersRecorded(address indexed recorder, uint256 weight, uint40 endedAt, Outcome[] outcomes);
    /// @notice The outcome of a request for its requester.
    event RequesterRecorded(address indexed recorder, uint256 weight, uint40 endedAt, Outcome outcome);
    /// @notice From `effective` on, `account` may record, or no longer.
    event RecorderAnnounced(address indexed account, bool allowed, uint40 effective);
    /// @notice From `effective` on, payments in `token` weigh amount / unit; 0: they weigh nothing.
    event UnitAnnounced(address indexed token, uint128 unit, uint40 effective);

    /// @notice The caller may not record.
    error ReputationLedger_NotRecorder(address caller);
    /// @notice The request ended in the future.
    error ReputationLedger_NotEnded(uint256 endedAt, uint256 timestamp);
    /// @notice The ledger must have a registrar; transfer the role instead.
    error ReputationLedger_RegistrarRequired(address registrar);

    /// @notice Adds outcomes to the reputations of providers. Recorders only.
    /// @dev Emits `ProvidersRecorded`. An outcome of weight 0 changes the losses alone.
    /// @param weight See `weightOf`; at most 100 counts.
    /// @param endedAt When the request ended: outcomes are decayed by its age.
    function recordProviders(Outcome[] calldata outcomes, uint256 weight, uint40 endedAt) external;

    /// @notice Adds an outcome to the reputation of a requester. Recorders only.
    /// @dev Emits `RequesterRecorded`.
    function recordRequester(Outcome calldata outcome, uint256 weight, uint40 endedAt) external;

    /// @notice Announces that an account may record, or no longer. Registrar only.
    /// @dev Emits `RecorderAnnounced`. A later announcement replaces one that has not taken effect.
    function announceRecorder(address account, bool allowed) external;

    /// @notice Announces which amount of a token gives weight 1; zero address: ether. Registrar only.
    /// @dev Emits `UnitAnnounced`. Without a unit a token weighs nothing: anybody can make a token and pay with it.
    function announceUnit(address token, uint128 unit) external;

    /// @notice Offers the registrar's role to another account, which must accept it. Registrar only.
    function transferRegistrar(address to) external;

    /// @notice Accepts the registrar's role that was offered to the caller.
    function acceptRegistrar() external;

    /// @notice The account that announces recorders and units.
    function registrar() external view returns (address);

    /// @notice Seconds between an announcement and its effect.
    function delay() external view returns (uint256);

    /// @notice Whether the account may record now.
    function isRecorder(address account) external view returns (bool);

    /// @notice The amount of a token that gives weight 1 now; 0: the token weighs nothing.
    function unitOf(address token) external view returns (uint128);

    /// @notice min(amount / unit, 100), rounded down; 0 for a token without a unit.
    function weightOf(address token, uint256 amount) external view returns (uint256);

    /// @notice A provider's present reputation, 0 to 10,000; 4,000 without history.
    function reputation(address account) external view returns (uint16);

    /// @notice A requester's present reputation, 0 to 10,000; 4,000 without history.
    function requesterReputation(address account) external view returns (uint16);
}
