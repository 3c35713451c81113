"""Draw one image, or the whole set, from a seed.

    python benchmarks/readers/drawn/make.py FOLDER [--half train] [--fonts /usr/share/fonts] [--jobs 2]

Writes the images (JPEG) and `manifest.json`: for each image its kind, half, size, background, the texts
with what was expected and what was drawn, the boxes of their rows, and text drawn beside them. The same seed, fonts and
version of Pillow give the same images.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from rapidfuzz.distance import Levenshtein

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from drawn.faces import FONTS, Face, FacesMissingError, load_faces
from drawn.job import Job, NoPlaceError, Placed
from drawn.kinds import KINDS
from drawn.page import Box
from qiltest.arguments import existing_folder
from qiltest.files import write_atomically
from qiltest.text.normalise import normalise

ROOT = Path(__file__).resolve().parents[3]
HALVES = ("train", "test")
#: Images of each kind in a half; every second one has an error.
PER_KIND = 18
#: lots after which a kind is taken to be impossible with the fonts at hand.
LOTS = 200
SEED = 20


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Which image is asked for."""

    half: str
    kind: str
    index: int
    seed: int = SEED

    @property
    def file(self) -> str:
        """Name of the image's file."""
        return f"{self.half}_{self.kind.replace(' ', '-')}_{self.index:02d}.jpg"


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """An image and what is known of it."""

    asked: Asked
    data: bytes
    record: dict[str, Any]


def asked_for(halves: Sequence[str], per_kind: int = PER_KIND, seed: int = SEED) -> Iterator[Asked]:
    """Yield the images of a set, one of each kind after the other, so that the first hundred are of all kinds."""
    for index in range(per_kind):
        for half in halves:
            yield from (Asked(half=half, kind=kind, index=index, seed=seed) for kind in KINDS)


def draw(asked: Asked, *, faces: Sequence[Face], images: Path) -> Drawn:
    """Draw one image with some faces, over parts of the images of a folder. Raises NoPlaceError where none fits."""
    kind = KINDS[asked.kind]
    for lot in range(LOTS):
        rng = random.Random(f"{asked.seed} {asked.half} {asked.kind} {asked.index} {lot}")
        error_at = rng.randrange(kind.texts) if asked.index % 2 else None
        job = Job(half=asked.half, faces=faces, images=images, rng=rng, error_at=error_at)
        try:
            kind.lay_out(job)
        except NoPlaceError:
            continue
        image, boxes = _turned(job) if asked.kind == "perspective" else (job.page.image, [p.boxes for p in job.placed])
        data = _encoded(image, rng)
        return Drawn(asked=asked, data=data, record=_record(asked, job, image.size, boxes))
    raise NoPlaceError(f"{asked}: no layout in {LOTS} lots")


def _encoded(image: Image.Image, rng: random.Random) -> bytes:
    """Make the image a little soft and noisy, as decoders of latents and JPEG do."""
    image = image.filter(ImageFilter.GaussianBlur(rng.choice([0.0, 0.4, 0.7])))
    noise = np.random.default_rng(rng.randrange(1 << 30)).normal(0, rng.choice([0.0, 1.5, 4.0]), (*image.size[::-1], 1))
    pixels = np.clip(np.asarray(image, dtype=np.float64) + noise, 0, 255).astype(np.uint8)
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "JPEG", quality=rng.choice([95, 92, 86]), subsampling=0)
    return data.getvalue()


def _turned(job: Job) -> tuple[Image.Image, list[tuple[Box, ...]]]:
    """See the page from the side: its corners move inwards by up to a sixth. Texts stand clear of the borders."""
    width, height = job.page.size
    reach = [job.rng.uniform(0.0, 0.17) for _ in range(8)]
    corners = [
        (reach[0] * width, reach[1] * height),
        (width - reach[2] * width, reach[3] * height),
        (width - reach[4] * width, height - reach[5] * height),
        (reach[6] * width, height - reach[7] * height),
    ]
    target = [(0.0, 0.0), (float(width), 0.0), (float(width), float(height)), (0.0, float(height))]
    from_target = _homography(target, corners)
    image = job.page.image.transform(
        (width, height), Image.Transform.PERSPECTIVE, tuple(from_target.ravel()[:8]), Image.Resampling.BICUBIC
    )
    to_target = np.asarray(np.linalg.inv(from_target), dtype=np.float64)
    return image, [tuple(_moved(box, to_target) for box in placed.boxes) for placed in job.placed]


