"""The kinds of image: how texts are chosen and laid out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from drawn.job import ANY, Job, NoPlaceError, Part, Placed
from drawn.page import Colour, Effect, Writing, row_width
from drawn.texts import CASE, EXTENDED, MARK, TYPOS, case_pools, number, pools, price

PRINT = ("sans", "serif", "display")
TITLES = ("display", "sans", "serif", "brush")
HAND = ("hand", "brush")
SIZES = (640, 704, 768, 832, 896, 960, 1024)
FLAT = (Effect.PLAIN, Effect.PLAIN, Effect.SOFT, Effect.OUTLINE, Effect.SHADOW)


def _start(job: Job, ratio: tuple[float, float] = (0.7, 1.4)) -> tuple[int, int]:
    """Lay a background of 640 to 1024 pixels' side, its aspect within `ratio`."""
    side, aspect = job.rng.choice(SIZES), job.rng.uniform(*ratio)
    width, height = (side, round(side / aspect)) if aspect > 1 else (round(side * aspect), side)
    job.start(width, height)
    return width, height


def poster(job: Job) -> None:
    """A title and rows of several sizes over a photograph."""
    width, height = _start(job, (0.65, 1.0))
    zh = job.rng.random() < 0.35
    job.block(
        job.take("hans" if zh else "title", TITLES), (30, 30, width - 30, height * 0.32), (130, 48), align="centre", effect=job.rng.choice(FLAT)
    )
    rows = job.rng.randint(2, 4)
    styles = job.rng.choice([("sans",), ("serif",), PRINT])
    for k in range(rows):
        top = height * (0.36 + 0.6 * k / rows)
        part = job.take("rows_zh" if zh else "row", styles)
        job.block(part, (36, top, width - 36, top + height * 0.6 / rows - 14), (job.rng.randint(24, 52), 18), effect=job.rng.choice(FLAT[:3]))


def mixed_title(job: Job) -> None:
    """A title whose first word is three to six times as large as the rest."""
    width, height = _start(job)
    pool = [text for text in [*pools(job.half)["title"], *pools(job.half)["sign"]] if len(text.split()) >= 2 and len(text.split()[0]) <= 8]
    part = job.take(pool, TITLES)
    first, _, rest = part.shown.partition(" ")
    if not rest or len(first) < 2:
        raise NoPlaceError("no first word")
    large = _largest(job, part, first, width * 0.84, min(240, height * 0.3))
    small = max(17, round(large / job.rng.uniform(3, 6)))
    left, top = width * 0.08, height * job.rng.uniform(0.06, 0.3)
    effect = job.rng.choice(FLAT)
    one = Writing(rows=(first,), face=part.face, size=large, left=left, top=top, effect=effect)
    across = row_width(first, one)
    below = left + max(0.0, across - _wide(part, rest, small)) * job.rng.choice([0.0, 0.5, 1.0])
    two = Writing(rows=(rest,), face=part.face, size=small, left=below, top=top + large * 1.2, effect=effect)
    if job.rng.random() < 0.35:  # beside the first word instead of below it
        two = replace(two, left=left + across + small * 0.5, top=top + large * job.rng.uniform(0.3, 0.75))
    _blocks(job, part, [one, two])
    job.block(job.take("row", PRINT), (30, height * 0.78, width - 30, height - 20), (34, 18))


