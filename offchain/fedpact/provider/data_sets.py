"""The data sets that a provider serves, each under its schema and on its terms."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

from fedpact.errors import SettingsError
from fedpact.privacy.ledger.ledger import Payers
from fedpact.privacy.lifetime_budget import PrivacyLimit
from fedpact.provider.policy import Policy
from fedpact.provider.snapshots import OwnRecords
from fedpact.types.schema import DataSchema, schema_file


@dataclass(frozen=True)
class ListedData:
    """A data set before its records are read."""

    name: str
    """Empty for the only one (`--data`)."""
    path: Path
    schema: DataSchema
    policy: Policy
    """On which it is served."""
    disjoint: bool = True
    """As `DataEntry.disjoint`."""

    @property
    def limit(self) -> PrivacyLimit:
        """As `OwnData.limit`."""
        return PrivacyLimit(self.policy.epsilon_lifetime, self.policy.delta)


@dataclass(frozen=True)
class OwnData:
    """A data set of a running daemon."""

    name: str
    """As `ListedData.name`."""
    records: OwnRecords
    policy: Policy
    """As `ListedData.policy`."""

    @property
    def shown(self) -> str:
        """How findings call it."""
        return f"data {self.name}" if self.name else "data"

    @property
    def limit(self) -> PrivacyLimit:
        """The lifetime budget of the data set, and of every unit in it."""
        return PrivacyLimit(self.policy.epsilon_lifetime, self.policy.delta)

    def payers(self, requester: str) -> Payers:
        """Who is charged for a request of this account, within which limits."""
        return Payers(
            self.records.schema.data_id,
            requester,
            self.limit,
            PrivacyLimit(self.policy.epsilon_per_requester, self.policy.delta),
        )


def listed(policy: Policy, path: Path | None, schema: Path | None) -> tuple[ListedData, ...]:
    """The only data set, at `path`, or those that the policy lists.

    Raises SettingsError for none, for both, for a data set without a schema, and for two that may
    hold the same persons under two budgets; DataError for a schema that cannot be read.
    """
    if path is not None:
        if policy.data:
            raise SettingsError("the policy lists data sets ([[data]]): leave out --data")
        return (ListedData("", path, declared_schema(path, schema), policy),)
    if not policy.data:
        raise SettingsError("no data: give --data, or list data sets in the policy ([[data]])")
    if schema is not None:
        raise SettingsError("--schema goes with --data: set schema_file in the policy's [[data]]")
    found = tuple(
        ListedData(
            one.name,
            one.path,
            declared_schema(one.path, one.schema_file),
            policy.of_data(one),
            one.disjoint,
        )
        for one in policy.data
    )
    _require_one_budget_a_person(found)
    return found


def one_of(every: Sequence[ListedData], name: str | None) -> ListedData:
    """The data set of this name, or the only one. Raises SettingsError."""
    found = [one for one in every if name is None or one.name == name]
    if len(found) != 1:
        names = ", ".join(one.name for one in every) or "none"
        raise SettingsError(
            f"the policy lists no data set {name!r}: there are {names}"
            if name is not None
            else f"the policy lists several data sets: name one of {names}"
        )
    return found[0]


def categories_of(every: Sequence[ListedData]) -> tuple[str, ...]:
    """The categories that are served with any of the data sets, each once."""
    return tuple(dict.fromkeys(name for one in every for name in one.policy.categories))


def served_on(
    policy: Policy, data: tuple[OwnData, ...], former: Policy
) -> tuple[OwnData, ...] | None:
    """The data sets of a running daemon on another policy; None if that lists other ones."""
    if [one.source for one in policy.data] != [one.source for one in former.data]:
        return None
    if not policy.data:
        return tuple(replace(one, policy=policy) for one in data)
    terms = {one.name: policy.of_data(one) for one in policy.data}
    return tuple(replace(one, policy=terms[one.name]) for one in data)


def declared_schema(data: Path, schema: Path | None) -> DataSchema:
    """The schema of data, by default the file beside them. Raises SettingsError without one,
    DataError for one that cannot be read."""
    path = schema or schema_file(data)
    if not path.is_file():
        raise SettingsError(
            f"no schema {path} for the data {data}: draft one with `fedpact data doctor`"
        )
    return DataSchema.read(path)


def _require_one_budget_a_person(every: Sequence[ListedData]) -> None:
    """Refuse two data sets that may hold the same persons, each with a lifetime budget of its own.

    The ledger knows a person in both if both name their units in the same column.
    """
    for one, other in combinations(every, 2):
        if one.schema.data_id == other.schema.data_id:
            continue
        both = f"data {one.name!r} and {other.name!r}"
        if _same_file(one.path, other.path):
            raise SettingsError(
                f"{both} are the same file: give their schemas the same data_id, so that they have "
                "one lifetime budget"
            )
        named = one.schema.unit_column
        if one.disjoint or other.disjoint or (named and named == other.schema.unit_column):
            continue
        raise SettingsError(
            f"{both} may hold the same persons, who would then have two lifetime budgets: give "
            "their schemas the same data_id if they do, or set disjoint = true in one of them"
        )


def _same_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:  # one of them is not there now
        return one.resolve() == other.resolve()
