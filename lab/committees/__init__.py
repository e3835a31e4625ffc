"""Simulated committees, honest and attacked: shared by robustness and contribution."""
