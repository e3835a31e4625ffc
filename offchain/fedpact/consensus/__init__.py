"""Proof of training Quality off-chain: votes, tally, leader order, payment, reputation."""
