// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedScores} from "../libraries/Scores.sol";
import {ITrainingRounds} from "./ITrainingRounds.sol";

/// @title IRoundSteps
/// @notice What members do in a round that is not posted as a whole, and the views. See {ITrainingRounds}.
interface IRoundSteps {
    /// @notice Anchors models (phase Submit). A member that the round does not expect joins it by this.
    /// @param digests sha-256 digests of the encrypted models' CIDs, in seat order.
    function submit(uint256 request, uint256 mask, bytes32[] calldata digests, bytes calldata signatures) external;

    /// @notice Opens the slice (first half of phase Commit).
    /// @param openers The list of openers, as in the terms.
    /// @param signer The requester or an opener; needs a signature unless it is the sender.
    function openSlice(
        uint256 request,
        address[] calldata openers,
        address signer,
        bytes calldata sealedKey,
        bytes calldata signature
    ) external;

    /// @notice Anchors commitments to votes (phase Commit, once the slice is open).
    /// @param commitments keccak256(abi.encode(block.chainid, this, request, round, account, vote, salt)), in seat order.
    function commitVotes(uint256 request, uint256 mask, bytes32[] calldata commitments, bytes calldata signatures)
        external;

    /// @notice Anchors attestations of the global model (phase Attest), by members that revealed a vote; in a blind round
    /// by all that submitted.
    /// @param errors The errors that they measured, 14 bits a seat.
    function attest(
        uint256 request,
        uint256 mask,
        bytes32 digest,
        PackedScores errors,
        bytes calldata signatures
    ) external;

    /// @notice Shows that a seat signed two different messages of one kind for the present round: its model and vote of
    /// this round are void, and it gets a fault.
    /// @param first, second ABI-encoded: the digest or commitment; for Attest, the digest and the error.
    function reportEquivocation(
        uint256 request,
        uint256 seat,
        ITrainingRounds.Kind kind,
        bytes calldata first,
        bytes calldata second,
        bytes calldata signatures
    ) external;

    /// @notice Lets the rounds wait for the sender again from the next one on, once a request.
    function returnTo(uint256 request, uint256 seat) external;

    /// @notice The hash of the request's terms while it waits for members; reverts otherwise.
    function openTerms(uint256 request) external view returns (bytes32);

    /// @notice The facts of the present round.
    function roundFacts(uint256 request) external view returns (ITrainingRounds.RoundFacts memory);

    /// @notice Whether the history of a request is this one.
    /// @param starts One for each start; all but the last were void.
    /// @param links One for each closed round; a void start has none.
    function verifyHistory(uint256 request, bytes32 terms, ITrainingRounds.Start[] calldata starts, ITrainingRounds.Link[] calldata links)
        external
        view
        returns (bool);
}
