"""Where a provider's files are in the settings' state folder."""

from pathlib import Path

from fedpact.types.deployment import Deployment


def state_file(state: Path, deployment: Deployment, address: str) -> Path:
    """The daemon's checkpoint: one for each deployment."""
    return _folder(state, address) / deployment.fingerprint.hex()[:16] / "state.sqlite"


def ledger_file(state: Path, address: str) -> Path:
    """The privacy ledger: one for life, across all deployments that the account serves."""
    return _folder(state, address) / "privacy.sqlite"


def outbox_file(state: Path, address: str) -> Path:
    """The daemon's transactions under way: one for all chains."""
    return _folder(state, address) / "outbox.sqlite"


def profile_file(state: Path, address: str) -> Path:
    """The last profile built, with its unpublished parts."""
    return _folder(state, address) / "profile.json"


def features_folder(state: Path, address: str) -> Path:
    """The features computed from the provider's records; may be deleted at any time."""
    return _folder(state, address) / "features"


def _folder(state: Path, address: str) -> Path:
    return state / "provider" / address.lower()
