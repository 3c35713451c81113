"""Every measurement of the suite on a GPU, in one go.

    python benchmarks/gpu_suite.py --out RESULTS [--stages a,b] [--budget SECONDS] [--quick] [--dry-run]

Full-size Qwen-Image and its text encoder with random weights, LoRA files of random values in the Lightning format at
full size (rank 64), and the embedded model. Nothing is downloaded. `--dry-run` takes the same way on the CPU with a
small stand-in. Results are written after each stage to `RESULTS/gpu_suite.json`, so that a stage that fails or a
session that is killed loses no other; a stage that no longer fits the budget is left out and says so, and latencies
that were measured when the budget ended are kept, marked `cut_short`. `--quick` times one loop of 8 steps and two of 4
after the warm-up, where two and three are timed otherwise (those differed by under 1 % but at 704x1280).

Where a machine has several GPUs, each takes a process with stages of its own (`CUDA_VISIBLE_DEVICES`, and `taskset` so
that neither's reading takes the other's cores); `release_check` belongs after `suite_wall` in one process, and
`gpu_table.py --merge` puts the results together.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import gpu_parts as parts
from qiltest.engine.environment import gpu_state, versions
from qiltest.files import write_atomically
from qiltest.generation.random.operations import forward_operations, image_tokens
from qiltest.recipe import Recipe, Size
from vendor_way import embedded, scheduler_of, vendor_way

GIB = 1 << 30


@dataclass
class Lab:
    """What the stages share."""

    scale: parts.Scale
    scratch: Path
    #: fewer timed loops.
    quick: bool = False
    #: bf16 matrix rate, operations a second, measured here; 0 until then.
    matrix_rate: float = 0.0
    latencies: list[dict[str, Any]] = field(default_factory=list)
    _generators: dict[str, Any] = field(default_factory=dict)

    def generator(self, way: str = "unfused") -> Any:  # noqa: ANN401
        """Return the random model, fused or compiled where asked; one is on the device at a time."""
        if way not in self._generators:
            self.let_go()
            options: dict[str, Any] = (
                {} if way == "unfused" else {"fuse": True} if way == "fused" else {"compiled": True}
            )
            self._generators[way] = parts.generator_of(self.scale, **options)
        return self._generators[way]

    def let_go(self) -> None:
        """Free the device."""
        for generator in self._generators.values():
            generator.close()
        self._generators.clear()
        gc.collect()
        if not self.scale.dry:
            import torch

            torch.cuda.empty_cache()

    @cached_property
    def loras(self) -> dict[str, Path]:
        """LoRA files in the Lightning format."""
        return {
            name: parts.write_lora(self.scratch / "loras" / f"{name}.safetensors", self.scale, seed=seed)
            for seed, name in enumerate(("8step", "4step"), start=1)
        }

    def recipe(self, variant: str, size: Size, *, way: str = "unfused", steps: int | None = None) -> Recipe:
        """Return the recipe of the short prompt."""
        chosen = parts.variants_with(self.loras)[variant]
        if steps is not None:
            chosen = replace(chosen, steps=steps)
        return self.generator(way).recipe(parts.case_of("pi-number"), size, chosen, 42)

    def wait(self) -> None:
        """Wait for the device."""
        if not self.scale.dry:
            import torch

            torch.cuda.synchronize()


def machine(lab: Lab) -> dict[str, Any]:
    """Device, driver, versions, and the matrix rate: ten products of 8192 x 8192 bf16 matrices after three more."""
    import torch

    side, dtype = (256, torch.float32) if lab.scale.dry else (8192, torch.bfloat16)
    one, other = (torch.randn(side, side, device=lab.scale.device, dtype=dtype) for _ in range(2))
    for _ in range(3):
        one @ other
    lab.wait()
    begin = time.perf_counter()
    for _ in range(10):
        one @ other
    lab.wait()
    lab.matrix_rate = 10 * 2 * side**3 / (time.perf_counter() - begin)
    return {
        "device": platform.processor() if lab.scale.dry else torch.cuda.get_device_name(),
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)),
        "cuda": torch.version.cuda,
        "versions": dict(versions()),
        "state": [asdict(state) for state in gpu_state()],
        "matrix_side": side,
        "matrix_tera_operations_a_second": lab.matrix_rate / 1e12,
        "reader": "rapidocr" if parts.has_reader() else "none: rapidocr is not installed here",
    }


def model(lab: Lab) -> dict[str, Any]:
    """Fill the model, write two LoRA files, inspect and load them: seconds and peak bytes of each."""
    spent = {}
    with _timed(spent, "write two LoRA files"):
        sizes = {name: path.stat().st_size for name, path in lab.loras.items()}
    generator = lab.generator()
    with _timed(spent, "fill the model"):
        _ = generator._pipeline
        lab.wait()
    small = lab.scale.sizes[2]
    for name in ("8step", "4step"):
        with _timed(spent, f"inspect {name}: hash, keys, values, delta"):
            asked = lab.recipe(name, small)
        with _timed(spent, f"load {name}, compare every module's delta, switch"):
            generator._switch(asked)
            lab.wait()
    return {"seconds": spent, "lora_bytes": sizes, "peak_bytes": _allocated(lab)}


def _measure(lab: Lab, way: str, variant: str, size: Size, rounds: int) -> dict[str, Any]:
    """Time the denoise loop of a variant at a size after a warm-up; the median round counts."""
    generator = lab.generator(way)
    asked = lab.recipe(variant, size, way=way)
    begin = time.perf_counter()
    generator.warm_up(asked)
    warm = time.perf_counter() - begin
    before = gpu_state()
    loops = [generator.denoise(asked) for _ in range(rounds)]
    seconds = float(median(loop.denoise_seconds for loop in loops))
    tokens = generator._prompts.get(asked.prompt).tokens
    rank = 0 if asked.lora is None or asked.lora.fused else asked.lora.rank
    operations = forward_operations(lab.scale.base(), asked.effective, text_tokens=tokens, lora_rank=rank)
    row = {
        "way": way,
        "variant": variant,
        "size": str(asked.effective),
        "nfe": asked.nfe,
        "seconds": seconds,
        "rounds": [loop.denoise_seconds for loop in loops],
        "warm_up_seconds": warm,
        "step_seconds": loops[0].timing.step_seconds,
        "seconds_a_forward": seconds / asked.nfe,
        "picture_tokens": image_tokens(asked.effective),
        "prompt_tokens": tokens,
        "tera_operations_a_forward": operations / 1e12,
        "share_of_matrix_rate": operations * asked.nfe / seconds / lab.matrix_rate if lab.matrix_rate else None,
        "latents": sorted({loop.latents_sha256 for loop in loops}),
        "state": [asdict(state) for state in (*before, *gpu_state())],
    }
    lab.latencies.append(row)
    return row


def _few_steps(way: str, places: Sequence[int] = (0, 1, 2, 3)) -> Callable[[Lab], dict[str, Any]]:
    def stage(lab: Lab) -> dict[str, Any]:
        rounds = {"8step": 1, "4step": 2} if lab.quick else {"8step": 2, "4step": 3}
        asked = [(variant, lab.scale.sizes[place], rounds[variant]) for place in places for variant in rounds]
        found = _measured(lab, way, asked)
        return found | {"peak_bytes": dict(lab.generator(way).peaks)}

    return stage


def _base(way: str, *places: int) -> Callable[[Lab], dict[str, Any]]:
    def stage(lab: Lab) -> dict[str, Any]:
        found = _measured(lab, way, [("base", lab.scale.sizes[place], 1) for place in places])
        base = {(row["way"], row["size"]): row["seconds"] for row in lab.latencies if row["variant"] == "base"}
        unfused = {size: seconds for (own, size), seconds in base.items() if own == "unfused"}
        ups = [
            {key: row[key] for key in ("way", "variant", "size")} | {"speed_up": unfused[row["size"]] / row["seconds"]}
            for row in lab.latencies
            if row["size"] in unfused and row["variant"] != "base"
        ]
        return found | {"speed_ups_over_unfused_base": ups}

    return stage


def _measured(lab: Lab, way: str, asked: Sequence[tuple[str, Size, int]]) -> dict[str, Any]:
    """Measure (variant, size, rounds) one after the other; what the budget leaves no time for is named."""
    rows: list[dict[str, Any]] = []
    try:
        for variant, size, rounds in asked:
            rows.append(_measure(lab, way, variant, size, rounds))
    except OutOfTimeError:
        if not rows:
            raise
        return {"rows": rows, "cut_short": [f"{variant} at {size}" for variant, size, _ in asked[len(rows) :]]}
    return {"rows": rows}


def switch(lab: Lab) -> dict[str, Any]:
    """Seconds to go from one variant to another, device synchronised; a LoRA's first time, with loading, apart."""
    generator, size = lab.generator(), lab.scale.sizes[2]
    asked = {name: lab.recipe(name, size) for name in parts.VARIANTS}
    seconds: dict[str, list[float]] = {}
    first: dict[str, float] = {}
    before = "base"
    generator._switch(asked[before])
    for name in ("8step", "4step", "base", "4step", "8step", "base") * 3:
        lab.wait()
        begin = time.perf_counter()
        generator._switch(asked[name])
        lab.wait()
        spent = time.perf_counter() - begin
        if name not in {"base", *first}:
            first[name] = spent
        else:
            seconds.setdefault(f"{before} to {name}", []).append(spent)
        before = name
    return {"worst_seconds": max(map(max, seconds.values())), "first_time_seconds": first, "seconds": seconds}


