"""Values by module, as peft's `rank_pattern` and `alpha_pattern` give them: literal names and regular expressions.

Both come out of a file. Literals are looked up; expressions are few, have no groups and at most two repetitions, so
that matching takes a bounded time whatever they are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, TypeVar

T = TypeVar("T")
_LITERAL = re.compile(r"\^?[\w.]+")
_HARMLESS = re.compile(r"[^(){}|*+?]*(?:[*+?][^(){}|*+?]*){0,2}")
_MOST_EXPRESSIONS = 64
_LONGEST = 256
#: most entries of one pattern.
MOST_ENTRIES = 4096


@dataclass(frozen=True, kw_only=True)
class Pattern(Generic[T]):
    """Keys and their values in the config's order, of which the first that matches a module counts."""

    entries: tuple[tuple[str, T], ...] = ()

    def first(self, module: str, otherwise: T) -> T:
        """Return the value of the first key that matches the end of a module's name, as peft's `get_pattern_key`."""
        starts = [0, *(match.end() for match in re.finditer(r"\.", module))]
        names = [f"^{module}", *(module[start:] for start in starts)]
        found = [self._literals[name] for name in names if name in self._literals]
        found += [at for at, expression in self._expressions if any(expression.match(module, at) for at in starts)]
        return self.entries[min(found)][1] if found else otherwise

    @cached_property
    def _literals(self) -> dict[str, int]:
        return {key: at for at, (key, _) in enumerate(self.entries) if _LITERAL.fullmatch(key)}

    @cached_property
    def _expressions(self) -> tuple[tuple[int, re.Pattern[str]], ...]:
        """The keys that are no literals; peft matches them from the start of a name or after any dot, to its end."""
        return tuple(
            (at, re.compile(f"(?:{key})$")) for at, (key, _) in enumerate(self.entries) if not _LITERAL.fullmatch(key)
        )


def can_be_followed(keys: list[str]) -> bool:
    """Return whether matching these keys takes no time to speak of."""
    expressions = [key for key in keys if not _LITERAL.fullmatch(key)]
    return len(expressions) <= _MOST_EXPRESSIONS and all(map(_is_harmless, expressions))


def _is_harmless(expression: str) -> bool:
    if len(expression) >= _LONGEST or _HARMLESS.fullmatch(expression) is None:
        return False
    try:
        re.compile(expression)
    except (re.error, RecursionError, OverflowError):
        return False
    return True
