"""Layouts in which rows decide: gaps, neighbours, marks, small letters."""

from __future__ import annotations

from dataclasses import replace

from drawn.colours import Colour
from drawn.job import Job, NoPlaceError, Part
from drawn.page import Writing, row_width
from drawn.place import PRINT, start, width_of, write_blocks
from drawn.texts import CASE, EXTENDED, MARK, TYPOS, number, pools, price


def split(job: Job) -> None:
    """Lay out a text in two blocks up to a third of the image apart, and another text elsewhere."""
    width, height = start(job)
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
        two = replace(
            two,
            left=width * 0.05
            + (width * 0.9 - max(row_width(r, two) for r in two.rows)) * job.rng.choice([0.0, 0.5, 1.0]),
        )
    else:
        across = max(row_width(row, one) for row in one.rows)
        two = replace(one, rows=rows[1][0], size=rows[1][1], left=one.left + across + width * apart * 0.9)
    write_blocks(job, part, [one, two])
    job.block(job.take("hans" if zh else "sign", PRINT), (30, height * 0.8, width - 30, height - 16), (40, 20), rows=1)


def wide_gap(job: Job) -> None:
    """Lay out two words on one row with a gap of three to six letters, twice."""
    width, height = start(job)
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
        while width_of(part, "".join(words), size) + gap > width * 0.92:
            size, gap = size - 2, gap * 0.97
            if size < 20:
                raise NoPlaceError("no room for a gap")
        one = Writing(
            rows=(words[0],), face=part.face, size=size, left=width * 0.04, top=height * (top + job.rng.uniform(0, 0.2))
        )
        write_blocks(
            job, part, [one, replace(one, rows=(words[1],), left=one.left + width_of(part, words[0], size) + gap)]
        )


def beside(job: Job) -> None:
    """Lay out a text in one row with other text: a key, a speaker, quotation marks, a number of a list."""
    width, height = start(job, (1.0, 1.6))
    rows = job.rng.randint(2, 4)
    styles = job.rng.choice([("mono", "sans"), PRINT, ("hand",)])
    for k in range(rows):
        before, pool, after = surrounding(job)
        part = job.take(pool, styles)
        line = Part(expected=part.expected, shown=before + part.shown + after, face=part.face)
        if not part.face.draws(line.shown):
            raise NoPlaceError("no face for what stands beside")
        top = height * (0.06 + 0.9 * k / rows)
        _, size = job.fit(line, width - 70, height * 0.8 / rows, (job.rng.randint(26, 48), 18), rows=1)
        writing = Writing(rows=(line.shown,), face=part.face, size=size, left=job.rng.uniform(25, 40), top=top)
        job.put(part, writing)
        job.beside.append(line.shown)


def surrounding(job: Job) -> tuple[str, str, str]:
    """Return what stands before a text in its row, its pool, and what stands behind it."""
    lot = job.rng.randrange(8)
    if lot < 2:
        return f'"{job.rng.choice(pools(job.half)["key"])}": "', "name", '"' + job.rng.choice(["", ","])
    if lot == 2:
        # no name: a piece of another text of the image would count
        return f"{job.rng.choice(['Captain', 'Waiter', 'Nurse', 'Guard'])}: ", "speech", ""
    if lot == 3:
        return job.rng.choice(["众人：“", "姐姐：“", "队长：“"]), "speech_zh", job.rng.choice(["", "”"])
    if lot == 4:
        # of a longer quotation: a pair that holds the text alone would count, as it does in the real images
        return "“", job.rng.choice(["sign", "hans"]), ""
    if lot == 5:
        return f"{job.rng.choice(['1.', '2.', '3)', '•'])} ", job.rng.choice(["row", "item"]), ""
    if lot == 6:
        return job.rng.choice(["姓名：", "队员：", "作者："]), "name_zh", ""
    return job.rng.choice(["*", "→ ", "# "]), job.rng.choice(["item", "small"]), ""


def extended(job: Job) -> None:
    """Lay out texts that go on where they should end (the errors), or stand alone."""
    width, height = start(job)
    for k in range(3):
        pool = job.rng.choice(["hans", "sign", "name", "item", "hant"])
        part = job.take(pool, PRINT, (EXTENDED,))
        job.block(
            part,
            (30, height * (0.05 + 0.31 * k), width - 30, height * (0.05 + 0.31 * k) + height * 0.27),
            (job.rng.randint(34, 76), 22),
            rows=1,
        )