def same_seed(lab: Lab) -> dict[str, Any]:
    """Draw the same recipe twice, and again after other variants, and compare the latents' bytes."""
    generator, size = lab.generator(), lab.scale.sizes[2]
    asked = {
        "4step": lab.recipe("4step", size),
        "8step": lab.recipe("8step", size),
        "base, 5 steps": lab.recipe("base", size, steps=5),
    }
    found: dict[str, list[str]] = {name: [] for name in asked}
    kept: dict[str, list[Any]] = {name: [] for name in asked}
    for _ in range(2):
        for name, recipe in asked.items():
            for _ in range(2):
                done = generator.denoise(recipe)
                found[name].append(done.latents_sha256)
                kept[name].append(done.latents.float().cpu())
    differ = {name: max(float((one - all_[0]).abs().max()) for one in all_) for name, all_ in kept.items()}
    return {"same": all(len(set(one)) == 1 for one in found.values()), "sha256": found, "largest_difference": differ}


def _suite_wall(name: str, size: Size) -> Callable[[Lab], dict[str, Any]]:
    """3 variants x 4 cases by pytest in this process, everything loaded: wall time over denoising and decoding."""

    def stage(lab: Lab) -> dict[str, Any]:
        folder = parts.write_suite(lab.scratch / name, lab.scale, lab.loras, size=size)
        generator = _writing(lab)
        if parts.has_reader():  # its libraries are loading too, as torch and the weights are
            from qiltest.reading import open_reader

            open_reader()
        for variant in parts.VARIANTS:  # everything is loaded and warm, and known to be
            generator.warm_up(lab.recipe(variant, lab.scale.size(size)))
        _share(generator)
        # pytest's plugins and what the session's end imports are libraries, loaded like torch before the clock starts
        import qiltest.session.summary  # noqa: F401

        parts.run_pytest(folder, ["--collect-only", "--qil-model=random"])
        return _suite_run(folder, ["--qil-rounds=1", "--qil-model=random"])

    return stage


