"""Sums of which nobody sees a summand (Bonawitz et al. 2017), with noise shared by the members."""
