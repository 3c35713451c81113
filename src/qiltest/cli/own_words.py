"""Say a message in the options of the command that was called.

What is shared by pytest and the commands names pytest's options, `--qil-case`. A command has many of them without the
prefix, and a remedy must be what its user can type.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qiltest.comparison.records import Comparisons

#: names that differ by more than the prefix.
_OTHERS = {"--qil-base": "--base-model"}
_OPTION = re.compile(r"--qil-([a-z0-9-]*[a-z0-9])")
_PYTEST = "pytest"


def in_own_words(text: str, flags: Collection[str]) -> str:
    """Return a message in which pytest's options are the command's own, whose `flags` are such as `--case`.

    An option that the command lacks is told as pytest's. What stands behind the word pytest in a line is left as it is:
    a command that can be typed.
    """
    return "\n".join(_line(line, flags) for line in text.split("\n"))


def obstacles_in_own_words(found: Comparisons, flags: Collection[str]) -> Comparisons:
    """Return a comparison in which the errors of single images name the command's own options."""
    return replace(
        found,
        comparisons=tuple(
            replace(
                comparison,
                obstacles=tuple(replace(one, why=in_own_words(one.why, flags)) for one in comparison.obstacles),
            )
            for comparison in found.comparisons
        ),
    )


def _line(line: str, flags: Collection[str]) -> str:
    said, at = "", 0
    for found in _OPTION.finditer(line):
        said += line[at : found.start()]
        own = _OTHERS.get(found[0], f"--{found[1]}")
        if _PYTEST in line[: found.start()]:
            said += found[0]
        elif own in flags:
            said += own
        else:
            said += found[0] if _PYTEST in said else f"{_PYTEST} {found[0]}"
        at = found.end()
    return said + line[at:]
