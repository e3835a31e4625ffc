"""A provider's privacy ledger beside the chain: opening, comparing, moving, reporting."""
