"""The files that `fedpact init` writes."""

import secrets

from fedpact.cli.commented_toml import BLANK, commented
from fedpact.provider.policy import Policy
from fedpact.settings import LOCAL_FILE, Settings
from fedpact.types.schema import DataSchema
from fedpact.types.specification import Specification

POLICY, SCHEMA, DRAFT = "policy.toml", "schema.toml", "draft.toml"
DATA = "own.csv"
NOT_IN_A_DRAFT = (
    "version",
    "evaluation",
    "queries",
    "initial_model",
    "features.table",
    "privacy.noise_multiplier",
    "privacy.statistics_multiplier",
)
"""What `fedpact request create` adds."""
ABOUT = {
    LOCAL_FILE: "Settings of fedpact in this folder; `fedpact --config FILE` reads another file. "
    "Each may also be an option before the command, or a variable such as FEDPACT_ENDPOINT.",
    POLICY: "What a provider serves, and on which terms: `fedpact provider check --policy "
    f"{POLICY}`, then `provider serve`. A line without # counts; the others show the defaults.",
    SCHEMA: "What a provider's data are. All of it is published when a request is joined, but for "
    "data_id, the table [file], and source and format of columns. `fedpact data doctor PATH` "
    "drafts one from a file; this one is for a table.",
    DRAFT: f"A request for a model: `fedpact request create {DRAFT} --evaluation FILE --pay "
    "'1 ether'` publishes it. `fedpact request new` proposes one for your data.",
}


def starting_files() -> dict[str, str]:
    """Texts by name of file. What must be filled in says so."""
    entry = {"name": "own", "path": DATA, "schema_file": SCHEMA}
    column = {"name": BLANK, "type": "number", "range": [0.0, 1.0]}
    schema = {
        "data_id": secrets.token_hex(16),
        "unit": BLANK,
        "labels": BLANK,
        "label_column": "label",
        "columns": column,
    }
    draft = {
        "labels": BLANK,
        "features": {"columns": BLANK, "shape": BLANK},
        "privacy": {"epsilon": BLANK, "delta": 1e-5, "clipping_norm": 1.0},
    }
    settings = {"account": BLANK}
    return {
        LOCAL_FILE: commented(Settings, settings, head=ABOUT[LOCAL_FILE]),
        POLICY: commented(Policy, {"data": entry}, head=ABOUT[POLICY]),
        SCHEMA: commented(DataSchema, schema, leave_out=("version",), head=ABOUT[SCHEMA]),
        DRAFT: commented(Specification, draft, leave_out=NOT_IN_A_DRAFT, head=ABOUT[DRAFT]),
    }
