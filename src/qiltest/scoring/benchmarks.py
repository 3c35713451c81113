"""The numbers of two published benchmarks, computed from our reading: for comparison with their tables, never a gate.

LongText-Bench (Geng et al., X-Omni, arXiv:2507.22058; `textbench/` of X-Omni-Team/X-Omni): the share of the expected
words, or Chinese characters, that appear anywhere in the text read. OneIG-Bench (Chang et al., arXiv:2506.07977;
`scripts/text/` of OneIG-Bench/OneIG-Benchmark): from the mean edit distance ED, the share CR of images read without an
edit and the share WAC of expected words or characters that were read, 1 - min(M, ED) (1 - CR) (1 - WAC) / M, where M is
100 for English and 50 for Chinese.

Both keep Chinese characters, Latin letters, digits and the accented letters of French, and drop everything else; order
matters to the edit distance alone. Both read with Qwen2.5-VL-7B, and each scores its own prompts: docs/reference/
benchmarks.md says what is comparable.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from rapidfuzz.distance import Levenshtein

_FRENCH = "àâäéèêëîïôöùûüçÀÂÄÉÈÊËÎÏÔÖÙÛÜÇ"
_CHINESE = "\u4e00-\u9fa5"
_DROPPED = re.compile(rf"[^{_CHINESE}a-zA-Z0-9\s{_FRENCH}]")
_HAS_CHINESE = re.compile(f"[{_CHINESE}]")


class Language(StrEnum):
    """The benchmarks' two halves, with tables of their own."""

    ENGLISH = "en"
    #: what is expected has a Chinese character; characters are counted, not words.
    CHINESE = "zh"

    @property
    def largest_distance(self) -> int:
        """OneIG-Bench's cap on the mean edit distance, in characters."""
        return 50 if self is Language.CHINESE else 100


@dataclass(frozen=True, kw_only=True)
class BenchmarkCounts:
    """What the benchmarks count in one image. Units are words in English, characters in Chinese."""

    language: Language
    #: units of LongText-Bench, which folds case in English.
    longtext_expected: int
    longtext_matched: int
    #: units of OneIG-Bench, which keeps case.
    oneig_expected: int
    oneig_matched: int
    #: Levenshtein distance in characters between all that was read and all that was expected.
    oneig_distance: int


@dataclass(frozen=True, kw_only=True)
class LongTextScore:
    """LongText-Bench's score of some images: 0 to 1, higher is better."""

    text_accuracy: float


@dataclass(frozen=True, kw_only=True)
class OneIGScore:
    """OneIG-Bench's score of some images and its parts."""

    #: mean, in characters.
    edit_distance: float
    #: share of images without an edit, 0 to 1.
    completion_rate: float
    #: share of expected units read, 0 to 1.
    word_accuracy: float
    #: 0 to 1, higher is better.
    text_score: float


@dataclass(frozen=True, kw_only=True)
class BenchmarkScore:
    """Both benchmarks' scores of images of one language."""

    language: Language
    images: int
    longtext: LongTextScore
    oneig: OneIGScore


def count_image(expected: Sequence[str], read: Sequence[str]) -> BenchmarkCounts | None:
    """Count one image: `expected` are the texts asked for, `read` the lines in the reader's order.

    Returns None where nothing of `expected` is counted, as in Korean or in a text of punctuation alone.
    """
    asked, shown = _cleaned(" ".join(expected)), _cleaned("\n".join(read))
    language = Language.CHINESE if _HAS_CHINESE.search(asked) else Language.ENGLISH
    if not asked:
        return None
    # LongText-Bench takes the language of its set, OneIG-Bench that of each string
    longtext = _common(_units(_folded(asked, language), language), _units(_folded(shown, language), language))
    oneig_asked, oneig_shown = _spaced(asked), _spaced(shown)
    oneig = _common(_units(oneig_asked, language), _units(oneig_shown, language))
    return BenchmarkCounts(
        language=language,
        longtext_expected=longtext[0],
        longtext_matched=longtext[1],
        oneig_expected=oneig[0],
        oneig_matched=oneig[1],
        oneig_distance=Levenshtein.distance(oneig_shown, oneig_asked),
    )


def benchmark_scores(images: Iterable[BenchmarkCounts]) -> tuple[BenchmarkScore, ...]:
    """Score images as the benchmarks score a model: pooled, English and Chinese apart.

    A language without images has no score.
    """
    counts = tuple(images)
    own = ((language, tuple(item for item in counts if item.language is language)) for language in Language)
    return tuple(_score(language, items) for language, items in own if items)


def _score(language: Language, items: Sequence[BenchmarkCounts]) -> BenchmarkScore:
    distance = sum(item.oneig_distance for item in items) / len(items)
    complete = sum(item.oneig_distance == 0 for item in items) / len(items)
    accuracy = sum(item.oneig_matched for item in items) / sum(item.oneig_expected for item in items)
    most = language.largest_distance
    return BenchmarkScore(
        language=language,
        images=len(items),
        longtext=LongTextScore(
            text_accuracy=sum(item.longtext_matched for item in items) / sum(item.longtext_expected for item in items)
        ),
        oneig=OneIGScore(
            edit_distance=distance,
            completion_rate=complete,
            word_accuracy=accuracy,
            text_score=1 - min(most, distance) * (1 - complete) * (1 - accuracy) / most,
        ),
    )


def _cleaned(text: str) -> str:
    """Drop what no benchmark counts, and write each run of white space as one space."""
    return " ".join(_DROPPED.sub("", text).split())


def _folded(text: str, language: Language) -> str:
    """LongText-Bench's form: without case in English, without spaces in Chinese."""
    return text.replace(" ", "") if language is Language.CHINESE else text.lower()


def _spaced(text: str) -> str:
    """OneIG-Bench's form: without spaces where the string itself has a Chinese character."""
    return text.replace(" ", "") if _HAS_CHINESE.search(text) else text


def _units(text: str, language: Language) -> Counter[str]:
    return Counter(text if language is Language.CHINESE else text.split())


def _common(asked: Counter[str], shown: Counter[str]) -> tuple[int, int]:
    """Return how many units were asked for, and how many of them were read, each as often as it was asked."""
    return asked.total(), (asked & shown).total()
