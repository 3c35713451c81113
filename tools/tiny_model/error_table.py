"""The embedded model's table: character error rates over the report's texts and over random strings.

    python tools/tiny_model/error_table.py --out FOLDER [--model FOLDER] [--strings 50] [--seeds 4] [--part 0/2] [--groups report]
    python tools/tiny_model/error_table.py --out FOLDER --perfect ATLAS       # the VAE's and the reader's own error
    python tools/tiny_model/error_table.py --out FOLDER --show

Draws every prompt by seven ways with an unchanged `QwenImagePipeline`: the base, both LoRAs, and the controls (the base
at 8 and 4 steps without guidance; the LoRAs under the base's scheduler). Readings are kept in `FOLDER/<way>.jsonl`, one line an image,
so that the same command goes on where it stopped and parts can run side by side. `--perfect` reads the images that the training
data would show instead, as they are and through the VAE: what is wrong there is the reader's, and the VAE's.
"""

from __future__ import annotations

import argparse
import io
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from charset import ROOT, charset
from data import PALETTES, Batches, encode_map
from diffusers import FlowMatchEulerDiscreteScheduler, QwenImagePipeline
from image import Painter
from layout import place, spans
from PIL import Image
from prompts import LONGEST, STYLE_WORDS, Sample, Writer, style_of
from scipy.stats import bootstrap

from qiltest.arguments import existing_file, existing_folder
from qiltest.generation.schedule import LIGHTNING, QWEN_IMAGE
from qiltest.reading import Reader, open_reader
from qiltest.scoring import EmptyReadingError, score, score_case
from qiltest.suite.cases import Case, ExpectedText
from qiltest.suite.load import load_suite

SUFFIX = ", Ultra HD, 4K, cinematic composition."
#: steps, CFG, scheduler, LoRA
WAYS = {
    "base": (50, 4.0, QWEN_IMAGE, None),
    "8step": (8, 1.0, LIGHTNING, "8step"),
    "4step": (4, 1.0, LIGHTNING, "4step"),
    "base, 8 steps, CFG 1": (8, 1.0, LIGHTNING, None),
    "base, 4 steps, CFG 1": (4, 1.0, LIGHTNING, None),
    "8step, base scheduler": (8, 1.0, QWEN_IMAGE, "8step"),
    "4step, base scheduler": (4, 1.0, QWEN_IMAGE, "4step"),
}
#: training images in the model's place: as they are, and through the VAE
PERFECT, DECODED = "perfect images", "perfect images, through the VAE"
KINDS = ("digits", "English", "simplified", "traditional")
#: frequent characters whose form is simplified or traditional alone
SIMPLIFIED = "国来时为个这们说对会过发经学动还进种现关开问话间长头样实见两应战机电业书门车东马语气给让记认识与处办"
TRADITIONAL = "國來時為個這們說對會過發經學動還進種現關開問話間長頭樣實見兩應戰機電業書門車東馬語氣給讓記認識與處辦"
#: random strings of one kind that an image holds, on lines of their own, and the images' sizes
TOGETHER = 4
SIZES = ((320, 192), (384, 192), (448, 192), (512, 192))


@dataclass(frozen=True)
class Job:
    """An image: of a case (`name` is its id), or of the random strings `texts`."""

    group: str
    name: str
    prompt: str
    size: tuple[int, int]
    seed: int
    texts: tuple[str, ...] = ()


