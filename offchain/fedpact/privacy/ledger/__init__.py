"""A provider's privacy ledger: a file of what its records have spent."""
