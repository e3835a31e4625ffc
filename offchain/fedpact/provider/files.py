"""Where a provider's files are in the settings' state folder."""

from pathlib import Path

from fedpact.content.pin_register import PINS
from fedpact.types.deployment import Deployment


def state_file(state: Path, deployment: Deployment, address: str) -> Path:
    """The daemon's checkpoint: one for each deployment."""
    return provider_folder(state, address) / deployment.fingerprint.hex()[:16] / "state.sqlite"


def ledger_file(state: Path, address: str) -> Path:
    """The privacy ledger: one for life, across all deployments that the account serves."""
    return provider_folder(state, address) / "privacy.sqlite"


def outbox_file(state: Path, address: str) -> Path:
    """The daemon's transactions under way: one for all chains."""
    return provider_folder(state, address) / "outbox.sqlite"


def pins_file(state: Path, address: str) -> Path:
    """Which content is kept for which request, of all deployments."""
    return provider_folder(state, address) / PINS


def copies_folder(state: Path, address: str) -> Path:
    """Copies of content that is still owed."""
    return provider_folder(state, address) / "copies"


def profile_file(state: Path, address: str) -> Path:
    """The last profile built, with its unpublished parts."""
    return provider_folder(state, address) / "profile.json"


def snapshots_folder(state: Path, address: str) -> Path:
    """The provider's records as they were read; requests under way are trained from here."""
    return provider_folder(state, address) / "snapshots"


def features_folder(state: Path, address: str) -> Path:
    """The features computed from the provider's records; may be deleted at any time."""
    return provider_folder(state, address) / "features"


def personal_model_file(state: Path, deployment: Deployment, address: str, request: int) -> Path:
    """The provider's own model of a request, for its owner alone."""
    name = f"{deployment.fingerprint.hex()[:16]}-{request}.safetensors"
    return provider_folder(state, address) / "personal" / name


def provider_folder(state: Path, address: str) -> Path:
    """All of an account's files."""
    return state / "provider" / address.lower()
