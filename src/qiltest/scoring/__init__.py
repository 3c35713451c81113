"""Expected texts against a reading: normalise, match, distance."""

from qiltest.scoring.records import Edit, EditKind, Extra, ExtraKind, Score, TextScore

__all__ = ["Edit", "EditKind", "Extra", "ExtraKind", "Score", "TextScore"]
