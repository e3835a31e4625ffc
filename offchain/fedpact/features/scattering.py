"""Scattering transform of images: a fixed, public feature map in front of a linear model.

Two layers of Morlet wavelets and moduli, each followed by a Gaussian average (Bruna & Mallat 2013;
Oyallon & Mallat 2015), with J = 2 scales and L = 8 orientations, as Tramer & Boneh 2021 put it
before differentially private training. Nothing in it is learnt and each image is transformed on
its own, so it costs no privacy.

An image of c channels, H x W becomes c * 81 maps of (H/4) x (W/4): for each channel the average
(1), the first order (scale 0, then 1; 8 orientations each) and the second order (8 x 8: first
orientation at scale 0, second at scale 1).

The transform is dense: the Fourier transforms of these small images, and the averages, are matrix
products over many images at once, which takes a third of the time of as many small FFTs. Complex
maps are real tensors of shape (rows, 2, columns, images), real part first.
"""

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fedpact.errors import DataError

if TYPE_CHECKING:
    import torch

SCALES = 2
ORIENTATIONS = 8
STRIDE: int = 2**SCALES
MAPS: int = 1 + SCALES * ORIENTATIONS + ORIENTATIONS**2
GROUPS = 27
"""Groups of maps that are normalised together (Tramer & Boneh 2021, section 3)."""
VARIANCE_FLOOR = 1e-5
"""Added to a group's variance, so that an even image stays finite."""
WIDTH, FREQUENCY = 0.8, 3 * math.pi / 4
"""Of the finest wavelet: width of its envelope along the wave in pixels, and its centre in radians
per pixel. One scale up, the width doubles and the frequency halves."""
_UPRIGHT = ORIENTATIONS // 2 - 1
"""The orientation of angle 0, whose waves run down the rows."""
SLANT = 4 / ORIENTATIONS
"""A wavelet's width along the wave over its width across it."""
AVERAGE_WIDTH = WIDTH * 2 ** (SCALES - 1)
CHUNK = 48
"""Channels transformed at once: few enough for the intermediate maps to stay in the cache."""
_PERIODS = range(-2, 3)
"""Copies of a filter that are summed if it is wider than the image."""


