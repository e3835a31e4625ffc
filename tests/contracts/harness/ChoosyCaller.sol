// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ILargeRounds} from "../../../contracts/interfaces/ILargeRounds.sol";
import {ITrainingPool} from "../../../contracts/interfaces/ITrainingPool.sol";

/// @notice Passes a call on that opens a round, and reverts unless the round's committee suits it.
/// @dev Stands at the address of a member that starts, or of whoever posts.
contract ChoosyCaller {
    /// @notice The committee has too few of these members.
    error ChoosyCaller_NotThisBlock(uint256 found);

    /// @param friends A bit for each pool index that is wanted.
    /// @param least How many of the seats they must have.
    function open(
        ILargeRounds rounds,
        ITrainingPool pool,
        uint256 request,
        bytes calldata call,
        uint256 friends,
        uint256 least
    ) external {
        (bool done, bytes memory answer) = address(rounds).call(call);
        if (!done) {
            assembly ("memory-safe") {
                revert(add(answer, 0x20), mload(answer))
            }
        }
        (uint256 committee,) = pool.cohortOf(request, rounds.roundFacts(request).seed);
        uint256 found;
        for (uint256 seat; seat < pool.facts(request).plan.cohort; ++seat) {
            found += (friends >> ((committee >> (16 * seat)) & 0xffff)) & 1;
        }
        if (found < least) revert ChoosyCaller_NotThisBlock(found);
    }
}
