"""A draft as a TOML file with a comment on each field."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomlkit

COMMENTS = {
    "title": "what people read",
    "category": "providers list those that they serve",
    "task": "what a model does: name a class, or predict a number",
    "labels": "classes; providers match them by name",
    "output": "what is predicted; errors are counted in parts of `scale`",
    "metric": "by which models are judged",
    "rounds": "of training; each is judged on a part of the evaluation set",
    "min_providers": "with fewer the request does not begin, and the money comes back",
    "max_providers": "once as many have joined, it begins at once",
    "score": "each provider is paid for what it adds",
    "max_error": "models with a larger score are left out; 5000 neither helps nor harms",
    "features": "the columns of the schema, or the shape of an array",
    "family": "the kind of model (docs/families.md)",
    "strategy": "how rounds build on each other",
    "aggregation": "how providers' models become one",
    "local": "a provider's training in a round",
    "privacy": "of each provider's units, over all its releases in this request",
    "windows": "seconds at most; a stage ends as soon as all have acted",
}
HEAD = """\
A draft proposed by `fedpact request new`. Change what you like, then publish it with
`fedpact request create`, which adds the evaluation slices, the first model and the noise.
"""


def as_toml(fields: Mapping[str, Any], file: Path, schema: Path | None) -> str:
    """The draft as a file at `file`; the columns of a table are those of the schema's file, which
    is named relative to it. `schema`: None where the data are no table."""
    document = tomlkit.document()
    for line in HEAD.splitlines():
        document.add(tomlkit.comment(line))
    document.add(tomlkit.nl())
    given = dict(fields)
    if schema is not None and "table" in given.get("features", {}):
        name = os.path.relpath(schema, file.parent)
        given["features"] = {"schema": name}
    order = [name for name in COMMENTS if name in given]
    order += [name for name in given if name not in COMMENTS]
    for name in sorted(order, key=lambda one: isinstance(given[one], Mapping)):
        item = tomlkit.item(given[name])
        if name in COMMENTS:
            item.comment(COMMENTS[name])
        document.add(name, item)
    return tomlkit.dumps(document)
