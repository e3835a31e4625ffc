"""Vectors worked out by hand; the arithmetic stands beside each."""

INVALID = 16_383
MONTH = 30 * 24 * 3600
NOW = 600 * MONTH

ADDRESSES = [f"0x{digit * 40}" for digit in "123456789abcdef"]

TALLY_CASES = [
    {
        # Medians: mean(1000, 1200), mean(2000, 2100), mean(3000, 3200). q = 3900 + 2950 + 1900 =
        # 8750. 500 + 3120 + 333, 500 + 2360 + 333, 500 + 1520 + 333.
        "name": "three honest members",
        "seats": 3,
        "max_error": 5000,
        "band": 500,
        "submitted": 0b111,
        "votes": {
            0: {1: 2000, 2: 3000},
            1: {0: 1000, 2: 3200},
            2: {0: 1200, 1: 2100},
        },
        "medians": [1100, 2050, 3100],
        "valid": 0b111,
        "included": 0b111,
        "eligible": 0b111,
        "adverse": 0,
        "points": [3953, 3193, 2353],
    },
    {
        # Seat 0 is valid but above the ceiling: base and votes, no quality.
        "name": "a model above the ceiling",
        "seats": 2,
        "max_error": 5000,
        "band": 500,
        "submitted": 0b11,
        "votes": {0: {1: 100}, 1: {0: 10_000}},
        "medians": [10_000, 100],
        "valid": 0b11,
        "included": 0b10,
        "eligible": 0b11,
        "adverse": 0,
        "points": [1250, 8250],
    },
    {
        # Seat 3 handed in junk and never revealed. q = 3450 + 2950 + 2450 = 8850.
        "name": "junk that all call invalid",
        "seats": 4,
        "max_error": 5000,
        "band": 300,
        "submitted": 0b1111,
        "votes": {
            0: {1: 2000, 2: 2500, 3: INVALID},
            1: {0: 1500, 2: 2600, 3: INVALID},
            2: {0: 1600, 1: 2100, 3: INVALID},
        },
        "medians": [1550, 2050, 2550, INVALID],
        "valid": 0b0111,
        "included": 0b0111,
        "eligible": 0b0111,
        "adverse": 0,
        "points": [3561, 3166, 2770, 0],
    },
    {
        # Each median is that of two votes at 1000 and one at 9000. 500 + 2333 + 333 each.
        "name": "an adverse voter forfeits the round",
        "seats": 4,
        "max_error": 5000,
        "band": 500,
        "submitted": 0b1111,
        "votes": {
            0: {1: 1000, 2: 1000, 3: 1000},
            1: {0: 1000, 2: 1000, 3: 1000},
            2: {0: 1000, 1: 1000, 3: 1000},
            3: {0: 9000, 1: 9000, 2: 9000},
        },
        "medians": [1000, 1000, 1000, 1000],
        "valid": 0b1111,
        "included": 0b1111,
        "eligible": 0b0111,
        "adverse": 0b1000,
        "points": [3166, 3166, 3166, 0],
    },
    {
        # Voters 0 and 1 are near one median of two, voter 2 near both: 500 + 3500 + 250, and
        # 500 + 0 + 500 for seat 2, whose median is the ceiling itself.
        "name": "half of the votes in the band is enough",
        "seats": 3,
        "max_error": 5000,
        "band": 500,
        "submitted": 0b111,
        "votes": {
            0: {1: 1000, 2: 9000},
            1: {0: 1000, 2: 1000},
            2: {0: 1000, 1: 1000},
        },
        "medians": [1000, 1000, 5000],
        "valid": 0b111,
        "included": 0b111,
        "eligible": 0b111,
        "adverse": 0,
        "points": [4250, 4250, 1000],
    },
    {
        # The only voter's own model has no vote; the other's owner revealed nothing.
        "name": "a single reveal pays nobody",
        "seats": 2,
        "max_error": 5000,
        "band": 500,
        "submitted": 0b11,
        "votes": {0: {1: 700}},
        "medians": [INVALID, 700],
        "valid": 0b10,
        "included": 0b10,
        "eligible": 0,
        "adverse": 0,
        "points": [0, 0],
    },
    {
        # Medians: 500, since one of two cannot void it; 800 and 901, rounded up; 0 and 0. In the
        # band: voters 0 and 1 both, voter 2 only seat 1. q = 500 + 149 + 1000 = 1649.
        # Seat 0: 500 + 7000 * 500 / 1649 (2122) + 1000 * 2 / 5 (400).
        # Seat 1: 500 + 7000 * 149 / 1649 (632) + 1000 * 2 / 5 (400).
        # Seat 2: 500 + 7000 * 1000 / 1649 (4244) + 1000 * 1 / 5 (200).
        "name": "the upper middle vote invalid",
        "seats": 3,
        "max_error": 1000,
        "band": 100,
        "submitted": 0b111,
        "votes": {
            0: {1: 800, 2: 0},
            1: {0: 500, 2: 0},
            2: {0: INVALID, 1: 901},
        },
        "medians": [500, 851, 0],
        "valid": 0b111,
        "included": 0b111,
        "eligible": 0b111,
        "adverse": 0,
        "points": [3022, 1532, 4944],
    },
    {
        # Seats 0 and 2 did not submit. 750 + 3500 + 500 each.
        "name": "gaps among the seats",
        "seats": 4,
        "max_error": 10_000,
        "band": 0,
        "submitted": 0b1010,
        "votes": {1: {3: 10}, 3: {1: 10}},
        "medians": [INVALID, 10, INVALID, 10],
        "valid": 0b1010,
        "included": 0b1010,
        "eligible": 0b1010,
        "adverse": 0,
        "points": [0, 4750, 0, 4750],
    },
    {
        "name": "nothing submitted",
        "seats": 3,
        "max_error": 5000,
        "band": 500,
        "submitted": 0,
        "votes": {},
        "medians": [INVALID, INVALID, INVALID],
        "valid": 0,
        "included": 0,
        "eligible": 0,
        "adverse": 0,
        "points": [0, 0, 0],
    },
]

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
        "name": "highest reputation first, the last leader at the end",
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
        "name": "the last leader is behind a reputation of zero",
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
        "name": "losses beyond the score",
        "outcomes": [_outcome(1, 0, 20_000, 0, 0)],
        "now": NOW,
        "score": 0,
    },
    {
        "name": "weight zero changes nothing",
        "outcomes": [_outcome(0, 10_000, 5000, 0, 0)],
        "now": NOW,
        "score": 4000,
    },
    {
        "name": "all is forgotten in fifty years",
        "outcomes": [_outcome(100, 10_000, 0, -599, -599)],
        "now": NOW,
        "score": 4000,
    },
]

