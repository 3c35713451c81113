"""Measure the embedded editing model: 200 random edits of four kinds by base, LoRAs and controls.

    python tools/tiny_edit/evaluate_edit.py --out FOLDER --model FOLDER --atlas checkpoints/atlas.npz [--count 200] [--scale 2.5] [--jobs 12]

Half of the inputs are drawn from the fonts, half by the embedded text-to-image model with its 8-step LoRA. An edit counts where the reader reads every
text of the input, and of the wanted output set from the fonts, without an error: what is wrong afterwards is the edit's. `FOLDER/inputs.zip` has the inputs, a zip each way its
images (WebP without loss), `edits.jsonl` a line an edit and way, `summary.json` the figures. What is there is not made again, so that inputs, images (`--until images`) and
readings may come from three machines.
"""

from __future__ import annotations

import argparse
import io
import json
import time
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import edit_paths
import numpy as np
import torch
from charset import charset
from data import FONTS, Glyphs
from distil import Adapter
from edit_data import EditBatches, Words, characters
from edit_models import TINY, build_edit_tokenizer, encode_map
from edit_sample import Sampler, Way, ways
from edit_tasks import Edit, Kind, Line, Tasks, cleaned
from image import Painter
from layout import LINE, columns, gap
from PIL import Image
from prompts import STYLE_WORDS, STYLES
from safetensors.torch import load_file
from scipy.stats import binomtest

from qiltest.arguments import existing_file, existing_folder
from qiltest.generation.schedule import LIGHTNING

SHAPES = ((256, 192), (384, 192), (512, 192), (512, 256))
#: inputs drawn for one that is wanted: the reader errs on some
SPARE = 2.2
#: edits drawn at once
AT_ONCE = 64
#: of an edit's outside, in blocks of 8 x 8 px: mean absolute difference (0 to 255) from which a block has changed, and the largest share that may
BLOCK, DIFFERENCE, SHARE = 8, 24.0, 0.02
#: pixels above and below the edited line that may change with it
BORDER = 8


Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Job:
    """An edit, its canvas, its input's source, and the seed."""

    number: int
    size: tuple[int, int]
    drawn: bool
    edit: Edit
    seed: int