def strings(count: int) -> Iterator[tuple[str, str]]:
    """`count` random strings of each kind, always the same ones."""
    rng = np.random.default_rng(1)
    writer = Writer(rng)
    known = set(writer.chars.wide)
    for kind in KINDS:
        for _ in range(count):
            n = int(rng.integers(4, 17))
            if kind == "digits":
                yield kind, "".join(rng.choice(list("0123456789"), n))
            elif kind == "English":
                yield kind, " ".join(writer.word() for _ in range(1 + n // 6))[:28].strip()
            else:
                own = [c for c in (SIMPLIFIED if kind == "simplified" else TRADITIONAL) if c in known]
                # half of a text's characters show the script, the others are any that the model writes
                text = rng.choice(writer.cjk, n // 2 + 2)
                mine = rng.random(len(text)) < 0.5
                text[mine] = rng.choice(own, int(mine.sum()))
                yield kind, "".join(text)


def jobs(count: int, seeds: int) -> list[Job]:
    rng = np.random.default_rng(2)
    found = []
    for case in load_suite(ROOT / "cases").cases:
        for resolution in case.resolutions:
            size = (resolution.tiny.width, resolution.tiny.height)
            found += [Job("report", case.id, case.prompt + SUFFIX, size, 42 + s) for s in range(seeds)]
    words = [w for ws in STYLE_WORDS.values() for w in ws if w.isascii()]
    made = list(strings(count))
    for kind in KINDS:
        own = [text for k, text in made if k == kind]
        for first in range(0, len(own), TOGETHER):
            texts = tuple(own[first : first + TOGETHER])
            style, size = words[int(rng.integers(len(words)))], SIZES[int(rng.integers(len(SIZES)))]
            opening, closing = (("“", "”"), ("‘", "’"), ('"', '"'))[int(rng.integers(3))]
            said = " and ".join(f"{opening}{text}{closing}" for text in texts)
            prompt = f"An image of {style} that says {said}" + SUFFIX
            found += [Job(kind, texts[0], prompt, size, 42 + s, texts) for s in range(seeds)]
    return found


def fits(job: Job) -> bool:
    """Whether the layout rule has room for all texts."""
    chars = charset()
    kinds = [(t, chars.is_wide(t), s.mode) for s in spans(job.prompt) for t in [job.prompt[s.start : s.stop]]]
    return max(r for cells in place(kinds, job.size[0]) for r, _ in cells) + 2 <= job.size[1] // 16


class Model:
    """The exported model with both LoRAs."""

    def __init__(self, folder: Path) -> None:
        self.pipe = QwenImagePipeline.from_pretrained(folder, dtype=torch.float32)
        self.pipe.set_progress_bar_config(disable=True)
        for name in ("8step", "4step"):
            self.pipe.load_lora_weights(
                str(folder / "loras"), weight_name=f"{name}.safetensors", adapter_name=name, use_safetensors=True
            )

    def draw(self, job: Job, way: str) -> Image.Image:
        return self._run(job, way, "pil")[0]

    def latents(self, job: Job, way: str) -> torch.Tensor:
        """What is decoded, [tokens, 64], in the transformer's scale."""
        return self._run(job, way, "latent")[0]

    @torch.inference_mode()
    def _run(self, job: Job, way: str, output: str) -> Any:  # noqa: ANN401  images or latents, as `output` asks
        steps, scale, scheduler, lora = WAYS[way]
        self.pipe.scheduler = FlowMatchEulerDiscreteScheduler.from_config(scheduler)
        if lora:
            self.pipe.enable_lora()
            self.pipe.set_adapters(lora)
        else:
            self.pipe.disable_lora()
        return self.pipe(
            job.prompt,
            negative_prompt=" " if scale > 1 else None,
            true_cfg_scale=scale,
            num_inference_steps=steps,
            width=job.size[0],
            height=job.size[1],
            max_sequence_length=1024,
            generator=torch.Generator("cpu").manual_seed(job.seed),
            output_type=output,
        ).images


class Typesetter:
    """Sets a job's texts as the training data do, and paints them."""

    def __init__(self, tokenizer: object, atlas: Path) -> None:
        prefix, suffix, ids = encode_map(tokenizer)
        self.data = Batches(seed=0, late=torch.ones(1), prefix=prefix, suffix=suffix, ids=ids)
        self.painter = Painter(atlas, self.data.glyphs, "cpu")

    def set(self, job: Job, rng: np.random.Generator | _Right) -> dict[str, torch.Tensor]:
        """What `Batches.fill` writes, and the style, of a batch of one image; `rng` chooses the lines' places."""
        width, height = job.size
        prompt = job.prompt[:LONGEST]
        sample = Sample(prompt, [(s, prompt[s.start : s.stop]) for s in spans(prompt)])
        out = self.data.blank(1, len(prompt) + len(self.data.suffix), height // 16, width // 16)
        self.data.fill(sample, cast(np.random.Generator, rng), {k: v[0] for k, v in out.items()}, width)
        return {k: torch.from_numpy(v) for k, v in out.items()} | {"style": torch.tensor([style_of(prompt)])}


class Perfect:
    """Training images of the same prompts."""

    def __init__(self, folder: Path, atlas: Path) -> None:
        self.pipe = QwenImagePipeline.from_pretrained(folder, dtype=torch.float32)
        self.typesetter = Typesetter(self.pipe.tokenizer, atlas)

    @torch.inference_mode()
    def draw(self, job: Job, way: str) -> Image.Image:
        rng = np.random.default_rng(job.seed)
        batch = self.typesetter.set(job, _Right(rng))
        batch |= {"font": torch.tensor([0]), "palette": torch.tensor([int(rng.integers(PALETTES))])}
        image = self.typesetter.painter(batch)
        if way == DECODED:
            z = self.pipe.vae.encode(image[:, :, None]).latent_dist.mode()
            image = self.pipe.vae.decode(z, return_dict=False)[0][:, :, 0]
        return Image.fromarray(((image[0].clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).numpy())


class _Right:
    """Stands in for the random generator of `Batches.fill`: places as it does, and never a wrong character."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def integers(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high))

    def random(self) -> float:
        return 1.0


def read(image: Image.Image, job: Job, reader: Reader, cases: dict[str, Case]) -> tuple[int, int]:
    """Edits and expected characters."""
    data = io.BytesIO()
    image.save(data, "png")
    expected = cases[job.name].texts if job.group == "report" else tuple(ExpectedText(text=t) for t in job.texts)
    characters = sum(len(t.text.replace(" ", "")) for t in expected if t.required)
    try:
        reading = reader.read(data.getvalue())
        found = score_case(cases[job.name], reading) if job.group == "report" else score(expected, reading)
    except EmptyReadingError:
        return characters, characters
    return found.distance, characters


def run(args: argparse.Namespace) -> None:
    model = Perfect(args.model, args.perfect) if args.perfect else Model(args.model)
    ways = [w for w in ([PERFECT, DECODED] if args.perfect else WAYS) if not args.ways or w in args.ways.split(";")]
    cases = {c.id: c for c in load_suite(ROOT / "cases").cases}
    reader = open_reader(args.reader)
    part, parts = map(int, args.part.split("/"))
    todo = [j for j in jobs(args.strings, args.seeds) if not args.groups or j.group in args.groups.split(",")][
        part::parts
    ]
    too_small = {job.name for job in todo if not fits(job)}
    if too_small:
        print("does not fit at its size, left out:", ", ".join(sorted(too_small)))
        todo = [job for job in todo if job.name not in too_small]
    began = time.monotonic()
    for way in ways:
        path = args.out / f"{way.replace(', ', '-').replace(' ', '-')}.{part}.jsonl"
        kept = path.read_text("utf-8").splitlines() if path.exists() else []
        done = {tuple(json.loads(line)["job"]) for line in kept}
        with path.open("a", encoding="utf-8") as out:
            for job in todo:
                key = (job.group, job.name, *job.size, job.seed)
                if key in done:
                    continue
                image = model.draw(job, way)
                if args.images:
                    (args.out / "images").mkdir(exist_ok=True)
                    image.save(args.out / "images" / f"{way} {job.group} {job.name[:20]} {job.size} {job.seed}.png")
                edits, characters = read(image, job, reader, cases)
                row = {"way": way, "group": job.group, "job": key, "edits": edits, "characters": characters}
                out.write(json.dumps(row, ensure_ascii=False) + "\n")
                out.flush()
        print(f"{time.monotonic() - began:.0f} s: {way} done", flush=True)


def kept_rows(folder: Path) -> Iterator[dict[str, Any]]:
    """What was written to the folder's files so far, an image each."""
    for path in sorted(folder.glob("*.jsonl")):
        yield from map(json.loads, path.read_text("utf-8").splitlines())


def show(folder: Path) -> str:
    """Character error rates in per cent with 95 % bootstrap intervals over images, as a Markdown table."""
    rows = defaultdict(list)
    for row in kept_rows(folder):
        rows[row["way"], row["group"]].append((row["edits"], row["characters"]))
    ways, groups = [w for w in [*WAYS, DECODED, PERFECT] if any(k[0] == w for k in rows)], ("report", *KINDS)
    lines = ["| way | " + " | ".join(groups) + " |", "|---" * (1 + len(groups)) + "|"]
    for way in ways:
        cells = []
        for group in groups:
            found = np.array(rows.get((way, group), []), float)
            cells.append(_cell(found) if len(found) else "")
        lines.append(f"| {way} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(found: np.ndarray) -> str:
    edits, characters = found.T
    rate = 100 * edits.sum() / characters.sum()
    if len(found) < 3 or not edits.any():
        return f"{rate:.2f} ({len(found)} images)"
    spread = bootstrap(
        (edits, characters),
        lambda e, c, axis: 100 * e.sum(axis) / c.sum(axis),
        paired=True,
        vectorized=True,
        method="percentile",
        rng=np.random.default_rng(0),
        n_resamples=2000,
    ).confidence_interval
    return f"{rate:.2f} [{spread.low:.2f}, {spread.high:.2f}] ({len(found)} images)"


def drawing_parser(description: str | None, *, seeds: int) -> argparse.ArgumentParser:
    """The arguments of every command that draws jobs by ways into a folder."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", type=existing_folder, default=str(ROOT / "src/qiltest/generation/tiny"))
    parser.add_argument("--seeds", type=int, default=seeds)
    parser.add_argument("--part", default="0/1", help="this process's share of the images, as in 0/2 and 1/2")
    parser.add_argument("--show", action="store_true", help="show what there is so far, draw nothing")
    return parser


def main() -> None:
    parser = drawing_parser(__doc__, seeds=4)
    parser.add_argument("--strings", type=int, default=50, help="random strings of each of the four kinds")
    parser.add_argument("--ways", help="some ways alone, separated by semicolons")
    parser.add_argument("--groups", help="some groups alone, as in report,digits")
    parser.add_argument("--reader", default="rapidocr:threads=1")
    parser.add_argument("--perfect", type=existing_file, metavar="ATLAS")
    parser.add_argument("--images", action="store_true", help="keep the images, to look at")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    # two threads that share their cores with anything else wait for each other more than they work
    torch.set_num_threads(1)
    if not args.show:
        run(args)
    print(show(args.out))


if __name__ == "__main__":
    main()
