"""Bounds of what a requester chooses, both ends included; NaN and infinity are refused too.

No choice may take arithmetic out of the range in which the privacy guarantee is proven
(docs/adr/0030-training-never-fails-on-a-record.md).
"""

from typing import Annotated

from pydantic import Field

Scale = Annotated[float, Field(ge=1e-6, le=1e12)]
"""Divides values of at most 10^12: what is left is far inside float32."""
LearningRate = Annotated[float, Field(ge=1e-9, le=1e6)]
"""One step of the largest clipping norm stays far inside float64."""
Momentum = Annotated[float, Field(ge=0, le=0.9999)]
"""A velocity is at most 10^4 steps long."""
SamplingRate = Annotated[float, Field(ge=1e-4, le=1)]
"""Sums are divided by it."""
ClippingNorm = Annotated[float, Field(ge=1e-6, le=1e6)]
"""Far above float32's subnormal numbers, whose rounding no margin covers."""
Multiplier = Annotated[float, Field(ge=1e-3, le=1e5)]
"""Below, noise protects nobody; above, its lattice is coarser than small clipping norms."""
Epsilon = Annotated[float, Field(ge=1e-6, le=1e3)]
"""Below, noise cannot be drawn safely; above, it protects nobody."""
Delta = Annotated[float, Field(ge=1e-15, le=0.1)]
"""Below, the error of the sampler is larger; above, it protects nobody."""
Quantile = Annotated[float, Field(ge=0.01, le=0.99)]
"""Nearer to an end the norm would run to its own bound."""
NormRate = Annotated[float, Field(ge=1e-3, le=1)]
"""A step changes the norm by a factor of e at most."""
CountShare = Annotated[float, Field(ge=1e-4, le=0.9)]
"""Neither of the two sums is left without a usable share."""
Sensitivity = Annotated[float, Field(ge=1e-6, le=1e6)]
"""Noise that float32 holds."""
MAX_STEPS_OF_REQUEST = 1_000_000
"""Steps of all rounds together: nobody can keep a provider busy for longer."""
