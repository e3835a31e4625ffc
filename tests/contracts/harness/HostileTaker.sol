// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IResaleMarket} from "../../../contracts/interfaces/IResaleMarket.sol";
import {ISharingMarket} from "../../../contracts/interfaces/ISharingMarket.sol";

/// @notice A receiver of money that refuses it, or asks for it again while it gets it.
contract HostileTaker {
    bool private _refuses;
    ISharingMarket private _market;
    IResaleMarket private _resale;
    uint256 private _requestId;
    address[] private _accounts;
    uint256 public tries;

    function refuse(bool refuses) external {
        _refuses = refuses;
    }

    function reenter(address market, uint256 requestId, address[] calldata accounts) external {
        _market = ISharingMarket(market);
        _requestId = requestId;
        _accounts = accounts;
    }

    function reenterResale(address resale, uint256 requestId) external {
        _resale = IResaleMarket(resale);
        _requestId = requestId;
    }

    receive() external payable {
        require(!_refuses);
        if (address(_resale) != address(0)) {
            ++tries;
            try _resale.claim(_requestId, 0) {} catch {}
            try _resale.refund(_requestId) {} catch {}
        }
        if (address(_market) == address(0)) return;
        ++tries;
        // Seat 0 again, and whatever the rest is worth.
        try _market.claim(_requestId, 0) {} catch {}
        try _market.refund(_requestId, _accounts) {} catch {}
        try _market.settle(_requestId, _accounts) {} catch {}
    }
}
