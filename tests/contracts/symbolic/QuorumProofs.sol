// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Branchless} from "./Branchless.sol";
import {Quorum} from "../../../contracts/libraries/Quorum.sol";

/// @notice What `make symbolic` proves of quorums, for all arguments.
contract QuorumProofs {
    /// @dev More than half of those whose models count, and of those that attested: no two models have a quorum.
    function check_no_two_models_have_a_quorum(uint8 attested, uint8 judged, uint8 rule) external pure {
        if (attested > judged || judged > 16 || rule > 1) return;
        uint256 needed = Quorum.needed(attested, judged, rule);
        assert(needed >= 2 && 2 * needed > judged && 3 * needed >= 2 * uint256(attested));
        assert(2 * needed > attested);
        if (rule == Quorum.UNANIMOUS) assert(needed >= attested);
    }

    function check_medianError_of_three(uint16[3] calldata errors) external pure {
        uint256[] memory sorted = new uint256[](3);
        (sorted[0], sorted[1], sorted[2]) = (errors[0], errors[1], errors[2]);
        uint256 median = Quorum.medianError(sorted);
        uint256 atMost;
        uint256 atLeast;
        for (uint256 i; i < 3; ++i) {
            atMost += Branchless.atMost(errors[i], median);
            atLeast += Branchless.atMost(median, errors[i]);
        }
        assert(atMost >= 2 && atLeast >= 2);
    }
}
