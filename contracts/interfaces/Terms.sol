// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice What a requester fixes before anyone joins. Only keccak256(abi.encode(terms)) is stored; whoever calls a
/// function that needs terms passes them again, as the event `RequestCreated` gives them.
/// @dev Times in seconds, errors in 1/10,000, gas prices and `gasPerRound` in wei, `pay` in the token's smallest unit.
/// Digests are the 32 bytes of a sha-256 multihash.
/// @param specification Digest of the specification document (not zero).
/// @param evaluation Digest of the list of evaluation slices (zero: none).
/// @param initialModel Digest of the first global model (zero: none).
/// @param queryKey Key under which the result may be found for resale.
/// @param deliveryKeyX, deliveryKeyY The requester's public key on BN254 (EIP-196), to which the model's key is sealed.
/// @param token The ERC-20 in which `pay` is paid; zero: ether.
/// @param pay What the providers share if all goes well, 1 to 2^128 - 1.
/// @param gasPerRound Most that the posters of one round are refunded, ether. The request holds this for every round.
/// @param maxGasPrice Highest gas price that is refunded.
/// @param minPool, maxPool Size of the pool, 2 to 65,535.
/// @param cohort Members that train and judge in a round, 2 to 16; a pool of at most this size takes part as a whole.
/// @param weightRule How a cohort is drawn. 0: uniformly. 1: by samples. 2: by reputation.
/// @param sampleCap Most samples that count in a draw under rule 1, 1 to 65,535; else 0.
/// @param maxRounds 1 to 1,000.
/// @param maxError Ceiling of a model's median error, 1 to 10,000.
/// @param target The error of the global model at which the request ends, 1 to 10,000; 0: never.
/// @param leaderRule 0: Proof of training Quality. 1: reputation.
/// @param approvalRule 0: two thirds. 1: unanimous.
/// @param voteBand Largest distance of a vote from the median that counts as inside the band, 0 to 1,000.
/// @param joinWindow, startWindow, submitWindow, commitWindow, revealWindow, attestWindow, deliverWindow, disputeWindow
/// Each between the deployment's floor and 30 days.
/// @param openers Accounts that may open evaluation slices besides the requester, at most 8.
struct Terms {
    bytes32 specification;
    bytes32 evaluation;
    bytes32 initialModel;
    bytes32 queryKey;
    uint256 deliveryKeyX;
    uint256 deliveryKeyY;
    address token;
    uint128 pay;
    uint96 gasPerRound;
    uint64 maxGasPrice;
    uint16 minPool;
    uint16 maxPool;
    uint8 cohort;
    uint8 weightRule;
    uint16 sampleCap;
    uint16 maxRounds;
    uint16 maxError;
    uint16 target;
    uint8 leaderRule;
    uint8 approvalRule;
    uint16 voteBand;
    uint32 joinWindow;
    uint32 startWindow;
    uint32 submitWindow;
    uint32 commitWindow;
    uint32 revealWindow;
    uint32 attestWindow;
    uint32 deliverWindow;
    uint32 disputeWindow;
    address[] openers;
}
