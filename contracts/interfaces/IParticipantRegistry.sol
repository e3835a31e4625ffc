// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title IParticipantRegistry
/// @notice Who may take part: organisations, encryption keys, data profiles and reputations.
/// @dev Units: scores, qualities, losses and reputations 1/10,000; times seconds; payments wei.
interface IParticipantRegistry {
    enum Status {
        None,
        Active,
        Suspended
    }

    /// @notice The registrar's admission of one account, signed under EIP-712 in the domain of this contract
    /// (name "fedpact", version "1", chain id, address).
    struct Voucher {
        /// @dev The only account that may use the voucher.
        address account;
        /// @dev 1 to 16,383. A committee never has two accounts of one organisation.
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
        /// @dev Whether the registrar has attested the attributes of the present profile.
        bool attested;
        /// @dev X25519 public key.
        bytes32 encryptionKey;
        /// @dev keccak256(abi.encode(profile, attributesRoot)); both are in the last `Registered` or `ProfileChanged`.
        bytes32 profileHash;
        uint16 reputation;
    }

    event Registered(
        address indexed account,
        uint32 indexed organisation,
        bytes32 encryptionKey,
        bytes32 profile,
        bytes32 attributesRoot
    );
    event Suspended(address indexed account);
    event Restored(address indexed account);
    event EncryptionKeyChanged(address indexed account, uint32 keyVersion, bytes32 encryptionKey);
    event ProfileChanged(address indexed account, bytes32 profile, bytes32 attributesRoot);
    event AttributesAttested(address indexed account, bytes32 profileHash);
    event VoucherRevoked(uint256 indexed nonce);
    /// @notice The outcomes of a request for its members; see `recordOutcomes`.
    event OutcomesRecorded(
        address[] accounts, uint256 seats, uint256 qualities, uint256 losses, uint256 weight, uint40 endedAt
    );

    /// @notice The account is already registered.
    error ParticipantRegistry_AlreadyRegistered(address account);
    /// @notice The account is not registered, or is suspended.
    error ParticipantRegistry_NotActive(address account);
    /// @notice The account is not registered, or is not suspended.
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
    /// @notice The caller is neither the market nor the rounds contract.
    error ParticipantRegistry_NotContracts(address caller);
    /// @notice The reputation unit is zero.
    error ParticipantRegistry_ReputationUnitZero();
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

    /// @notice Suspends an active account from new requests, and from running ones from their next round. Registrar only.
    /// @dev Emits `Suspended`.
    function suspend(address account) external;

    /// @notice Makes a suspended account active again. Registrar only.
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

    /// @notice Adds the outcomes of one request to its members' reputations. Market and rounds only.
    /// @dev Emits `OutcomesRecorded`. Weight 0, or no seat, changes nothing and emits nothing.
    /// @param accounts One a seat.
    /// @param seats Mask of the seats that have an outcome, at most sixteen; the accounts of the others are ignored.
    /// @param qualities Each account's share of the points relative to the mean share, 5,000 for the mean; 16 bits a seat.
    /// @param losses What is subtracted from the reputation until it decays; 16 bits a seat.
    /// @param weight See `outcomeWeight`.
    /// @param endedAt When the request ended.
    function recordOutcomes(
        address[] calldata accounts,
        uint256 seats,
        uint256 qualities,
        uint256 losses,
        uint256 weight,
        uint40 endedAt
    ) external;

    /// @notice Offers the registrar's role to another account, which must accept it. Registrar only.
    function transferRegistrar(address to) external;

    /// @notice Accepts the registrar's role that was offered to the caller.
    function acceptRegistrar() external;

    /// @notice The account that admits, suspends and attests.
    function registrar() external view returns (address);

    /// @notice The market, which records outcomes.
    function market() external view returns (address);

    /// @notice The rounds contract, which may record outcomes.
    function rounds() external view returns (address);

    /// @notice The payment that gives an outcome weight 1, wei.
    function reputationUnit() external view returns (uint256);

    /// @notice min(payment / reputationUnit, 100): 0 for a payment below the unit.
    function outcomeWeight(uint256 payment) external view returns (uint256);

    /// @notice Whether the registrar has revoked vouchers of this nonce.
    function voucherRevoked(uint256 nonce) external view returns (bool);

    /// @notice The EIP-712 digest of a voucher: what the registrar signs.
    function voucherDigest(Voucher calldata voucher) external view returns (bytes32);

    /// @notice All that is stored about an account; status None if it is not registered.
    function participant(address account) external view returns (Participant memory);

    /// @notice What the market and the rounds need to know about an account.
    function seatInfo(address account) external view returns (bool active, uint32 organisation, uint16 reputation_);

    /// @notice Bit i is set where `accounts[i]` is active; at most 256 accounts.
    function activeMask(address[] calldata accounts) external view returns (uint256 mask);

    /// @notice How often accounts were suspended or restored, modulo 2^16: while it is unchanged, so is every status.
    function statusChanges() external view returns (uint16);

    /// @notice Present reputation, 0 to 10,000; 4,000 without history.
    function reputation(address account) external view returns (uint16);

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