def width(shape: tuple[int, ...]) -> int:
    """Number of features of an image of `shape` (H, W) or (channels, H, W).

    Raises DataError for other shapes, and for sides that are not a multiple of 4, at least 8.
    """
    channels, rows, columns = _image_shape(shape)
    return channels * MAPS * (rows // STRIDE) * (columns // STRIDE)


def scattering(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scattering coefficients, (n, channels * 81, H/4, W/4), of (n, H, W) or (n, channels, H, W).

    Raises DataError for shapes that `width` refuses, and for values that are not finite.
    """
    import torch

    channels, rows, columns = _image_shape(images.shape[1:])
    if not np.isfinite(images).all():
        raise DataError("scattering: an image has a value that is not finite")
    transform = _transform(rows, columns)
    planes = torch.from_numpy(np.ascontiguousarray(images, dtype=np.float32))
    planes = planes.reshape(-1, rows, columns)
    chunks = range(0, max(len(planes), 1), CHUNK)
    with torch.inference_mode():
        found = torch.cat([transform(planes[at : at + CHUNK]) for at in chunks]).numpy()
    side = (rows // STRIDE, columns // STRIDE)
    return np.asarray(found.reshape(len(images), channels * MAPS, *side), dtype=np.float32)


def normalised(coefficients: NDArray[np.float32]) -> NDArray[np.float32]:
    """Group-normalised features, (n, d), of coefficients (n, maps, rows, columns).

    Consecutive maps form 27 groups: each group of each example is shifted and scaled to mean 0 and
    variance 1 (Wu & He 2018); then all values are divided by sqrt(d), so that an example has norm
    1, or less where a group is constant. Nothing depends on other examples.
    """
    n, maps = coefficients.shape[:2]
    if maps % GROUPS:
        raise DataError(f"scattering: {maps} maps cannot be split into {GROUPS} groups")
    size = math.prod(coefficients.shape[1:])
    groups = coefficients.reshape(n, GROUPS, size // GROUPS)
    centred = groups - groups.mean(axis=2, keepdims=True)
    variance = np.square(centred).mean(axis=2, keepdims=True)
    scaled = centred / np.sqrt((variance + VARIANCE_FLOOR) * size)
    return np.asarray(scaled.reshape(n, size), dtype=np.float32)


def features(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """The input of a linear model: `normalised(scattering(images))`, (n, width(shape))."""
    return normalised(scattering(images))


def mirrored(features: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """The part of features (n, width(shape)) that an image and its mirror image share, about half
    as many values; of the same type.

    Mirroring an image reverses each map and each orientation, so it only reorders the features.
    Of each pair of indices (i, j) that it exchanges, (x_i + x_j) / sqrt(2) is kept: an orthogonal
    projection, so that no example grows longer. It is fixed and depends on one example alone, as
    the transform does. A linear model that should answer the same for both loses nothing, except
    that maps are kept at every fourth pixel, three pixels off in the mirror image; and noise falls
    on half as many weights.

    Raises DataError for another width.
    """
    if features.ndim != 2 or features.shape[1] != width(shape):
        raise DataError(
            f"features of shape {features.shape} do not belong to images of shape {shape}"
        )
    other = _mirror(_image_shape(shape))
    here = np.arange(len(other))
    first, alone = here[here < other], here[here == other]
    wide = features.astype(np.float32, copy=False)
    pairs = (wide[:, first] + wide[:, other[first]]) / np.float32(math.sqrt(2))
    kept = np.concatenate([pairs, wide[:, alone]], axis=1)
    return np.asarray(kept, dtype=features.dtype)


def mirrored_width(shape: tuple[int, ...]) -> int:
    """Number of values that `mirrored` keeps; raises DataError as `width` does."""
    other = _mirror(_image_shape(shape))
    return int((np.arange(len(other)) <= other).sum())


@lru_cache(maxsize=8)
def _mirror(shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Index of each value's mirror image, (width,); its own inverse."""
    channels, rows, columns = shape
    turned = np.array([(2 * _UPRIGHT - one) % ORIENTATIONS for one in range(ORIENTATIONS)])
    second = 1 + SCALES * ORIENTATIONS + ORIENTATIONS * turned[:, None] + turned
    first = [1 + scale * ORIENTATIONS + turned for scale in range(SCALES)]
    maps = np.concatenate([[0], *first, second.ravel()])
    size = (channels, MAPS, rows // STRIDE, columns // STRIDE)
    indices = np.arange(math.prod(size)).reshape(size)
    return np.asarray(indices[:, maps, :, ::-1].ravel())


class _Transform:
    """The transform of images of one size; filters in 64 bits, applied in 32."""

    def __init__(self, rows: int, columns: int) -> None:
        import torch

        def tensor(values: NDArray[np.float64]) -> torch.Tensor:
            return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))

        self.padded = tuple((side // STRIDE + 2) * STRIDE for side in (rows, columns))
        spectra = [_wavelets(self.padded, scale) for scale in range(SCALES)]
        self.fine = tensor(spectra[0][:, :, None, :, None])
        self.coarse = [tensor(q[:, :, None, :, None]) for q in _quarters(spectra[1])]
        rows, columns = self.padded
        self.forward_rows = tensor(_fourier_matrices(rows)[0][:, ::2])  # of real values
        self.forward_columns = tensor(_fourier_matrices(columns)[1])
        self.inverse = [
            (
                tensor(_fourier_matrices(rows // factor, inverse=True)[0]),
                tensor(_fourier_matrices(columns // factor, inverse=True)[1]),
            )
            for factor in (1, 2)
        ]
        self.average = [
            [tensor(_average_matrix(side, factor)) for side in self.padded] for factor in (1, 2)
        ]

    def __call__(self, planes: "torch.Tensor") -> "torch.Tensor":
        """(b, H, W) -> (b, 81, H/4, W/4)."""
        import torch
        from torch.nn.functional import pad

        b = len(planes)
        padded = pad(planes[:, None], (STRIDE,) * 4, mode="reflect")[:, 0]
        images = padded.permute(1, 2, 0).contiguous()  # (rows, columns, b)
        maps = [self._averaged(images, 0)]
        spectrum = self._spectrum(images)
        first = [self._modulus(spectrum * wavelet, 0) for wavelet in self.fine]
        maps += [self._averaged(modulus, 0) for modulus in first]
        maps += self._second_scale(spectrum)
        for modulus in first:
            maps += self._second_scale(self._spectrum(modulus))
        found = torch.stack(maps)  # (81, H/4, W/4, b)
        return found.permute(3, 0, 1, 2).reshape(b, MAPS, *found.shape[1:3])

    def _spectrum(self, images: "torch.Tensor") -> "torch.Tensor":
        """Fourier transform of real maps: (rows, columns, b) -> (rows, 2, columns, b)."""
        rows, columns, b = images.shape
        half = (self.forward_rows @ images.reshape(rows, -1)).view(rows, 2 * columns, b)
        return (self.forward_columns @ half).view(rows, 2, columns, b)

    def _modulus(self, spectrum: "torch.Tensor", scale: int) -> "torch.Tensor":
        """Modulus of the inverse transform: (rows, 2, columns, b) -> (rows, columns, b)."""
        rows, _, columns, b = spectrum.shape
        along, across = self.inverse[scale]
        half = (along @ spectrum.reshape(2 * rows, -1)).view(rows, 2 * columns, b)
        values = (across @ half).view(rows, 2, columns, b)
        return values.square_().sum(dim=1).sqrt_()

    def _second_scale(self, spectrum: "torch.Tensor") -> "list[torch.Tensor]":
        """Averages of the moduli of the 8 wavelets of scale 1, at half the resolution.

        Keeping every second pixel is, in the spectrum, the mean of its four quarters.
        """
        rows, columns = spectrum.shape[0] // 2, spectrum.shape[2] // 2
        quarters = [
            spectrum[top : top + rows, :, left : left + columns]
            for top in (0, rows)
            for left in (0, columns)
        ]
        found = []
        for orientation in range(ORIENTATIONS):
            folded = quarters[0] * self.coarse[0][orientation]
            for quarter, wavelet in zip(quarters[1:], self.coarse[1:], strict=True):
                folded.addcmul_(quarter, wavelet[orientation])
            found.append(self._averaged(self._modulus(folded, 1), 1))
        return found

    def _averaged(self, images: "torch.Tensor", scale: int) -> "torch.Tensor":
        """(rows, columns, b) -> (H/4, W/4, b)."""
        rows, columns, b = images.shape
        along, across = self.average[scale]
        half = (along @ images.reshape(rows, -1)).view(len(along), columns, b)
        return across @ half


@lru_cache(maxsize=4)
def _transform(rows: int, columns: int) -> _Transform:
    return _Transform(rows, columns)


def _image_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    if len(shape) not in (2, 3) or any(side % STRIDE or side < 2 * STRIDE for side in shape[-2:]):
        raise DataError(
            f"scattering takes images (H, W) or (channels, H, W) with sides that are multiples of "
            f"{STRIDE}, at least {2 * STRIDE}, not {shape}"
        )
    return (1, *shape) if len(shape) == 2 else shape  # type: ignore[return-value]


def _wavelets(size: tuple[int, ...], scale: int) -> NDArray[np.float64]:
    """Spectra (real) of the Morlet wavelets of one scale, (8, rows, columns)."""
    spread, frequency = WIDTH * 2**scale, FREQUENCY / 2**scale
    spectra = []
    for orientation in range(ORIENTATIONS):
        angle = (_UPRIGHT - orientation) * math.pi / ORIENTATIONS
        wave = _gabor(size, spread, angle, frequency)
        envelope = _gabor(size, spread, angle, 0.0)
        # Subtract part of its envelope, so that the wavelet's mean is zero.
        spectra.append(np.fft.fft2(wave - envelope * (wave.sum() / envelope.sum())).real)
    return np.stack(spectra)


def _gabor(
    size: tuple[int, ...], spread: float, angle: float, frequency: float
) -> NDArray[np.complex128]:
    """A plane wave in a Gaussian envelope, periodic over `size`."""
    rows, columns = size
    found = np.zeros(size, dtype=np.complex128)
    cosine, sine = math.cos(angle), math.sin(angle)
    for down in _PERIODS:
        for right in _PERIODS:
            i, j = np.mgrid[
                down * rows : (down + 1) * rows, right * columns : (right + 1) * columns
            ]
            along, across = i * cosine + j * sine, j * cosine - i * sine
            envelope = np.exp(-(along**2 + (SLANT * across) ** 2) / (2 * spread**2))
            found += envelope * np.exp(1j * frequency * along)
    return found * SLANT / (2 * math.pi * spread**2)


def _quarters(spectra: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """The four quarters of spectra (8, rows, columns), each divided by 4, so that their sum is the
    mean."""
    rows, columns = spectra.shape[1] // 2, spectra.shape[2] // 2
    return [
        spectra[:, top : top + rows, left : left + columns] / 4
        for top in (0, rows)
        for left in (0, columns)
    ]


def _fourier_matrices(
    side: int, *, inverse: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The discrete Fourier transform of complex maps along rows, then along columns.

    Along rows its indices are (pixel, part), along columns (part, pixel): the axis of parts is
    between rows and columns.
    """
    sign, factor = (1, 1 / side) if inverse else (-1, 1)
    angles = 2 * math.pi * np.outer(np.arange(side), np.arange(side)) / side
    cosine, sine = factor * np.cos(angles), factor * sign * np.sin(angles)
    parts = np.array([[cosine, -sine], [sine, cosine]])  # (part, part, pixel, pixel)
    along = parts.transpose(2, 0, 3, 1).reshape(2 * side, 2 * side)
    across = parts.transpose(0, 2, 1, 3).reshape(2 * side, 2 * side)
    return along, across


def _average_matrix(side: int, factor: int) -> NDArray[np.float64]:
    """Average at every fourth pixel without the padding: (side/4 - 2, side/factor).

    On maps of half the resolution (`factor` 2) the Gaussian's spectrum is cut to their
    frequencies.
    """
    pixels = np.arange(_PERIODS.start * side, _PERIODS.stop * side)
    bell = np.exp(-(pixels**2) / (2 * AVERAGE_WIDTH**2)) / (AVERAGE_WIDTH * math.sqrt(2 * math.pi))
    spectrum = np.fft.fft(bell.reshape(len(_PERIODS), side).sum(axis=0)).real
    points = side // factor
    if factor > 1:
        spectrum = np.concatenate([spectrum[: points // 2], spectrum[-points // 2 :]])
    kernel = np.fft.ifft(spectrum).real
    kept = np.arange(1, side // STRIDE - 1) * (STRIDE // factor)
    return np.asarray(kernel[(kept[:, None] - np.arange(points)[None, :]) % points])
