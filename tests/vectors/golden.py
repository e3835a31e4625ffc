"""Vectors worked out by hand; the arithmetic stands beside each."""

INVALID = 16_383
MONTH = 30 * 24 * 3600
NOW = 600 * MONTH

ADDRESSES = [f"0x{digit * 40}" for digit in "123456789abcdef"]

BAD_LANES = [
    # A committee of 4, seats 0, 1 and 3 submitted, seat 0 votes: lanes 1 and 3 are judged.
    {"name": "scores", "lanes": {"1": 0, "3": 10_000}, "rest": 0, "bad": None},
    {"name": "invalid marks", "lanes": {"1": INVALID, "3": INVALID}, "rest": 0, "bad": None},
    {"name": "nothing", "lanes": {}, "rest": 0, "bad": None},
    {"name": "above the scale", "lanes": {"1": 10_001, "3": 5}, "rest": 0, "bad": [1, 10_001]},
    {"name": "below invalid", "lanes": {"3": 16_382}, "rest": 0, "bad": [3, 16_382]},
    {"name": "the own lane", "lanes": {"0": 1, "1": 5}, "rest": 0, "bad": [0, 1]},
    {"name": "the own lane invalid", "lanes": {"0": INVALID}, "rest": 0, "bad": [0, INVALID]},
    {"name": "a seat that did not submit", "lanes": {"2": 7}, "rest": 0, "bad": [2, 7]},
    {"name": "a seat beyond the committee", "lanes": {"4": 1}, "rest": 0, "bad": [4, 1]},
    {"name": "the last lane", "lanes": {"15": INVALID}, "rest": 0, "bad": [15, INVALID]},
    {"name": "bits above the lanes", "lanes": {"1": 5}, "rest": 1, "bad": [16, 1]},
    {"name": "the top bit", "lanes": {}, "rest": 1 << 31, "bad": [16, 1 << 31]},
    {"name": "the first of two", "lanes": {"1": 12_000, "2": 1}, "rest": 3, "bad": [1, 12_000]},
]

WEIGHT_CASES = [
    {"name": "all within two medians", "samples": [10, 20, 30], "weights": [10, 20, 30]},
    {"name": "one above two medians", "samples": [10, 20, 1000], "weights": [10, 20, 40]},
    {"name": "two: the cap is their sum", "samples": [5, 1000], "weights": [5, 1000]},
    {"name": "a giant", "samples": [1, 1, 1, 10_000_000], "weights": [1, 1, 1, 2]},
    {"name": "alone", "samples": [7], "weights": [7]},
    # Median 12.5, cap 25: no half is lost.
    {"name": "a half in the median", "samples": [10, 12, 13, 90], "weights": [10, 12, 13, 25]},
    {"name": "none", "samples": [], "weights": []},
]

LEADER_CASES = [
    {
        # gamma = 1.2, 1.6, 1.2; mean 4000 / 3: 2533.3, 2933.3, 3733.3.
        "name": "more samples make leading harder",
        "round": 1,
        "rule": 0,
        "eligible": 0b111,
        "medians": [1000, 1000, 2000],
        "weights": [100, 300, 100],
        "accounts": ADDRESSES[:3],
        "reputations": [4000, 4000, 4000],
        "last_leader": 255,
        "order": [0, 1, 2],
    },
    {
        # 1000 * (500 + 400) > 1100 * (500 + 100); 1800 + 1050, 1320 + 1050.
        "name": "samples outweigh a small lead",
        "round": 1,
        "rule": 0,
        "eligible": 0b11,
        "medians": [1000, 1100],
        "weights": [400, 100],
        "accounts": ADDRESSES[:2],
        "reputations": [9000, 1],
        "last_leader": 1,
        "order": [1, 0],
    },
    {
        "name": "only eligible seats",
        "round": 9,
        "rule": 0,
        "eligible": 0b1010,
        "medians": [0, 300, 0, 200],
        "weights": [100, 100, 100, 100],
        "accounts": ADDRESSES[:4],
        "reputations": [0, 0, 0, 0],
        "last_leader": 255,
        "order": [3, 1],
    },
    {
        "name": "by reputation, the highest has just led",
        "round": 2,
        "rule": 1,
        "eligible": 0b111,
        "medians": [1, 2, 3],
        "weights": [100, 100, 100],
        "accounts": ADDRESSES[:3],
        "reputations": [5000, 10_000, 6000],
        "last_leader": 1,
        "order": [2, 0, 1],
    },
    {
        "name": "after the highest comes a reputation of zero",
        "round": 2,
        "rule": 1,
        "eligible": 0b11,
        "medians": [1, 2],
        "weights": [100, 100],
        "accounts": ADDRESSES[:2],
        "reputations": [10_000, 0],
        "last_leader": 0,
        "order": [1, 0],
    },
    {
        "name": "the next by reputation after the last leader, which did not attest",
        "round": 3,
        "rule": 1,
        "eligible": 0b1011,
        "medians": [1, 2, 3, 4],
        "weights": [100, 100, 100, 100],
        "accounts": ADDRESSES[:4],
        "reputations": [5000, 10_000, 6000, 7000],
        "last_leader": 2,
        "order": [0, 1, 3],
    },
]


