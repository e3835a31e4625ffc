"""Where a provider's files lie under the settings' state folder."""

from pathlib import Path

from fedpact.types.deployment import Deployment


def state_file(state: Path, deployment: Deployment, address: str) -> Path:
    """The daemon's checkpoint: one for each deployment."""
    return _folder(state, address) / deployment.fingerprint.hex()[:16] / "state.sqlite"


def ledger_file(state: Path, address: str) -> Path:
    """The privacy ledger: one for life, whichever deployments the account serves."""
    return _folder(state, address) / "privacy.sqlite"


def profile_file(state: Path, address: str) -> Path:
    """The profile as it was built last, with what is not published of it."""
    return _folder(state, address) / "profile.json"


def features_folder(state: Path, address: str) -> Path:
    """What is computed from the provider's records; it can be deleted at any time."""
    return _folder(state, address) / "features"


def _folder(state: Path, address: str) -> Path:
    return state / "provider" / address.lower()