def _homography(source: Sequence[tuple[float, float]], target: Sequence[tuple[float, float]]) -> NDArray[np.float64]:
    rows, values = [], []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    return np.append(np.linalg.solve(np.array(rows, dtype=np.float64), np.array(values)), 1.0).reshape(3, 3)


def _moved(box: Box, matrix: NDArray[np.float64]) -> Box:
    corners = np.array([[box[0], box[1], 1], [box[2], box[1], 1], [box[2], box[3], 1], [box[0], box[3], 1]]) @ matrix.T
    points = corners[:, :2] / corners[:, 2:]
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    return int(left), int(top), int(np.ceil(right)), int(np.ceil(bottom))


def _record(asked: Asked, job: Job, size: tuple[int, int], boxes: Sequence[Sequence[Box]]) -> dict[str, Any]:
    texts = [_text(placed, own) for placed, own in zip(job.placed, boxes, strict=True)]
    return {
        "file": asked.file,
        "kind": asked.kind,
        "half": asked.half,
        "width": size[0],
        "height": size[1],
        "background": job.source,
        "texts": texts,
        "beside": job.beside,
        "expected_text": [text["expected"] for text in texts],
        "shown_text": [text["shown"] for text in texts],
        "char_edit_distance": [text["distance"] for text in texts],
    }


def _text(placed: Placed, boxes: Sequence[Box]) -> dict[str, Any]:
    part = placed.part
    return {
        "expected": part.expected,
        "shown": part.shown,
        "error": part.error,
        "distance": Levenshtein.distance(normalise(part.expected), normalise(part.shown)),
        "font": part.face.name,
        "size": placed.size,
        "effect": placed.effect.value,
        "rows": list(placed.rows),
        "boxes": [list(box) for box in boxes],
    }


def _write(asked: Asked, folder: Path, fonts: Path, images: Path) -> dict[str, Any]:
    drawn = draw(asked, faces=load_faces(asked.half, fonts), images=images)
    write_atomically(folder / asked.file, drawn.data)
    return drawn.record


def make(folder: Path, wanted: Sequence[Asked], *, fonts: Path, images: Path, jobs: int) -> list[dict[str, Any]]:
    """Write the images asked for and the manifest; returns what the manifest says of each."""
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(jobs) as pool:
        done = [pool.submit(_write, asked, folder, fonts, images) for asked in wanted]
        records = [each.result() for each in done]
    listing = {"seed": wanted[0].seed, "images": records}
    write_atomically(folder / "manifest.json", (json.dumps(listing, ensure_ascii=False, indent=1) + "\n").encode())
    return records


def main() -> int:
    """Draw a set into a folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--half", choices=HALVES, action="append", help="default: both")
    parser.add_argument("--fonts", type=existing_folder, default=str(FONTS), help="where the packages' fonts are")
    parser.add_argument(
        "--images",
        type=existing_folder,
        default=str(ROOT.parent / "shared" / "real-images"),
        help="a folder that backgrounds are cut from",
    )
    parser.add_argument("--per-kind", type=int, default=PER_KIND)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()
    wanted = list(asked_for(args.half or HALVES, args.per_kind, args.seed))
    try:
        records = make(args.folder, wanted, fonts=args.fonts, images=args.images, jobs=args.jobs)
    except FacesMissingError as error:
        sys.exit(str(error))
    print(
        f"{len(records)} images, {sum(any(r['char_edit_distance']) for r in records)} with an error, in {args.folder}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