def _outcome(weight: int, quality: int, losses: int, ended: int, recorded: int) -> dict:
    """Times in months relative to NOW."""
    return {
        "weight": weight,
        "quality": quality,
        "losses": losses,
        "ended_at": NOW + ended * MONTH,
        "recorded_at": NOW + recorded * MONTH,
    }


REPUTATION_CASES = [
    {"name": "newcomer", "outcomes": [], "now": NOW, "score": 4000},
    {
        # (10 * 4000 + 10 * 6000) / 20
        "name": "one outcome",
        "outcomes": [_outcome(10, 6000, 0, 0, 0)],
        "now": NOW,
        "score": 5000,
    },
    {
        "name": "one outcome with a fault",
        "outcomes": [_outcome(10, 6000, 100, 0, 0)],
        "now": NOW,
        "score": 4900,
    },
    {
        # (40,000 + 1,000,000) / 110 = 9454.5
        "name": "the largest weight",
        "outcomes": [_outcome(100, 10_000, 0, 0, 0)],
        "now": NOW,
        "score": 9454,
    },
    {
        "name": "weight beyond the largest",
        "outcomes": [_outcome(100_000, 10_000, 0, 0, 0)],
        "now": NOW,
        "score": 9454,
    },
    {
        # (40,000 + 54,000) / 19 = 4947.4
        "name": "a month later",
        "outcomes": [_outcome(10, 6000, 0, -1, -1)],
        "now": NOW,
        "score": 4947,
    },
    {
        "name": "settled a month late",
        "outcomes": [_outcome(10, 6000, 0, -1, 0)],
        "now": NOW,
        "score": 4947,
    },
    {
        # Gains 54,000 + 20,000, weights 9 + 10, losses 90: 114,000 / 29 - 90 = 3841.03
        "name": "two months' outcomes",
        "outcomes": [_outcome(10, 6000, 100, -1, -1), _outcome(10, 2000, 0, 0, 0)],
        "now": NOW,
        "score": 3841,
    },
    {
        # 40,000 / 11 - 1,000 = 2636.4
        "name": "losses beyond the largest",
        "outcomes": [_outcome(1, 0, 20_000, 0, 0)],
        "now": NOW,
        "score": 2636,
    },
    {
        "name": "losses without a weight",
        "outcomes": [_outcome(0, 10_000, 300, 0, 0)],
        "now": NOW,
        "score": 3700,
    },
    {
        # 900 of the first thousand are left; 100 of the next fill it up.
        "name": "losses of two months, at most a thousand together",
        "outcomes": [_outcome(0, 0, 1000, -1, -1), _outcome(0, 0, 300, 0, 0)],
        "now": NOW,
        "score": 3000,
    },
    {
        "name": "all is forgotten in fifty years",
        "outcomes": [_outcome(100, 10_000, 0, -599, -599)],
        "now": NOW,
        "score": 4000,
    },
]
