"""Score a reading: match its lines to the expected texts and count the edits."""

from qiltest.scoring.records import Edit, EditKind, Extra, ExtraKind, Score, TextScore
from qiltest.scoring.scorer import EmptyReadingError, score, score_case
from qiltest.text.normalise import letters_and_digits, normalise

__all__ = [
    "Edit",
    "EditKind",
    "EmptyReadingError",
    "Extra",
    "ExtraKind",
    "Score",
    "TextScore",
    "letters_and_digits",
    "normalise",
    "score",
    "score_case",
]
