"""Strategies for random requests: terms, parties, seats, absences."""

from __future__ import annotations

from hypothesis import strategies as st

# Two of organisation 101, one of the requester's own; 0 is registered with nobody.
ORGANISATIONS = [100, 101, 102, 103, 104, 105, 101, 100, 0]
PROVIDERS = 6
WINDOWS = st.sampled_from([200, 90, 20, 5])
SEATS = st.integers(0, 6)
ANYONE = st.integers(0, len(ORGANISATIONS) - 1)
SEEDS = st.integers(0, 2**32)
# Usually nobody is absent.
ABSENT = st.one_of(st.just(set()), st.just(set()), st.sets(SEATS, max_size=3))
NUMBERS = st.integers(0, 2)
TERMS = st.fixed_dictionaries(
    {
        "maxError": st.sampled_from([9_000, 4_000, 10_000]),
        "target": st.sampled_from([0, 500]),
        "maxRounds": st.sampled_from([1, 2, 3, 1_000]),
        "minProviders": st.integers(2, 3),
        "maxProviders": st.integers(3, 5),
        "leaderRule": st.integers(0, 1),
        "approvalRule": st.integers(0, 1),
        "voteBand": st.sampled_from([0, 50, 1_000]),
        "joinWindow": WINDOWS,
        "startWindow": WINDOWS,
        "submitWindow": WINDOWS,
        "commitWindow": WINDOWS,
        "revealWindow": WINDOWS,
        "proposeWindow": WINDOWS,
        "deliverWindow": WINDOWS,
    }
)
PAYMENTS = st.sampled_from([10**18, 10**18 + 7, 10**14, 1, 3])
