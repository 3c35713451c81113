"""Score a reading: match its lines to the expected texts and count the edits."""

from qiltest.scoring.records import Edit, EditKind, Extra, ExtraKind, Score, TextScore
from qiltest.scoring.scorer import EmptyReadingError, score, score_case

__all__ = [
    "Edit",
    "EditKind",
    "EmptyReadingError",
    "Extra",
    "ExtraKind",
    "Score",
    "TextScore",
    "score",
    "score_case",
]
