"""The file of a fetched model, and the facts and the card beside it: write, read."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedpact.errors import InvalidInput, ModelError, NotReady
from fedpact.requester.thresholds import Decisions
from fedpact.types.scores import MAX_SCORE
from fedpact.types.specification import Specification

if TYPE_CHECKING:
    from fedpact.learning.artefact import Model


@dataclass(frozen=True)
class FetchedModel:
    """A model that the requester has, and what the chain says about it."""

    request_id: int
    deployment: str
    """Hex fingerprint."""
    specification: Specification
    cid: str
    """CID of the encrypted artefact."""
    round: int
    """The round that made it."""
    error: int | None
    """Median error measured by the members, in 1/10,000; None if there was no slice."""
    contributors: tuple[str, ...]
    """Accounts whose models it combines."""
    path: Path
    decisions: Decisions | None = None
    """How to read its outputs; None for a regression, a bought model, or a small evaluation set."""

    def facts(self) -> dict[str, Any]:
        """The content of the JSON file next to the model."""
        return {
            "request": self.request_id,
            "deployment": self.deployment,
            "cid": self.cid,
            "round": self.round,
            "error": self.error,
            "contributors": list(self.contributors),
            "decisions": None if self.decisions is None else self.decisions.facts(),
            "specification": self.specification.model_dump(mode="json"),
        }


def facts_path(model: Path) -> Path:
    """The JSON file next to a model file."""
    return model.with_suffix(".json")


def card_paths(model: Path) -> tuple[Path, Path]:
    """The model card next to a model file: Markdown, and JSON."""
    return model.with_suffix(".model-card.md"), model.with_suffix(".model-card.json")


def check_output(path: Path, request: int, deployment: str, *, personal: bool = False) -> None:
    """Raises InvalidInput for a file that no model can be written to, or where something else than
    a former copy of this very model would be lost. `deployment`: hex fingerprint."""
    if path.suffix != ".safetensors":
        raise InvalidInput(f"{path}: models are written as .safetensors files")
    if not path.exists() and not facts_path(path).exists():
        return
    try:
        found = _description(path)
    except (NotReady, ModelError) as error:
        both = f"{path} or {facts_path(path).name}"
        raise InvalidInput(
            f"{both} exists and was not written with a model: choose another name"
        ) from error
    if (found.get("request"), found.get("deployment")) != (request, deployment):
        raise InvalidInput(f"{path} is the model of another request: choose another name")
    if (found.get("personal") is not None) is not personal:
        which = "global" if personal else "personal"
        raise InvalidInput(f"{path} is a {which} model: choose another name")


def write(path: Path, artefact: bytes, facts: Mapping[str, Any], *, private: bool = False) -> None:
    """Write a model and its JSON file, each atomically; `private`: for their owner alone. Raises
    InvalidInput if that fails, as `write_card`."""
    # The description first: with it alone the same model may be written again.
    _replace(facts_path(path), _json(facts), private=private)
    _replace(path, artefact, private=private)


def write_card(model: Path, markdown: str, facts: dict[str, Any]) -> None:
    """Write a model's card, each file atomically."""
    text, data = card_paths(model)
    _replace(text, markdown.encode())
    _replace(data, _json(facts))


def _json(facts: Mapping[str, Any]) -> bytes:
    return (json.dumps(facts, indent=2, ensure_ascii=False) + "\n").encode()


def read(path: Path) -> tuple[Specification, "Model"]:
    """A fetched model and its specification.

    Raises NotReady if it has not been fetched, ModelError if the file is not such a model.
    """
    from fedpact.learning import artefact, families

    spec = specification(path)
    data = path.read_bytes()
    template = families.family_of(spec).template(spec)
    return spec, artefact.decode(data, template)


def specification(path: Path) -> Specification:
    """A fetched model's specification; raises as `read`."""
    return Specification.decode(json.dumps(_facts(path)["specification"]).encode())


def is_personal(path: Path) -> bool:
    """Whether it is a provider's personal model, which no privacy covers. Raises as `read`."""
    return _facts(path).get("personal") is not None


def measured_error(path: Path) -> int | None:
    """The error that the committee measured, in 1/10,000; None if there was no slice."""
    error = _facts(path).get("error")
    if error is not None and (not isinstance(error, int) or not 0 <= error <= MAX_SCORE):
        raise ModelError(
            f"model description {facts_path(path)}: error must be "
            f"0 to {MAX_SCORE} or null, not {error!r}"
        )
    return error


def decisions(path: Path, labels: int) -> Decisions | None:
    """How to read a fetched model's outputs; None if nothing was fitted. Raises as `read`."""
    found = _facts(path).get("decisions")
    return None if found is None else Decisions.read(found, labels)


def _facts(path: Path) -> dict[str, Any]:
    facts = _description(path)
    if not path.is_file():
        raise ModelError(f"model {path}: the model file is missing: fetch it again")
    return facts


def _description(path: Path) -> dict[str, Any]:
    """The JSON file beside a model, whether or not the model is there."""
    if path.is_dir():
        raise ModelError(f"model {path} is a folder: name the .safetensors file in it")
    try:
        facts = json.loads(facts_path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        if path.exists():
            raise ModelError(
                f"{path} is not a fetched model: {facts_path(path).name} is missing, which `fedpact"
                " request fetch` writes beside it"
            ) from error
        raise NotReady(f"model {path} does not exist: run `fedpact request fetch` first") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"model description {facts_path(path)}: {error}") from error
    if not isinstance(facts, dict) or "specification" not in facts:
        raise ModelError(f"model {path}: its specification is missing: fetch it again")
    return facts


def _replace(path: Path, data: bytes, *, private: bool = False) -> None:
    part, mode = path.with_name(path.name + ".part"), 0o600 if private else 0o666
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise InvalidInput(f"cannot write {path}: {error.strerror}") from error
