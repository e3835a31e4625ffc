"""Federated learning under differential privacy, judged and paid on an EVM chain.

    import fedpact

    session = fedpact.connect()  # settings: ./fedpact.toml, FEDPACT_* variables, arguments
    model = session.requester.fetch(1)
    report = session.audit(1)

`__all__` is the public API; everything else may change without notice. Names load on first use, so
that `import fedpact` costs neither numpy nor torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fedpact.audit import AuditItem, AuditReport, Verdict
    from fedpact.content.opening import open_store
    from fedpact.content.store import ContentStore
    from fedpact.errors import FedpactError
    from fedpact.requester import (
        Answer,
        Draft,
        Estimate,
        FetchedModel,
        Offer,
        Requester,
        RequestProgress,
        RequestSummary,
    )
    from fedpact.session import Session, connect
    from fedpact.settings import Settings
    from fedpact.types.specification import Specification

    __version__: str

__all__ = [
    "Answer",
    "AuditItem",
    "AuditReport",
    "ContentStore",
    "Draft",
    "Estimate",
    "FedpactError",
    "FetchedModel",
    "Offer",
    "RequestProgress",
    "RequestSummary",
    "Requester",
    "Session",
    "Settings",
    "Specification",
    "Verdict",
    "__version__",
    "connect",
    "open_store",
]

_MODULES = {
    "fedpact.audit": ("AuditItem", "AuditReport", "Verdict"),
    "fedpact.content.opening": ("open_store",),
    "fedpact.content.store": ("ContentStore",),
    "fedpact.errors": ("FedpactError",),
    "fedpact.requester": (
        "Answer",
        "Draft",
        "Estimate",
        "FetchedModel",
        "Offer",
        "RequestProgress",
        "RequestSummary",
        "Requester",
    ),
    "fedpact.session": ("Session", "connect"),
    "fedpact.settings": ("Settings",),
    "fedpact.types.specification": ("Specification",),
}

if not TYPE_CHECKING:  # A type checker reads the imports above, and reports all other names.

    def __getattr__(name: str) -> Any:
        """Load a public name on first use (PEP 562)."""
        if name == "__version__":
            value = import_module("importlib.metadata").version("fedpact")
        else:
            home = next((module for module, names in _MODULES.items() if name in names), None)
            if home is None:
                raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
            value = getattr(import_module(home), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
