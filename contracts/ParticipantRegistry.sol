// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

import {AttributeTree} from "./libraries/AttributeTree.sol";
import {IParticipantRegistry} from "./interfaces/IParticipantRegistry.sol";
import {Signatures} from "./libraries/Signatures.sol";

/// @title ParticipantRegistry
/// @notice See {IParticipantRegistry}.
contract ParticipantRegistry is IParticipantRegistry, Ownable2Step, EIP712 {
    using Signatures for bytes32;

    bytes32 private constant VOUCHER_TYPEHASH =
        keccak256("Voucher(address account,uint32 organisation,uint256 nonce,uint256 expiry)");

    /// @dev 16 bits: so many a pool's list keeps for each member.
    uint256 private constant MAX_ORGANISATION = type(uint16).max;

    /* STORAGE */

    struct Record {
        // slot 0
        uint16 organisation;
        uint32 keyVersion;
        uint40 registeredAt;
        uint40 suspendedFrom;
        bool attested;
        // slot 1
        bytes32 encryptionKey;
        // slot 2
        bytes32 profileHash;
    }

    /// @inheritdoc IParticipantRegistry
    uint256 public immutable override suspensionDelay;

    /// @inheritdoc IParticipantRegistry
    mapping(uint256 nonce => bool) public override voucherRevoked;
    mapping(address account => Record) private _records;

    /* CONSTRUCTOR */

    /// @param suspensionDelay_ Seconds.
    constructor(address registrar_, uint256 suspensionDelay_) Ownable(registrar_) EIP712("fedpact", "2") {
        suspensionDelay = suspensionDelay_;
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
        if (!digest.signedBy(owner(), signature)) revert ParticipantRegistry_VoucherNotSigned(owner(), digest);

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
        Record storage record = _active(account);
        if (record.suspendedFrom != 0) {
            revert ParticipantRegistry_AlreadyAnnounced(account, record.suspendedFrom);
        }

        uint40 effective = uint40(block.timestamp + suspensionDelay);
        record.suspendedFrom = effective;

        emit SuspensionAnnounced(account, effective);
    }

    /// @inheritdoc IParticipantRegistry
    function restore(address account) external override onlyOwner {
        Record storage record = _records[account];
        if (record.suspendedFrom == 0) revert ParticipantRegistry_NotSuspended(account);

        record.suspendedFrom = 0;

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
            status: _status(record),
            keyVersion: record.keyVersion,
            registeredAt: record.registeredAt,
            suspendedFrom: record.suspendedFrom,
            attested: record.attested,
            encryptionKey: record.encryptionKey,
            profileHash: record.profileHash
        });
    }

    /// @inheritdoc IParticipantRegistry
    function seatInfo(address account) external view override returns (bool active, uint32 organisation) {
        Record storage record = _records[account];
        return (_status(record) == Status.Active, record.organisation);
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
        if (record.registeredAt != 0) revert ParticipantRegistry_AlreadyRegistered(account);
        if (organisation == 0) revert ParticipantRegistry_OrganisationZero(account);
        if (organisation > MAX_ORGANISATION) {
            revert ParticipantRegistry_OrganisationTooLarge(organisation, MAX_ORGANISATION);
        }
        if (encryptionKey == 0) revert ParticipantRegistry_EncryptionKeyZero(account);

        record.organisation = uint16(organisation);
        record.keyVersion = 1;
        record.registeredAt = uint40(block.timestamp);
        record.encryptionKey = encryptionKey;
        record.profileHash = _profileHash(profile, attributesRoot);

        emit Registered(account, organisation, encryptionKey, profile, attributesRoot);
    }

    function _active(address account) private view returns (Record storage record) {
        record = _records[account];
        if (_status(record) != Status.Active) revert ParticipantRegistry_NotActive(account);
    }

    function _status(Record storage record) private view returns (Status) {
        if (record.registeredAt == 0) return Status.None;
        bool suspended = record.suspendedFrom != 0 && block.timestamp >= record.suspendedFrom;
        return suspended ? Status.Suspended : Status.Active;
    }

    function _profileHash(bytes32 profile, bytes32 attributesRoot) private pure returns (bytes32) {
        return keccak256(abi.encode(profile, attributesRoot));
    }
}