def end_marks(job: Job) -> None:
    """Lay out small marks at the ends of lines."""
    width, height = start(job)
    rows = job.rng.randint(3, 5)
    for k in range(rows):
        part = job.take("mark", PRINT, (MARK, MARK, *TYPOS))
        top = height * (0.04 + 0.93 * k / rows)
        job.block(part, (30, top, width - 30, top + height * 0.93 / rows - 16), (job.rng.randint(20, 60), 18), rows=1)


def first_letter(job: Job) -> None:
    """Lay out lines whose first letter is told from its capital by its size alone."""
    width, height = start(job)
    rows = job.rng.randint(3, 5)
    for k in range(rows):
        part = job.take("first", ("sans", "serif", "display", "hand", "brush"), (CASE, CASE, *TYPOS))
        top = height * (0.04 + 0.93 * k / rows)
        job.block(part, (30, top, width - 30, top + height * 0.93 / rows - 14), (job.rng.randint(20, 60), 18), rows=1)


def small(job: Job) -> None:
    """Lay out an image of 290 to 340 pixels' side."""
    job.start(job.rng.randint(290, 340), job.rng.randint(290, 340))
    width, height = job.page.size
    for k in range(2):
        pool = job.rng.choice(["hans", "sign", "name", "item", "first"])
        part = job.take(pool, PRINT)
        top = height * (0.06 + 0.46 * k)
        job.block(part, (14, top, width - 14, top + height * 0.38), (job.rng.randint(15, 34), 13), rows=2)


def caption(job: Job) -> None:
    """Lay out captions of 12 to 15 pixels under icons."""
    width, height = 640, job.rng.choice([384, 448, 512])
    job.plain(width, height, job.rng.choice([(250, 250, 250), (236, 240, 246), (30, 34, 44)]))
    zh = job.rng.random() < 0.35
    across, down = job.rng.randint(3, 4), 2
    size = job.rng.randint(13, 15) if zh else job.rng.randint(12, 13)
    for k in range(across * down):
        part = job.take("small_zh" if zh else "small", ("sans",))
        left, top = width * (k % across) / across, height * (k // across) / down
        middle = left + width / across / 2
        icon = round(height / down * 0.42)
        _icon(job, (middle, top + height / down * 0.36), icon)
        wide = width_of(part, part.shown, size)
        if wide > width / across - 12:
            raise NoPlaceError("caption too wide")
        job.put(
            part,
            Writing(
                rows=(part.shown,),
                face=part.face,
                size=size,
                left=round(middle - wide / 2),
                top=round(top + height / down * 0.68),
            ),
        )


def _icon(job: Job, centre: tuple[float, float], side: int) -> None:
    x, y = centre
    colour: Colour = job.rng.choice([(60, 120, 220), (230, 120, 60), (60, 170, 110), (150, 90, 200)])
    job.page.panel(
        (round(x - side / 2), round(y - side / 2), round(x + side / 2), round(y + side / 2)),
        colour,
        radius=side // job.rng.choice([2, 4, 8]),
    )


def menu(job: Job) -> None:
    """Lay out items with prices at the right."""
    width, height = start(job)
    face_of = job.take("sign", PRINT)
    job.block(face_of, (30, 16, width - 30, height * 0.2), (60, 28), rows=1)
    rows = job.rng.randint(3, 5)
    for k in range(rows):
        named = job.rng.choice(
            [item for item in pools(job.half)["item"] if all(item not in p.part.expected for p in job.placed)]
        )
        cost = price(job.half, job.rng)
        part = job.use(f"{named} {cost}", PRINT)
        item, _, amount = part.shown.rpartition(" ")
        size = job.rng.randint(24, 40)
        top = height * (0.24 + 0.74 * k / rows)
        edge = width * job.rng.uniform(0.8, 0.94)
        if not item or width_of(part, item + amount, size) + 40 > edge - width * 0.07:
            raise NoPlaceError("no room for a price")
        one = Writing(rows=(item,), face=part.face, size=size, left=width * 0.07, top=top)
        write_blocks(job, part, [one, replace(one, rows=(amount,), left=edge - width_of(part, amount, size))])


def numbers(job: Job) -> None:
    """Lay out temperatures, prices, dates, telephone numbers and long digits."""
    width, height = start(job)
    rows = job.rng.randint(3, 5)
    for k in range(rows):
        part = job.use(number(job.half, job.rng), ("sans", "serif", "mono"))
        top = height * (0.04 + 0.93 * k / rows)
        job.block(part, (30, top, width - 30, top + height * 0.93 / rows - 14), (job.rng.randint(30, 64), 22), rows=1)
