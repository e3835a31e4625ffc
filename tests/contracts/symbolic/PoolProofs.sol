// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ITrainingPool} from "../../../contracts/interfaces/ITrainingPool.sol";
import {MemberBlob} from "../../../contracts/libraries/MemberBlob.sol";
import {PoolBatch, PoolBatchLib} from "../../../contracts/libraries/PoolBatch.sol";
import {PoolMember, PoolMemberLib} from "../../../contracts/libraries/PoolMember.sol";
import {PoolState, PoolStateLib} from "../../../contracts/libraries/PoolState.sol";

/// @notice What `make symbolic` proves of a pool's words, for all arguments: a field takes what is set, and changes no other.
/// @dev The types of arguments are the preconditions: what fits the field.
contract PoolProofs {
    using PoolBatchLib for PoolBatch[];

    uint256 private constant CLOSED_AT = 1;
    uint256 private constant LAST = 2;
    uint256 private constant LEFT = 4;
    uint256 private constant FIRST_END = 8;

    function check_opened_has_the_plan_and_nothing_else(ITrainingPool.PoolPlan calldata plan) external pure {
        PoolState s = PoolStateLib.opened(plan);
        assert(s.joinDeadline() == plan.joinDeadline && s.minPool() == plan.minPool && s.maxPool() == plan.maxPool);
        assert(s.cohort() == plan.cohort && s.weightRule() == plan.weightRule && s.sampleCap() == plan.sampleCap);
        assert(s.requesterOrganisation() == plan.requesterOrganisation && s.reputations() == plan.reputations);
        assert(s.closedAt() == 0 && s.members() == 0 && s.left() == 0 && s.batches() == 0);
        assert(s.weight() == 0 && s.firstEnd() == 0);
    }

    function check_withClosedAt(PoolState s, uint40 closedAt) external pure {
        PoolState found = s.withClosedAt(closedAt);
        assert(found.closedAt() == closedAt);
        _assertOthersKept(s, found, CLOSED_AT);
    }

    /// @dev `left` is below `members`, which has 16 bits.
    function check_withOneMoreLeft(PoolState s) external pure {
        if (s.left() >= s.members()) return;
        PoolState found = s.withOneMoreLeft();
        assert(found.left() == s.left() + 1);
        _assertOthersKept(s, found, LEFT);
    }

    function check_withLast(PoolState s, uint8 batches, uint16 members, uint32 weight) external pure {
        PoolState found = s.withLast(batches, members, weight);
        assert(found.batches() == batches && found.members() == members && found.weight() == weight);
        _assertOthersKept(s, found, LAST);
    }

    function check_withFirstEnd(PoolState s, uint16 end) external pure {
        PoolState found = s.withFirstEnd(end);
        assert(found.firstEnd() == end);
        _assertOthersKept(s, found, FIRST_END);
    }

    function check_member_holds_what_was_packed(
        uint16 organisation,
        address account,
        uint24 samples,
        uint16 reputation,
        uint32 weight
    ) external pure {
        PoolMember m = PoolMemberLib.pack(organisation, account, samples, reputation, weight);
        assert(m.organisation() == organisation && m.account() == account && m.samples() == samples);
        assert(m.reputation() == reputation && m.weight() == weight);
        // As many bytes as a blob has for it.
        assert(PoolMember.unwrap(m) >> (8 * MemberBlob.MEMBER_BYTES) == 0);
    }

    function check_withWeight(PoolMember m, uint32 weight) external pure {
        PoolMember found = m.withWeight(weight);
        assert(found.weight() == weight);
        assert(found.organisation() == m.organisation() && found.account() == m.account());
        assert(found.samples() == m.samples() && found.reputation() == m.reputation());
    }

    function check_members_sort_by_organisation(PoolMember a, PoolMember b) external pure {
        if (a.organisation() < b.organisation()) assert(PoolMember.unwrap(a) < PoolMember.unwrap(b));
    }

    function check_batch_holds_what_was_packed(address blob, uint16 first, uint16 end, uint32 weight) external pure {
        PoolBatch b = PoolBatchLib.pack(blob, first, end, weight);
        assert(b.blob() == blob && b.first() == first && b.end() == end && b.weight() == weight);
        if (first <= end) assert(b.count() == end - first);
    }

    function check_batches_lie_apart(PoolBatch a, PoolBatch b, PoolBatch c) external pure {
        PoolBatch[] memory batches = PoolBatchLib.allocate(3);
        uint256[] memory behind = new uint256[](1);
        batches.put(2, c);
        batches.put(0, a);
        batches.put(1, b);
        assert(batches.length == 3 && behind.length == 1 && behind[0] == 0);
        assert(PoolBatch.unwrap(batches.get(0)) == PoolBatch.unwrap(a));
        assert(PoolBatch.unwrap(batches.get(1)) == PoolBatch.unwrap(b));
        assert(PoolBatch.unwrap(batches.get(2)) == PoolBatch.unwrap(c));
    }

    /// @dev Requests are numbered from 1: none reaches 2^240.
    function check_no_two_blobs_share_a_salt(uint240 request, uint16 end, uint240 other, uint16 otherEnd) external pure {
        if (MemberBlob.saltOf(request, end) != MemberBlob.saltOf(other, otherEnd)) return;
        assert(request == other && end == otherEnd);
    }

    /// @dev All fields but those in `set` are the same.
    function _assertOthersKept(PoolState a, PoolState b, uint256 set) private pure {
        assert(a.joinDeadline() == b.joinDeadline() && a.minPool() == b.minPool() && a.maxPool() == b.maxPool());
        assert(a.cohort() == b.cohort() && a.weightRule() == b.weightRule() && a.sampleCap() == b.sampleCap());
        assert(a.requesterOrganisation() == b.requesterOrganisation() && a.reputations() == b.reputations());
        assert(set == CLOSED_AT || a.closedAt() == b.closedAt());
        assert(set == LEFT || a.left() == b.left());
        assert(set == FIRST_END || a.firstEnd() == b.firstEnd());
        assert(set == LAST || (a.batches() == b.batches() && a.members() == b.members() && a.weight() == b.weight()));
    }
}
