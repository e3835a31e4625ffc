// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title IParticipantRegistry
/// @notice Who may take part: organisations, encryption keys and data profiles.
/// @dev Reputations are in {IReputationLedger}. Times in seconds.
interface IParticipantRegistry {
    enum Status {
        None,
        Active,
        Suspended
    }

    /// @notice The registrar's admission of one account, signed under EIP-712 in the domain of this contract
    /// (name "fedpact", version "2", chain id, address).
    struct Voucher {
        /// @dev The only account that may use the voucher.
        address account;
        /// @dev 1 to 65,535. A pool never has two accounts of one organisation.
        uint32 organisation;
        /// @dev The registrar may revoke vouchers by their nonce.
        uint256 nonce;
        /// @dev Last second in which the voucher is valid.
        uint256 expiry;
    }

    struct Participant {
        uint32 organisation;
        Status status;
        /// @dev 1 at registration, plus one for each new key.
        uint32 keyVersion;
        uint40 registeredAt;
        /// @dev First second of the suspension; 0: none is announced. It may lie ahead.
        uint40 suspendedFrom;
        /// @dev Whether the registrar has attested the attributes of the present profile.
        bool attested;
        /// @dev X25519 public key.
        bytes32 encryptionKey;
        /// @dev keccak256(abi.encode(profile, attributesRoot)); both are in the last `Registered` or `ProfileChanged`.
        bytes32 profileHash;
    }

    event Registered(
        address indexed account,
        uint32 indexed organisation,
        bytes32 encryptionKey,
        bytes32 profile,
        bytes32 attributesRoot
    );
    /// @notice The account will be suspended from `effective` on, unless it is restored before.
    event SuspensionAnnounced(address indexed account, uint40 effective);
    event Restored(address indexed account);
    event EncryptionKeyChanged(address indexed account, uint32 keyVersion, bytes32 encryptionKey);
    event ProfileChanged(address indexed account, bytes32 profile, bytes32 attributesRoot);
    event AttributesAttested(address indexed account, bytes32 profileHash);
    event VoucherRevoked(uint256 indexed nonce);

    /// @notice The account is already registered.
    error ParticipantRegistry_AlreadyRegistered(address account);
    /// @notice The account is not registered, or is suspended.
    error ParticipantRegistry_NotActive(address account);
    /// @notice A suspension of the account has been announced already.
    error ParticipantRegistry_AlreadyAnnounced(address account, uint256 effective);
    /// @notice No suspension of the account has been announced.
    error ParticipantRegistry_NotSuspended(address account);
    /// @notice The voucher is for another account than the caller.
    error ParticipantRegistry_VoucherOfAnother(address account, address caller);
    /// @notice The voucher's last second has passed.
    error ParticipantRegistry_VoucherExpired(uint256 expiry, uint256 timestamp);
    /// @notice The registrar has revoked vouchers of this nonce.
    error ParticipantRegistry_VoucherRevoked(uint256 nonce);
    /// @notice The voucher was not signed by the present registrar for this contract on this chain.
    error ParticipantRegistry_VoucherNotSigned(address registrar, bytes32 digest);
    /// @notice The organisation is 0.
    error ParticipantRegistry_OrganisationZero(address account);
    /// @notice The organisation's number is above `most`.
    error ParticipantRegistry_OrganisationTooLarge(uint256 organisation, uint256 most);
    /// @notice The encryption key is zero.
    error ParticipantRegistry_EncryptionKeyZero(address account);
    /// @notice The account's profile is not the one that the registrar examined.
    error ParticipantRegistry_ProfileDiffers(address account, bytes32 given, bytes32 stored);
    /// @notice The registry must have a registrar; transfer the role instead.
    error ParticipantRegistry_RegistrarRequired(address registrar);

    /// @notice Registers the caller with a voucher.
    /// @dev Emits `Registered`. Reverts if the voucher is another account's, expired, revoked or not signed by the registrar
    /// (which may be an ERC-1271 contract), if the caller is already registered, or if organisation or key are zero. An
    /// account registers once, so a voucher is used once.
    /// @param encryptionKey X25519 public key to which request keys are sealed.
    /// @param profile Digest of the data profile's CID.
    /// @param attributesRoot Root of the tree of the profile's attributes (see `AttributeTree`).
    function register(
        Voucher calldata voucher,
        bytes calldata signature,
        bytes32 encryptionKey,
        bytes32 profile,
        bytes32 attributesRoot
    ) external;

    /// @notice Registers an account without a voucher. Registrar only.
    /// @dev Emits `Registered`.
    function admit(
        address account,
        uint32 organisation,
        bytes32 encryptionKey,
        bytes32 profile,
        bytes32 attributesRoot
    ) external;

    /// @notice Revokes the vouchers of a nonce. Registrar only.
    /// @dev Emits `VoucherRevoked`.
    function revokeVoucher(uint256 nonce) external;

    /// @notice Announces that an active account is suspended after `suspensionDelay`: from then on it can neither make
    /// requests nor join any. What it joined before goes on, with its pay. Registrar only.
    /// @dev Emits `SuspensionAnnounced`.
    function suspend(address account) external;

    /// @notice Ends or calls off a suspension. Registrar only.
    /// @dev Emits `Restored`.
    function restore(address account) external;

    /// @notice Attests the attributes of an account's profile. Registrar only.
    /// @dev Emits `AttributesAttested`. The attestation ends when the profile changes.
    /// @param profileHash keccak256(abi.encode(profile, attributesRoot)) of the profile that the registrar examined.
    function attestAttributes(address account, bytes32 profileHash) external;

    /// @notice Replaces the caller's encryption key.
    /// @dev Emits `EncryptionKeyChanged`. The caller must be active.
    function setEncryptionKey(bytes32 encryptionKey) external;

    /// @notice Replaces the caller's data profile.
    /// @dev Emits `ProfileChanged`. The caller must be active.
    function setProfile(bytes32 profile, bytes32 attributesRoot) external;

    /// @notice Offers the registrar's role to another account, which must accept it. Registrar only.
    function transferRegistrar(address to) external;

    /// @notice Accepts the registrar's role that was offered to the caller.
    function acceptRegistrar() external;

    /// @notice The account that admits, suspends and attests.
    function registrar() external view returns (address);

    /// @notice Seconds between the announcement of a suspension and its first second.
    function suspensionDelay() external view returns (uint256);

    /// @notice Whether the registrar has revoked vouchers of this nonce.
    function voucherRevoked(uint256 nonce) external view returns (bool);

    /// @notice The EIP-712 digest of a voucher: what the registrar signs.
    function voucherDigest(Voucher calldata voucher) external view returns (bytes32);

    /// @notice All that is stored about an account, and its present status; status None if it is not registered.
    function participant(address account) external view returns (Participant memory);

    /// @notice What pool and market need to know about an account.
    function seatInfo(address account) external view returns (bool active, uint32 organisation);

    /// @notice Whether one attribute belongs to the account's present profile.
    /// @param profile Digest of the profile's CID, as in the last event.
    /// @param attributesRoot Root of the attributes, as in the last event.
    /// @param proof Siblings, from the leaf up.
    /// @return holds Whether the profile is the present one and the attribute is in its tree.
    /// @return attested Whether it holds and the registrar has attested the tree.
    function verifyAttribute(
        address account,
        bytes32 profile,
        bytes32 attributesRoot,
        bytes32[] calldata proof,
        bytes32 name,
        bytes32 value,
        bytes32 salt
    ) external view returns (bool holds, bool attested);
}
