"""Proof of training Quality off-chain: replay, scores, judgement, leader, payment, reputation."""
