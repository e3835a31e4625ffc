// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

import {IReputationLedger} from "./interfaces/IReputationLedger.sol";
import {ISharingMarket} from "./interfaces/ISharingMarket.sol";
import {ITrainingPool} from "./interfaces/ITrainingPool.sol";
import {MemberSum, PayoutLib, Sums} from "./libraries/Payout.sol";
import {PoolMember} from "./libraries/PoolMember.sol";

/// @title SharingMarketStore
/// @notice What {SharingMarket} stores, and how it moves money.
abstract contract SharingMarketStore is ISharingMarket {
    using SafeERC20 for IERC20;

    address internal constant ETHER = address(0);

    /// @dev What a payee may spend to take a payment: enough for a contract wallet behind a proxy. It bounds what a hostile
    /// one can burn. Who sends the transaction cannot make a payment fail by sending little gas: a payee that has less than
    /// this leaves a 64th of it, and with that the transaction itself fails.
    uint256 private constant ETHER_STIPEND = 50_000;
    uint256 private constant TOKEN_STIPEND = 150_000;

    ITrainingPool internal immutable POOL;
    IReputationLedger internal immutable LEDGER;

    /* STORAGE */

    /// @dev Two slots.
    struct Record {
        address requester;
        uint40 deliveredAt;
        Status status;
        /// @dev There is a `Payout` already: a part of the entries was taken in.
        bool collecting;
        bytes32 termsHash;
    }

    /// @dev How members are recorded: paid with their quality; found guilty of a wrong key; or unpaid, with their faults.
    enum Verdict {
        Unpaid,
        Paid,
        Guilty
    }

    /// @dev What is left to pay of a request whose members are not paid in the settlement. Two slots.
    struct Payout {
        // slot 0: of the entries that are not yet collected
        bytes32 cursor;
        // slot 1
        uint128 pool;
        uint32 points;
        uint16 blind;
        /// @dev Gas refunded so far, gwei.
        uint48 refunded;
        uint8 weight;
        Verdict verdict;
    }

    mapping(uint256 request => Record) internal _records;
    mapping(uint256 request => Payout) internal _payouts;
    /// @dev Four `MemberSum` a word, of members that are not yet paid.
    mapping(uint256 request => mapping(uint256 word => uint256)) internal _unpaid;
    mapping(address account => mapping(address token => uint256)) internal _balances;

    constructor(address pool, address ledger) {
        POOL = ITrainingPool(pool);
        LEDGER = IReputationLedger(ledger);
    }

    /* VIEWS */

    /// @inheritdoc ISharingMarket
    function request(uint256 request_) external view override returns (Request memory) {
        Record memory record = _records[request_];
        return Request(record.status, record.requester, record.deliveredAt, record.termsHash);
    }

    /// @inheritdoc ISharingMarket
    function balanceOf(address account, address token) external view override returns (uint256) {
        return _balances[account][token];
    }

    /// @inheritdoc ISharingMarket
    function unpaid(uint256 request_, uint256 index) external view override returns (uint256) {
        if (_records[request_].status != Status.Settled) return 0;
        Payout memory payout = _payouts[request_];
        uint256 word = _unpaid[request_][index / PayoutLib.MEMBERS_PER_WORD];
        return _share(payout, PayoutLib.inWord(word, index));
    }

    /// @dev What was collected so far: nothing, and all entries are left, or what is stored.
    function _payoutOf(uint256 request_, Record storage record, bytes32 earned) internal view returns (Payout memory p) {
        if (record.collecting) return _payouts[request_];
        p.cursor = earned;
    }

    /* MONEY */

    /// @dev Takes an amount of a token from the sender; the token must move exactly that.
    function _take(IERC20 token, uint256 amount) internal {
        uint256 before = token.balanceOf(address(this));
        token.safeTransferFrom(msg.sender, address(this), amount);
        uint256 received = token.balanceOf(address(this)) - before;
        if (received != amount) revert SharingMarket_WrongAmount(address(token), received, amount);
    }

    /// @dev Pays an account, or credits it where it does not take the money.
    function _pay(uint256 request_, address token, address to, uint256 amount) internal {
        if (amount == 0) return;
        bool taken = token == ETHER ? _sendEther(to, amount, ETHER_STIPEND) : _sendToken(token, to, amount);
        if (!taken) _balances[to][token] += amount;
        emit Paid(request_, to, token, amount, !taken);
    }

    /// @dev The whole balance, or nothing.
    function _withdraw(address token, address to) internal {
        uint256 amount = _balances[msg.sender][token];
        if (amount == 0) revert SharingMarket_NoBalance(msg.sender, token);
        _balances[msg.sender][token] = 0;
        emit Withdrawn(msg.sender, token, to, amount);
        if (token != ETHER) IERC20(token).safeTransfer(to, amount);
        else if (!_sendEther(to, amount, gasleft())) revert SharingMarket_TransferFailed(to, amount);
    }

    /// @dev Copies nothing that the receiver returns: that could be made to cost more than the stipend.
    function _sendEther(address to, uint256 amount, uint256 stipend) private returns (bool sent) {
        assembly ("memory-safe") {
            sent := call(stipend, to, amount, 0, 0, 0, 0)
        }
    }

    /// @dev As SafeERC20's `trySafeTransfer`, with a bound on the gas: some tokens call the receiver.
    function _sendToken(address token, address to, uint256 amount) private returns (bool sent) {
        uint256 stipend = TOKEN_STIPEND;
        bytes memory data = abi.encodeCall(IERC20.transfer, (to, amount));
        assembly ("memory-safe") {
            sent := call(stipend, token, 0, add(data, 0x20), mload(data), 0, 0x20)
            if sent {
                switch returndatasize()
                case 0 { sent := gt(extcodesize(token), 0) }
                default { sent := and(gt(returndatasize(), 31), eq(mload(0), 1)) }
            }
        }
    }

    /* MEMBERS */

    /// @dev The part of the pool for a member's points, rounded down; the remainder stays in the contract.
    function _share(Payout memory payout, MemberSum sum) internal pure returns (uint256) {
        return payout.points == 0 ? 0 : uint256(payout.pool) * sum.points() / payout.points;
    }

    /// @dev What a request tells about a member; nothing: it is not recorded.
    function _judged(Payout memory payout, MemberSum sum, address account)
        internal
        pure
        returns (bool recorded, IReputationLedger.Outcome memory outcome)
    {
        if (payout.weight == 0) return (false, outcome);
        outcome.account = account;
        if (payout.verdict == Verdict.Paid) {
            outcome.quality = uint16(sum.quality());
            return (true, outcome);
        }
        if (payout.verdict == Verdict.Guilty) return (sum.points() != 0, outcome);
        outcome.losses = uint16(PayoutLib.LOSS_PER_FAULT * sum.faults());
        return (outcome.losses != 0, outcome);
    }

    /// @dev Pays members and records their outcomes. Sums that are zero are passed over.
    function _payMembers(
        uint256 request_,
        address token,
        Payout memory payout,
        MemberSum[] memory sums,
        address[] memory accounts,
        uint40 endedAt
    ) internal {
        IReputationLedger.Outcome[] memory outcomes = new IReputationLedger.Outcome[](sums.length);
        uint256 n;
        for (uint256 i; i < sums.length; ++i) {
            if (MemberSum.unwrap(sums[i]) == 0) continue;
            _pay(request_, token, accounts[i], _share(payout, sums[i]));
            (bool recorded, IReputationLedger.Outcome memory outcome) = _judged(payout, sums[i], accounts[i]);
            if (recorded) outcomes[n++] = outcome;
        }
        if (n == 0) return;
        assembly ("memory-safe") {
            mstore(outcomes, n)
        }
        LEDGER.recordProviders(outcomes, payout.verdict == Verdict.Unpaid ? 0 : payout.weight, endedAt);
    }

    /// @dev Pays a whole pool of up to sixteen, with what `collect` has kept of it.
    function _payPool(
        uint256 request_,
        address token,
        Payout memory payout,
        Sums memory sums,
        uint256 count,
        uint40 endedAt
    ) internal {
        if (count == 0) return;
        PoolMember[] memory members = POOL.members(request_, 0, count);
        MemberSum[] memory own = new MemberSum[](count);
        address[] memory accounts = new address[](count);
        for (uint256 i; i < count; ++i) {
            own[i] = PayoutLib.inWord(sums.members[i / PayoutLib.MEMBERS_PER_WORD], i);
            accounts[i] = members[i].account();
        }
        _payMembers(request_, token, payout, own, accounts, endedAt);
    }

    function _payPosters(uint256 request_, Sums memory sums) internal {
        for (uint256 i; i < sums.posters.length; ++i) {
            _pay(request_, ETHER, sums.posters[i], sums.refunds[i]);
        }
    }

    /* SUMS */

    /// @dev Stores members' sums until they are paid.
    function _keep(uint256 request_, Payout memory payout, Sums memory sums) internal {
        _payouts[request_] = payout;
        for (uint256 i; i < sums.members.length; ++i) {
            if (sums.members[i] != 0) _unpaid[request_][i] += sums.members[i];
        }
    }

    /// @dev Adds what was stored of members' sums, and deletes it.
    function _recall(uint256 request_, Sums memory sums) internal {
        for (uint256 i; i < sums.members.length; ++i) {
            sums.members[i] += _unpaid[request_][i];
            delete _unpaid[request_][i];
        }
    }

    /// @dev Takes out what is stored of a member.
    function _takeOut(uint256 request_, uint256 index) internal returns (MemberSum sum) {
        uint256 position = index / PayoutLib.MEMBERS_PER_WORD;
        uint256 word = _unpaid[request_][position];
        sum = PayoutLib.inWord(word, index);
        if (MemberSum.unwrap(sum) == 0) revert SharingMarket_NothingToPay(request_, index);
        uint256 shift = 64 * (index % PayoutLib.MEMBERS_PER_WORD);
        _unpaid[request_][position] = word ^ (uint256(MemberSum.unwrap(sum)) << shift);
    }

    /// @dev Cuts refunds to what is left, first come, first served; gives their sum.
    function _capped(uint256[] memory refunds, uint256 left) internal pure returns (uint256 sum) {
        for (uint256 i; i < refunds.length; ++i) {
            if (refunds[i] > left - sum) refunds[i] = left - sum;
            sum += refunds[i];
        }
    }

    function _add(Payout memory payout, Sums memory sums) internal pure {
        payout.points += uint32(sums.points);
        payout.blind += uint16(sums.blind);
    }
}
