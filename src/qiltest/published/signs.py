"""Table 4 of the published report, scenes with many signs: each is exact, near, mixed from two, wrong or missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from qiltest.scoring.distance import distance
from qiltest.scoring.records import ExtraKind, Score, TextScore
from qiltest.text.escape import one_line
from qiltest.text.format import count
from qiltest.text.normalise import normalise

#: Fewest characters of each of two signs in a mixture.
PART = 2
#: Largest share of a mixture's characters that belong to neither sign.
STRANGE = 0.2


class SignState(StrEnum):
    """How an expected sign was rendered."""

    EXACT = "exact"
    #: one edit.
    NEAR = "near"
    #: mixed with a part of another sign.
    MIXED = "mixed"
    #: two edits or more, and not mixed.
    WRONG = "wrong"
    MISSING = "missing"


@dataclass(frozen=True, kw_only=True)
class SignResult:
    """One expected sign."""

    expected: str
    read: str
    state: SignState
    #: the other sign of a mixture, else "".
    mixed_with: str = ""


@dataclass(frozen=True, kw_only=True)
class SignRecall:
    """All signs of a scene."""

    signs: tuple[SignResult, ...]
    #: (what was read, the sign that it repeats or extends), as scoring names them.
    doubled: tuple[tuple[str, str], ...]
    leaked: tuple[tuple[str, str], ...]

    def count(self, state: SignState) -> int:
        """Return the number of signs in a state."""
        return sum(sign.state is state for sign in self.signs)

    @property
    def recall(self) -> float:
        """Share of the signs that are generated exactly."""
        return self.count(SignState.EXACT) / len(self.signs)


def sign_recall(score: Score) -> SignRecall:
    """Classify the texts of a score. Raises ValueError for a score without texts.

    A text is mixed where its reading, or a line matched to no text, begins as one sign and ends as another (in either
    order), with at least two characters of each, and is nearer to that mixture than to the sign alone.
    """
    if not score.texts:
        raise ValueError("a score without texts has no signs")
    names = [normalise(text.expected) for text in score.texts]
    strays = [normalise(extra.text) for extra in score.extra if extra.kind is ExtraKind.OTHER]
    return SignRecall(
        signs=tuple(_sign(text, names, strays) for text in score.texts),
        doubled=tuple((e.text, e.of) for e in score.extra if e.kind is ExtraKind.DOUBLED),
        leaked=tuple((e.text, e.of) for e in score.extra if e.kind is ExtraKind.LEAKED),
    )


def sign_words(found: SignRecall) -> str:
    """Return the number of signs per state, exact ones first, and the mixed, repeated and leaked texts."""
    states = (state for state in SignState if state is not SignState.EXACT and found.count(state))
    words = f"{found.count(SignState.EXACT)} of {count(len(found.signs), 'sign')} right"
    words += "".join(f", {found.count(state)} {state.value}" for state in states)
    named = [
        f"“{one_line(s.read)}” mixed from “{s.expected}” and “{s.mixed_with}”" for s in found.signs if s.mixed_with
    ]
    named += [f"“{one_line(text)}” repeated" for text, _ in found.doubled]
    named += [f"“{one_line(text)}” leaked from “{of}”" for text, of in found.leaked]
    return words + (f" ({'; '.join(named)})" if named else "")


def _sign(text: TextScore, names: Sequence[str], strays: Sequence[str]) -> SignResult:
    own, read = normalise(text.expected), normalise(text.read)
    if read and text.distance <= 1:
        state = SignState.EXACT if text.distance == 0 else SignState.NEAR
        return SignResult(expected=text.expected, read=text.read, state=state)
    for line in [read] if read else strays:
        other = _other_half(line, own, names)
        if other:
            return SignResult(expected=text.expected, read=line, state=SignState.MIXED, mixed_with=other)
    state = SignState.WRONG if read else SignState.MISSING
    return SignResult(expected=text.expected, read=text.read, state=state)


def _other_half(read: str, own: str, names: Sequence[str]) -> str:
    """Return the sign that, with `own`, makes up what was read, or ""."""
    costs = [(cost, other) for other in names if other != own for cost in _mixtures(read, own, other)]
    cost, other = min(costs, default=(len(read) + 1, ""))
    # a sign that lost its middle is not mixed, even if another sign has the same end
    alone = min(*(distance(name, read) for name in names), *_mixtures(read, own, own), len(read))
    return other if cost <= STRANGE * len(read) and cost < alone else ""


def _mixtures(read: str, own: str, other: str) -> Iterator[int]:
    """Yield, for each cut of the reading, its distance to a beginning of one sign plus an end of the other."""
    for cut in range(PART, len(read) - PART + 1):
        for first, second in ((own, other), (other, own)):
            yield _nearest_start(read[:cut], first) + _nearest_end(read[cut:], second)


def _nearest_start(part: str, sign: str) -> int:
    """Return the least distance to a beginning of a sign, up to the whole sign."""
    ends = range(PART, len(sign) + 1)
    return min((distance(part, sign[:end]) for end in ends), default=len(part))


def _nearest_end(part: str, sign: str) -> int:
    starts = range(max(0, len(sign) - PART) + 1)
    return min((distance(part, sign[start:]) for start in starts), default=len(part))
