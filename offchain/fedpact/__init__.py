"""Federated learning under differential privacy, judged and paid on an EVM chain.

    import fedpact

    market = fedpact.connect()  # settings: ./fedpact.toml, FEDPACT_* variables, arguments
    request = market.request("plant.csv.schema.toml", frame, pay="0.5 ether", epsilon=2)
    for round in request.follow():
        print(round.number, round.error)
    model = request.result()
    model.predict(frame)

`__all__` is the public API; everything else may change without notice. Names load on first use, so
that `import fedpact` costs neither numpy nor torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fedpact import errors
    from fedpact.api.market import Market, connect
    from fedpact.api.proposal import Proposal
    from fedpact.api.provider import Provider
    from fedpact.api.registrar import Registrar
    from fedpact.api.request import Request
    from fedpact.audit import AuditItem, AuditReport, Verdict
    from fedpact.errors import FedpactError
    from fedpact.learning.families.torch_family import TorchFamily
    from fedpact.privacy_audit.family_check import Outcome, check_family
    from fedpact.requester.draft import Draft
    from fedpact.requester.final_rounds import Member, Round
    from fedpact.requester.follow import RequestProgress
    from fedpact.requester.model import Model
    from fedpact.settings import Settings
    from fedpact.simulation.expectation import Expectation
    from fedpact.types.document import Document
    from fedpact.types.schema import DataSchema
    from fedpact.types.specification import Specification

    __version__: str

__all__ = [
    "AuditItem",
    "AuditReport",
    "DataSchema",
    "Document",
    "Draft",
    "Expectation",
    "FedpactError",
    "Market",
    "Member",
    "Model",
    "Outcome",
    "Proposal",
    "Provider",
    "Registrar",
    "Request",
    "RequestProgress",
    "Round",
    "Settings",
    "Specification",
    "TorchFamily",
    "Verdict",
    "__version__",
    "check_family",
    "connect",
    "errors",
]

_MODULES = {
    "fedpact": ("errors",),
    "fedpact.api.market": ("Market", "connect"),
    "fedpact.api.proposal": ("Proposal",),
    "fedpact.api.provider": ("Provider",),
    "fedpact.api.registrar": ("Registrar",),
    "fedpact.api.request": ("Request",),
    "fedpact.audit": ("AuditItem", "AuditReport", "Verdict"),
    "fedpact.errors": ("FedpactError",),
    "fedpact.learning.families.torch_family": ("TorchFamily",),
    "fedpact.privacy_audit.family_check": ("Outcome", "check_family"),
    "fedpact.requester.draft": ("Draft",),
    "fedpact.requester.follow": ("RequestProgress",),
    "fedpact.requester.model": ("Model",),
    "fedpact.requester.final_rounds": ("Member", "Round"),
    "fedpact.settings": ("Settings",),
    "fedpact.simulation.expectation": ("Expectation",),
    "fedpact.types.document": ("Document",),
    "fedpact.types.schema": ("DataSchema",),
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
            module = f"{home}.{name}" if home == __name__ else home
            found = import_module(module)
            value = found if home == __name__ else getattr(found, name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
