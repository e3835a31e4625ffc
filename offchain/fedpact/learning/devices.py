"""The device that local training runs on, and whether privacy holds there.

What others recompute, votes, scores, aggregates and audits, never leaves the processor: two kinds
of device round differently. A member's own training may run elsewhere, since nobody repeats it.
Under `sound` its guarantee rests on properties of arithmetic that differ between devices, so they
are tried on the device itself before a request is joined.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fedpact.errors import DeviceUnfit, SettingsError, TrainingFailed
from fedpact.types.device import DEVICE, PROCESSOR

if TYPE_CHECKING:
    import torch

    from fedpact.learning.example_gradients import Loss

MATRIX = 64
"""Width of the products by which precision is tried."""
LARGE = 50.0
"""Factor of the weights with which activations saturate and gradients are large."""
APART = 4
"""Rows of a block between those at which an example is tried at once."""
REPEATS = 3
"""Of a gradient that must not change."""
NO_MEMORY = "out of memory", "allocate memory"
"""What torch says then; it has several types of error for that."""


def resolved(setting: str) -> str:
    """Torch's name of the device that a setting means here; `auto` is a GPU if there is one.

    Raises SettingsError for a device that this machine or this build of torch does not have.
    """
    if not DEVICE.fullmatch(setting):
        raise SettingsError(f"device: {setting!r} is not one of cpu, cuda, cuda:NUMBER, mps, auto")
    if setting == PROCESSOR:
        return PROCESSOR
    import torch

    if setting == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else PROCESSOR
    if setting == "mps":
        if not torch.backends.mps.is_available():
            raise _missing(setting, "finds no Apple GPU here")
        return setting
    if not torch.cuda.is_available():
        raise _missing(setting, "finds no CUDA device here")
    number, count = int(setting.partition(":")[2] or 0), torch.cuda.device_count()
    if number >= count:
        raise _missing(setting, f"finds {count} CUDA devices here, numbered from 0")
    return setting


def _missing(setting: str, found: str) -> SettingsError:
    import torch

    return SettingsError(
        f"device {setting}: torch {torch.__version__} {found}: set device to cpu or auto"
    )


def prepare(device: str) -> None:
    """Make a device's arithmetic repeatable, and as precise as its type says, in this process."""
    if device == PROCESSOR:
        return
    # Read when CUDA's linear algebra is first used.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch

    torch.use_deterministic_algorithms(True)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False


class Unfit(Exception):
    """What privacy rests on does not hold; its message says what."""


@contextmanager
def tried(device: str, family: str) -> Iterator[None]:
    """Raise DeviceUnfit, with the reason, where what is done within is Unfit or cannot be done, and
    TrainingFailed where there is no memory for it now."""
    try:
        prepare(device)
        yield
    except Unfit as failed:
        why = str(failed)
    except (RuntimeError, AssertionError, TypeError) as error:
        if any(said in str(error) for said in NO_MEMORY):
            raise TrainingFailed(
                f"device {device}: there is no memory to try it with {family}"
            ) from None
        # Whatever torch raises for a device, or for a type that a device does not have.
        why = f"it could not be tried there ({' '.join(str(error).split()):.200})"
    else:
        return
    instead = "" if device == PROCESSOR else "; set device to cpu"
    raise DeviceUnfit(
        f"device {device}: privacy mode sound is not served there with {family}: {why}{instead}"
    )


def check_products(device: str) -> None:
    """Raise Unfit unless products of matrices are as precise as the clipping norm's margin
    assumes."""
    import torch

    from fedpact.privacy.linear_sums import BLOCK, PRODUCT_ROUNDING

    random = torch.Generator().manual_seed(1)
    first = torch.randn(MATRIX, BLOCK, generator=random)
    second = torch.randn(BLOCK, MATRIX, generator=random)
    found = (first.to(device) @ second.to(device)).cpu().double()
    exact, sizes = first.double() @ second.double(), first.abs().double() @ second.abs().double()
    over = float(((found - exact).abs() / (PRODUCT_ROUNDING * sizes)).max())
    if not over <= 1:
        raise Unfit(f"products of matrices err by {over:.3g} times what 32 bits round")


def check_module(
    module: "torch.nn.Module", x: "torch.Tensor", y: "torch.Tensor", loss: "Loss", device: str
) -> str:
    """What was tried: where examples are clipped in one pass, that an example's contribution has
    the same bits at each row of a block, and whoever is beside it, with ordinary and with large
    weights. Raises Unfit where it does not hold.

    `module`: on the device. `x`, `y`: two blocks of examples."""
    import torch

    from fedpact.learning.example_gradients import supports

    x, y = x.to(device), y.to(device)
    in_blocks = supports(module)
    module = module.float() if in_blocks else module.double()
    for _ in range(2):
        if in_blocks:
            _check_company(module, x, y, loss)
        else:
            _check_repeated(module, x[:1].double(), y[:1], loss)
        with torch.no_grad():  # the second time
            for values in module.parameters():
                values.mul_(LARGE)
    if in_blocks:
        return "an example contributes the same bits at each row of a block, beside any others"
    return "each example is clipped by itself, and its gradient was the same each time"


def _check_company(
    module: "torch.nn.Module", x: "torch.Tensor", y: "torch.Tensor", loss: "Loss"
) -> None:
    """The first example, at each row among those of the second block."""
    import torch

    from fedpact.learning.example_gradients import contributions
    from fedpact.privacy.linear_sums import BLOCK

    [expected] = contributions(module, x[:BLOCK], y[:BLOCK], loss, [0])
    for first in range(APART):
        rows = range(first, BLOCK, APART)
        beside, theirs = x[BLOCK:].clone(), y[BLOCK:].clone()
        beside[first::APART], theirs[first::APART] = x[0], y[0]
        each = contributions(module, beside, theirs, loss, rows)
        for row, found in zip(rows, each, strict=True):
            if not all(torch.equal(found[name], one) for name, one in expected.items()):
                raise Unfit(
                    f"an example contributes other bits at row {row + 1} of a block, beside others"
                )


def _check_repeated(
    module: "torch.nn.Module", x: "torch.Tensor", y: "torch.Tensor", loss: "Loss"
) -> None:
    """An example that is clipped by itself has nobody beside it, but its gradient must not
    change."""
    import torch

    parameters = list(module.parameters())
    first, *others = (
        torch.autograd.grad(loss(module(x), y), parameters, allow_unused=True)
        for _ in range(REPEATS)
    )
    for again in others:
        for one, other in zip(first, again, strict=True):
            if one is not None and other is not None and not torch.equal(one, other):
                raise Unfit("an example's gradient differs from time to time")
