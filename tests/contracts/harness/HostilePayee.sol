// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice A receiver of ether that does what it is told to while it is paid.
contract HostilePayee {
    enum Way {
        Take,
        Refuse,
        BurnGas,
        ReturnMuch,
        Call
    }

    Way private _way;
    address private _target;
    bytes private _data;
    uint256 public tries;
    bool public succeeded;

    function behave(Way way) external {
        _way = way;
    }

    function call(address target, bytes calldata data) external {
        _way = Way.Call;
        _target = target;
        _data = data;
    }

    /// @notice Acts as an account: calls anything.
    function execute(address target, bytes calldata data) external returns (bool done) {
        (done,) = target.call(data);
        require(done);
    }

    receive() external payable {
        if (_way == Way.Refuse) revert();
        while (_way == Way.BurnGas) ++tries;
        if (_way == Way.ReturnMuch) {
            assembly {
                revert(0, 1000000)
            }
        }
        if (_way == Way.Call) {
            (succeeded,) = _target.call(_data);
        }
    }
}
