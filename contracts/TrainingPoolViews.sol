// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ITrainingPool} from "./interfaces/ITrainingPool.sol";
import {Draw} from "./libraries/Draw.sol";
import {MemberBlob} from "./libraries/MemberBlob.sol";
import {PoolBatch, PoolBatchLib} from "./libraries/PoolBatch.sol";
import {PoolMember, PoolMemberLib} from "./libraries/PoolMember.sol";
import {PoolState} from "./libraries/PoolState.sol";

/// @title TrainingPoolViews
/// @notice The storage and the views of {TrainingPool}.
abstract contract TrainingPoolViews is ITrainingPool {
    using PoolBatchLib for PoolBatch[];
    using PoolMemberLib for PoolMember[];

    uint256 internal constant MAX_COHORT = 16;
    uint256 internal constant ENDS_PER_WORD = 5;
    uint256 internal constant END_BITS = 48;
    uint256 internal constant UNIFORM = 0;
    uint256 internal constant BY_SAMPLES = 1;
    uint256 internal constant BY_REPUTATION = 2;

    /* STORAGE */

    struct Pool {
        PoolState state;
        /// @dev Where each batch but the last ends: five a word, 48 bits each, from the bottom the index after its last member
        /// 16, the sum of all weights up to there 32. The last batch ends where the pool does. Nothing is stored of the first
        /// batch where all weigh alike.
        mapping(uint256 word => uint256) ends;
        /// @dev A bit for each organisation that has left.
        mapping(uint256 word => uint256) left;
    }

    mapping(uint256 request => Pool) internal _pools;

    /* VIEWS */

    /// @inheritdoc ITrainingPool
    function cohortOf(uint256 request, bytes32 seed)
        external
        view
        override
        returns (uint256 cohort_, PoolMember[] memory seats)
    {
        Pool storage pool = _pools[request];
        PoolState s = pool.state;
        // The common case, in which nothing is drawn and nobody is passed over.
        if (s.members() <= s.cohort() && s.batches() == 1 && s.left() == 0) {
            (cohort_, seats) = (Draw.inOrder(s.members()), MemberBlob.readAll(_blobAt(request, s.members()), s.members()));
        } else {
            (cohort_, seats) = _drawn(request, pool, s, seed);
        }
        assembly ("memory-safe") {
            // As the compiler would encode it, but in place. What is before the array, be it the zero slot, is not needed any
            // more: the call ends here.
            let head := sub(seats, 0x40)
            mstore(head, cohort_)
            mstore(add(head, 0x20), 0x40)
            return(head, add(0x60, shl(5, mload(seats))))
        }
    }

    /// @inheritdoc ITrainingPool
    function member(uint256 request, uint256 index) external view override returns (PoolMember) {
        Pool storage pool = _pools[request];
        return _member(request, pool, pool.state, index);
    }

    /// @inheritdoc ITrainingPool
    function members(uint256 request, uint256 from, uint256 to)
        external
        view
        override
        returns (PoolMember[] memory found)
    {
        Pool storage pool = _pools[request];
        PoolState s = pool.state;
        if (to > s.members()) revert TrainingPool_NoMember(request, to);
        found = new PoolMember[](to - from);
        for (uint256 i; i < found.length; ++i) {
            found[i] = _member(request, pool, s, from + i);
        }
    }

    /// @inheritdoc ITrainingPool
    function count(uint256 request) external view override returns (uint256) {
        return _pools[request].state.members();
    }

    /// @inheritdoc ITrainingPool
    function presence(uint256 request) external view override returns (uint256[] memory found) {
        Pool storage pool = _pools[request];
        PoolState s = pool.state;
        PoolBatch[] memory batches = _batches(request, pool, s);
        found = new uint256[]((s.members() + 255) / 256);
        for (uint256 i; i < batches.length; ++i) {
            uint256 first = batches[i].first();
            PoolMember[] memory members_ = MemberBlob.readAll(batches[i].blob(), batches[i].count());
            for (uint256 k; k < members_.length; ++k) {
                if (_left(pool, members_[k].organisation())) continue;
                found[(first + k) >> 8] |= 1 << ((first + k) & 0xff);
            }
        }
    }

    /// @inheritdoc ITrainingPool
    function hasLeft(uint256 request, uint256 index) external view override returns (bool) {
        Pool storage pool = _pools[request];
        return _left(pool, _member(request, pool, pool.state, index).organisation());
    }

    /// @inheritdoc ITrainingPool
    function facts(uint256 request) external view override returns (PoolFacts memory found) {
        PoolState s = _pools[request].state;
        found.members = uint16(s.members());
        found.left = uint16(s.left());
        found.batches = uint8(s.batches());
        found.weight = uint32(s.weight());
        found.closed = _closed(s);
        found.closedAt = uint40(_closedAt(s));
        found.drawn = s.members() > s.cohort();
        found.enough = s.members() - s.left() >= s.minPool();
        found.plan = PoolPlan({
            minPool: uint16(s.minPool()),
            maxPool: uint16(s.maxPool()),
            cohort: uint8(s.cohort()),
            weightRule: uint8(s.weightRule()),
            sampleCap: uint16(s.sampleCap()),
            joinDeadline: uint40(s.joinDeadline()),
            requesterOrganisation: uint16(s.requesterOrganisation()),
            reputations: s.reputations()
        });
    }

    /* INTERNAL */

    /// @dev A cohort of a pool of any size. Numbers here are below 2^40.
    function _drawn(uint256 request, Pool storage pool, PoolState s, bytes32 seed)
        private
        view
        returns (uint256 cohort_, PoolMember[] memory seats)
    {
        unchecked {
            PoolBatch[] memory batches = _batches(request, pool, s);
            uint256 all = s.members();
            uint256 most = s.cohort();
            uint256 size = all - s.left();
            bool anyLeft = size != all;
            if (size > most) size = most;
            seats = PoolMemberLib.allocate(size);
            uint256 drawn;
            uint256 index;
            bool uniform = s.weightRule() == UNIFORM;
            if (all > most && uniform && !anyLeft) {
                (cohort_, drawn) = Draw.alike(seed, batches, all, seats);
                // The number after the last draw.
                if (drawn < size) index = (Draw.below(seed, Draw.DRAWS_PER_SEAT * size - 1, all) + 1) % all;
            } else if (all > most) {
                most *= Draw.DRAWS_PER_SEAT;
                for (uint256 c; drawn < size && c < most; ++c) {
                    PoolMember found;
                    if (uniform) {
                        index = Draw.below(seed, c, all);
                        if (Draw.contains(cohort_, drawn, index)) continue;
                        found = _at(batches, index);
                    } else {
                        (index, found) = _weighted(batches, Draw.below(seed, c, s.weight()));
                        if (Draw.contains(cohort_, drawn, index)) continue;
                    }
                    if (anyLeft && _left(pool, found.organisation())) continue;
                    cohort_ |= index << (16 * drawn);
                    seats.put(drawn++, found);
                }
                if (drawn < size) index = (index + 1) % all;
            }
            // The rest in order: all members of a small pool; in a large one, whoever follows the last draw.
            for (; drawn < size; index = (index + 1) % all) {
                if (Draw.contains(cohort_, drawn, index)) continue;
                PoolMember found = _at(batches, index);
                if (anyLeft && _left(pool, found.organisation())) continue;
                cohort_ |= index << (16 * drawn);
                seats.put(drawn++, found);
            }
        }
    }

    function _closed(PoolState s) internal view returns (bool) {
        return s.closedAt() != 0 || block.timestamp > s.joinDeadline();
    }

    /// @dev When the pool closed, or will at the latest.
    function _closedAt(PoolState s) internal pure returns (uint256) {
        return s.closedAt() != 0 ? s.closedAt() : s.joinDeadline();
    }

    function _left(Pool storage pool, uint256 organisation) internal view returns (bool) {
        return (pool.left[organisation >> 8] >> (organisation & 0xff)) & 1 == 1;
    }

    function _member(uint256 request, Pool storage pool, PoolState s, uint256 index)
        internal
        view
        returns (PoolMember)
    {
        if (index >= s.members()) revert TrainingPool_NoMember(request, index);
        PoolBatch batch = _batch(request, pool, s, 0);
        for (uint256 i = 1; index >= batch.end(); ++i) {
            batch = _batch(request, pool, s, i);
        }
        return MemberBlob.read(batch.blob(), index - batch.first());
    }

    function _batches(uint256 request, Pool storage pool, PoolState s)
        private
        view
        returns (PoolBatch[] memory batches)
    {
        uint256 count_ = s.batches();
        batches = PoolBatchLib.allocate(count_);
        uint256 first;
        unchecked {
            for (uint256 i; i < count_; ++i) {
                (uint256 end, uint256 weight) = i + 1 == count_ ? (s.members(), s.weight()) : _endOf(pool, s, i);
                batches.put(i, PoolBatchLib.pack(_blobAt(request, end), first, end, weight));
                first = end;
            }
        }
    }

    function _batch(uint256 request, Pool storage pool, PoolState s, uint256 i) internal view returns (PoolBatch) {
        uint256 first;
        if (i != 0) (first,) = _endOf(pool, s, i - 1);
        (uint256 end, uint256 weight) = i + 1 == s.batches() ? (s.members(), s.weight()) : _endOf(pool, s, i);
        return PoolBatchLib.pack(_blobAt(request, end), first, end, weight);
    }

    /// @dev Where a batch that is not the last ends.
    function _endOf(Pool storage pool, PoolState s, uint256 i) internal view returns (uint256 end, uint256 weight) {
        if (i == 0 && s.weightRule() == UNIFORM) return (s.firstEnd(), s.firstEnd());
        uint256 word = pool.ends[i / ENDS_PER_WORD] >> (END_BITS * (i % ENDS_PER_WORD));
        return (uint16(word), uint32(word >> 16));
    }

    /// @dev The blob of the batch that ends there.
    function _blobAt(uint256 request, uint256 end) private view returns (address) {
        return MemberBlob.placeOf(address(this), MemberBlob.saltOf(request, end));
    }

    /// @dev The member with an index.
    function _at(PoolBatch[] memory batches, uint256 index) private view returns (PoolMember) {
        unchecked {
            PoolBatch batch = batches.get(0);
            for (uint256 i = 1; index >= batch.end(); ++i) {
                batch = batches.get(i);
            }
            return MemberBlob.read(batch.blob(), index - batch.first());
        }
    }

    /// @dev The first member whose sum of weights exceeds `drawn`.
    function _weighted(PoolBatch[] memory batches, uint256 drawn) private view returns (uint256, PoolMember) {
        PoolBatch batch = batches[0];
        for (uint256 i = 1; batch.weight() <= drawn; ++i) {
            batch = batches[i];
        }
        address blob = batch.blob();
        uint256 low;
        uint256 high = batch.count() - 1;
        while (low < high) {
            uint256 middle = (low + high) / 2;
            if (MemberBlob.read(blob, middle).weight() > drawn) high = middle;
            else low = middle + 1;
        }
        return (batch.first() + low, MemberBlob.read(blob, low));
    }
}
