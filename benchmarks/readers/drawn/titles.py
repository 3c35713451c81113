"""Layouts of large letters."""

from __future__ import annotations

from dataclasses import replace

from drawn.effects import Effect
from drawn.job import Job, NoPlaceError
from drawn.page import Writing, row_width
from drawn.place import FLAT, PRINT, TITLES, largest, start, width_of, write_blocks
from drawn.texts import TYPOS, pools


def poster(job: Job) -> None:
    """Lay out a title and rows of several sizes over a photograph."""
    width, height = start(job, (0.65, 1.0))
    zh = job.rng.random() < 0.35
    job.block(
        job.take("hans" if zh else "title", TITLES),
        (30, 30, width - 30, height * 0.32),
        (130, 48),
        align="centre",
        effect=job.rng.choice(FLAT),
    )
    rows = job.rng.randint(2, 4)
    styles = job.rng.choice([("sans",), ("serif",), PRINT])
    for k in range(rows):
        top = height * (0.36 + 0.6 * k / rows)
        part = job.take("rows_zh" if zh else "row", styles)
        job.block(
            part,
            (36, top, width - 36, top + height * 0.6 / rows - 14),
            (job.rng.randint(24, 52), 18),
            effect=job.rng.choice(FLAT[:3]),
        )


def mixed_title(job: Job) -> None:
    """Lay out a title whose first word is three to six times as large as the rest."""
    width, height = start(job)
    pool = [
        text
        for text in [*pools(job.half)["title"], *pools(job.half)["sign"]]
        if len(text.split()) >= 2 and len(text.split()[0]) <= 8
    ]
    part = job.take(pool, TITLES)
    first, _, rest = part.shown.partition(" ")
    if not rest or len(first) < 2:
        raise NoPlaceError("no first word")
    large = largest(part, first, width * 0.84, min(240, height * 0.3))
    small = max(17, round(large / job.rng.uniform(3, 6)))
    left, top = width * 0.08, height * job.rng.uniform(0.06, 0.3)
    effect = job.rng.choice(FLAT)
    one = Writing(rows=(first,), face=part.face, size=large, left=left, top=top, effect=effect)
    across = row_width(first, one)
    below = left + max(0.0, across - width_of(part, rest, small)) * job.rng.choice([0.0, 0.5, 1.0])
    two = Writing(rows=(rest,), face=part.face, size=small, left=below, top=top + large * 1.2, effect=effect)
    if job.rng.random() < 0.35:  # beside the first word instead of below it
        two = replace(two, left=left + across + small * 0.5, top=top + large * job.rng.uniform(0.3, 0.75))
    write_blocks(job, part, [one, two])
    job.block(job.take("row", PRINT), (30, height * 0.78, width - 30, height - 20), (34, 18))


def banner(job: Job) -> None:
    """Lay out very large letters that overlap or have depth."""
    width, height = start(job, (1.1, 1.8))
    zh = job.rng.random() < 0.3
    pool = (
        ["hans", "hant"][job.rng.randrange(2)]
        if zh
        else [word for text in pools(job.half)["sign"] for word in text.split() if len(word) >= 5]
    )
    # sizes of loose letters vary, by which similar ones are told apart
    part = job.take(pool, ("display", "sans"), [error for error in TYPOS if error != "similar"])
    tracking = job.rng.uniform(-0.12, -0.02)
    size = largest(part, part.shown, width * 0.88, height * 0.5)
    size = round(size * (1 - tracking))
    effect = job.rng.choice([Effect.SOLID, Effect.SOLID, Effect.OUTLINE])
    writing = Writing(
        rows=(part.shown,), face=part.face, size=size, left=width * 0.06, top=height * job.rng.uniform(0.05, 0.2),
        tracking=tracking, effect=effect, turn=job.rng.choice([0.0, 0.0, -4.0, 4.0]),
        loose=True,
    )  # fmt: skip
    job.put(part, writing)
    job.block(job.take("hans" if zh else "row", PRINT), (30, height * 0.76, width - 30, height - 16), (44, 20), rows=1)


def shadowed(job: Job) -> None:
    """Lay out titles with shadows, or printed twice beside themselves."""
    width, height = start(job)
    for k in range(2):
        zh = job.rng.random() < 0.35
        part = job.take("hans" if zh else "title", TITLES)
        effect = job.rng.choice([Effect.SHADOW, Effect.DOUBLED])
        top = height * (0.05 + 0.47 * k)
        job.block(part, (30, top, width - 30, top + height * 0.42), (job.rng.randint(60, 120), 40), effect=effect)


def neon(job: Job) -> None:
    """Lay out glowing letters on a dark wall. Tubes along outlines are for large Latin letters: ideographs drown."""
    width, height = start(job)
    for k in range(3):
        pool = job.rng.choice(["sign", "hans", "hant"])
        part = job.take(pool, ("sans", "brush", "hand", "display"))
        top = height * (0.06 + 0.31 * k)
        box = (50, top, width - 50, top + height * 0.26)
        tubes = part.shown.isascii() and job.rng.random() < 0.5
        if tubes:
            job.block(part, box, (job.rng.randint(60, 90), 50), rows=2, effect=Effect.TUBES)
        else:
            job.block(part, box, (job.rng.randint(44, 84), 32), rows=2, effect=Effect.NEON)


def embossed(job: Job) -> None:
    """Lay out letters that stand out of a plate of their own colour."""
    width, height = start(job)
    for k in range(2):
        pool = job.rng.choice(["sign", "hans", "title"])
        part = job.take(pool, ("display", "sans"))
        top = height * (0.08 + 0.46 * k)
        least = 50 if part.shown.isascii() else 72
        job.block(
            part,
            (60, top, width - 60, top + height * 0.36),
            (job.rng.randint(74, 110), least),
            effect=Effect.EMBOSSED,
            rows=2,
        )
