// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";

import {IReputationLedger} from "./interfaces/IReputationLedger.sol";
import {Reputation, ReputationSums} from "./libraries/Reputation.sol";

/// @title ReputationLedger
/// @notice See {IReputationLedger}.
contract ReputationLedger is IReputationLedger, Ownable2Step {
    /* STORAGE */

    /// @dev One slot: a value, and the one that replaces it from `effective` on.
    struct Permission {
        bool present;
        bool next;
        uint40 effective;
    }

    /// @dev Two slots: amounts of a token need 128 bits each.
    struct Unit {
        uint128 present;
        uint128 next;
        uint40 effective;
    }

    /// @dev One slot: an account may be a provider in some requests and the requester of others.
    struct Standing {
        ReputationSums provider;
        ReputationSums requester;
    }

    /// @inheritdoc IReputationLedger
    uint256 public immutable override delay;

    mapping(address account => Permission) private _recorders;
    mapping(address token => Unit) private _units;
    mapping(address account => Standing) private _standings;

    /* CONSTRUCTOR */

    /// @param delay_ Seconds.
    /// @param recorder The first market; further ones are announced.
    /// @param etherUnit Wei that give weight 1.
    constructor(address registrar_, uint256 delay_, address recorder, uint128 etherUnit) Ownable(registrar_) {
        delay = delay_;
        _recorders[recorder].present = true;
        _units[address(0)].present = etherUnit;
        emit RecorderAnnounced(recorder, true, uint40(block.timestamp));
        emit UnitAnnounced(address(0), etherUnit, uint40(block.timestamp));
    }

    /* RECORDERS */

    /// @inheritdoc IReputationLedger
    function recordProviders(Outcome[] calldata outcomes, uint256 weight, uint40 endedAt) external override {
        _requireRecorder(endedAt);

        (uint256 period, uint256 fresh) = Reputation.standing(endedAt, block.timestamp);
        for (uint256 i; i < outcomes.length; ++i) {
            Outcome calldata o = outcomes[i];
            Standing storage standing = _standings[o.account];
            standing.provider = standing.provider.record(weight, o.quality, o.losses, period, fresh);
        }

        emit ProvidersRecorded(msg.sender, weight, endedAt, outcomes);
    }

    /// @inheritdoc IReputationLedger
    function recordRequester(Outcome calldata outcome, uint256 weight, uint40 endedAt) external override {
        _requireRecorder(endedAt);

        (uint256 period, uint256 fresh) = Reputation.standing(endedAt, block.timestamp);
        Standing storage standing = _standings[outcome.account];
        standing.requester = standing.requester.record(weight, outcome.quality, outcome.losses, period, fresh);

        emit RequesterRecorded(msg.sender, weight, endedAt, outcome);
    }

    /* REGISTRAR */

    /// @inheritdoc IReputationLedger
    function announceRecorder(address account, bool allowed) external override onlyOwner {
        uint40 effective = uint40(block.timestamp + delay);
        _recorders[account] = Permission(isRecorder(account), allowed, effective);

        emit RecorderAnnounced(account, allowed, effective);
    }

    /// @inheritdoc IReputationLedger
    function announceUnit(address token, uint128 unit) external override onlyOwner {
        uint40 effective = uint40(block.timestamp + delay);
        _units[token] = Unit(unitOf(token), unit, effective);

        emit UnitAnnounced(token, unit, effective);
    }

    /// @inheritdoc IReputationLedger
    function transferRegistrar(address to) external override {
        transferOwnership(to);
    }

    /// @inheritdoc IReputationLedger
    function acceptRegistrar() external override {
        acceptOwnership();
    }

    /// @dev Without a registrar, no later market could ever record.
    function renounceOwnership() public view override onlyOwner {
        revert ReputationLedger_RegistrarRequired(owner());
    }

    /* VIEWS */

    /// @inheritdoc IReputationLedger
    function registrar() external view override returns (address) {
        return owner();
    }

    /// @inheritdoc IReputationLedger
    function isRecorder(address account) public view override returns (bool) {
        Permission memory p = _recorders[account];
        return _taken(p.effective) ? p.next : p.present;
    }

    /// @inheritdoc IReputationLedger
    function unitOf(address token) public view override returns (uint128) {
        Unit memory unit = _units[token];
        return _taken(unit.effective) ? unit.next : unit.present;
    }

    /// @inheritdoc IReputationLedger
    function weightOf(address token, uint256 amount) external view override returns (uint256) {
        uint256 unit = unitOf(token);
        if (unit == 0) return 0;
        uint256 weight = amount / unit;
        return weight < Reputation.MAX_WEIGHT ? weight : Reputation.MAX_WEIGHT;
    }

    /// @inheritdoc IReputationLedger
    function reputation(address account) external view override returns (uint16) {
        return uint16(_standings[account].provider.score(block.timestamp));
    }

    /// @inheritdoc IReputationLedger
    function requesterReputation(address account) external view override returns (uint16) {
        return uint16(_standings[account].requester.score(block.timestamp));
    }

    /* INTERNAL */

    function _requireRecorder(uint40 endedAt) private view {
        if (!isRecorder(msg.sender)) revert ReputationLedger_NotRecorder(msg.sender);
        if (endedAt > block.timestamp) revert ReputationLedger_NotEnded(endedAt, block.timestamp);
    }

    /// @dev Whether an announcement has taken effect; 0: there is none.
    function _taken(uint40 effective) private view returns (bool) {
        return effective != 0 && block.timestamp >= effective;
    }
}
