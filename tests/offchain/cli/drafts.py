"""A draft that `request create` takes; tests change it."""

DRAFT = """\
title = "Handwritten digits"
category = "images/digits"
labels = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]
rounds = 2
min_providers = 3
max_providers = 3
score = "contribution"
max_error = 5000
seed = 0

[features]
shape = [64]
scale = 16.0

[family]
name = "softmax-regression"

[local]
steps = 4
learning_rate = 2.0

[privacy]
mode = "sound"
epsilon = 8.0
delta = 1e-5
clipping_norm = 1.0
"""
