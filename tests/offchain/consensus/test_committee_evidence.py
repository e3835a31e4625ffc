"""The documents that a large round's points follow from."""

import pytest
from eth_utils.crypto import keccak

from fedpact.consensus.committee_evidence import (
    EVIDENCE_MAX_BYTES,
    CommitteeEvidence,
    JudgeVote,
    ModelList,
    ScoreSheet,
    parts_of,
    read_round,
)
from fedpact.consensus.large_rounds import SubmissionTree
from fedpact.errors import ContentError
from fedpact.exchange.submissions import Submission

DIGESTS = {index: keccak(text=f"model {index}") for index in (0, 3, 5)}
NAMED = {
    index: Submission(index=index, digest=digest.hex(), signature="ab" * 65)
    for index, digest in DIGESTS.items()
}
FORCED = {3: keccak(text="forced"), 7: keccak(text="forced too")}


def vote(seat, sheet):
    rest = {"salt": "11" * 32, "commitment": "22" * 32, "signature": "33" * 65}
    return JudgeVote(seat=seat, sheet=sheet.digest.hex(), **rest)


def evidence(listed, *sheets, seats=None):
    votes = tuple(vote(*one) for one in zip(seats or range(len(sheets)), sheets, strict=True))
    history, models = "44" * 32, listed.digest.hex()
    return CommitteeEvidence(
        request=1, round=2, history=history, models=models, slice="55" * 80, votes=votes
    )


def test_what_was_forced_in_counts_whatever_was_signed():
    listed = ModelList.of(NAMED, FORCED)
    assert listed.digests == {**DIGESTS, **FORCED}
    assert [one.index for one in listed.signed] == [0, 5]
    assert listed.tree.root == SubmissionTree({**DIGESTS, **FORCED}).root
    assert ModelList.decode(listed.encode()) == listed


def test_a_round_is_read_from_its_digest():
    listed = ModelList.of(NAMED, {})
    sheet, blind = ScoreSheet.of(listed, {0: 900, 3: 16_383, 5: 0}), ScoreSheet(scores=None)
    found = evidence(listed, sheet, blind, sheet)
    contents = {one.digest: one.encode() for one in (listed, sheet, blind)}
    assert parts_of(found) == [listed.digest, sheet.digest, blind.digest]
    judged = read_round(CommitteeEvidence.decode(found.encode()), contents.__getitem__)
    scores = {0: 900, 3: 16_383, 5: 0}
    assert judged.votes == {0: scores, 1: None, 2: scores}
    assert judged.evidence.sealed_key == b"\x55" * 80


def test_a_full_pool_fits_a_block_of_the_store():
    named = {
        index: Submission(index=index, digest="ab" * 32, signature="cd" * 65)
        for index in range(1_100, 1_100 + 1_022)
    }
    listed = ModelList.of(named, {})
    assert len(listed.encode()) <= EVIDENCE_MAX_BYTES
    assert len(ScoreSheet.of(listed, dict.fromkeys(named, 16_383)).encode()) <= 1 << 14


LISTED = ModelList.of(NAMED, {})


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        (b"{}", ModelList, "models: Field required"),
        (LISTED.encode().replace(b'"index":0', b'"index":4'), ModelList, "not in order"),
        (LISTED.encode() + b" ", ModelList, "canonical"),
        (b'{"models":[],"version":1}', ModelList, "at least 1 item"),
        (
            evidence(LISTED, ScoreSheet(scores=None), seats=[16 - 1]).encode()[:-2],
            CommitteeEvidence,
            "JSON",
        ),
    ],
)
def test_malformed_evidence_is_refused(content, kind, message):
    with pytest.raises(ContentError, match=message):
        kind.decode(content)


def test_a_sheet_of_other_models_is_refused():
    with pytest.raises(ContentError, match="2 scores of 3 models"):
        ScoreSheet(scores=(1, 2)).by_index(LISTED)
    with pytest.raises(ContentError, match="an invalid score"):
        ScoreSheet(scores=(1, 2, 10_001)).by_index(LISTED)


def test_a_seat_votes_once():
    sheet = ScoreSheet(scores=None)
    with pytest.raises(ContentError, match="not in order"):
        CommitteeEvidence.decode(evidence(LISTED, sheet, sheet, seats=[1, 1]).encode())


def test_in_a_blind_round_those_models_count_that_open_for_most_judges():
    # Each of three judges may miss one model, and the fourth sees: it says nothing of that.
    sheets = [ScoreSheet(scores=None, opened=one) for one in ((0, 3), (0, 5), (0, 3))]
    sheets.append(ScoreSheet(scores=(1, 2, 3)))
    made = evidence(LISTED, *sheets, seats=[0, 1, 2, 3])
    content = {one.digest: one.encode() for one in (LISTED, *sheets)}
    found = read_round(made, content.__getitem__)
    assert found.opened == (0, 3)


@pytest.mark.parametrize("opened", [(0, 4), (3, 0), (0, 0)])
def test_a_blind_sheet_names_models_of_its_list_in_order(opened):
    with pytest.raises(ContentError, match="not on the list"):
        ScoreSheet(scores=None, opened=opened).by_index(LISTED)
    with pytest.raises(ContentError, match="which models open"):
        ScoreSheet(scores=(1, 2, 3), opened=opened).by_index(LISTED)
