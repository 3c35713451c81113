"""Hold what is sent against the page on which a server lists its fields (`/openapi.json`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from qiltest.errors import ServerError

PAGE = "/openapi.json"
_MOST_REFERENCES = 16


def fields_of(page: Any, path: str) -> frozenset[str] | None:  # noqa: ANN401 -- JSON
    """Return the fields that a page lists for `POST path`; None where it lists none."""
    operation = _at(page, "paths", path, "post")
    content = _at(operation, "requestBody", "content")
    schema = _at(content, "application/json", "schema")
    found = _properties(page, schema, _MOST_REFERENCES)
    return frozenset(found) or None


def check_fields(sent: Iterable[str], known: frozenset[str], *, where: str) -> None:
    """Raise ServerError for fields that the server does not have: it would drop them without a word."""
    missing = sorted(set(sent) - known)
    if missing:
        raise ServerError(
            f"the server does not list {', '.join(missing)}: it would ignore "
            f"{'them' if len(missing) > 1 else 'it'} without a word",
            where=where,
            remedy="use a version of the server that has these parameters, or another --qil-server-api",
        )


def _properties(page: Any, schema: Any, left: int) -> list[str]:  # noqa: ANN401 -- JSON
    """Return the names of an object's properties, also of one that is referred to or put together."""
    if not isinstance(schema, dict) or not left:
        return []
    found = list(schema["properties"]) if isinstance(schema.get("properties"), dict) else []
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/"):
        found += _properties(page, _at(page, *reference[2:].split("/")), left - 1)
    for name in ("allOf", "anyOf", "oneOf"):
        parts = schema.get(name)
        for part in parts if isinstance(parts, list) else ():
            found += _properties(page, part, left - 1)
    return found


def _at(value: Any, *names: str) -> Any:  # noqa: ANN401 -- JSON
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value
