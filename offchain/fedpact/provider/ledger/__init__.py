"""The daemon's use of its privacy ledger: opening, comparing with the chain, moving, reporting."""