PAYMENT_CASES = [
    {
        "name": "target reached: all of it",
        "payment": 1000,
        "reached": True,
        "paid_rounds": 1,
        "max_rounds": 10,
        "points": [1, 1, 1],
        "pool": 1000,
        "shares": [333, 333, 333],
    },
    {
        # 1000 * 2 / 3 = 666; 666 * 3 / 4 = 499.5
        "name": "two of three rounds",
        "payment": 1000,
        "reached": False,
        "paid_rounds": 2,
        "max_rounds": 3,
        "points": [3, 0, 1],
        "pool": 666,
        "shares": [499, 0, 166],
    },
    {
        "name": "nobody has points",
        "payment": 1000,
        "reached": False,
        "paid_rounds": 0,
        "max_rounds": 3,
        "points": [0, 0],
        "pool": 0,
        "shares": [0, 0],
    },
    {
        # The largest payment (96 bits) and the largest points (1,000 rounds of 10,000).
        "name": "the bounds",
        "payment": 2**96 - 1,
        "reached": True,
        "paid_rounds": 1000,
        "max_rounds": 1000,
        "points": [10_000_000, 0],
        "pool": 2**96 - 1,
        "shares": [2**96 - 1, 0],
    },
]

QUALITY_CASES = [
    {"name": "the mean", "points": 100, "members": 4, "total": 400, "quality": 5000},
    {
        "name": "twice the mean and more",
        "points": 300,
        "members": 4,
        "total": 400,
        "quality": 10_000,
    },
    {"name": "nothing", "points": 0, "members": 4, "total": 400, "quality": 0},
    {"name": "nobody has points", "points": 0, "members": 4, "total": 0, "quality": 0},
    {"name": "rounded down", "points": 1, "members": 2, "total": 3, "quality": 3333},
]
