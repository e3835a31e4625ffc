"""Commented TOML files, made from the classes that read them: every field with its docstring and
default, so that a file says what the program does."""

import ast
import inspect
import textwrap
from collections.abc import Collection, Iterator, Mapping
from enum import Enum
from itertools import pairwise
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import tomlkit
from pydantic import BaseModel
from pydantic.fields import FieldInfo

WIDTH = 98
FILL_IN = "  # fill in"
BLANK = object()
"""Given for a field that its owner fills in, though the class has a default."""


def commented(
    model: type[BaseModel],
    given: Mapping[str, Any],
    *,
    leave_out: Collection[str] = (),
    head: str = "",
) -> str:
    """A file for `model` in which all defaults are commented out.

    Args:
        given: values, BLANK, or a mapping for a table and for one of an array of tables.
        leave_out: fields, and tables' fields by their path (`privacy.sum`), that are not in it.
    """
    blocks = [_as_comment(head)] if head else []
    return "\n".join([*blocks, *_fields(model, given, "", leave_out, active=True), ""])


def docstrings(model: type[BaseModel]) -> dict[str, str]:
    """The docstrings of a model's fields, those of its bases too."""
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if base in (object, BaseModel) or not issubclass(base, BaseModel):
            continue
        try:
            source = textwrap.dedent(inspect.getsource(base))
        except (OSError, TypeError):  # pydantic's own bases, in compiled form
            continue
        [body] = [one.body for one in ast.parse(source).body if isinstance(one, ast.ClassDef)]
        for field, said in pairwise(body):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(said, ast.Expr)
                and isinstance(said.value, ast.Constant)
                and isinstance(said.value.value, str)
            ):
                found[field.target.id] = inspect.cleandoc(said.value.value)
    return found


def _fields(
    model: type[BaseModel],
    given: Mapping[str, Any],
    path: str,
    leave_out: Collection[str],
    *,
    active: bool,
) -> Iterator[str]:
    """A block for each field. In TOML, plain values come before tables."""
    said = docstrings(model)
    fields = {n: f for n, f in model.model_fields.items() if f"{path}{n}" not in leave_out}
    tables = {name: found for name, f in fields.items() if (found := _table(f.annotation))}
    for name, field in fields.items():
        if name not in tables:
            comment = _as_comment(" ".join([said.get(name, ""), *_choices(field)]).strip())
            yield comment + _line(name, field, given, active=active)
    for name, (table, many) in tables.items():
        field = fields[name]
        here = active and (name in given or field.is_required())
        about = said.get(name) or (inspect.getdoc(table) or "").partition("\n\n")[0]
        heading = f"[[{path}{name}]]" if many else f"[{path}{name}]"
        comment = _as_comment(about)
        yield f"\n{comment}{'' if here else '#'}{heading}"
        inner = given.get(name, {})
        yield from _fields(table, inner, f"{path}{name}.", leave_out, active=here)


def _line(name: str, field: FieldInfo, given: Mapping[str, Any], *, active: bool) -> str:
    mark = "" if active else "#"
    value = given.get(name, BLANK if field.is_required() else None)
    if value is BLANK:
        return f"{mark}{name} = {_toml(_blank(field.annotation))}{FILL_IN}"
    if value is not None:
        return f"{mark}{name} = {_toml(value)}"
    default = field.get_default(call_default_factory=True)
    return f"#{name} =" if default in (None, (), "", {}) else f"#{name} = {_toml(default)}"


def _as_comment(text: str) -> str:
    lines = textwrap.wrap(text, WIDTH) if "\n\n" not in text else text.splitlines()
    return "".join(f"# {line}".rstrip() + "\n" for line in lines)


def _plain(annotation: Any) -> Any:
    """Without `Annotated` and `None`; of several alternatives the first."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, UnionType):
        return _plain(next(one for one in get_args(annotation) if one is not type(None)))
    return annotation


def _table(annotation: Any) -> tuple[type[BaseModel], bool] | None:
    """The model of a table, and whether there may be several; None for a plain value."""
    plain = _plain(annotation)
    many = get_origin(plain) is tuple
    one = _plain(get_args(plain)[0]) if many else plain
    return (one, many) if isinstance(one, type) and issubclass(one, BaseModel) else None


def _choices(field: FieldInfo) -> list[str]:
    plain = _plain(field.annotation)
    values: list[str] = []
    if get_origin(plain) is Literal:
        values = list(get_args(plain))
    elif isinstance(plain, type) and issubclass(plain, Enum):
        values = [one.value for one in plain]
    return [f"One of {', '.join(map(_toml, values))}."] if values else []


def _blank(annotation: Any) -> Any:
    plain = _plain(annotation)
    if plain in (int, float, bool):
        return plain()
    return [] if get_origin(plain) is tuple else ""


def _toml(value: Any) -> str:
    return str(tomlkit.item(_simple(value)).as_string())


def _simple(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path | str):  # A store may be a folder or an address.
        home = Path.home()
        below = Path(value).is_relative_to(home) and home != Path(home.anchor)
        return f"~/{Path(value).relative_to(home)}" if below else str(value)
    if isinstance(value, tuple | list):
        return [_simple(one) for one in value]
    return value