def release_check(lab: Lab) -> dict[str, Any]:
    """Run the suite again with another LoRA in one variant's place: the others' pictures come from the store."""
    folder = parts.write_suite(
        lab.scratch / "suite",
        lab.scale,
        {**lab.loras, "4step": parts.write_lora(lab.scratch / "loras" / "new.safetensors", lab.scale, seed=9)},
        size=Size(704, 1280),
    )
    _share(_writing(lab))
    found = _suite_run(folder, ["--qil-rounds=1", "--qil-model=random", "--qil-reuse"])
    fresh = _suite_run(folder, ["--qil-rounds=1", "--qil-model=random", "--qil-fresh", "--qil-variant=4step"])
    return {"with_the_store": found, "the_new_variant_alone": fresh}


def _suite_run(folder: Path, args: list[str]) -> dict[str, Any]:
    from qiltest.runs import RunStore
    from qiltest.runs.events import now
    from qiltest.runs.load import read_events

    called, begin = now(), time.perf_counter()
    # verdicts are not of interest: random weights draw no text, the pictures say something else than was asked
    status = parts.run_pytest(folder, args)
    wall = time.perf_counter() - begin
    returned = now()
    run = RunStore(root=folder / "runs").load("latest")
    drawn = [result for result in run.results if result.timing and not result.reused_from]
    own = sum(result.timing.denoise_seconds + result.timing.decode_seconds for result in drawn if result.timing)
    return {
        "exit_status": status,
        "wall_seconds": wall,
        "denoise_and_decode_seconds": own,
        "wall_over_denoise_and_decode": wall / own if own else None,
        "pictures_drawn": len(drawn),
        "pictures_from_the_store": sum(1 for result in run.results if result.reused_from),
        "read_seconds": sum(result.reading.seconds for result in run.results if result.reading),
        "pictures_read": sum(1 for result in run.results if result.reading),
        "errors": sorted({result.error.splitlines()[0] for result in run.results if result.error})[:3],
        "order": [result.point.variant for result in run.results],
        "first_to_last": [run.started, run.finished],
        # where the seconds beside drawing go: when pytest was called, each event, when it returned
        "timeline": [
            ["called", called],
            *([type(event).__name__.lower(), event.at] for event in read_events(run.path)[0]),
            ["returned", returned],
        ],
    }


