// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Earned} from "../libraries/Earned.sol";
import {Point} from "../libraries/Bn254.sol";
import {IRequests} from "./IRequests.sol";
import {Terms} from "./Terms.sol";

/// @title ISharingMarket
/// @notice Requests for models and their money: escrow, delivery, dispute, settlement and payment.
/// @dev `pay` is in the terms' token or in ether, the refund of posters' gas always in ether. Times in seconds.
/// A request ends in the rounds (`ITrainingRounds.outcome`). If a model is final, anyone may deliver its sealed key in
/// time; the requester may dispute it in time; then anyone may settle.
interface ISharingMarket is IRequests {
    /*//////////////////////////////////////////////////////////////
                                 TYPES
    //////////////////////////////////////////////////////////////*/

    /// @notice What happened to a request's money.
    /// @dev Open: it is held. Delivered: it is held until the dispute window is over or the requester accepts. Disputed:
    /// the delivered key is shown not to be the model's; all goes back once it is settled. Settled: it is shared out.
    enum Status {
        None,
        Open,
        Delivered,
        Disputed,
        Settled
    }

    /// @param deliveredAt Zero: nothing was delivered, or what was is disputed.
    struct Request {
        Status status;
        address requester;
        uint40 deliveredAt;
        bytes32 termsHash;
    }

    /// @notice The key of the final model, sealed to the requester, and its place in the tree that the start anchored.
    /// @dev The tree has a leaf for each number of final rounds k: keccak256(abi.encode(k, keyDigest, ephemeral, cipher)).
    /// Its inner nodes hash their children in ascending order.
    /// @param ephemeral E = e * G. Every member derives the same e from the request key.
    /// @param cipher The key XOR keccak256(abi.encode(S, k)), where S = e * the requester's key.
    /// @param keyDigest keccak256 of the key.
    /// @param proof Siblings, from the leaf up.
    struct Delivery {
        Point ephemeral;
        bytes32 cipher;
        bytes32 keyDigest;
        bytes32[] proof;
    }

    /// @notice That S has the logarithm to the base E that the requester's key has to the base G; see {Bn254}.
    struct SharedPoint {
        Point shared;
        uint256 challenge;
        uint256 response;
    }

    /// @notice An allowance, signed by the requester for the market (EIP-2612).
    struct Permit {
        uint256 deadline;
        uint8 v;
        bytes32 r;
        bytes32 s;
    }

    /*//////////////////////////////////////////////////////////////
                                 EVENTS
    //////////////////////////////////////////////////////////////*/

    /// @notice A request was published and its pay put into escrow.
    event RequestCreated(
        uint256 indexed request, address indexed requester, bytes32 indexed queryKey, bytes32 termsHash, Terms terms
    );
    /// @notice The requester cancelled.
    event Cancelled(uint256 indexed request);
    /// @notice The model's key was delivered.
    event Delivered(uint256 indexed request, address indexed sender, uint256 finalRounds, Delivery delivery);
    /// @notice The requester has shown what was delivered not to be the model's key.
    event Disputed(uint256 indexed request, SharedPoint shared, bytes32 opened);
    /// @notice A part of the list of what the rounds earned was taken in; `cursor` is the running hash before it.
    event Collected(uint256 indexed request, bytes32 cursor, uint256 points);
    /// @notice The money is shared out: `pool` to the members, `refund` (in the token) and `gasRefund` to the requester.
    event Settled(uint256 indexed request, uint256 pool, uint256 points, uint256 refund, uint256 gasRefund);
    /// @notice An account was paid; `credited`: it did not take the money, which now waits for `withdraw`.
    event Paid(
        uint256 indexed request, address indexed account, address indexed token, uint256 amount, bool credited
    );
    event Withdrawn(address indexed account, address indexed token, address to, uint256 amount);

    /*//////////////////////////////////////////////////////////////
                                 ERRORS
    //////////////////////////////////////////////////////////////*/

    /// @notice The account is not an active participant.
    error SharingMarket_NotActive(address account);
    /// @notice A request needs a specification.
    error SharingMarket_NoSpecification();
    /// @notice The requester's key is not a point of BN254 other than zero.
    error SharingMarket_BadPoint(uint256 x, uint256 y);
    /// @notice A request must pay.
    error SharingMarket_NoPay();
    /// @notice A window is shorter than the deployment's floor or longer than 30 days.
    error SharingMarket_BadWindow(uint256 window, uint256 floor);
    /// @notice More than 8 openers.
    error SharingMarket_TooManyOpeners(uint256 openers);
    /// @notice gasPerRound is no multiple of 1 gwei below 2^32 gwei, or maxGasPrice no multiple of 10^6 wei below 2^32 of
    /// them.
    error SharingMarket_BadGas(uint256 gasPerRound, uint256 maxGasPrice);
    /// @notice The ether sent is not the pay (if it is in ether) and the gas of all rounds.
    error SharingMarket_WrongValue(uint256 sent, uint256 needed);
    /// @notice The token moved another amount than asked for.
    error SharingMarket_WrongAmount(address token, uint256 received, uint256 needed);
    /// @notice Permits are for tokens.
    error SharingMarket_NoToken();
    /// @notice These are not the terms of the request.
    error SharingMarket_WrongTerms(uint256 request, bytes32 given, bytes32 stored);
    /// @notice The request is not in the status that the action needs.
    error SharingMarket_WrongStatus(uint256 request, Status status);
    /// @notice The caller is not the requester.
    error SharingMarket_NotRequester(uint256 request, address caller);
    /// @notice The rounds are not over.
    error SharingMarket_NotEnded(uint256 request);
    /// @notice No round became final, so there is nothing to deliver.
    error SharingMarket_NothingToDeliver(uint256 request);
    /// @notice The time to deliver or to dispute is over.
    error SharingMarket_TooLate(uint256 request, uint256 deadline);
    /// @notice The sealed key is not the one that the start anchored for this number of final rounds.
    error SharingMarket_WrongDelivery(uint256 request, bytes32 root);
    /// @notice The proof does not show the shared point.
    error SharingMarket_BadProof(uint256 request);
    /// @notice The delivered key is the model's.
    error SharingMarket_RightKey(uint256 request);
    /// @notice Until `deadline` the model may be delivered, or the delivery disputed; the requester has not accepted.
    error SharingMarket_NotDecided(uint256 request, uint256 deadline);
    /// @notice The entries do not lead to the running hash of what the rounds earned.
    error SharingMarket_WrongEntries(uint256 request, bytes32 given, bytes32 stored);
    /// @notice Nothing is left to pay to the member.
    error SharingMarket_NothingToPay(uint256 request, uint256 index);
    /// @notice The account has no balance in the token.
    error SharingMarket_NoBalance(address account, address token);
    /// @notice The receiver did not accept the payment.
    error SharingMarket_TransferFailed(address receiver, uint256 amount);
    /// @notice The market must have a guardian; transfer the role instead.
    error SharingMarket_GuardianRequired(address guardian);

