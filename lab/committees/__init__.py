"""Committees over a data set, honest and attacked: shared by robustness and contribution."""