def _writing(lab: Lab) -> Any:  # noqa: ANN401
    """Let the random model's pictures be of written text once they are decoded, so that they are worth reading."""
    generator = lab.generator()
    kind = type(generator)
    if kind.__name__ == "Writing":
        return generator

    class Writing(kind):  # type: ignore[misc, valid-type]
        judges_text = True
        on_cpu = False  # also in the dry run, so that it overlaps as on a GPU

        def decode_pixels(self, denoised: Any) -> Any:  # noqa: ANN401
            decoded = super().decode_pixels(denoised)
            return replace(decoded, pixels=_text_of(denoised.recipe.effective))

    generator.__class__ = Writing
    return generator


_texts: dict[Size, Any] = {}


def _text_of(size: Size) -> Any:  # noqa: ANN401
    if size not in _texts:
        _texts[size] = parts.written(size)
    return _texts[size]


def _share(generator: object) -> None:
    parts.share(generator, None if parts.has_reader() else parts.no_reader)


def text_encoder(lab: Lab) -> dict[str, Any]:
    """Peaks of each stage with the text encoder freed and with it kept beside the transformer."""
    import torch

    generator, size = lab.generator(), lab.scale.sizes[0]
    freed = _peak(lab, lambda: generator.decode_pixels(generator.denoise(lab.recipe("4step", size))))
    spent: dict[str, float] = {}
    with _timed(spent, "build the text encoder"):
        pipeline = _text_pipeline(lab)
        lab.wait()
    with _timed(spent, "encode three prompts"), torch.no_grad():
        for name in parts.CASES[:3]:
            pipeline.encode_prompt(prompt=[parts.case_of(name).prompt[:300]], device=lab.scale.device)
        lab.wait()
    kept = _peak(lab, lambda: generator.decode_pixels(generator.denoise(lab.recipe("4step", size))))
    lab.let_go()
    alone = _peak(lab, lambda: pipeline.encode_prompt(prompt=["a sign"], device=lab.scale.device))
    return {
        "seconds": spent,
        "peak_gib": {
            "encode, text encoder alone": alone / GIB,
            "denoise and decode, text encoder freed": freed / GIB,
            "denoise and decode, text encoder kept": kept / GIB,
        },
    }


def _text_pipeline(lab: Lab) -> Any:  # noqa: ANN401
    """Return a pipeline with a random text encoder and the embedded model's tokenizer: one token a character."""
    from diffusers import QwenImagePipeline
    from transformers import AutoTokenizer

    from qiltest.generation.sources import EMBEDDED

    return QwenImagePipeline(
        scheduler=None, vae=None, transformer=None, text_encoder=lab.scale.text_encoder(),
        tokenizer=AutoTokenizer.from_pretrained(EMBEDDED / "tokenizer"),
    )  # fmt: skip