class Texts:
    """The texts that edits are measured with: words, numbers, and common Chinese characters; none that a reader cannot tell."""

    def __init__(self, tasks: Tasks) -> None:
        self.tasks, self.rng = tasks, tasks.rng
        self.common = np.unique(tasks.writer.cjk, return_counts=True)
        self.cjk = self.common[0][self.common[1] > 1]

    def text(self, most: int) -> str:
        kind = self.rng.random()
        if kind < 0.4:
            # common shapes of characters alone: 一 is a dash to any reader
            n = int(self.rng.integers(2, min(8, most // 2) + 1))
            return "".join(c if c != "一" else "三" for c in self.rng.choice(self.cjk, n))
        n = int(self.rng.integers(4, min(18, most) + 1))
        if kind < 0.75:
            return cleaned(" ".join(self.tasks.writer.word() for _ in range(1 + n // 7))[:n])
        return "".join(self.rng.choice(list("0123456789"), n))

    def scene(self, width: int, height: int, *, room: bool, drawn: bool) -> tuple[Line, ...]:
        """Two to four lines below each other, as the text-to-image model writes them; `room` leaves two rows below the last.

        That model, where the image is to be `drawn` by it, writes no large Latin.
        """
        count, row = 2 + int(self.rng.integers(3)), 0
        lines: list[Line] = []
        for _ in range(count):
            text = self.text(columns(width))
            line = self.tasks.line(text, row, width)
            if drawn:
                line = replace(line, wide=self.tasks.chars.is_wide(text))
            after = row + LINE + gap(text, wide=line.wide)
            if text not in {other.text for other in lines} and row + LINE + (LINE if room else 0) <= height // 16:
                lines.append(line)
                row = after
        return tuple(lines)


def jobs(count: int, seed: int, first: int = 0) -> Iterator[Job]:
    """Endless kinds in turn, sources in turn; `count` of them."""
    rng = np.random.default_rng(seed)
    tasks = Tasks(rng, FONTS)
    texts = Texts(tasks)
    number = first
    while number < first + count:
        kind, drawn = Kind(number % 4), bool(number // 4 % 2)
        width, height = SHAPES[int(rng.integers(len(SHAPES)))]
        style, ground = int(rng.integers(4)), int(rng.integers(3))
        lines = texts.scene(width, height, room=kind is Kind.ADD, drawn=drawn)
        named = tasks.nameable(kind, lines, width, height // 16)
        if named is None:
            continue
        look = (style, ground, int(rng.choice(len(FONTS), p=FONTS)))
        new = texts.text(columns(width)) if kind in (Kind.REPLACE, Kind.ADD) else None
        edit = tasks.ask(kind, lines, named, width, look, new=new)
        if edit is None or len(edit.prompt) > 100 or (new is not None and new in {line.text for line in lines}):
            continue
        yield Job(number=number, size=(width, height), drawn=drawn, edit=edit, seed=1000 + number)
        number += 1


class Inputs:
    """Draws the inputs: from the fonts, or by the text-to-image model."""

    def __init__(self, atlas: Path, words: Words, device: str) -> None:
        self.batches = EditBatches(seed=0, words=words)
        self.painter = Painter(atlas, Glyphs(charset()), "cpu")
        self.device = device
        self.pipe: Any = None

    def draw(self, some: Sequence[Job]) -> list[Image.Image]:
        by_size: dict[tuple[int, int], list[Job]] = defaultdict(list)
        for job in some:
            if job.drawn:
                by_size[job.size].append(job)
        drawn = {
            job.number: image for own in by_size.values() for job, image in zip(own, self._by_model(own), strict=True)
        }
        return [drawn[job.number] if job.drawn else self.set(job, job.edit.before) for job in some]

    def set(self, job: Job, lines: Sequence[Line]) -> Image.Image:
        """The lines in the fonts."""
        edit, (width, height) = job.edit, job.size
        grid = np.zeros((height // 16, width // 16), np.int64)
        for line in lines:
            self.batches.draw(grid, line)
        looks = {"style": edit.style, "palette": edit.ground, "font": edit.font}
        image = self.painter({"grid": torch.from_numpy(grid)[None]} | {k: torch.tensor([v]) for k, v in looks.items()})
        return Image.fromarray(((image[0].clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).numpy())

    def _by_model(self, some: Sequence[Job]) -> list[Image.Image]:
        """Inputs of one size by the text-to-image model."""
        from diffusers import FlowMatchEulerDiscreteScheduler, QwenImagePipeline

        if self.pipe is None:
            self.pipe = QwenImagePipeline.from_pretrained(TINY, torch_dtype=torch.float32).to(self.device)
            self.pipe.set_progress_bar_config(disable=True)
            adapter = Adapter(self.pipe.transformer)
            adapter.take(load_file(TINY / "loras/8step.safetensors"))
            adapter.on()
            self.pipe.scheduler = FlowMatchEulerDiscreteScheduler.from_config(LIGHTNING)
        made: list[Image.Image] = []
        for first in range(0, len(some), 32):
            part = some[first : first + 32]
            width, height = part[0].size
            made += self.pipe(
                [_asked(job) for job in part], true_cfg_scale=1.0, num_inference_steps=8, width=width, height=height, max_sequence_length=1024,
                generator=[torch.Generator("cpu").manual_seed(job.seed) for job in part],
            ).images  # fmt: skip
        return made


def _asked(job: Job) -> str:
    """The text-to-image model's prompt for an input."""
    said = " and ".join(f"“{line.text}”" for line in job.edit.before)
    return (
        f"An image of {STYLE_WORDS[STYLES[job.edit.style]][0]} that says {said}, Ultra HD, 4K, cinematic composition."
    )


# -- reading, in processes of their own -----------------------------------------------------------------------------
_READER: Any = None


def _open() -> None:
    global _READER
    from qiltest.reading import open_reader

    _READER = open_reader("rapidocr:threads=1")


def read(png: bytes) -> Any:  # noqa: ANN401
    return _READER.read(png)


def as_png(image: Image.Image) -> bytes:
    data = io.BytesIO()
    image.save(data, "png")
    return data.getvalue()


def scored(reading: Any, lines: Sequence[Line]) -> tuple[list[int], list[int], int]:  # noqa: ANN401
    """Edits and characters of each line's text, and characters that appeared beside them."""
    from qiltest.scoring import EmptyReadingError, score
    from qiltest.suite.cases import ExpectedText

    if not lines:
        return [], [], 0
    try:
        found = score([ExpectedText(text=line.text) for line in lines], reading)
    except EmptyReadingError:
        lengths = [len(line.text.replace(" ", "")) for line in lines]
        return lengths, lengths, 0
    return [t.distance for t in found.texts], [t.length for t in found.texts], sum(len(e.text) for e in found.extra)


def exact(reading: Any, lines: Sequence[Line]) -> bool:  # noqa: ANN401
    """Whether the reader reads these lines and nothing else."""
    edits, _, extra = scored(reading, lines)
    return not any(edits) and not extra and (bool(lines) or not reading.lines)


def still_there(reading: Any, text: str) -> bool:  # noqa: ANN401
    """Whether a line still shows a removed text: at least half of it."""
    from rapidfuzz.fuzz import partial_ratio

    plain = text.replace(" ", "")
    return any(
        len(line.text) >= len(plain) / 2 and partial_ratio(plain, line.text.replace(" ", "")) >= 60
        for line in reading.lines
    )


def change_outside(before: Image.Image, after: Image.Image, row: int) -> float:
    """Share of blocks outside the edited line that changed."""
    first, last = max(0, row * 16 - BORDER), (row + LINE) * 16 + BORDER
    far = np.abs(np.asarray(before, np.float32) - np.asarray(after, np.float32)).mean(2)
    rows, cols = (n // BLOCK for n in far.shape)
    blocks = far.reshape(rows, BLOCK, cols, BLOCK).mean((1, 3))
    outside = np.ones(rows, bool)
    outside[first // BLOCK : -(-last // BLOCK)] = False
    return float((blocks[outside] > DIFFERENCE).mean()) if outside.any() else 0.0


def row_of(job: Job, way: str, before: Image.Image, after: Image.Image, reading: Any) -> Row:  # noqa: ANN401
    edit = job.edit
    edits, lengths, extra = scored(reading, edit.after)
    kept = [edits[i] for i in range(len(edit.after)) if i != edit.made]
    made = edit.made
    gone = edit.before[edit.named].text if edit.kind in (Kind.REPLACE, Kind.REMOVE) else None
    return {
        "way": way,
        "number": job.number,
        "kind": edit.kind.name.lower(),
        "drawn": job.drawn,
        "size": list(job.size),
        "prompt": edit.prompt,
        "before": [line.text for line in edit.before],
        "after": [line.text for line in edit.after],
        "made": made,
        "row": edit.row,
        "read": [line.text for line in reading.lines],
        "edits": 0 if made is None else edits[made],
        "characters": 0 if made is None else lengths[made],
        "kept": kept,
        "extra": extra,
        "still": gone is not None and still_there(reading, gone),
        "outside": round(change_outside(before, after, edit.row), 5),
    }


def summary(rows: Sequence[Row]) -> dict[str, Any]:
    """Figures by way: in per cent, and the exact tests of each control against its LoRA."""
    by_way: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_way[row["way"]].append(row)
    found: dict[str, Any] = {}
    for way, own in by_way.items():
        kept = [k for row in own for k in row["kept"]]
        found[way] = {
            "edits": len(own),
            "wanted wrong": _percent(sum(r["edits"] for r in own), sum(r["characters"] for r in own)),
            "by kind": {
                kind: _percent(
                    sum(r["edits"] for r in own if r["kind"] == kind),
                    sum(r["characters"] for r in own if r["kind"] == kind),
                )
                for kind in sorted({r["kind"] for r in own})
            },
            "kept exact": _percent(sum(k == 0 for k in kept), len(kept)),
            "edits with all kept exact": _percent(sum(not any(r["kept"]) for r in own), len(own)),
            "still there": sum(r["still"] for r in own),
            "outside within limit": _percent(sum(r["outside"] <= SHARE for r in own), len(own)),
        }
    for lora in ("4step", "8step"):
        control = f"{lora[0]} steps without LoRA"
        if lora in by_way and control in by_way:
            with_it = {r["number"]: r["edits"] for r in by_way[lora]}
            worse = sum(r["edits"] > with_it[r["number"]] for r in by_way[control])
            better = sum(r["edits"] < with_it[r["number"]] for r in by_way[control])
            p = binomtest(worse, worse + better, alternative="greater").pvalue if worse + better else 1.0
            found[control] |= {"worse": worse, "better": better, "p": float(p)}
    return found


def _percent(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 2) if whole else None


def chosen_inputs(args: argparse.Namespace, pool: ProcessPoolExecutor, words: Words) -> list[tuple[Job, Image.Image]]:
    """`args.count` edits, as many of each kind and source, whose inputs are read without an error."""
    inputs = Inputs(args.atlas, words, args.device)
    wanted = args.count // 8
    found: dict[tuple[Kind, bool], list[tuple[Job, Image.Image]]] = defaultdict(list)
    for first, some in blocks(args.count, args.seed):
        some = [job for job in some if len(found[job.edit.kind, job.drawn]) < wanted]
        drawn = list(zip(some, inputs.draw(some), strict=True))
        readings = pool.map(read, [as_png(image) for _, image in drawn])
        drawn = [pair for pair, reading in zip(drawn, readings, strict=True) if exact(reading, pair[0].edit.before)]
        readings = pool.map(read, [as_png(inputs.set(job, job.edit.after)) for job, _ in drawn])
        for (job, image), reading in zip(drawn, readings, strict=True):
            here = found[job.edit.kind, job.drawn]
            if exact(reading, job.edit.after) and len(here) < wanted:
                here.append((job, image))
        print(f"{sum(map(len, found.values()))} inputs of the edits before number {first + len(some)}", flush=True)
        if all(len(found[kind, drawn]) >= wanted for kind in Kind for drawn in (False, True)):
            break
    return sorted((pair for pairs in found.values() for pair in pairs), key=lambda pair: pair[0].number)


def blocks(count: int, seed: int) -> Iterator[tuple[int, list[Job]]]:
    """Edits to choose `count` from, some at a time, each with the number of its first."""
    size = max(8, int(count * SPARE))
    for first in range(0, 6 * count, size):
        yield first, list(jobs(size, seed + first, first))


def store_inputs(path: Path, args: argparse.Namespace, pairs: Sequence[tuple[Job, Image.Image]]) -> None:
    said = {"count": args.count, "seed": args.seed, "prompts": {job.number: job.edit.prompt for job, _ in pairs}}
    with stored(path) as archive:
        archive.writestr("inputs.json", json.dumps(said, ensure_ascii=False))
        for job, image in pairs:
            store(archive, job.number, image)


def stored_inputs(path: Path) -> list[tuple[Job, Image.Image]]:
    """The edits and inputs that `store_inputs` wrote; edits come again from their seed."""
    with zipfile.ZipFile(path) as archive:
        said = json.loads(archive.read("inputs.json"))
        prompts, found = {int(n): prompt for n, prompt in said["prompts"].items()}, []
        for _, some in blocks(said["count"], said["seed"]):
            for job in some:
                if job.number in prompts:
                    if prompts[job.number] != job.edit.prompt:
                        raise SystemExit(f"{path} was made by other code: edit {job.number} is now {job.edit.prompt!r}")
                    found.append((job, take(archive, job.number)))
            if len(found) == len(prompts):
                break
    return found


@contextmanager
def stored(path: Path) -> Iterator[zipfile.ZipFile]:
    """A new archive that is there when it is whole."""
    new = path.with_suffix(".tmp")
    with zipfile.ZipFile(new, "w", zipfile.ZIP_STORED) as archive:
        yield archive
    new.replace(path)


def store(archive: zipfile.ZipFile, number: int, image: Image.Image) -> None:
    data = io.BytesIO()
    image.save(data, "webp", lossless=True, method=1)
    archive.writestr(f"{number:03}.webp", data.getvalue())


def take(archive: zipfile.ZipFile, number: int) -> Image.Image:
    with archive.open(f"{number:03}.webp") as data:
        return Image.open(data).convert("RGB")


def archive_of(args: argparse.Namespace, way: str) -> Path:
    return args.out / f"{way.replace(' ', '-')}.zip"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--model", type=existing_folder, default=str(edit_paths.ROOT / "src/qiltest/generation/tiny_edit")
    )
    parser.add_argument("--atlas", type=existing_file, help="where inputs are still to be made")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--scale", type=float, default=2.5, help="guidance of the base")
    parser.add_argument("--jobs", type=int, default=12, help="processes that read")
    parser.add_argument("--ways", help="some ways alone, separated by semicolons")
    parser.add_argument("--until", choices=["inputs", "images", "readings"], default="readings")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    began = time.monotonic()

    def say(*words: object) -> None:
        print(f"{time.monotonic() - began:.0f} s:", *words, flush=True)

    inputs = args.out / "inputs.zip"
    if not inputs.exists() and args.atlas is None:
        parser.error(
            f"no inputs in {inputs}, and no --atlas to make them\n  -> give --atlas, which tools/tiny_model/glyphs.py writes"
        )
    args.out.mkdir(parents=True, exist_ok=True)
    if not inputs.exists():
        with readers(args.jobs) as pool:
            words = Words(*encode_map(build_edit_tokenizer(), characters()))
            store_inputs(inputs, args, chosen_inputs(args, pool, words))
    pairs = stored_inputs(inputs)
    say(len(pairs), "inputs")
    chosen = [w for w in ways(args.scale) if not args.ways or w in args.ways.split(";")]
    if args.until == "inputs":
        return
    sampler = Sampler(args.model, args.device)
    for way in chosen:
        if not archive_of(args, way).exists() and (way in sampler.loras or "step" not in way or " " in way):
            draw(archive_of(args, way), ways(args.scale)[way], sampler, pairs)
            say("drawn:", way)
    if args.until == "images":
        return
    path, rows = args.out / "edits.jsonl", []
    if path.exists():
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    with readers(args.jobs) as pool:
        for way in chosen:
            if archive_of(args, way).exists() and way not in {row["way"] for row in rows}:
                rows += rows_of(way, archive_of(args, way), pairs, pool)
                path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
                (args.out / "summary.json").write_text(json.dumps(summary(rows), indent=1) + "\n", "utf-8")
                say(way, json.dumps(summary(rows)[way]))
    print(json.dumps(summary(rows), indent=1))


def readers(count: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=_open)


def draw(path: Path, way: Way, sampler: Sampler, pairs: Sequence[tuple[Job, Image.Image]]) -> None:
    """Draw all edits in one way into an archive."""
    by_size: dict[tuple[int, int], list[tuple[Job, Image.Image]]] = defaultdict(list)
    for job, image in pairs:
        by_size[job.size].append((job, image))
    with stored(path) as archive:
        for every in by_size.values():
            for first in range(0, len(every), AT_ONCE):
                own = every[first : first + AT_ONCE]
                made = sampler.draw([i for _, i in own], [j.edit.prompt for j, _ in own], [j.seed for j, _ in own], way)
                for (job, _), image in zip(own, made, strict=True):
                    store(archive, job.number, image)


def rows_of(way: str, path: Path, pairs: Sequence[tuple[Job, Image.Image]], pool: ProcessPoolExecutor) -> list[Row]:
    with zipfile.ZipFile(path) as archive:
        drawn = [take(archive, job.number) for job, _ in pairs]
    readings = pool.map(read, [as_png(image) for image in drawn])
    return [
        row_of(job, way, image, after, reading)
        for (job, image), after, reading in zip(pairs, drawn, readings, strict=True)
    ]


if __name__ == "__main__":
    main()
