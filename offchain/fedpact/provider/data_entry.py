"""A data set that the policy lists: one of several that a daemon serves."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

DAEMON_WIDE = frozenset(
    (
        "data",
        "delta",
        "submit_after",
        "max_cost_per_request",
        "max_parallel_training",
        "max_training_seconds",
        "max_training_memory_mb",
        "training_margin",
        "check_ceilings",
        "try_ceilings",
    )
)
"""Fields of a policy that hold for the whole daemon."""


class DataEntry(BaseModel):
    """A table `[[data]]` of the policy. A request is served with the first one that fits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
    """For logs, commands and metrics of this machine. Keep it while requests run: it says which
    data set each of them was joined with."""
    path: Path
    """A file or folder as `--data` takes it; NAME.sql.toml holds a database's URL and a query. A
    relative path starts at the policy's folder."""
    schema_file: Path | None = None
    """Its schema; by default PATH.schema.toml. The privacy unit and `data_id`, which names the
    lifetime budget, are in it."""
    disjoint: bool = False
    """Whether no person, machine or record of this data set is in any other one."""
    policy: dict[str, Any] = {}
    """A table `[data.policy]`: fields of the policy that differ for this data set, such as
    `epsilon_lifetime`, `categories` or `min_pay_per_round`."""

    @field_validator("policy")
    @classmethod
    def _of_one_data_set(cls, policy: dict[str, Any]) -> dict[str, Any]:
        for name in sorted(DAEMON_WIDE & policy.keys()):
            raise ValueError(f"{name} holds for the whole daemon: set it outside [[data]]")
        return policy

    @property
    def source(self) -> tuple[object, ...]:
        """What a running daemon cannot change."""
        return self.name, self.path, self.schema_file, self.disjoint

    def beside(self, folder: Path) -> "DataEntry":
        """With paths that start at `folder`."""
        schema = None if self.schema_file is None else folder / self.schema_file
        return self.model_copy(update={"path": folder / self.path, "schema_file": schema})