def vendor_random(lab: Lab) -> dict[str, Any]:
    """Two LoRAs x two prompts the vendor's way, at full size with a text encoder, and by the suite."""
    lab.let_go()
    from qiltest.generation import _load

    size = lab.scale.sizes[0]
    found = parts.variants_with(lab.loras)
    pictures = [(parts.case_of(name), size) for name in ("pi-number", "couplets")]

    def build(variant: Any) -> Any:  # noqa: ANN401
        import torch

        dtype = torch.float32 if lab.scale.dry else torch.bfloat16
        make = getattr(_load.random_pipeline, "full_size", _load.random_pipeline)
        pipeline = make(lab.scale.transformer, lab.scale.vae, dtype, torch.device(lab.scale.device))
        with_text = _text_pipeline(lab)
        pipeline.register_modules(text_encoder=with_text.text_encoder, tokenizer=with_text.tokenizer)
        pipeline.scheduler = scheduler_of(variant) or pipeline.scheduler
        path = lab.loras[variant.name]
        pipeline.load_lora_weights(str(path.parent), weight_name=path.name)
        return pipeline

    with _folder(lab, "vendor-random") as folder:
        theirs = vendor_way(
            [found["8step"], found["4step"]], pictures, build=build, read=_read(), noise_device=lab.scale.device,
            max_sequence_length=512, folder=folder,
        )  # fmt: skip
    lab.let_go()
    begin = time.perf_counter()
    with _encoded_once(lab, [case.prompt for case, _ in pictures]) as encoding:
        pass
    suite = parts.write_suite(lab.scratch / "suite-vendor", lab.scale, lab.loras, size=Size(1328, 1328))
    _share(_writing(lab))
    ours = _suite_run(
        suite,
        ["--qil-rounds=1", "--qil-model=random", "--qil-variant=8step,4step", "--qil-case=pi-number,couplets"],
    )
    total = time.perf_counter() - begin
    return {
        "vendor": theirs,
        "suite": ours | {"text_encoder_seconds": encoding, "wall_with_loading_and_encoding": total},
        "vendor_over_suite": theirs["wall_seconds"] / total,
    }


@contextmanager
def _encoded_once(lab: Lab, prompts: list[str]) -> Any:  # noqa: ANN401
    """Load a text encoder, encode each prompt once, and free it: what the suite does before it draws."""
    import torch

    spent: dict[str, float] = {}
    with _timed(spent, "load"):
        pipeline = _text_pipeline(lab)
    with _timed(spent, "encode"), torch.no_grad():
        for prompt in prompts:
            pipeline.encode_prompt(prompt=[prompt], device=lab.scale.device)
        lab.wait()
    del pipeline
    gc.collect()
    yield spent


def vendor_tiny(lab: Lab) -> dict[str, Any]:
    """Two LoRAs x two cases with the embedded model, the vendor's way and by the suite; compare the pictures."""
    lab.let_go()
    from PIL import Image, ImageChops

    from qiltest.generation import Settings, open_generator
    from qiltest.runs import RunStore

    suite = parts.the_suite()
    names = parts.TINY_CASES
    cases = [suite.case(name)[0] for name in names]
    pictures = [(case, case.resolutions[0].for_model(tiny=True).effective()) for case in cases]
    with _folder(lab, "vendor-tiny") as folder:
        theirs = vendor_way(
            [suite.variant(name) for name in ("8step", "4step")], pictures,
            build=lambda variant: embedded(variant, lab.scale.device), read=_read(), noise_device="cpu",
            max_sequence_length=1024, folder=folder,
        )  # fmt: skip
        home = lab.scratch / "suite-tiny"
        parts.copy_cases(home / "cases")
        parts.write_tests(home)
        begin = time.perf_counter()
        _share(open_generator("tiny", Settings(device=lab.scale.device)))
        ours = _suite_run(home, ["--qil-rounds=1", "--qil-variant=8step,4step", f"--qil-case={','.join(names)}"])
        total = time.perf_counter() - begin
        same = {}
        for result in RunStore(root=home / "runs").load("latest").results:
            file = folder / f"{result.point.case}-{result.point.variant}.png"
            if result.picture and file.exists():
                one, other = (Image.open(path).convert("RGB") for path in (result.picture.path, file))
                same[file.stem] = max(high for _, high in ImageChops.difference(one, other).getextrema())
    return {
        "vendor": theirs,
        "suite": ours | {"wall_with_loading_and_encoding": total},
        "vendor_over_suite": theirs["wall_seconds"] / total,
        "largest_difference_of_a_pixel": same,
    }


