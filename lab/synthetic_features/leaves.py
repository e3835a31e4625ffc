"""Dead leaves: images of shapes that cover each other, made by a program (Lee, Mumford & Huang
2001; Baradad et al. 2021). Their edges, scales and colours are like those of photographs, and no
photograph is in them.
"""

import numpy as np
from numpy.typing import NDArray

SIDE = 32
FINE = 2
"""Images are drawn at so many times the side, and averaged."""
LEAVES = 80
"""Of an image, from the front; the last fills what is left."""
BATCH = 125
"""Images drawn at once."""

Images = NDArray[np.uint8]
Floats = NDArray[np.float32]


def dead_leaves(count: int, seed: int) -> Images:
    """Images (count, 3, 32, 32); the first are the same for any count."""
    batches = -(-count // BATCH)
    found = [_batch(np.random.default_rng([seed, number])) for number in range(batches)]
    return np.concatenate(found)[:count]


def _batch(random: np.random.Generator) -> Images:
    n, side = BATCH, SIDE * FINE
    down, right = (one.astype(np.float32) for one in np.mgrid[:side, :side])
    smallest = 4 * np.exp(random.uniform(0, 1.8, n))
    tint, mood = _colours(random, n), random.uniform(0.3, 1, (n, 1)).astype(np.float32)
    texture = _textures(random, n, side)
    found = np.zeros((n, 3, side, side), np.float32)
    free = np.ones((n, side, side), bool)
    for number in range(LEAVES):
        last = number == LEAVES - 1
        # Radii have a density of r^-3, so that images look the same at any scale.
        radius = (smallest**-2 + random.uniform(0, 1, n) * (48.0**-2 - smallest**-2)) ** -0.5
        centre = random.uniform(-8, side + 8, (2, n))
        inside = _shapes(random, radius, centre, down, right)
        painted = free if last else inside & free
        colour = tint + mood * (_colours(random, n) - tint)
        slope = random.standard_normal((2, n)) * 0.15 * (random.uniform(size=n) < 0.6)
        grain = random.gamma(1.0, 0.08, n) * (random.uniform(size=n) < 0.7)
        image, y, x = np.nonzero(painted)
        along = slope[0, image] * (y - centre[0, image]) + slope[1, image] * (x - centre[1, image])
        shade = np.clip(along / (30 if last else radius[image]), -0.4, 0.4)
        moved = texture[image, :, (y + 29 * number) % side, (x + 17 * number) % side]
        values = colour[image] + shade[:, None] + grain[image, None] * moved
        found[image, :, y, x] = values.astype(np.float32)
        free &= ~painted
    averaged = found.reshape(n, 3, SIDE, FINE, SIDE, FINE).mean(axis=(3, 5))
    return np.asarray((np.clip(averaged, 0, 1) * 255).round(), dtype=np.uint8)


def _shapes(
    random: np.random.Generator,
    radius: NDArray[np.float64],
    centre: NDArray[np.float64],
    down: Floats,
    right: Floats,
) -> NDArray[np.bool_]:
    """Ellipses, rectangles and triangles, turned and stretched: (n, side, side)."""
    n = len(radius)
    angle, stretch = random.uniform(0, np.pi, n), np.exp(random.uniform(0, 1.2, n))
    y, x = (
        grid - middle[:, None, None].astype(np.float32)
        for grid, middle in zip((down, right), centre, strict=True)
    )
    cosine, sine = (one(angle).astype(np.float32)[:, None, None] for one in (np.cos, np.sin))
    along = x * cosine + y * sine
    across = (y * cosine - x * sine) * stretch.astype(np.float32)[:, None, None]
    size = radius.astype(np.float32)[:, None, None]
    kind = random.integers(0, 3, n)[:, None, None]
    ellipse = along**2 + across**2 < size**2
    rectangle = np.maximum(np.abs(along), np.abs(across)) < size
    sides = (0.87 * along + 0.5 * across, -0.87 * along + 0.5 * across, -across)
    triangle = np.maximum.reduce(sides) < 0.6 * size
    return np.asarray(np.where(kind == 0, ellipse, np.where(kind == 1, rectangle, triangle)))


def _colours(random: np.random.Generator, n: int) -> Floats:
    """(n, 3), from 0 to 1; they differ most in how bright they are."""
    bright = random.uniform(0, 1, (n, 1))
    hue = random.standard_normal((n, 3)) * random.gamma(1.2, 0.09, (n, 1))
    colours = np.clip(bright + hue - hue.mean(axis=1, keepdims=True), 0, 1)
    return np.asarray(colours, dtype=np.float32)


def _textures(random: np.random.Generator, n: int, side: int) -> Floats:
    """Noise whose strength falls with a power of the frequency, stretched, (n, 3, side, side), of
    mean 0 and variance 1."""
    rows, columns = np.meshgrid(np.fft.fftfreq(side), np.fft.rfftfreq(side), indexing="ij")
    power = random.uniform(0.5, 2.5, (n, 1, 1, 1))
    stretch = np.exp(random.uniform(-0.8, 0.8, (n, 1, 1, 1)))
    angle = random.uniform(0, np.pi, (n, 1, 1, 1))
    along = columns * np.cos(angle) + rows * np.sin(angle)
    across = rows * np.cos(angle) - columns * np.sin(angle)
    frequency = np.sqrt((along * stretch) ** 2 + (across / stretch) ** 2)
    frequency[..., 0, 0] = np.inf
    shape = (n, 3, side, side // 2 + 1)
    white = random.standard_normal(shape) + 1j * random.standard_normal(shape)
    found = np.fft.irfft2(white * frequency**-power, s=(side, side))
    return np.asarray(found / found.std(axis=(2, 3), keepdims=True), dtype=np.float32)
