"""The addresses of images and cases in a page: their own names, so that a link still leads there in the next report."""

from __future__ import annotations

import re

_OTHER = re.compile(r"[^A-Za-z0-9@._-]+")


class Anchors:
    """Gives each name of one page an anchor: the name, without what an address would escape."""

    def __init__(self) -> None:
        """Know no name."""
        self._given: set[str] = set()

    def of(self, name: str) -> str:
        """Return an anchor that no other name of the page has."""
        plain = made = _OTHER.sub("-", name)
        number = 1
        while made in self._given:
            number += 1
            made = f"{plain}-{number}"
        self._given.add(made)
        return made