def tiny(lab: Lab) -> dict[str, Any]:
    """`pytest -m gpu --qil-model=tiny` in a process of its own; its readings beside those of the CPU's goldens."""
    lab.let_go()
    from qiltest.runs import RunStore

    runs, golden = lab.scratch / "tiny-runs", lab.scratch / "tiny-golden"
    shutil.copytree(parts.ROOT / "golden", golden, dirs_exist_ok=True)
    chosen = ["-m", "gpu"]
    if lab.scale.dry:
        parts.copy_cases(lab.scratch / "tiny-cases")
        chosen = [f"--qil-cases={lab.scratch}/tiny-cases", "--qil-case=pi-number", "--qil-variant=4step"]
    from importlib import metadata

    installed = {point.value for point in metadata.entry_points(group="pytest11")}
    named = [] if "qiltest.plugin" in installed else ["-p", "qiltest.plugin"]
    command = [
        sys.executable, "-m", "pytest", *named, "-p", "no:cacheprovider", "-q", "tests/report_cases", *chosen,
        "--qil-model=tiny", "--qil-rounds=1", f"--qil-runs={runs}", f"--qil-golden={golden}", "--qil-update=missing",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(parts.ROOT / "src"), *sys.path[2:]])}
    environment.pop("CI", None)
    done = subprocess.run(command, cwd=parts.ROOT, env=environment, capture_output=True, text=True, check=False)
    told = {"exit_status": done.returncode, "tail": (done.stdout + done.stderr)[-3000:]}
    if not RunStore(root=runs).folders():
        return told | {"error": "no picture was drawn; see the tail"}
    run = RunStore(root=runs).load("latest")
    compared = []
    for result in run.results:
        if result.score is None or result.golden is None:
            continue
        here = {text.expected: text.read for text in result.score.texts}
        there = {text.expected: text.read for text in result.golden.texts}
        compared.append(
            {
                "picture": result.id,
                "verdict": str(result.verdict),
                "same_readings": here == there,
                "distance_here": result.score.distance,
                "distance_in_golden": result.golden.distance,
                "denoise_seconds": result.timing.denoise_seconds if result.timing else None,
            }
        )
    return {
        **told,
        "pictures": len(run.results),
        "hold": sum(1 for result in run.results if result.holds),
        "read_as_on_the_cpu": sum(1 for one in compared if one["same_readings"]),
        "compared": compared,
    }


#: name, what it does, and what it takes on an H200 (seconds, an estimate): too little left, and it is not begun.
STAGES: tuple[tuple[str, Callable[[Lab], dict[str, Any]], float], ...] = (
    ("machine", machine, 6),
    ("model", model, 30),
    ("latency_few_steps", _few_steps("unfused"), 35),
    ("switch", switch, 5),
    ("same_seed", same_seed, 25),
    ("latency_base_1328", _base("unfused", 0), 40),
    # the smallest of the report's sizes, where the suite's own cost weighs most, and the vendor's
    ("suite_wall", _suite_wall("suite", Size(704, 1280)), 90),
    ("suite_wall_1328", _suite_wall("suite-1328", Size(1328, 1328)), 170),
    ("release_check", release_check, 30),
    ("text_encoder", text_encoder, 20),
    ("tiny", tiny, 80),
    ("vendor_tiny", vendor_tiny, 30),
    ("vendor_random", vendor_random, 60),
    ("latency_fused", _few_steps("fused"), 35),
    ("latency_compiled", _few_steps("compiled", (0, 2)), 40),
    ("latency_base_704", _base("unfused", 2), 20),
    ("latency_base_others", _base("unfused", 1, 3), 62),
    ("latency_compiled_others", _few_steps("compiled", (1, 3)), 40),
    ("latency_base_compiled_704", _base("compiled", 2), 60),
)


