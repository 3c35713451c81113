"""Draw random prompts and the texts they ask for: the embedded model's training data.

Half of the prompts are those of the case files with other texts in their quotation marks, the others are texts between
runs of made-up words. Early on some images (`NOISY`) show a third of their characters wrong, as captions of images in
the wild are wrong. At the end none are left: a base that knew such images to the end (5 per cent of them) took what guidance of 4 does to a
glyph for one, and then drew a third of that image's characters wrong (whiteboard: none, or 40 of 152, by the seed).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from charset import Charset, case_prompts, charset
from layout import GAP, LINE, SHORT, Mode, Span, gap, lines, spans

STYLES = ("whiteboard", "chalkboard", "neon", "paper")
#: words that set the style; the first of them in a prompt counts, and a prompt without any gets paper.
STYLE_WORDS = {
    "whiteboard": ("whiteboard", "白板", "玻璃板"),
    "chalkboard": ("chalkboard", "blackboard", "黑板"),
    "neon": ("neon", "霓虹"),
    "paper": ("paper", "纸"),
}
SUFFIXES = (
    ", Ultra HD, 4K, cinematic composition.",
    ", Ultra HD, 4K, cinematic composition.",
    ", 超清，4K，电影级构图.",
    "",
)
#: share of texts whose Chinese characters come from the case files alone, and of texts taken from them whole
FROM_CASES, ORIGINAL = 0.05, 0.1
#: share of random texts in wide characters: there are twenty times as many of them as of narrow ones
WIDE = 0.65
QUOTING = (("“", "”"), ("‘", "’"), ('"', '"'))
LETTERS = "etaoinshrdlucmfwypvbgkjqxz"
#: share of a case's own batches that show its own texts
AS_IT_IS = 0.4
#: share of images, early and late, with wrong characters, and their share there
NOISY, WRONG = (0.15, 0.0), 0.35
#: characters of a prompt that the pipeline takes
LONGEST = 1024


def style_of(prompt: str) -> int:
    """Index into `STYLES` of the first style word in the prompt."""
    places = [(prompt.find(w), i) for i, s in enumerate(STYLES) for w in STYLE_WORDS[s] if w in prompt]
    return min(places)[1] if places else STYLES.index("paper")


@dataclass
class Sample:
    prompt: str
    texts: list[tuple[Span, str]]


class Writer:
    """Makes prompts of an exact length for a canvas."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.chars: Charset = charset()
        self.only_wide = np.array(self.chars.only_wide)
        self.cjk = np.array([c for c in self.chars.only_wide if "\u4e00" <= c <= "\u9fff"])
        self.cases = np.array([c for c in self.cjk if c in set(self.chars.wide[: self.chars.from_cases])])
        self.ascii = np.array(self.chars.narrow)
        weights = 1.0 / (np.arange(len(LETTERS)) + 4.0)
        self.letters, self.weights = np.array(list(LETTERS)), weights / weights.sum()
        prompts = case_prompts()
        self.templates = [(p, spans(p)) for p in prompts.values()]
        self.originals = [p[s.start : s.stop] for p, ss in self.templates for s in ss]
        drawn = set("".join(self.chars.wide))
        self.originals = [o for o in self.originals if set(o) <= drawn]

    # -- texts ---------------------------------------------------------------------------------------------------
    def word(self) -> str:
        n = 1 + int(self.rng.integers(1, 10))
        text = "".join(self.rng.choice(self.letters, n, p=self.weights))
        form = self.rng.random()
        return text.capitalize() if form < 0.45 else text.upper() if form < 0.65 else text

    def english(self, n: int) -> str:
        text = self.word()
        while len(text) < n:
            text += self.rng.choice([" ", " ", " ", " ", ", ", "-", ". ", ": ", " & ", "'"]) + self.word()
        return text[:n].strip() or "A"

    def digits(self, n: int) -> str:
        text = self.rng.choice(list("0123456789"), n)
        if n > 3 and self.rng.random() < 0.8:
            text[1] = self.rng.choice(list("..:/"))
        step = int(self.rng.integers(4, 11))
        if self.rng.random() < 0.7:
            text[step::step] = "-"
        head = self.rng.choice(["", "", "", "π≈", "$", "π=", "+"])
        return (head + "".join(text))[: max(n, 1)]

    def soup(self, n: int) -> str:
        return "".join(self.rng.choice(self.ascii, n)).strip() or "?"

    def chinese(self, n: int) -> str:
        text = self.rng.choice(self.cases if self.rng.random() < FROM_CASES else self.cjk, n)
        kind = self.rng.random()
        if kind < 0.35 and n > 3:
            marks = self.rng.random(n) < 0.12
            text[marks] = self.rng.choice(list("，。、：；！？（）《》·…—￥"), int(marks.sum()))
        elif kind < 0.6 and n > 4:
            at, word = int(self.rng.integers(0, n - 2)), self.english(int(self.rng.integers(2, 11)))
            word = word if self.rng.random() < 0.6 else self.digits(int(self.rng.integers(1, 5)))
            text[at : at + len(word)] = list(word)[: n - at]
        if n > 20 and self.rng.random() < 0.3:
            at = int(self.rng.integers(1, n - 2))
            text[at], text[at + 1] = self.rng.choice(list("二三四五六七八九")), "、"
        joined = "".join(text).strip()
        return joined if self.chars.is_wide(joined) else "中" + joined[1:]

    def text(self, limit: int, *, wide: bool) -> str:
        """A random text of at most `limit` cells' width in characters of its kind."""
        if self.rng.random() < ORIGINAL:
            fits = [o for o in self.originals if len(o) <= limit and self.chars.is_wide(o) == wide]
            if fits:
                return str(fits[int(self.rng.integers(len(fits)))])
        n = max(1, min(limit, int(np.exp(self.rng.normal(2.1 if wide else 2.7, 0.75)))))
        if wide:
            return self.chinese(n)
        kind = self.rng.random()
        made = self.english(n) if kind < 0.45 else self.digits(n) if kind < 0.75 else self.soup(n)
        if self.rng.random() < 0.04 and n > 4:
            at = int(self.rng.integers(1, n))
            made = made[:at] + "😊" + made[at + 1 :]
        return made

    def _fit(self, tokens: int, width: int, *, more: int) -> tuple[str, int]:
        """A text that leaves a line for each of `more` texts after it, and the rows of tokens that it takes."""
        wide = bool(self.rng.random() < WIDE)
        cap = 1 if more > 4 else max(1, (tokens - more * LINE) // LINE)
        per = (width // 16 - 2) // (2 if wide else 1)
        if self.rng.random() < 0.12 and more < 2:
            limit = min(per * cap, 170)
            n = int(self.rng.integers(1, limit + 1))
            made = self.chinese(n) if wide else self.english(n)
        else:
            # many signs are short, or no prompt of the wanted length holds them
            made = self.text(min(per * cap, 7 if more > 8 else 80), wide=wide)
        made = made[: per * cap].strip() or "0"
        wide = self.chars.is_wide(made)
        return made, LINE * lines(made, wide=wide, width=width) + gap(made, wide=wide)

    def texts(self, count: int, tokens: int, width: int) -> list[str]:
        """`count` texts for `tokens` rows of tokens, the gap after the last included.

        Where rows are few, texts ask for no gap: they are narrow or have four characters.
        """
        made = []
        for i in range(count):
            more = count - 1 - i
            text, used = self._fit(tokens, width, more=more)
            if tokens - used < more * LINE:
                made.append(self._tight(width))
                tokens -= LINE
                continue
            made.append(text)
            tokens -= used
        return made

    def _tight(self, width: int) -> str:
        """A short text of one line that asks for no gap after it."""
        most = (width // 16 - 2) // 2
        if most > SHORT and self.rng.random() < 0.7:
            chars = self.cases if self.rng.random() < FROM_CASES else self.cjk
            return "".join(self.rng.choice(chars, int(self.rng.integers(SHORT + 1, min(most, 6) + 1))))
        return self.english(int(self.rng.integers(2, min(2 * most, 8) + 1)))

    # -- scenes --------------------------------------------------------------------------------------------------
    def scene(self, n: int) -> str:
        """About `n` characters of made-up prose without double quotation marks."""
        if n <= 0:
            return ""
        if self.rng.random() < 0.5:
            text = ""
            while len(text) < n:
                text += self.english(30).lower() + str(self.rng.choice([" ", ", ", ". ", " a ", " the ", " with "]))
        else:
            run = self.rng.choice(self.cjk, n)
            marks = self.rng.random(n) < 0.08
            run[marks] = self.rng.choice(list("，。；：、"), int(marks.sum()))
            text = "".join(run)
        if self.rng.random() < 0.3 and n > 12:
            words = STYLE_WORDS[STYLES[int(self.rng.integers(4))]]
            at = int(self.rng.integers(0, max(1, n - 12)))
            text = f"{text[:at]} {words[int(self.rng.integers(len(words)))]} {text[at:]}"
        return text[:n].replace('"', " ")

    def from_template(self, length: int, rows: int, width: int, which: int | None = None) -> str | None:
        """A case's prompt with other texts, or None where its texts do not fit."""
        prompt, found = self.templates[int(self.rng.integers(len(self.templates))) if which is None else which]
        if any(s.mode is not Mode.HORIZONTAL for s in found):
            return self._couplets(prompt, found, rows // LINE, width)
        most = rows // LINE
        if which is not None and len(found) <= most and self.rng.random() < AS_IT_IS:
            return prompt
        if len(found) > most or (which is None and len(found) > 8 and self.rng.random() < 0.7):
            shown = sorted(self.rng.permutation(len(found))[: int(self.rng.integers(1, min(most, len(found)) + 1))])
            # drop the other signs with their quotation marks
            for i in reversed(range(len(found))):
                if i not in shown:
                    prompt = prompt[: found[i].start - 1] + prompt[found[i].stop + 1 :].lstrip()
            found = spans(prompt)
            if len(found) > most:
                return None
        for span, text in zip(reversed(found), reversed(self.texts(len(found), rows + GAP, width)), strict=True):
            close = prompt[span.stop]
            clean = "".join(c for c in text if c not in '"“”‘’' and not (close == "." and c == ".")).strip() or "X"
            prompt = prompt[: span.start] + clean + prompt[span.stop :]
        return prompt

    def _couplets(self, prompt: str, found: list[Span], rows: int, width: int) -> str | None:
        most = min(rows - 1, 13)
        if most < 3:
            return None
        n, banner = int(self.rng.integers(3, most + 1)), int(self.rng.integers(2, min(6, (width // 16 - 2) // 2) + 1))
        for span in reversed(found):
            size = banner if span.mode is Mode.BANNER else n
            prompt = prompt[: span.start] + "".join(self.rng.choice(self.cjk, size)) + prompt[span.stop :]
        return prompt

    def from_soup(self, length: int, rows: int, width: int) -> str:
        kind = self.rng.random()
        most = min(rows // LINE, 24)
        count = (
            1
            if kind < 0.35
            else int(self.rng.integers(1, min(most, 6) + 1))
            if kind < 0.8
            else int(self.rng.integers(1, most + 1))
        )
        texts = self.texts(count, rows + GAP, width)
        open_, close = QUOTING[int(self.rng.integers(3))]
        parts, left = [], length - sum(map(len, texts)) - 2 * count
        head = int(self.rng.random() ** 2 * max(0, left) * 0.8)
        parts.append(self.scene(head))
        if not parts[0] and open_ == '"':
            open_, close = "“", "”"
        gap = int(self.rng.integers(0, 3)) if self.rng.random() < 0.5 else int(self.rng.integers(3, 40))
        for text in texts:
            clean = "".join(c for c in text if c not in (open_, close)).strip() or "X"
            parts += [open_, clean, close, self.scene(min(gap, max(0, left - head))) or " "]
            left -= gap
        return "".join(parts)

    def sample(self, length: int, width: int, height: int, which: int | None = None) -> Sample:
        """A prompt of exactly `length` characters whose texts fit a canvas of `width` x `height` pixels.

        It is made from the case prompt number `which` where one is given.
        """
        rows = height // 16
        while True:
            template = which is not None or self.rng.random() < 0.5
            prompt = self.from_template(length, rows, width, which) if template else self.from_soup(length, rows, width)
            if prompt is None or (len(prompt) > length and length != LONGEST):
                continue
            # the pipeline cuts what is longer than it takes; the prompt may lose its end so, but no text
            texts, prompt = len(spans(prompt)), prompt[:length]
            if len(spans(prompt)) != texts:
                continue
            suffix = SUFFIXES[0] if which is not None else str(self.rng.choice(SUFFIXES))
            if len(prompt) + len(suffix) <= length:
                prompt += suffix
            tail = self.scene(length - len(prompt))
            prompt = prompt + tail + " " * (length - len(prompt) - len(tail))
            found = spans(prompt)
            if found and self._fits(prompt, found, rows, width):
                return Sample(prompt, [(s, prompt[s.start : s.stop]) for s in found])

    def _fits(self, prompt: str, found: list[Span], rows: int, width: int) -> bool:
        used, after = 0, 0
        for span in found:
            text = prompt[span.start : span.stop]
            wide = self.chars.is_wide(text)
            if span.mode is Mode.HORIZONTAL:
                used, after = used + after + LINE * lines(text, wide=wide, width=width), gap(text, wide=wide)
            elif span.mode is Mode.BANNER:
                used = max(used, LINE)
            else:
                used = max(used, LINE * (1 + len(text)))
        return used <= rows
