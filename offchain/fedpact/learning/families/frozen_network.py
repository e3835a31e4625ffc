"""What families have in common that stand on a frozen network: fedpact's own, or one that the
specification names by its CID."""

from abc import abstractmethod
from typing import Annotated, ClassVar, TypeVar

from pydantic import Field

from fedpact.content.store import ContentStore
from fedpact.errors import InvalidInput, SpecificationError
from fedpact.features.networks.allowed import MAX_WIDTH, Form
from fedpact.features.networks.named import NamedNetwork
from fedpact.features.networks.pinned import (
    PINNED_NETWORKS,
    PinnedNetwork,
    check_installed,
    check_pinned,
)
from fedpact.learning.families.base import ModelFamily
from fedpact.types.cid import Cid
from fedpact.types.document import Document
from fedpact.types.specification import Specification


class OnNetworkParameters(Document):
    """`network` and `digest`: the name and the weights' hex sha-256, or an ONNX file's CID and its
    hex sha-256, with `width`, the values that it gives (0 for a name)."""

    network: Annotated[str, Field(max_length=100)]
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    width: Annotated[int, Field(ge=0, le=MAX_WIDTH)] = 0


P = TypeVar("P", bound=OnNetworkParameters)


class OnNetwork(ModelFamily[P]):
    """Mixed into a family whose examples' rows a network computes."""

    pinned: ClassVar[PinnedNetwork]
    """The network that a specification may name without a CID."""
    own_width: ClassVar[int]
    """Values that it gives."""

    @abstractmethod
    def form(self, spec: Specification) -> Form:
        """Of a network that the specification names by its CID."""

    def check(self, spec: Specification) -> None:
        super().check(spec)
        asked = self.parameters(spec)
        if self.named(spec) is None:
            check_pinned(self.pinned, asked.network, asked.digest)
            if asked.width:
                raise SpecificationError(
                    f"family {self.name}: {asked.network} has its own width: width must be 0"
                )
            return
        check_installed(self.pinned.extra, self.pinned.needs)
        if not asked.width:
            raise SpecificationError(f"family {self.name}: network {asked.network} needs its width")

    def network(self, spec: Specification) -> tuple[str, str]:
        asked = self.parameters(spec)
        return asked.network, asked.digest

    def uncovered(self, spec: Specification) -> str:
        named = self.named(spec)
        return self.pinned.statement if named is None else named.statement

    def obtain(self, spec: Specification, store: ContentStore) -> None:
        named = self.named(spec)
        if named is not None:
            named.obtain(store)

    def row_width(self, spec: Specification) -> int:
        """Values of an example's row."""
        return self.parameters(spec).width or self.own_width

    def named(self, spec: Specification) -> NamedNetwork | None:
        """The network that the specification names by its CID, if it does."""
        asked = self.parameters(spec)
        if asked.network in PINNED_NETWORKS:
            return None
        try:
            cid = Cid.parse(asked.network)
        except InvalidInput as error:
            raise SpecificationError(
                f"family {self.name}: network {asked.network!r} is neither a CID nor "
                f"{self.pinned.name!r}"
            ) from error
        return NamedNetwork(cid, asked.digest, self.form(spec))