def split(job: Job) -> None:
    """A text in two blocks up to a third of the image apart, and another text elsewhere."""
    width, height = _start(job)
    zh = job.rng.random() < 0.3
    part = job.take("couplet" if zh else ["title", "row", "sentence"][job.rng.randrange(3)], PRINT)
    words = list(part.shown) if zh else part.shown.split(" ")
    if len(words) < 3:
        raise NoPlaceError("too short to split")
    at = job.rng.randint(max(1, len(words) // 3), max(1, 2 * len(words) // 3))
    halves = [("" if zh else " ").join(words[:at]), ("" if zh else " ").join(words[at:])]
    upright = job.rng.random() < 0.65
    room = width * 0.9 if upright else width * 0.33
    rows = [job.fit(replace(part, shown=half), room, height * 0.25, (job.rng.randint(36, 84), 20)) for half in halves]
    size = min(size for _, size in rows)
    rows = [job.fit(replace(part, shown=half), room, height * 0.25, (size, 18)) for half in halves]
    apart = job.rng.uniform(0.12, 0.33)
    one = Writing(rows=rows[0][0], face=part.face, size=rows[0][1], left=width * 0.05, top=height * 0.05)
    high = len(one.rows) * one.size * one.leading
    if upright:
        two = replace(one, rows=rows[1][0], size=rows[1][1], top=one.top + high + height * apart)
        two = replace(two, left=width * 0.05 + (width * 0.9 - max(row_width(r, two) for r in two.rows)) * job.rng.choice([0.0, 0.5, 1.0]))
    else:
        across = max(row_width(row, one) for row in one.rows)
        two = replace(one, rows=rows[1][0], size=rows[1][1], left=one.left + across + width * apart * 0.9)
    _blocks(job, part, [one, two])
    job.block(job.take("hans" if zh else "sign", PRINT), (30, height * 0.8, width - 30, height - 16), (40, 20), rows=1)


def wide_gap(job: Job) -> None:
    """Two words on one row with a gap of three to six letters, twice."""
    width, height = _start(job)
    for top in (0.12, 0.55):
        zh = job.rng.random() < 0.35
        part = job.take("hans" if zh else "sign", PRINT)
        if zh:
            words = [part.shown[: len(part.shown) // 2], part.shown[len(part.shown) // 2 :]]
        else:
            cut = part.shown.find(" ", len(part.shown) // 3)
            words = [part.shown[:cut], part.shown[cut + 1 :]]
        if min(map(len, words)) < 1 or (not zh and cut < 1):
            raise NoPlaceError("one word")
        size = job.rng.randint(28, 64)
        gap = size * (0.55 if not zh else 1.0) * job.rng.uniform(3, 6)
        while _wide(part, "".join(words), size) + gap > width * 0.92:
            size, gap = size - 2, gap * 0.97
            if size < 20:
                raise NoPlaceError("no room for a gap")
        one = Writing(rows=(words[0],), face=part.face, size=size, left=width * 0.04, top=height * (top + job.rng.uniform(0, 0.2)))
        _blocks(job, part, [one, replace(one, rows=(words[1],), left=one.left + _wide(part, words[0], size) + gap)])


def beside(job: Job) -> None:
    """A text in one row with other text: a key, a speaker, quotation marks, a number of a list."""
    width, height = _start(job, (1.0, 1.6))
    rows = job.rng.randint(2, 4)
    styles = job.rng.choice([("mono", "sans"), PRINT, ("hand",)])
    for k in range(rows):
        before, pool, after = _surrounding(job)
        part = job.take(pool, styles)
        line = Part(expected=part.expected, shown=before + part.shown + after, face=part.face)
        if not part.face.draws(line.shown):
            raise NoPlaceError("no face for what stands beside")
        top = height * (0.06 + 0.9 * k / rows)
        _, size = job.fit(line, width - 70, height * 0.8 / rows, (job.rng.randint(26, 48), 18), rows=1)
        writing = Writing(rows=(line.shown,), face=part.face, size=size, left=job.rng.uniform(25, 40), top=top)
        placed = job.put(part, writing)
        job.beside.append(line.shown)
        del placed


def _surrounding(job: Job) -> tuple[str, str, str]:
    """What stands before a text in its row, its pool, and what stands behind it."""
    lot = job.rng.randrange(8)
    if lot < 2:
        return f'"{job.rng.choice(pools(job.half)["key"])}": "', "name", '"' + job.rng.choice(["", ","])
    if lot == 2:
        return f"{job.rng.choice(pools(job.half)['name']).split()[0]}: ", "speech", ""
    if lot == 3:
        return job.rng.choice(["众人：“", "姐姐：“", "队长：“"]), "speech_zh", job.rng.choice(["", "”"])
    if lot == 4:
        return "“", job.rng.choice(["sign", "hans"]), "”"
    if lot == 5:
        return f"{job.rng.choice(['1.', '2.', '3)', '•'])} ", job.rng.choice(["row", "item"]), ""
    if lot == 6:
        return job.rng.choice(["姓名：", "队员：", "作者："]), "name_zh", ""
    return job.rng.choice(["*", "→ ", "# "]), job.rng.choice(["item", "small"]), ""


def extended(job: Job) -> None:
    """Texts that go on where they should end (the errors), or stand alone."""
    width, height = _start(job)
    for k in range(3):
        pool = job.rng.choice(["hans", "sign", "name", "item", "hant"])
        part = job.take(pool, PRINT, (EXTENDED,))
        job.block(part, (30, height * (0.05 + 0.31 * k), width - 30, height * (0.05 + 0.31 * k) + height * 0.27), (job.rng.randint(34, 76), 22), rows=1)


def end_marks(job: Job) -> None:
    """Small marks at the ends of lines."""
    width, height = _start(job)
    rows = job.rng.randint(3, 5)
    for k in range(rows):
        part = job.take("mark", PRINT, (MARK, MARK, *TYPOS))
        top = height * (0.04 + 0.93 * k / rows)
        job.block(part, (30, top, width - 30, top + height * 0.93 / rows - 16), (job.rng.randint(30, 66), 26), rows=1)


def first_letter(job: Job) -> None:
    """Lines whose first letter is told from its capital by its size alone."""
    width, height = _start(job)
    rows = job.rng.randint(3, 5)
    for k in range(rows):
        part = job.take("first", ("sans", "serif", "display", "hand"), (CASE, CASE, *TYPOS))
        top = height * (0.04 + 0.93 * k / rows)
        job.block(part, (30, top, width - 30, top + height * 0.93 / rows - 14), (job.rng.randint(26, 70), 24), rows=1)


def banner(job: Job) -> None:
    """Very large letters that overlap or have depth."""
    width, height = _start(job, (1.1, 1.8))
    zh = job.rng.random() < 0.3
    pool = ["hans", "hant"][job.rng.randrange(2)] if zh else [word for text in pools(job.half)["sign"] for word in text.split() if len(word) >= 5]
    part = job.take(pool, ("display", "sans"))
    tracking = job.rng.choice([0.0, -0.04, -0.07])
    size = _largest(job, part, part.shown, width * 0.88, height * 0.5)
    size = round(size * (1 - tracking))
    effect = job.rng.choice([Effect.SOLID, Effect.SOLID, Effect.OUTLINE])
    writing = Writing(
        rows=(part.shown,), face=part.face, size=size, left=width * 0.06, top=height * job.rng.uniform(0.05, 0.2),
        tracking=tracking, effect=effect, turn=job.rng.choice([0.0, 0.0, -4.0, 4.0]),
    )  # fmt: skip
    job.put(part, writing)
    job.block(job.take("hans" if zh else "row", PRINT), (30, height * 0.76, width - 30, height - 16), (44, 20), rows=1)


def shadowed(job: Job) -> None:
    """Titles with shadows, or printed twice beside themselves."""
    width, height = _start(job)
    for k in range(2):
        zh = job.rng.random() < 0.35
        part = job.take("hans" if zh else "title", TITLES)
        effect = job.rng.choice([Effect.SHADOW, Effect.DOUBLED])
        top = height * (0.05 + 0.47 * k)
        job.block(part, (30, top, width - 30, top + height * 0.42), (job.rng.randint(60, 120), 40), effect=effect)


def neon(job: Job) -> None:
    """Glowing letters on a dark wall."""
    width, height = _start(job)
    for k in range(3):
        pool = job.rng.choice(["sign", "hans", "hant"])
        part = job.take(pool, ("sans", "brush", "hand", "display"))
        top = height * (0.06 + 0.31 * k)
        job.block(part, (50, top, width - 50, top + height * 0.26), (job.rng.randint(44, 84), 32), rows=2, effect=Effect.NEON)


def chalk(job: Job) -> None:
    """Chalk on a dark board."""
    board = job.rng.choice([(34, 50, 44), (28, 30, 34), (24, 44, 38)])
    job.plain(job.rng.choice(SIZES), job.rng.choice(SIZES), board)
    width, height = job.page.size
    ink = job.rng.choice([(232, 232, 224), (240, 220, 130), (190, 220, 240)])
    pool = job.rng.choice([["sentence", "item", "number"], ["hans", "rows_zh", "number"], ["title", "row", "sign"]])
    for k, name in enumerate(pool):
        part = job.use(number(job.half, job.rng), HAND) if name == "number" else job.take(name, HAND)
        top = height * (0.05 + 0.31 * k)
        job.block(part, (40, top, width - 40, top + height * 0.27), (job.rng.randint(36, 70), 26), effect=Effect.CHALK, ink=ink)


def embossed(job: Job) -> None:
    """Letters that stand out of a plate of their own colour."""
    width, height = _start(job)
    for k in range(2):
        pool = job.rng.choice(["sign", "hans", "title"])
        part = job.take(pool, ("display", "sans"))
        top = height * (0.08 + 0.46 * k)
        job.block(part, (60, top, width - 60, top + height * 0.36), (job.rng.randint(70, 110), 50), effect=Effect.EMBOSSED, rows=2)


def small(job: Job) -> None:
    """An image of 290 to 340 pixels' side."""
    job.start(job.rng.randint(290, 340), job.rng.randint(290, 340))
    width, height = job.page.size
    for k in range(2):
        pool = job.rng.choice(["hans", "sign", "name", "item", "first"])
        part = job.take(pool, PRINT)
        top = height * (0.06 + 0.46 * k)
        job.block(part, (14, top, width - 14, top + height * 0.38), (job.rng.randint(22, 46), 17), rows=2)


def caption(job: Job) -> None:
    """Captions of 12 to 15 pixels under icons."""
    width, height = 640, job.rng.choice([384, 448, 512])
    job.plain(width, height, job.rng.choice([(250, 250, 250), (236, 240, 246), (30, 34, 44)]))
    zh = job.rng.random() < 0.35
    across, down = job.rng.randint(3, 4), 2
    size = job.rng.randint(13, 16) if zh else job.rng.randint(12, 15)
    for k in range(across * down):
        part = job.take("small_zh" if zh else "small", ("sans",))
        left, top = width * (k % across) / across, height * (k // across) / down
        middle = left + width / across / 2
        icon = round(height / down * 0.42)
        _icon(job, (middle, top + height / down * 0.36), icon)
        wide = _wide(part, part.shown, size)
        if wide > width / across - 12:
            raise NoPlaceError("caption too wide")
        job.put(part, Writing(rows=(part.shown,), face=part.face, size=size, left=round(middle - wide / 2), top=round(top + height / down * 0.68)))


def perspective(job: Job) -> None:
    """Signs seen from the side; the whole image is turned afterwards."""
    width, height = _start(job)
    for k in range(3):
        pool = job.rng.choice(["sign", "hans", "hant", "row"])
        part = job.take(pool, PRINT)
        top = height * (0.16 + 0.24 * k)
        job.block(part, (width * 0.16, top, width * 0.84, top + height * 0.19), (job.rng.randint(34, 64), 24), rows=1)


def columns(job: Job) -> None:
    """Columns, from the right or with a row above."""
    width, height = _start(job, (0.7, 1.1))
    count = job.rng.randint(2, 3)
    size = min(job.rng.randint(36, 64), int(height * 0.74 / 10))
    step = width * 0.8 / count
    styles = ("brush", "serif", "sans")
    for k in range(count):
        part = job.take(job.rng.choice(["couplet", "couplet", "hans"]), styles, [e for e in TYPOS if e != "doubled"])
        left = width * 0.9 - step * (k + 0.5) - size / 2
        writing = Writing(rows=(part.shown,), face=part.face, size=size, left=left, top=height * 0.2, column=True)
        if height * 0.2 + len(part.shown) * size * 1.14 > height - 8:
            raise NoPlaceError("column too long")
        job.put(part, writing)
    job.block(job.take("hant", styles), (40, 14, width - 40, height * 0.17), (60, 30), rows=1, align="centre")


def paragraph(job: Job) -> None:
    """One wrapped paragraph and a heading."""
    width, height = _start(job)
    zh = job.rng.random() < 0.4
    job.block(job.take("hans" if zh else "title", PRINT), (40, 20, width - 40, height * 0.2), (60, 30), rows=1)
    part = job.take("paragraph_zh" if zh else "paragraph", ("sans", "serif", "hand"))
    job.block(part, (40, height * 0.26, width - 40, height - 20), (job.rng.randint(24, 44), 17), align="left")


def whiteboard(job: Job) -> None:
    """Handwriting in several paragraphs on a board."""
    job.plain(job.rng.choice(SIZES), job.rng.choice(SIZES), job.rng.choice([(246, 248, 248), (228, 236, 236), (250, 246, 236)]))
    width, height = job.page.size
    ink = job.rng.choice([(20, 30, 90), (20, 20, 24), (150, 20, 30), (10, 90, 50)])
    zh = job.rng.random() < 0.4
    plan = ["hans", "paragraph_zh", "rows_zh"] if zh else ["title", "sentence", "row"]
    for name, low, high in zip(plan, (0.04, 0.24, 0.74), (0.2, 0.68, 0.94), strict=True):
        part = job.take(name, HAND)
        job.block(part, (40, height * low, width - 40, height * high), (job.rng.randint(32, 60), 20), align="left", ink=ink)


def comic(job: Job) -> None:
    """Speech in bubbles."""
    width, height = _start(job)
    zh = job.rng.random() < 0.45
    cells = [(0.04, 0.05, 0.52, 0.34), (0.5, 0.36, 0.96, 0.64), (0.06, 0.67, 0.56, 0.95)]
    for left, top, right, bottom in cells[: job.rng.randint(2, 3)]:
        part = job.take("speech_zh" if zh else "speech", ("hand", "sans"))
        box = (width * left, height * top, width * right, height * bottom)
        job.page.panel((round(box[0]), round(box[1]), round(box[2]), round(box[3])), (252, 252, 250), border=(10, 10, 10), radius=60)
        inner = (box[0] + 34, box[1] + 22, box[2] - 34, box[3] - 22)
        job.block(part, inner, (job.rng.randint(26, 44), 17), align="centre", ink=(14, 14, 16))


def menu(job: Job) -> None:
    """Items with prices at the right."""
    width, height = _start(job)
    face_of = job.take("sign", PRINT)
    job.block(face_of, (30, 16, width - 30, height * 0.2), (60, 28), rows=1)
    rows = job.rng.randint(3, 5)
    for k in range(rows):
        named = job.rng.choice([item for item in pools(job.half)["item"] if all(item not in p.part.expected for p in job.placed)])
        cost = price(job.half, job.rng)
        part = job.use(f"{named} {cost}", PRINT)
        item, _, amount = part.shown.rpartition(" ")
        size = job.rng.randint(24, 40)
        top = height * (0.24 + 0.74 * k / rows)
        edge = width * job.rng.uniform(0.8, 0.94)
        if not item or _wide(part, item + amount, size) + 40 > edge - width * 0.07:
            raise NoPlaceError("no room for a price")
        one = Writing(rows=(item,), face=part.face, size=size, left=width * 0.07, top=top)
        _blocks(job, part, [one, replace(one, rows=(amount,), left=edge - _wide(part, amount, size))])


def numbers(job: Job) -> None:
    """Temperatures, prices, dates, telephone numbers and long digits."""
    width, height = _start(job)
    rows = job.rng.randint(3, 5)
    for k in range(rows):
        part = job.use(number(job.half, job.rng), ("sans", "serif", "mono"))
        top = height * (0.04 + 0.93 * k / rows)
        job.block(part, (30, top, width - 30, top + height * 0.93 / rows - 14), (job.rng.randint(30, 64), 22), rows=1)


def street(job: Job) -> None:
    """Eight to twelve signs, English and traditional Chinese, on boards of their own."""
    width, height = 1024, job.rng.choice([832, 1024])
    job.start(width, height)
    across, down = 3, job.rng.randint(3, 4)
    for k in range(across * down):
        part = job.take(job.rng.choice(["sign", "hant", "hant", "hans"]), ANY)
        left, top = width * (k % across) / across, height * (k // across) / down
        box = (left + 14, top + 16, left + width / across - 14, top + height / down - 16)
        colour = job.rng.choice([(160, 20, 30), (20, 60, 120), (240, 226, 180), (16, 80, 50), (250, 250, 246)])
        job.page.panel((round(box[0]), round(box[1]), round(box[2]), round(box[3])), colour)
        inner = (box[0] + 12, box[1] + 10, box[2] - 12, box[3] - 10)
        job.block(part, inner, (job.rng.randint(34, 64), 20), rows=2, align="centre")


def case(job: Job) -> None:
    """All texts of one of the suite's cases."""
    width, height = _start(job)
    name = job.rng.choice(case_pools(job.half))
    texts = list(pools(job.half)[name])
    if len(texts) > 12:
        texts = job.rng.sample(texts, 12)
    effect = job.rng.choice([Effect.PLAIN, Effect.OUTLINE, Effect.SOFT, Effect.NEON])
    across = 1 if len(texts) <= 6 else 2 if len(texts) <= 9 else 3
    rows = [texts[k : k + across] for k in range(0, len(texts), across)]
    weights = [max(2.0, max(map(len, row)) ** 0.75) for row in rows]
    top = 14.0
    for row, weight in zip(rows, weights, strict=True):
        bottom = top + weight * (height - 28) / sum(weights)
        for k, text in enumerate(row):
            part = job.use(text, ANY)
            left = 24 + (width - 24) * k / across
            job.block(part, (left, top + 6, left + (width - 24) / across - 24, bottom - 10), (job.rng.randint(36, 70), 18), effect=effect)
        top = bottom


def _blocks(job: Job, part: Part, writings: list[Writing]) -> None:
    """Write one text in several blocks."""
    found: list[Placed] = []
    for writing in writings:
        found.append(job.put(part, writing if not found else replace(writing, ink=job.page.ink)))
        job.placed.pop()
    for one in found[0].boxes:
        for two in found[1].boxes:
            if one[0] < two[2] and one[2] > two[0] and one[1] < two[3] and one[3] > two[1]:
                raise NoPlaceError("the blocks of a text overlap")
    rows = tuple(row for each in found for row in each.rows)
    boxes = tuple(box for each in found for box in each.boxes)
    job.placed.append(replace(found[0], rows=rows, boxes=boxes))


def _wide(part: Part, text: str, size: int) -> float:
    return float(part.face.at(size).getlength(text))


def _largest(job: Job, part: Part, text: str, width: float, height: float) -> int:
    del job
    size = int(min(height, width / max(0.1, _wide(part, text, 100)) * 100))
    if size < 60:
        raise NoPlaceError(f"{text!r} would be small")
    return size


def _icon(job: Job, centre: tuple[float, float], side: int) -> None:
    x, y = centre
    colour: Colour = job.rng.choice([(60, 120, 220), (230, 120, 60), (60, 170, 110), (150, 90, 200)])
    job.page.panel((round(x - side / 2), round(y - side / 2), round(x + side / 2), round(y + side / 2)), colour, radius=side // job.rng.choice([2, 4, 8]))


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A layout, and the number of texts that it takes at least (one of them gets the error)."""

    lay_out: Callable[[Job], None]
    texts: int


KINDS: Mapping[str, Kind] = {
    "poster": Kind(lay_out=poster, texts=3),
    "mixed title": Kind(lay_out=mixed_title, texts=2),
    "split": Kind(lay_out=split, texts=2),
    "wide gap": Kind(lay_out=wide_gap, texts=2),
    "beside": Kind(lay_out=beside, texts=2),
    "extended": Kind(lay_out=extended, texts=3),
    "end marks": Kind(lay_out=end_marks, texts=3),
    "first letter": Kind(lay_out=first_letter, texts=3),
    "banner": Kind(lay_out=banner, texts=1),
    "shadowed": Kind(lay_out=shadowed, texts=2),
    "neon": Kind(lay_out=neon, texts=3),
    "chalk": Kind(lay_out=chalk, texts=3),
    "embossed": Kind(lay_out=embossed, texts=2),
    "small": Kind(lay_out=small, texts=2),
    "caption": Kind(lay_out=caption, texts=6),
    "perspective": Kind(lay_out=perspective, texts=3),
    "columns": Kind(lay_out=columns, texts=2),
    "paragraph": Kind(lay_out=paragraph, texts=2),
    "whiteboard": Kind(lay_out=whiteboard, texts=3),
    "comic": Kind(lay_out=comic, texts=2),
    "menu": Kind(lay_out=menu, texts=4),
    "numbers": Kind(lay_out=numbers, texts=3),
    "street": Kind(lay_out=street, texts=9),
    "case": Kind(lay_out=case, texts=1),
}
