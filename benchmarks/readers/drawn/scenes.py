"""Layouts as scenes show them: boards, columns, paragraphs, bubbles, streets."""

from __future__ import annotations

from drawn.effects import Effect
from drawn.job import ANY, Job, NoPlaceError
from drawn.page import Writing
from drawn.place import HAND, PRINT, SIDES, start
from drawn.texts import TYPOS, case_pools, number, pools


def chalk(job: Job) -> None:
    """Lay out chalk on a dark board."""
    board = job.rng.choice([(34, 50, 44), (28, 30, 34), (24, 44, 38)])
    job.plain(job.rng.choice(SIDES), job.rng.choice(SIDES), board)
    width, height = job.page.size
    ink = job.rng.choice([(232, 232, 224), (240, 220, 130), (190, 220, 240)])
    pool = job.rng.choice([["sentence", "item", "number"], ["hans", "rows_zh", "number"], ["title", "row", "sign"]])
    for k, name in enumerate(pool):
        part = job.use(number(job.half, job.rng), HAND) if name == "number" else job.take(name, HAND)
        top = height * (0.05 + 0.31 * k)
        job.block(
            part,
            (40, top, width - 40, top + height * 0.27),
            (job.rng.randint(36, 70), 26),
            effect=Effect.CHALK,
            ink=ink,
        )


def perspective(job: Job) -> None:
    """Lay out signs seen from the side; the whole image is turned afterwards."""
    width, height = start(job)
    for k in range(3):
        pool = job.rng.choice(["sign", "hans", "hant", "row"])
        part = job.take(pool, PRINT)
        top = height * (0.2 + 0.21 * k)
        job.block(part, (width * 0.2, top, width * 0.8, top + height * 0.17), (job.rng.randint(34, 64), 24), rows=1)


def columns(job: Job) -> None:
    """Lay out columns, from the right or with a row above."""
    width, height = start(job, (0.7, 1.1))
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
    """Lay out one wrapped paragraph and a heading."""
    width, height = start(job)
    zh = job.rng.random() < 0.4
    job.block(job.take("hans" if zh else "title", PRINT), (40, 20, width - 40, height * 0.2), (60, 30), rows=1)
    part = job.take("paragraph_zh" if zh else "paragraph", ("sans", "serif", "hand"))
    job.block(part, (40, height * 0.26, width - 40, height - 20), (job.rng.randint(17, 38), 15), align="left")


def whiteboard(job: Job) -> None:
    """Lay out handwriting in several paragraphs on a board."""
    job.plain(
        job.rng.choice(SIDES),
        job.rng.choice(SIDES),
        job.rng.choice([(246, 248, 248), (228, 236, 236), (250, 246, 236)]),
    )
    width, height = job.page.size
    ink = job.rng.choice([(20, 30, 90), (20, 20, 24), (150, 20, 30), (10, 90, 50)])
    zh = job.rng.random() < 0.4
    plan = ["hans", "paragraph_zh", "rows_zh"] if zh else ["title", "sentence", "row"]
    for name, low, high in zip(plan, (0.04, 0.24, 0.74), (0.2, 0.68, 0.94), strict=True):
        part = job.take(name, HAND)
        job.block(
            part, (40, height * low, width - 40, height * high), (job.rng.randint(32, 60), 20), align="left", ink=ink
        )


def comic(job: Job) -> None:
    """Lay out speech in bubbles."""
    width, height = start(job)
    zh = job.rng.random() < 0.45
    cells = [(0.04, 0.05, 0.52, 0.34), (0.5, 0.36, 0.96, 0.64), (0.06, 0.67, 0.56, 0.95)]
    for left, top, right, bottom in cells[: job.rng.randint(2, 3)]:
        part = job.take("speech_zh" if zh else "speech", ("hand", "sans"))
        box = (width * left, height * top, width * right, height * bottom)
        job.page.panel(
            (round(box[0]), round(box[1]), round(box[2]), round(box[3])),
            (252, 252, 250),
            border=(10, 10, 10),
            radius=60,
        )
        inner = (box[0] + 34, box[1] + 22, box[2] - 34, box[3] - 22)
        job.block(part, inner, (job.rng.randint(26, 44), 17), align="centre", ink=(14, 14, 16))


def street(job: Job) -> None:
    """Lay out eight to twelve signs, English and traditional Chinese, on boards of their own."""
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
    """Lay out all texts of one of the suite's cases."""
    width, height = start(job)
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
            job.block(
                part,
                (left, top + 6, left + (width - 24) / across - 24, bottom - 10),
                (job.rng.randint(36, 70), 18),
                effect=effect,
            )
        top = bottom
