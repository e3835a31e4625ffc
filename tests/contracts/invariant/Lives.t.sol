// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ISharingMarket} from "../../../contracts/interfaces/ISharingMarket.sol";
import {ITrainingRounds} from "../../../contracts/interfaces/ITrainingRounds.sol";
import {Handler} from "./Handler.sol";

/// @title Lives
/// @notice What holds after every call of random sequences, and that these reach final rounds, pay and refunds.
contract Lives {
    uint256 private constant NEWCOMER = 4000;

    Handler private _handler;
    ISharingMarket private _market;
    ITrainingRounds private _rounds;

    function setUp() external {
        _handler = new Handler();
        _market = _handler.market();
        _rounds = _handler.rounds();
    }

    /// @notice Forge's question which contracts to call at random.
    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_handler);
    }

    /* AFTER EVERY CALL */

    function invariant_moneyInIsClaimsRefundsAndBalance() external view {
        uint256 held = _handler.forced();
        for (uint256 id = 1; id <= _market.requestCount(); ++id) {
            (uint256 payment, uint256 claimed, uint256 refunded) = _handler.money(id);
            held += payment - claimed - refunded;
        }
        assert(address(_market).balance == held);
    }

    function invariant_refundAndClaimsNeverExceedThePayment() external view {
        for (uint256 id = 1; id <= _market.requestCount(); ++id) {
            (uint256 payment, uint256 claimed, uint256 refunded) = _handler.money(id);
            uint256 open = _market.refundable(id);
            for (uint256 seat; seat < _handler.holders(id).length; ++seat) {
                open += _market.claimable(id, seat);
            }
            assert(claimed + refunded + open <= payment);
        }
    }

    function invariant_nobodyIsPaidWithoutAValidModel() external view {
        for (uint256 id = 1; id <= _market.requestCount(); ++id) {
            _paidForValidModels(_handler, id);
        }
    }

    function invariant_aFinalDigestNeverChanges() external view {
        for (uint256 id = 1; id <= _market.requestCount(); ++id) {
            (uint256 number, bytes32 digest) = _handler.finals(id);
            assert(_rounds.finalDigest(id) == digest);
            assert(_rounds.outcome(id).finalRounds == number);
        }
    }

    function invariant_onlySettledRequestsChangeAName() external view {
        assert(!_handler.trespassed());
        for (uint256 i; i < _handler.numberOfAccounts(); ++i) {
            address account = _handler.accounts(i);
            assert(_tookPart(account) || _handler.registry().reputation(account) == NEWCOMER);
        }
    }

    /// @notice After the last call: deadlines end every request, and all but the dust of rounding is taken.
    function afterInvariant() external {
        _handler.finish();
        for (uint256 id = 1; id <= _market.requestCount(); ++id) {
            (uint256 payment, uint256 claimed, uint256 refunded) = _handler.money(id);
            uint256 seats = _handler.holders(id).length;
            assert(payment - claimed - refunded < (seats == 0 ? 1 : seats));
        }
        this.invariant_moneyInIsClaimsRefundsAndBalance();
        this.invariant_nobodyIsPaidWithoutAValidModel();
    }

    /* NOT IN VAIN */

    /// @notice Forty-eight lives of one request each, every step of which is the handler's own choice.
    function test_theHandlerReachesFinalRoundsPayAndRefunds() external {
        uint256 finals;
        uint256 paid;
        uint256 refunds;
        for (uint256 seed; seed < 48; ++seed) {
            Handler handler = new Handler();
            handler.create(0, seed);
            for (uint256 i; i < 3; ++i) {
                handler.further(0, 9, 1000 * seed + i);
            }
            handler.finish();
            (uint256 number,) = handler.finals(1);
            (, uint256 claimed, uint256 refunded) = handler.money(1);
            _paidForValidModels(handler, 1);
            finals += number;
            if (claimed > 0) ++paid;
            if (refunded > 0) ++refunds;
        }
        assert(finals >= 12);
        assert(paid >= 9);
        assert(refunds >= 9);
    }

    /* INTERNAL */

    function _paidForValidModels(Handler handler, uint256 id) private view {
        for (uint256 i; i < handler.numberOfAccounts(); ++i) {
            (uint256 paid, bool stood) = handler.work(id, handler.accounts(i));
            assert(paid == 0 || stood);
        }
    }

    /// @dev Whether the account submitted in a request whose outcome is recorded.
    function _tookPart(address account) private view returns (bool) {
        for (uint256 id = 1; id <= _market.requestCount(); ++id) {
            if (!_market.request(id).settled) continue;
            uint256 seat = _rounds.seatOf(id, account);
            if (seat < 16 && _rounds.outcome(id).ever >> seat & 1 == 1) return true;
        }
        return false;
    }
}
