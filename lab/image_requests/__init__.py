"""Requests for linear models on frozen networks' features of images, which studies share."""
