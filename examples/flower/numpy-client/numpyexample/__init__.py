"""Softmax regression in numpy, as an app of Flower."""
