"""Federated training without chain and votes: shared by the studies of learning curves."""