def main() -> int:
    """Run the stages that were asked for; 0 where none failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--stages", default=",".join(name for name, *_ in STAGES))
    parser.add_argument("--budget", type=float, default=540.0, help="seconds for all stages together")
    parser.add_argument("--quick", action="store_true", help="fewer timed loops, see above")
    parser.add_argument("--dry-run", action="store_true")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    asked = args.stages.split(",")
    unknown = set(asked) - {name for name, *_ in STAGES}
    if unknown:
        parser.error(f"no such stage: {', '.join(sorted(unknown))}")
    begin = time.monotonic()
    results: dict[str, Any] = {"dry_run": args.dry_run, "quick": args.quick, "stages": {}}
    signal.signal(signal.SIGALRM, _alarm)
    with tempfile.TemporaryDirectory(prefix="qiltest-gpu-") as scratch:
        os.environ["QILTEST_CACHE"] = f"{scratch}/cache"
        lab = Lab(scale=parts.Scale(dry=args.dry_run), scratch=Path(scratch), quick=args.quick)
        known = {name: (stage, estimate) for name, stage, estimate in STAGES}
        for name in asked:
            stage, estimate = known[name]
            left = args.budget - (time.monotonic() - begin)
            results["stages"][name] = _run(name, stage, lab, left=left, estimate=0 if args.dry_run else estimate)
            results["wall_seconds"] = time.monotonic() - begin
            text = json.dumps(results, indent=1, ensure_ascii=False, default=str)
            write_atomically(args.out / "gpu_suite.json", text.encode())
        lab.let_go()
    return 1 if any("error" in one for one in results["stages"].values()) else 0


def _run(
    name: str, stage: Callable[[Lab], dict[str, Any]], lab: Lab, *, left: float, estimate: float
) -> dict[str, Any]:
    if left < estimate:
        print(f"{name}: left out, {left:.0f} s remain and it takes about {estimate:.0f}", flush=True)
        return {"left_out": f"{left:.0f} s remained, it takes about {estimate:.0f}"}
    begin = time.perf_counter()
    signal.alarm(max(1, int(left)))
    try:
        found = stage(lab)
    except (Exception, OutOfTimeError) as error:  # noqa: BLE001  one boundary: the other stages go on
        found = {"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()[-4000:]}
    finally:
        signal.alarm(0)
    seconds = time.perf_counter() - begin
    print(f"{name}: {'FAILED ' + found['error'][:300] if 'error' in found else 'done'} in {seconds:.1f} s", flush=True)
    return {"stage_seconds": seconds, **found}


class OutOfTimeError(KeyboardInterrupt):
    """The budget is spent. A kind of Ctrl-C, for that is what ends a pytest session within a stage too."""


def _alarm(_signal: int, _frame: object) -> None:
    raise OutOfTimeError("the stage outlasted the budget")


@contextmanager
def _timed(spent: dict[str, float], name: str) -> Any:  # noqa: ANN401
    begin = time.perf_counter()
    yield
    spent[name] = time.perf_counter() - begin


@contextmanager
def _folder(lab: Lab, name: str) -> Any:  # noqa: ANN401
    folder = lab.scratch / name
    folder.mkdir(parents=True, exist_ok=True)
    yield folder


def _read() -> Callable[[Path], object] | None:
    if not parts.has_reader():
        return None
    from qiltest.reading import open_reader

    return open_reader().read


def _allocated(lab: Lab) -> int:
    if lab.scale.dry:
        return 0
    import torch

    return int(torch.cuda.max_memory_allocated())


def _peak(lab: Lab, act: Callable[[], object]) -> int:
    """Return the most bytes allocated on the device while something is done."""
    import torch

    if not lab.scale.dry:
        torch.cuda.reset_peak_memory_stats()
    with torch.no_grad():
        act()
    lab.wait()
    return _allocated(lab)


if __name__ == "__main__":
    sys.exit(main())
