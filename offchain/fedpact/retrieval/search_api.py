"""The JSON that a requester and a daemon exchange, and the OpenAPI document that describes it."""

from base64 import b64decode, b64encode
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from fedpact.retrieval.messages import MAX_ENVELOPE, MAX_FOUND, Record
from fedpact.retrieval.signature import LONGEST

OPENAPI = "3.1.0"
API_VERSION = "1"
_HEX = r"^([0-9a-f]{2})*$"


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class SearchBody(_Body):
    """A requester's search."""

    query: Annotated[str, Field(pattern=_HEX, max_length=2 * LONGEST)]
    """Hex byte form of the query's signature."""
    want: Annotated[int, Field(ge=1, le=MAX_FOUND)] = 10
    envelope: Annotated[str, Field(pattern=_HEX, max_length=2 * MAX_ENVELOPE)] = ""
    """Hex byte form of the signed search."""
    flood: bool = False
    """Search by Lu et al.'s recursion instead of the entry node's lookup."""


class Match(_Body):
    """One published profile."""

    node: Annotated[str, Field(pattern=r"^0x[0-9a-f]{40}$")]
    document: str
    """The document in the content store, in base64."""

    @classmethod
    def of(cls, record: Record) -> "Match":
        return cls(node="0x" + record.node.hex(), document=b64encode(record.document).decode())

    def record(self) -> Record:
        """Raises RetrievalError or ValueError if it is no profile."""
        node = bytes.fromhex(self.node.removeprefix("0x"))
        return Record.of_document(node, b64decode(self.document, validate=True))


class SearchAnswer(_Body):
    """The providers found, most like the query first."""

    matches: Annotated[tuple[Match, ...], Field(max_length=MAX_FOUND)]
    messages: int
    """Requests and replies of the search."""
    hops: int
    """Longest chain of daemons, not counting this one."""


class About(_Body):
    """The daemon that answers."""

    node: str
    deployment: str
    """Hex fingerprint."""
    version: str
    members: int
    """Number of profiles that this daemon has."""


class Refusal(_Body):
    """The reason for a refusal: one word for programs, a sentence for people."""

    reason: str
    message: str


def openapi() -> dict[str, Any]:
    """The OpenAPI document of the endpoint."""
    search = _operation("Find the providers whose data are like the query.", SearchAnswer)
    search["requestBody"] = {
        "required": True,
        "content": {"application/json": {"schema": _reference(SearchBody)}},
    }
    message = _binary_operation("Answer one message of another daemon (docs/retrieval.md).")
    message["requestBody"] = {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string"}}},
    }
    schemas: dict[str, Any] = {}
    for model in (SearchBody, SearchAnswer, About, Refusal):
        found = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= found.pop("$defs", {})
        schemas[model.__name__] = found
    return {
        "openapi": OPENAPI,
        "info": {"title": "fedpact retrieval", "version": API_VERSION},
        "paths": {
            "/retrieval/about": {"get": _operation("The daemon that answers.", About)},
            "/retrieval/profile": {
                "get": _binary_operation("This daemon's own published profile.")
            },
            "/retrieval/search": {"post": search},
            "/retrieval/message": {"post": message},
            "/openapi.json": {
                "get": {
                    "summary": "This document.",
                    "responses": {"200": {"description": "OpenAPI"}},
                }
            },
        },
        "components": {"schemas": schemas},
    }


_REFUSALS = {
    "400": "malformed",
    "401": "no signature, a wrong one, or one for another time or query",
    "403": "the requester is not an active participant, or the search is for another deployment",
    "404": "not found",
    "408": "the body did not arrive in time",
    "409": "the search was sent before",
    "413": "too large",
    "415": "unsupported content type",
    "429": "too many requests",
    "500": "the daemon failed",
    "503": "busy, or the chain is unreachable",
    "504": "the search took too long",
}


def _operation(summary: str, answer: type[BaseModel]) -> dict[str, Any]:
    content = {"application/json": {"schema": _reference(answer)}}
    return _with_refusals(summary, content)


def _binary_operation(summary: str) -> dict[str, Any]:
    content: dict[str, Any] = {"application/octet-stream": {"schema": {"type": "string"}}}
    return _with_refusals(summary, content)


def _with_refusals(summary: str, content: dict[str, Any]) -> dict[str, Any]:
    refusal = {"application/json": {"schema": _reference(Refusal)}}
    responses: dict[str, Any] = {"200": {"description": "found", "content": content}}
    for status, description in _REFUSALS.items():
        responses[status] = {"description": description, "content": refusal}
    return {"summary": summary, "responses": responses}


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}
