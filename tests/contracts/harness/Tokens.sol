// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// @dev Without permits: each token that inherits them takes solc two more seconds to compile.
abstract contract FreeToken is ERC20("Plain", "PLAIN") {
    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }
}

/// @notice A token that anybody may make more of.
contract PlainToken is FreeToken, ERC20Permit {
    constructor() ERC20Permit("Plain") {}
}

/// @notice Has six decimals and takes no permits.
contract BareToken is ERC20 {
    constructor() ERC20("Bare", "BARE") {}

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function decimals() public pure override returns (uint8) {
        return 6;
    }
}

/// @notice Calls itself by what a terminal would obey, so that nothing but its address names it.
contract RudeToken is FreeToken {
    function symbol() public pure override returns (string memory) {
        return "\x1b[2J ether";
    }
}

/// @notice Takes a hundredth of each transfer, once it is told to.
contract FeeToken is FreeToken {
    bool private _charges;

    function charge(bool charges) external {
        _charges = charges;
    }

    function _update(address from, address to, uint256 amount) internal override {
        uint256 fee = _charges && from != address(0) ? amount / 100 : 0;
        super._update(from, to, amount - fee);
        if (fee != 0) super._update(from, address(1), fee);
    }
}

/// @notice Refuses accounts that are on a list.
contract ListingToken is FreeToken {
    mapping(address account => bool) private _listed;

    function list(address account, bool listed) external {
        _listed[account] = listed;
    }

    function _update(address from, address to, uint256 amount) internal override {
        require(!_listed[from] && !_listed[to]);
        super._update(from, to, amount);
    }
}

/// @notice Returns false and moves nothing, once it is told to.
contract FalseToken is FreeToken {
    bool private _fails;

    function fail(bool fails) external {
        _fails = fails;
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        return _fails ? false : super.transfer(to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        return _fails ? false : super.transferFrom(from, to, amount);
    }
}

/// @notice Calls whoever it is told to while it moves money, and burns all gas if it is told to.
contract CallingToken is FreeToken {
    address private _target;
    bytes private _data;
    bool private _burns;
    uint256 public tries;
    bool public succeeded;

    function call(address target, bytes calldata data) external {
        _target = target;
        _data = data;
    }

    function burnGas(bool burns) external {
        _burns = burns;
    }

    function _update(address from, address to, uint256 amount) internal override {
        super._update(from, to, amount);
        while (_burns && from != address(0)) ++tries;
        if (_target == address(0) || from == address(0)) return;
        ++tries;
        (succeeded,) = _target.call(_data);
    }
}
