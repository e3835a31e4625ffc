// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

import {IParticipantRegistry} from "./interfaces/IParticipantRegistry.sol";
import {IReputationLedger} from "./interfaces/IReputationLedger.sol";
import {IRoundSteps} from "./interfaces/IRoundSteps.sol";
import {ITrainingPool} from "./interfaces/ITrainingPool.sol";
import {MemberBlob} from "./libraries/MemberBlob.sol";
import {PoolBatch} from "./libraries/PoolBatch.sol";
import {PoolMember, PoolMemberLib} from "./libraries/PoolMember.sol";
import {PoolState, PoolStateLib} from "./libraries/PoolState.sol";
import {SeatSignatures} from "./libraries/SeatSignatures.sol";
import {TrainingPoolViews} from "./TrainingPoolViews.sol";

/// @title TrainingPool
/// @notice See {ITrainingPool}.
/// @dev Members lie in blobs of code, each sorted by organisation. A new batch takes up earlier blobs of at most twice its
/// size, and of at most 700 members together, so that their number stays small unless somebody chooses portions to the
/// contrary. There are at most 255.
contract TrainingPool is TrainingPoolViews, EIP712 {
    using SeatSignatures for bytes;

    bytes32 private constant JOIN = keccak256("Join(uint256 request,uint32 samples,bytes32 attributes,bytes32 terms)");

    IParticipantRegistry private immutable REGISTRY;
    IReputationLedger private immutable LEDGER;
    address private immutable MARKET;
    IRoundSteps private immutable ROUNDS;

    constructor(address registry, address ledger, address market, address rounds) EIP712("fedpact", "2") {
        REGISTRY = IParticipantRegistry(registry);
        LEDGER = IReputationLedger(ledger);
        MARKET = market;
        ROUNDS = IRoundSteps(rounds);
    }

    /// @dev Gives a blob that is being created its code.
    fallback() external {
        MemberBlob.serve();
    }

    /// @inheritdoc ITrainingPool
    function prepare(uint256 request, PoolPlan calldata plan) external override {
        if (msg.sender != MARKET) revert TrainingPool_NotMarket(msg.sender);
        bool capped = plan.weightRule == BY_SAMPLES;
        if (
            plan.minPool < 2 || plan.minPool > plan.maxPool || plan.cohort < 2 || plan.cohort > MAX_COHORT
                || plan.weightRule > BY_REPUTATION || capped != (plan.sampleCap != 0)
                || (plan.weightRule == BY_REPUTATION && !plan.reputations)
        ) revert TrainingPool_BadPlan(plan);
        _pools[request].state = PoolStateLib.opened(plan);
    }

    /// @inheritdoc ITrainingPool
    function enrol(uint256 request, Join[] calldata joins, bytes calldata signatures) external override {
        Pool storage pool = _pools[request];
        PoolState s = pool.state;
        // Check: the pool takes these.
        bytes32 terms = ROUNDS.openTerms(request);
        _requireOpen(request, s);
        if (joins.length == 0) revert TrainingPool_NoJoins();
        if (joins.length > MemberBlob.MAX_MEMBERS) revert TrainingPool_BatchTooLarge(joins.length);
        uint256 present = s.members() - s.left() + joins.length;
        if (present > s.maxPool()) revert TrainingPool_Full(request, present, s.maxPool());

        // Effect:
        PoolMember[] memory batch = _members(request, s, terms, joins, signatures);
        (s, batch) = _settled(request, pool, s, batch);
        s = _append(request, pool, s, batch);
        pool.state = present == s.maxPool() ? s.withClosedAt(block.timestamp) : s;
    }

    /// @inheritdoc ITrainingPool
    function withdraw(uint256 request, uint256 index) external override {
        Pool storage pool = _pools[request];
        PoolState s = pool.state;
        ROUNDS.openTerms(request);
        _requireOpen(request, s);
        PoolMember member_ = _member(request, pool, s, index);
        if (member_.account() != msg.sender) revert TrainingPool_NotMember(request, index, msg.sender);
        uint256 organisation = member_.organisation();
        if (_left(pool, organisation)) revert TrainingPool_HasLeft(request, index);

        // Effect: the bit is the organisation's, since indices may still change.
        pool.left[organisation >> 8] |= 1 << (organisation & 0xff);
        pool.state = s.withOneMoreLeft();

        emit Left(request, msg.sender);
    }

    function _requireOpen(uint256 request, PoolState s) private view {
        if (_closed(s)) revert TrainingPool_Closed(request, _closedAt(s));
    }

    /// @dev The members that these joins make, each with its own weight; checks consent, participation and order.
    function _members(
        uint256 request,
        PoolState s,
        bytes32 terms,
        Join[] calldata joins,
        bytes calldata signatures
    ) private returns (PoolMember[] memory batch) {
        batch = new PoolMember[](joins.length);
        uint256 before;
        uint256 signed;
        for (uint256 i; i < joins.length; ++i) {
            Join calldata join = joins[i];
            bytes32 body = keccak256(abi.encode(JOIN, request, join.samples, join.attributes, terms));
            signed = signatures.check(signed, join.account, _hashTypedDataV4(body));
            batch[i] = _joined(request, s, join);
            uint256 organisation = batch[i].organisation();
            if (organisation <= before) revert TrainingPool_NotSorted(organisation, before);
            before = organisation;
        }
    }

    /// @dev The member that a join makes, with its own weight; checks participation.
    function _joined(uint256 request, PoolState s, Join calldata join) private returns (PoolMember) {
        if (join.samples == 0 || join.samples > PoolMemberLib.MAX_SAMPLES) revert TrainingPool_BadSamples(join.samples);
        (bool active, uint256 organisation) = REGISTRY.seatInfo(join.account);
        if (!active) revert TrainingPool_NotActive(join.account);
        if (organisation == s.requesterOrganisation()) revert TrainingPool_OwnOrganisation(request, organisation);
        uint256 reputation = s.reputations() ? LEDGER.reputation(join.account) : 0;
        emit Joined(request, join.account, organisation, join.samples, join.attributes);
        uint256 weight = _weight(s, join.samples, reputation);
        return PoolMemberLib.pack(organisation, join.account, join.samples, reputation, weight);
    }

    function _weight(PoolState s, uint256 samples, uint256 reputation) private pure returns (uint256) {
        if (s.weightRule() == BY_SAMPLES) return samples < s.sampleCap() ? samples : s.sampleCap();
        if (s.weightRule() == BY_REPUTATION) return reputation == 0 ? 1 : reputation;
        return 1;
    }

    /// @dev The batch merged with the earlier blobs that it takes up, each member with its own weight, and the pool without
    /// these; checks that no organisation joins twice.
    function _settled(uint256 request, Pool storage pool, PoolState s, PoolMember[] memory batch)
        private
        view
        returns (PoolState rest, PoolMember[] memory all)
    {
        rest = s;
        all = batch;
        bool taking = true;
        for (uint256 i = s.batches(); i > 0; --i) {
            PoolBatch earlier = _batch(request, pool, s, i - 1);
            PoolMember[] memory old = MemberBlob.readAll(earlier.blob(), earlier.count());
            _requireDisjoint(request, old, batch);
            taking = taking && old.length <= 2 * all.length && old.length + all.length <= MemberBlob.MAX_MEMBERS;
            if (!taking) continue;
            uint256 base;
            if (i != 1) (, base) = _endOf(pool, s, i - 2);
            all = _merged(_apart(old, base), all);
            rest = s.withLast(i - 1, earlier.first(), base);
        }
    }

    /// @dev Both are sorted.
    function _requireDisjoint(uint256 request, PoolMember[] memory old, PoolMember[] memory batch) private pure {
        uint256 i;
        for (uint256 k; k < batch.length; ++k) {
            uint256 organisation = batch[k].organisation();
            while (i < old.length && old[i].organisation() < organisation) ++i;
            if (i == old.length) return;
            if (old[i].organisation() == organisation) revert TrainingPool_OrganisationJoined(request, organisation);
        }
    }

    /// @dev Sums of weights become each member's own.
    function _apart(PoolMember[] memory old, uint256 sum) private pure returns (PoolMember[] memory) {
        for (uint256 i; i < old.length; ++i) {
            uint256 next = old[i].weight();
            old[i] = old[i].withWeight(next - sum);
            sum = next;
        }
        return old;
    }

    /// @dev Both are sorted, and so is the result.
    function _merged(PoolMember[] memory a, PoolMember[] memory b) private pure returns (PoolMember[] memory all) {
        all = new PoolMember[](a.length + b.length);
        uint256 i;
        uint256 k;
        for (uint256 n; n < all.length; ++n) {
            bool first = k == b.length || (i < a.length && PoolMember.unwrap(a[i]) < PoolMember.unwrap(b[k]));
            all[n] = first ? a[i++] : b[k++];
        }
    }

    /// @dev Writes the last blob: weights become sums.
    function _append(uint256 request, Pool storage pool, PoolState s, PoolMember[] memory all)
        private
        returns (PoolState)
    {
        if (s.batches() != 0) s = _ended(pool, s);
        uint256 sum = s.weight();
        // At most 65,535 members of at most 65,535 each.
        for (uint256 i; i < all.length; ++i) {
            sum += all[i].weight();
            all[i] = all[i].withWeight(sum);
        }
        if (s.batches() == type(uint8).max) revert TrainingPool_TooManyBatches(request);
        uint256 members_ = s.members() + all.length;
        if (members_ > type(uint16).max) revert TrainingPool_Full(request, members_, type(uint16).max);
        MemberBlob.write(all, MemberBlob.saltOf(request, members_));
        return s.withLast(s.batches() + 1, members_, sum);
    }

    /// @dev Notes where the last batch ends, before another follows.
    function _ended(Pool storage pool, PoolState s) private returns (PoolState) {
        uint256 i = s.batches() - 1;
        if (i == 0 && s.weightRule() == UNIFORM) return s.withFirstEnd(s.members());
        uint256 shift = END_BITS * (i % ENDS_PER_WORD);
        uint256 others = pool.ends[i / ENDS_PER_WORD] & ~(uint256(type(uint48).max) << shift);
        pool.ends[i / ENDS_PER_WORD] = others | ((s.members() | (s.weight() << 16)) << shift);
        return s;
    }
}