    /*//////////////////////////////////////////////////////////////
                               REQUESTER
    //////////////////////////////////////////////////////////////*/

    /// @notice Publishes a request. Active participants only, while new requests are not paused. Takes the pay in the
    /// terms' token, and in ether gasPerRound for every round.
    /// @dev Pool and rounds refuse the terms that concern them where these are out of bounds.
    /// @return request Counted from 1.
    function createRequest(Terms calldata terms) external payable returns (uint256 request);

    /// @notice The same with a signed allowance instead of one on chain.
    function createRequestWithPermit(Terms calldata terms, Permit calldata permit)
        external
        payable
        returns (uint256 request);

    /// @notice Cancels: before the start at once, later from the next round on (see {ITrainingRounds-halt}). What was
    /// earned stays due, the round under way included.
    function cancel(uint256 request) external;

    /*//////////////////////////////////////////////////////////////
                                 ANYONE
    //////////////////////////////////////////////////////////////*/

    /// @notice Delivers the key of the final model, sealed to the requester. Every member can compute it.
    function deliver(uint256 request, Terms calldata terms, Delivery calldata delivery) external;

    /// @notice Shows that the delivered key is not the model's, within the dispute window. Only the requester can make the
    /// proof.
    /// @param delivery As in the event `Delivered`.
    function dispute(
        uint256 request,
        Terms calldata terms,
        Delivery calldata delivery,
        SharedPoint calldata shared
    ) external;

    /// @notice Shares out the money of a request that is decided: delivered, and the dispute window is over or the
    /// requester sends this or has signed Accept(uint256 request); or disputed; or not delivered in time; or without a
    /// final round. Pays the members of a pool of up to sixteen at once; of a larger pool, or after `collect`, they are paid
    /// by `pay`.
    /// @dev Members share pool = pay if the target was reached, else pay * paid rounds / maxRounds. Nothing is due unless
    /// the model was delivered and not disputed, or the requester cancelled before any round was final.
    /// @param entries What the rounds earned, from the first entry on, up to where `collect` began.
    /// @param acceptance The requester's signature, or nothing.
    function settle(uint256 request, Terms calldata terms, Earned[] calldata entries, bytes calldata acceptance) external;

    /// @notice Takes in the end of a list that is too long for one transaction. Calls go from the end of the list to its
    /// beginning, which `settle` takes in.
    /// @param before The running hash before `entries`.
    function collect(uint256 request, Terms calldata terms, bytes32 before, Earned[] calldata entries) external;

    /// @notice Pays members of a settled request, and records their outcomes.
    /// @param indices Their indices in the pool.
    function pay(uint256 request, Terms calldata terms, uint256[] calldata indices) external;

    /// @notice Sends the caller's balance to an account. Whoever could not take a payment has one.
    /// @param token Zero: ether.
    function withdraw(address token, address to) external;

    /*//////////////////////////////////////////////////////////////
                                GUARDIAN
    //////////////////////////////////////////////////////////////*/

    /// @notice Stops new requests. All that is under way goes on.
    function pause() external;

    /// @notice Allows new requests again.
    function unpause() external;

    /*//////////////////////////////////////////////////////////////
                                 VIEWS
    //////////////////////////////////////////////////////////////*/

    /// @notice All stored facts of a request.
    function request(uint256 request) external view returns (Request memory);

    /// @notice The number of requests made so far; it is also the last id.
    function requestCount() external view returns (uint256);

    /// @notice What an account could not take and may withdraw.
    function balanceOf(address account, address token) external view returns (uint256);

    /// @notice What `pay` would pay to a member now, in the terms' token.
    function unpaid(uint256 request, uint256 index) external view returns (uint256);

    /// @notice Shortest window that terms may have.
    function minWindow() external view returns (uint256);

    /// @notice The EIP-712 digest of Accept(uint256 request): what a requester signs to accept a delivery.
    function acceptDigest(uint256 request) external view returns (bytes32);
}
