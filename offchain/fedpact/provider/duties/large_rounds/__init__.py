"""Large rounds: trainers name their models, judges agree on what they were worth.

Once the submissions are over, each judge first says which models it holds, and takes none any
more. Seats take turns to propose which models the round has (pick), which votes count (tally) and
whose errors the record has (record); all go by what a quorum supports (`proposals`). So all that
agree sign the same record, though some are silent, or say two things. Lists, scores and evidence
are in the content store; messages have their digests (`exchange.messages.LargeBallot`).
"""
