"""Expected texts against a reading: normalise, match, distance."""

from qiltest.scoring.records import Edit, EditKind, Extra, ExtraKind, Score, TextScore
from qiltest.scoring.scorer import EmptyReadingError, score, score_case
from qiltest.scoring.serial import (
    edit_to_json,
    extra_to_json,
    score_from_json,
    score_to_json,
    text_to_json,
)
from qiltest.text.normalise import letters_and_digits, normalise

__all__ = [
    "Edit",
    "EditKind",
    "EmptyReadingError",
    "Extra",
    "ExtraKind",
    "Score",
    "TextScore",
    "edit_to_json",
    "extra_to_json",
    "letters_and_digits",
    "normalise",
    "score",
    "score_case",
    "score_from_json",
    "score_to_json",
    "text_to_json",
]
