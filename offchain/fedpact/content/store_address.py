"""From an address in the settings to a content store."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from fedpact.content.credentials import read_credentials
from fedpact.content.embedded_store import EmbeddedStore
from fedpact.content.replicated_store import ReplicatedStore
from fedpact.content.store import ContentStore
from fedpact.errors import SettingsError
from fedpact.types.urls import without_credentials


def open_store(*uris: str, timeout: float = 30.0, credentials: Path | None = None) -> ContentStore:
    """The store at each of `uris`: a path or `file:///path` (embedded), `http(s)://host:port` (Kubo
    RPC). Several are written to all, and read from the first that has the content.

    `timeout` (seconds) bounds each exchange with an IPFS node; `credentials` is the file of
    `read_credentials`. SettingsError for no address, another scheme or a bad file.
    """
    if not uris:
        raise SettingsError("no content store: give a folder or the RPC address of an IPFS node")
    if len(uris) > 1:
        return ReplicatedStore(
            [open_store(uri, timeout=timeout, credentials=credentials) for uri in uris]
        )
    uri = uris[0]
    parts = urlsplit(uri)
    if parts.scheme in ("http", "https"):
        # Load httpx only if needed: a daemon on a folder stays small.
        from fedpact.content.ipfs_store import IpfsStore

        known = read_credentials(credentials) if credentials is not None else {}
        return IpfsStore(uri, timeout=timeout, credential=known.get(uri.rstrip("/")))
    if parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path:
        return EmbeddedStore(Path(unquote(parts.path)))
    if uri and not parts.scheme:
        return EmbeddedStore(Path(uri))
    raise SettingsError(
        f"content store {without_credentials(uri)!r}: expected a folder, file:///folder or "
        "http(s)://"
    )
