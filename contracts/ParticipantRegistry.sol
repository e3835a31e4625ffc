// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

import {IParticipantRegistry} from "./interfaces/IParticipantRegistry.sol";
import {AttributeTree} from "./libraries/AttributeTree.sol";
import {Reputation, ReputationSums} from "./libraries/Reputation.sol";

/// @title ParticipantRegistry
/// @notice See {IParticipantRegistry}.
contract ParticipantRegistry is IParticipantRegistry, Ownable2Step, EIP712 {
    bytes32 private constant VOUCHER_TYPEHASH =
        keccak256("Voucher(address account,uint32 organisation,uint256 nonce,uint256 expiry)");

    /// @dev 14 bits: a request keeps sixteen organisations in one word while providers join.
    uint256 private constant MAX_ORGANISATION = (1 << 14) - 1;

    /* STORAGE */

    struct Record {
        // slot 0
        uint32 organisation;
        Status status;
        uint32 keyVersion;
        uint40 registeredAt;
        bool attested;
        ReputationSums sums;
        // slot 1
        bytes32 encryptionKey;
        // slot 2
        bytes32 profileHash;
    }

    /// @inheritdoc IParticipantRegistry
    address public immutable override market;
    /// @inheritdoc IParticipantRegistry
    address public immutable override rounds;
    /// @inheritdoc IParticipantRegistry
    uint256 public immutable override reputationUnit;

    /// @inheritdoc IParticipantRegistry
    uint16 public override statusChanges;
    /// @inheritdoc IParticipantRegistry
    mapping(uint256 nonce => bool) public override voucherRevoked;
    mapping(address account => Record) private _records;

    /* CONSTRUCTOR */

    constructor(address registrar_, address market_, address rounds_, uint256 reputationUnit_)
        Ownable(registrar_)
        EIP712("fedpact", "1")
    {
        if (reputationUnit_ == 0) revert ParticipantRegistry_ReputationUnitZero();
        market = market_;
        rounds = rounds_;
        reputationUnit = reputationUnit_;
    }

    /* REGISTRATION */

    /// @inheritdoc IParticipantRegistry
    function register(
        Voucher calldata voucher,
        bytes calldata signature,
        bytes32 encryptionKey,
        bytes32 profile,
        bytes32 attributesRoot
    ) external override {
        // Check: the voucher is the caller's and still valid.
        if (voucher.account != msg.sender) {
            revert ParticipantRegistry_VoucherOfAnother(voucher.account, msg.sender);
        }
        if (block.timestamp > voucher.expiry) {
            revert ParticipantRegistry_VoucherExpired(voucher.expiry, block.timestamp);
        }
        if (voucherRevoked[voucher.nonce]) revert ParticipantRegistry_VoucherRevoked(voucher.nonce);

        // Check: the registrar signed it.
        bytes32 digest = voucherDigest(voucher);
        if (!SignatureChecker.isValidSignatureNow(owner(), digest, signature)) {
            revert ParticipantRegistry_VoucherNotSigned(owner(), digest);
        }

        _register(msg.sender, voucher.organisation, encryptionKey, profile, attributesRoot);
    }

    /// @inheritdoc IParticipantRegistry
    function setEncryptionKey(bytes32 encryptionKey) external override {
        Record storage record = _active(msg.sender);
        if (encryptionKey == 0) revert ParticipantRegistry_EncryptionKeyZero(msg.sender);

        uint32 keyVersion = record.keyVersion + 1;
        record.keyVersion = keyVersion;
        record.encryptionKey = encryptionKey;

        emit EncryptionKeyChanged(msg.sender, keyVersion, encryptionKey);
    }

    /// @inheritdoc IParticipantRegistry
    function setProfile(bytes32 profile, bytes32 attributesRoot) external override {
        Record storage record = _active(msg.sender);

        record.profileHash = _profileHash(profile, attributesRoot);
        record.attested = false;

        emit ProfileChanged(msg.sender, profile, attributesRoot);
    }

    /* REGISTRAR */

    /// @inheritdoc IParticipantRegistry
    function admit(
        address account,
        uint32 organisation,
        bytes32 encryptionKey,
        bytes32 profile,
        bytes32 attributesRoot
    ) external override onlyOwner {
        _register(account, organisation, encryptionKey, profile, attributesRoot);
    }

    /// @inheritdoc IParticipantRegistry
    function revokeVoucher(uint256 nonce) external override onlyOwner {
        voucherRevoked[nonce] = true;

        emit VoucherRevoked(nonce);
    }

    /// @inheritdoc IParticipantRegistry
    function suspend(address account) external override onlyOwner {
        _active(account).status = Status.Suspended;
        _countStatusChange();

        emit Suspended(account);
    }

    /// @inheritdoc IParticipantRegistry
    function restore(address account) external override onlyOwner {
        Record storage record = _records[account];
        if (record.status != Status.Suspended) revert ParticipantRegistry_NotSuspended(account);

        record.status = Status.Active;
        _countStatusChange();

        emit Restored(account);
    }

    /// @inheritdoc IParticipantRegistry
    function attestAttributes(address account, bytes32 profileHash) external override onlyOwner {
        Record storage record = _active(account);
        // Check: the profile is still the one that the registrar examined.
        if (record.profileHash != profileHash) {
            revert ParticipantRegistry_ProfileDiffers(account, profileHash, record.profileHash);
        }

        record.attested = true;

        emit AttributesAttested(account, profileHash);
    }

    /// @inheritdoc IParticipantRegistry
    function transferRegistrar(address to) external override {
        transferOwnership(to);
    }

    /// @inheritdoc IParticipantRegistry
    function acceptRegistrar() external override {
        acceptOwnership();
    }

    /// @dev Without a registrar, nobody could ever be admitted or suspended again.
    function renounceOwnership() public view override onlyOwner {
        revert ParticipantRegistry_RegistrarRequired(owner());
    }

    /* REPUTATION */

    /// @inheritdoc IParticipantRegistry
    function recordOutcomes(
        address[] calldata accounts,
        uint256 seats,
        uint256 qualities,
        uint256 losses,
        uint256 weight,
        uint40 endedAt
    ) external override {
        if (msg.sender != market && msg.sender != rounds) revert ParticipantRegistry_NotContracts(msg.sender);
        if (weight == 0 || seats == 0) return;

        (uint256 period, uint256 fresh) = Reputation.standing(endedAt, block.timestamp);
        for (uint256 i; seats >> i != 0; ++i) {
            if ((seats >> i) & 1 == 0) continue;
            Record storage record = _records[accounts[i]];
            uint256 shift = 16 * i;
            record.sums = record.sums.record(
                weight, (qualities >> shift) & 0xffff, (losses >> shift) & 0xffff, period, fresh
            );
        }

        emit OutcomesRecorded(accounts, seats, qualities, losses, weight, endedAt);
    }

    /// @inheritdoc IParticipantRegistry
    function outcomeWeight(uint256 payment) external view override returns (uint256) {
        uint256 weight = payment / reputationUnit;
        return weight < Reputation.MAX_WEIGHT ? weight : Reputation.MAX_WEIGHT;
    }

    /// @inheritdoc IParticipantRegistry
    function reputation(address account) public view override returns (uint16) {
        return uint16(_records[account].sums.score(block.timestamp));
    }

    /* VIEWS */

    /// @inheritdoc IParticipantRegistry
    function registrar() external view override returns (address) {
        return owner();
    }

    /// @inheritdoc IParticipantRegistry
    function voucherDigest(Voucher calldata voucher) public view override returns (bytes32) {
        return _hashTypedDataV4(
            keccak256(
                abi.encode(VOUCHER_TYPEHASH, voucher.account, voucher.organisation, voucher.nonce, voucher.expiry)
            )
        );
    }

    /// @inheritdoc IParticipantRegistry
    function participant(address account) external view override returns (Participant memory) {
        Record storage record = _records[account];
        return Participant({
            organisation: record.organisation,
            status: record.status,
            keyVersion: record.keyVersion,
            registeredAt: record.registeredAt,
            attested: record.attested,
            encryptionKey: record.encryptionKey,
            profileHash: record.profileHash,
            reputation: reputation(account)
        });
    }

    /// @inheritdoc IParticipantRegistry
    function seatInfo(address account)
        external
        view
        override
        returns (bool active, uint32 organisation, uint16 reputation_)
    {
        Record storage record = _records[account];
        return (record.status == Status.Active, record.organisation, reputation(account));
    }

    /// @inheritdoc IParticipantRegistry
    function activeMask(address[] calldata accounts) external view override returns (uint256 mask) {
        for (uint256 i; i < accounts.length; ++i) {
            if (_records[accounts[i]].status == Status.Active) mask |= 1 << i;
        }
    }

    /// @inheritdoc IParticipantRegistry
    function verifyAttribute(
        address account,
        bytes32 profile,
        bytes32 attributesRoot,
        bytes32[] calldata proof,
        bytes32 name,
        bytes32 value,
        bytes32 salt
    ) external view override returns (bool holds, bool attested) {
        Record storage record = _records[account];
        if (record.profileHash != _profileHash(profile, attributesRoot)) return (false, false);
        holds = AttributeTree.verify(attributesRoot, AttributeTree.leaf(name, value, salt), proof);
        attested = holds && record.attested;
    }

    /* INTERNAL */

    function _register(
        address account,
        uint32 organisation,
        bytes32 encryptionKey,
        bytes32 profile,
        bytes32 attributesRoot
    ) private {
        Record storage record = _records[account];
        if (record.status != Status.None) revert ParticipantRegistry_AlreadyRegistered(account);
        if (organisation == 0) revert ParticipantRegistry_OrganisationZero(account);
        if (organisation > MAX_ORGANISATION) {
            revert ParticipantRegistry_OrganisationTooLarge(organisation, MAX_ORGANISATION);
        }
        if (encryptionKey == 0) revert ParticipantRegistry_EncryptionKeyZero(account);

        record.organisation = organisation;
        record.status = Status.Active;
        record.keyVersion = 1;
        record.registeredAt = uint40(block.timestamp);
        record.encryptionKey = encryptionKey;
        record.profileHash = _profileHash(profile, attributesRoot);

        emit Registered(account, organisation, encryptionKey, profile, attributesRoot);
    }

    /// @dev Wraps to 0 after 65,535.
    function _countStatusChange() private {
        unchecked {
            ++statusChanges;
        }
    }

    function _active(address account) private view returns (Record storage record) {
        record = _records[account];
        if (record.status != Status.Active) revert ParticipantRegistry_NotActive(account);
    }

    function _profileHash(bytes32 profile, bytes32 attributesRoot) private pure returns (bytes32) {
        return keccak256(abi.encode(profile, attributesRoot));
    }
}
