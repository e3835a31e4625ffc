// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IParticipantRegistry} from "../../../contracts/interfaces/IParticipantRegistry.sol";
import {ISharingMarket} from "../../../contracts/interfaces/ISharingMarket.sol";
import {ITrainingRounds} from "../../../contracts/interfaces/ITrainingRounds.sol";
import {PackedScores} from "../../../contracts/libraries/Scores.sol";
import {Vm} from "./Vm.sol";

/// @title World
/// @notice The three contracts, who there is, and a book of what was seen to happen, kept apart from the contracts.
/// @dev The contracts are deployed from their artifacts: what is shipped is tested, and nothing is compiled twice.
abstract contract World {
    Vm internal constant VM = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    string private constant ARTIFACTS = "offchain/fedpact/chain/artifacts/";
    uint256 internal constant REGISTRAR_KEY = 0x5eed;
    uint256 internal constant REPUTATION_UNIT = 1e15;
    uint256 internal constant INVALID = 16_383;
    uint256 internal constant LANE = 14;

    /// @dev What was seen of one request. Masks have bit i for seat i.
    struct Book {
        address requester;
        uint256 payment;
        uint256 claimed;
        uint256 refunded;
        uint256 finalRounds;
        bytes32 finalDigest;
        /// @dev Who holds each seat handed out; zero after a withdrawal.
        address[] holders;
        mapping(address account => uint256 wei_) paid;
        /// @dev Whether a model of its own was valid in a counted round.
        mapping(address account => bool) stood;
        mapping(uint256 round => Ballots) ballots;
    }

    struct Ballots {
        uint256 submitted;
        uint256 revealed;
        mapping(uint256 seat => PackedScores) votes;
    }

    IParticipantRegistry public registry;
    ISharingMarket public market;
    ITrainingRounds public rounds;
    address public registrar;
    /// @dev Two of organisation 101, two of 100; the last account is registered nowhere.
    address[] public accounts;
    uint256 public forced;
    /// @dev Set when a call by an outsider went through that only the contracts themselves may make.
    bool public trespassed;
    uint256 internal _now = 1_700_000_000;
    mapping(uint256 requestId => Book) internal _books;

    constructor() {
        VM.warp(_now);
        registrar = VM.addr(REGISTRAR_KEY);
        uint256 nonce = VM.getNonce(address(this));
        address marketAt = VM.computeCreateAddress(address(this), nonce + 1);
        address roundsAt = VM.computeCreateAddress(address(this), nonce + 2);
        registry = IParticipantRegistry(
            _create("ParticipantRegistry", abi.encode(registrar, marketAt, roundsAt, REPUTATION_UNIT))
        );
        market = ISharingMarket(_create("SharingMarket", abi.encode(registry, roundsAt)));
        rounds = ITrainingRounds(_create("TrainingRounds", abi.encode(registry, marketAt)));
        assert(address(market) == marketAt && address(rounds) == roundsAt);

        uint32[9] memory organisations = [uint32(100), 101, 102, 103, 104, 105, 101, 100, 0];
        for (uint256 i; i < organisations.length; ++i) {
            accounts.push(VM.addr(1000 + i));
            if (organisations[i] != 0) _register(accounts[i], organisations[i], i);
        }
    }

    /// @notice What was paid into, claimed from and refunded from a request, wei.
    function money(uint256 id) external view returns (uint256 payment, uint256 claimed, uint256 refunded) {
        Book storage book = _books[id];
        return (book.payment, book.claimed, book.refunded);
    }

    /// @notice How many rounds became final, and the digest with which the last one did.
    function finals(uint256 id) external view returns (uint256 number, bytes32 digest) {
        return (_books[id].finalRounds, _books[id].finalDigest);
    }

    /// @notice Whether an account was paid for a request, and whether a model of its own stood there.
    function work(uint256 id, address account) external view returns (uint256 paid, bool stood) {
        return (_books[id].paid[account], _books[id].stood[account]);
    }

    function holders(uint256 id) public view returns (address[] memory) {
        return _books[id].holders;
    }

    function numberOfAccounts() external view returns (uint256) {
        return accounts.length;
    }

    function _create(string memory name, bytes memory arguments) private returns (address created) {
        bytes memory code = bytes.concat(VM.getCode(string.concat(ARTIFACTS, name, ".json")), arguments);
        assembly ("memory-safe") {
            created := create(0, add(code, 0x20), mload(code))
        }
        assert(created != address(0));
    }

    function _register(address account, uint32 organisation, uint256 nonce) private {
        IParticipantRegistry.Voucher memory voucher =
            IParticipantRegistry.Voucher(account, organisation, nonce, type(uint256).max);
        (uint8 v, bytes32 r, bytes32 s) = VM.sign(REGISTRAR_KEY, registry.voucherDigest(voucher));
        VM.prank(account);
        registry.register(voucher, abi.encodePacked(r, s, v), keccak256("key"), keccak256("profile"), keccak256("root"));
    }

    /// @dev A call that may be refused.
    function _try(address account, address to, uint256 value, bytes memory data)
        internal
        returns (bool taken, bytes memory result)
    {
        VM.prank(account);
        (taken, result) = to.call{value: value}(data);
    }

    function _pass(uint256 to) internal {
        if (to <= _now) return;
        _now = to;
        VM.warp(to);
    }
}
