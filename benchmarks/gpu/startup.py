"""From command to first image, and what a night costs beside its denoising: sessions on files of the real size.

    python benchmarks/gpu/startup.py OUT --hf-home /dev/shm/hf        # real_size.py has filled it
    python benchmarks/gpu/startup.py OUT --tiny                       # the embedded model on the CPU: does it run?

Each step is a process of its own, timed from its start to its end: loading transformer and VAE with plain diffusers,
the vendor's way (vendor_way.py) on the same files, a first night (nothing known), second nights (hashes, prompts and
inspections known), a release check whose old release is in the store. All make one timed loop per image, as the
vendor's way does. OUT/start.json has every number, OUT/start.txt the table of ratios and each session's timeline;
both are written after every step, so that a run that is cut off leaves what it has.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gpu_parts as parts
from real_size import FILES, LORAS, MODEL

from qiltest.arguments import existing_folder

if TYPE_CHECKING:
    from diffusers import QwenImagePipeline

    from qiltest.suite.variants import Variant

#: the cases that are generated, at one size each, and the variants; a file to check, and what it is to replace.
CASES, VARIANTS = ("pi-number", "capybara", "couplets"), ("8step", "4step")
LIKE = "8step"
#: seconds that a step may take, and that must be left for one to begin.
STEP, LEAST = 240, 15
#: every so many merged modules are compared with what the formula gives.
EVERY = 6
Found = dict[str, Any]


@dataclass(kw_only=True)
class Bench:
    """Where sessions run, and what was found."""

    out: Path
    home: Path
    model: str
    #: Hugging Face's cache; None for the embedded model.
    hf_home: Path | None
    end: float
    found: Found = field(default_factory=dict)

    @property
    def tiny(self) -> bool:
        """True for the embedded model, on the CPU."""
        return self.hf_home is None

    def environment(self, cache: str = "known") -> dict[str, str]:
        """Return the environment of a process; `cache` names a folder of hashes, embeddings and inspections."""
        found = {**os.environ, "QILTEST_CACHE": str(self.home / "caches" / cache), "HF_HUB_OFFLINE": "1"}
        found["PYTHONPATH"] = os.pathsep.join(filter(None, (str(parts.ROOT / "src"), found.get("PYTHONPATH"))))
        found.pop("CI", None)
        if self.hf_home is not None:
            found["HF_HOME"] = str(self.hf_home)
        return found

    def run(self, command: Sequence[str], cache: str = "known") -> Found:
        """Run a process and return its wall seconds, exit status and last words."""
        limit = min(STEP, max(1.0, self.end - time.monotonic()))
        begin = time.perf_counter()
        try:
            done = subprocess.run(
                command, cwd=self.home, env=self.environment(cache), capture_output=True, text=True, check=False,
                timeout=limit,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return {"wall": time.perf_counter() - begin, "exit_status": None, "tail": f"not done in {limit:.0f} s"}
        tail = (done.stdout + done.stderr)[-2500:]
        return {"wall": time.perf_counter() - begin, "exit_status": done.returncode, "tail": tail}

    def own(self, *args: str) -> Found:
        """Run a step of this file in a process, which writes what it found as JSON."""
        told = self.home / "told.json"
        told.unlink(missing_ok=True)
        found = self.run([sys.executable, __file__, str(told), *args, *(["--tiny"] if self.tiny else [])])
        return found | (json.loads(told.read_text(encoding="utf-8")) if told.exists() else {})

    def session(self, runs: str, *args: str, cache: str = "known") -> Found:
        """Run a session of the suite by pytest and return its timeline."""
        from importlib import metadata

        installed = {one.value for one in metadata.entry_points(group="pytest11")}
        named = [] if "qiltest.plugin" in installed else ["-p", "qiltest.plugin"]
        chosen = ["--qil-model=tiny"] if self.tiny else ["-m", "gpu"]
        command = [sys.executable, "-m", "pytest", *named, "-q", "--tb=line", "-p", "no:cacheprovider", *chosen]
        command += ["--qil-rounds=1", f"--qil-runs={runs}", f"--qil-golden={runs}-golden", *args, "test_suite.py"]
        return self.run(command, cache) | self._timeline(runs)

    def _timeline(self, runs: str) -> Found:
        """Return where the time of the last run of a folder went."""
        from qiltest.errors import QiltestError
        from qiltest.report.timeline import timeline_lines, timeline_of
        from qiltest.runs.store import RunStore

        try:
            run = RunStore(root=self.home / runs).load("latest") if runs else None
        except QiltestError as error:
            return {"error": str(error)}
        view = None if run is None else timeline_of(run)
        if run is None or view is None:
            return {}
        own = [one for one in run.results if not one.reused_from and one.timing is not None]
        return {
            "images": len(own),
            "first_image": view.first_image,
            "recorded_wall": view.wall,
            "unrecorded": view.unrecorded,
            "making": sum(one.timing.denoise_seconds + one.timing.decode_seconds for one in own if one.timing),
            "stages": {one.name: {"from": one.start, "until": one.end, "seconds": one.seconds, "alone": one.alone}
                       for one in view.stages},
            "lines": list(timeline_lines(view)),
        }  # fmt: skip


# the steps


def bare(bench: Bench) -> Found:
    """Load transformer and VAE with plain diffusers."""
    return bench.own("--bare")


def first_night(bench: Bench) -> Found:
    """Run a session with nothing known: neither hashes nor embeddings nor inspections."""
    shutil.rmtree(bench.home / "caches" / "known", ignore_errors=True)
    return bench.session("first", *_chosen(3))


def second_night(bench: Bench) -> Found:
    """Run the same session with everything known and no image stored."""
    return bench.session("second", *_chosen(3))


def two_images(bench: Bench) -> Found:
    """Run a session of one case, everything known."""
    return bench.session("two", *_chosen(1))


def vendor(bench: Bench) -> Found:
    """Make the images of the sessions the vendor's way."""
    return bench.own("--vendor")


def same_weights(bench: Bench) -> Found:
    """Compare what is loaded and merged with what the plain ways give, bit for bit."""
    return bench.own("--same")


def old_release(bench: Bench) -> Found:
    """Check a first file, so that the images of the release that it is to replace are stored."""
    return bench.session("check", *_chosen(3, LIKE), f"--qil-lora={_candidate(bench, 0)}", f"--qil-like={LIKE}")


def release_check(bench: Bench) -> Found:
    """Check a second file: only its own images are generated."""
    more = (f"--qil-lora={_candidate(bench, 1)}", f"--qil-like={LIKE}", "--qil-reuse")
    return bench.session("check", *_chosen(3, LIKE), *more)


STEPS: tuple[Callable[[Bench], Found], ...] = (
    bare, first_night, second_night, vendor, two_images, old_release, release_check, same_weights,
)  # fmt: skip


def _chosen(cases: int, *variants: str) -> tuple[str, ...]:
    # a release check has its candidate as a further variant, which its option selects
    named = () if variants else (f"--qil-variant={','.join(VARIANTS)}",)
    return (f"--qil-case={','.join(CASES[:cases])}", "--qil-seeds=42,", *named)


def _candidate(bench: Bench, number: int) -> str:
    if bench.tiny:
        return str(bench.home / f"candidate-{number}.safetensors")
    return f"{LORAS}::{FILES[2 + number]}.safetensors"


# what runs in a process of its own


def load_bare(model: str, *, tiny: bool) -> Found:
    """Load transformer and VAE as diffusers' documentation does; return the seconds of importing and loading."""
    begin = time.perf_counter()
    import torch
    from diffusers import AutoencoderKLQwenImage, QwenImageTransformer2DModel

    imported = time.perf_counter()
    device, dtype = ("cpu", torch.float32) if tiny else ("cuda", torch.bfloat16)
    if not tiny:
        torch.zeros(1, device=device)
    ready = time.perf_counter()
    kinds = ((QwenImageTransformer2DModel, "transformer"), (AutoencoderKLQwenImage, "vae"))
    held = [kind.from_pretrained(model, subfolder=name, torch_dtype=dtype).to(device) for kind, name in kinds]
    if not tiny:
        torch.cuda.synchronize()
    end = time.perf_counter()
    return {"import": imported - begin, "device": ready - imported, "load": end - ready, "parts": len(held)}


def make_as_vendor(model: str, *, tiny: bool) -> Found:
    """Generate and read the images of the sessions by `vendor_way`."""
    import torch
    from vendor_way import embedded, scheduler_of, vendor_way

    from qiltest.generation.sources import resolve_lora, resolve_model
    from qiltest.reading import open_reader
    from qiltest.suite.load import load_suite
    from qiltest.suite.variants import ModelKind

    def build(variant: Variant) -> QwenImagePipeline:
        from diffusers import QwenImagePipeline

        if tiny:
            return embedded(variant, "cpu")
        scheduler = scheduler_of(variant)
        given = {} if scheduler is None else {"scheduler": scheduler}
        pipeline = QwenImagePipeline.from_pretrained(model, torch_dtype=torch.bfloat16, **given)
        lora = variant.lora(ModelKind.REAL)
        if lora is not None:
            path = resolve_lora(lora.source, model=resolve_model(MODEL))
            pipeline.load_lora_weights(str(path.parent), weight_name=path.name)
        pipeline = pipeline.to("cuda")
        torch.cuda.synchronize()
        return pipeline

    suite = load_suite(parts.ROOT / "cases")
    images = []
    for name in CASES:
        case, first = suite.case(name)[0], suite.case(name)[0].resolutions[0]
        images.append((case, first.for_model(tiny=True).effective() if tiny else first.size))
    with tempfile.TemporaryDirectory() as folder:
        found = vendor_way(
            [suite.variant(name) for name in VARIANTS], images, build=build, read=open_reader().read,
            noise_device="cpu" if tiny else "cuda", max_sequence_length=1024 if tiny else 512, folder=Path(folder),
        )  # fmt: skip
    return {"vendor": {key: value for key, value in found.items() if key != "images"}}


def compare_weights(model: str, *, tiny: bool) -> Found:
    """Count weights that differ: loaded from those of the files, merged from those of the formula on mapped tensors."""
    import torch

    from qiltest.generation import Settings, _merge, open_generator
    from qiltest.generation._fill import file_tensors
    from qiltest.generation._place import read_weight
    from qiltest.generation.whole import weights_of
    from qiltest.suite.load import load_suite

    generator = open_generator("tiny" if tiny else MODEL, Settings(device="cpu" if tiny else "cuda"))
    suite, folder = load_suite(parts.ROOT / "cases"), generator._source.folder
    case = suite.case(CASES[0])[0]
    size = case.resolutions[0].for_model(tiny=tiny)
    assert folder is not None
    transformer, device, dtype = generator._pipeline.transformer, generator._device, generator._dtype
    loaded = sum(
        not torch.equal(read_weight(transformer, name), tensor.to(device, dtype))
        for name, tensor in file_tensors(weights_of(folder, "transformer"))
    )
    found: Found = {"weights": len(transformer.state_dict()), "loaded otherwise": loaded}
    for name in (*VARIANTS, VARIANTS[0]):  # the first from the loaded weights, the others from the files
        recipe = generator.recipe(case, size, suite.variant(name), 42)
        begin = time.perf_counter()
        generator._switch(recipe)
        found[f"seconds of merging {name}, {'again' if name in found else 'first'}"] = time.perf_counter() - begin
        lora = recipe.lora
        assert lora is not None
        path, report = generator._inspected(lora)
        other = 0
        with generator._merged._weights.reading() as read, _merge.exact_products(), torch.no_grad():
            for place, one in enumerate(_merge.file_factors(path, generator._recipes.base, report)):
                if place % EVERY:
                    continue
                weight = read(f"{one.module}.weight").to(device, dtype)
                other += not torch.equal(read_weight(transformer, f"{one.module}.weight"), _merge.merged(weight, one))
        found[name] = found.get(name, 0) + other
    return found


# the result


def ratios(found: Found) -> Iterator[tuple[str, float | None]]:
    """Yield what the sessions are held to, a line each; None where a step is missing."""

    def of(step: str, *keys: str) -> float | None:
        value: Any = found.get(step, {})
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        return value if isinstance(value, int | float) else None

    def less(one: float | None, other: float | None) -> float | None:
        return None if one is None or other is None else one - other

    def over(one: float | None, other: float | None) -> float | None:
        return None if one is None or not other else one / other

    load = of("bare", "load")
    yield "bare: seconds of loading transformer and VAE", load
    yield "bare: seconds of the whole command", of("bare", "wall")
    for step, title in (("second_night", "everything known"), ("first_night", "first night")):
        first = of(step, "first_image")
        yield f"{title}: seconds from command to first image", first
        yield f"{title}: ... less bare loading", less(first, load)
        yield f"{title}: ... less the bare command", less(first, of("bare", "wall"))
    for step, cases, title in (
        ("two_images", 1, "2 images, everything known"),
        ("second_night", 3, "6 images, everything known"),
        ("first_night", 3, "6 images, first night"),
    ):
        yield f"{title}: wall over the vendor's way", over(of(step, "wall"), vendor_wall(found, cases))

    def floored(step: str) -> float | None:
        making = of(step, "making")
        return None if load is None or making is None else over(of(step, "wall"), load + making)

    yield "6 images, everything known: wall over bare loading + denoising + decoding", floored("second_night")
    yield "release check, old release stored: wall over bare loading + the new images", floored("release_check")


def vendor_wall(found: Found, cases: int) -> float | None:
    """Return the wall seconds of the vendor's way for so many cases by each variant, less what the others took."""
    step = found.get("vendor", {})
    own = step.get("vendor")
    if not own or "wall" not in step:
        return None
    left_out = [number for number in range(len(own["draws"])) if number % len(CASES) >= cases]
    return float(step["wall"] - sum(own["draws"][n] + own["reads"][n] for n in left_out))


def write(bench: Bench) -> None:
    """Write what was found until now."""
    bench.out.mkdir(parents=True, exist_ok=True)
    rows = list(ratios(bench.found))
    bench.found["ratios"] = dict(rows)
    (bench.out / "start.json").write_text(json.dumps(bench.found, indent=1) + "\n", encoding="utf-8")
    lines = [f"{'–' if value is None else f'{value:.2f}':>8}  {name}" for name, value in rows]
    same = {key: value for key, value in bench.found.get("same_weights", {}).items() if key not in ("tail", "wall")}
    lines += ["", f"same weights: {json.dumps(same)}"] if same else []
    for name, step in bench.found.items():
        if isinstance(step, dict) and "wall" in step:
            first = step.get("first_image")
            told = "" if first is None else f", first image after {first:.1f} s, {step['images']} images"
            told += "" if first is None else f", {step['wall'] - step['recorded_wall']:.1f} s after the report"
            lines += ["", f"{name}: {step['wall']:.1f} s, exit status {step['exit_status']}{told}"]
            lines += step.get("lines", [])
            lines += [] if step["exit_status"] in (0, 1) else [step["tail"]]
    (bench.out / "start.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def prepare(bench: Bench) -> None:
    """Make the folder in which the sessions run."""
    shutil.copytree(parts.ROOT / "cases", bench.home / "cases")
    (bench.home / "test_suite.py").write_text("def test_report_case(qil_case_run):\n    qil_case_run.check()\n")
    (bench.home / "pytest.ini").write_text("[pytest]\n")
    if bench.tiny:
        from qiltest.generation.sources import EMBEDDED

        for number in range(2):  # other bytes, the same deltas but for their size
            _stronger(EMBEDDED / "loras" / f"{LIKE}.safetensors", Path(_candidate(bench, number)), 1.01 + number / 100)


def _stronger(source: Path, target: Path, factor: float) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(source)
    save_file({name: tensor * factor if "lora_up" in name else tensor for name, tensor in tensors.items()}, target)


def main() -> None:
    """Run all steps, those of most weight first, or one of those in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--hf-home", type=existing_folder, help="a Hugging Face cache that real_size.py has filled")
    parser.add_argument("--tiny", action="store_true", help="the embedded model, on the CPU")
    parser.add_argument("--seconds", type=float, default=1800, help="after which no further step begins")
    parser.add_argument("--only", default="", help="names of steps, separated by commas")
    parser.add_argument("--bare", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--vendor", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--same", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    from qiltest.generation.sources import EMBEDDED, resolve_model

    model = str(EMBEDDED) if asked.tiny else MODEL
    if asked.bare or asked.vendor or asked.same:
        inside = load_bare if asked.bare else make_as_vendor if asked.vendor else compare_weights
        # the folder itself, so that nobody asks the hub
        folder = model if asked.tiny else str(resolve_model(model).folder)
        asked.out.write_text(json.dumps(inside(folder, tiny=asked.tiny)), encoding="utf-8")
        return
    if asked.hf_home is None and not asked.tiny:
        parser.error("name --hf-home, or --tiny")
    with tempfile.TemporaryDirectory() as folder:
        hf_home = None if asked.tiny else asked.hf_home.absolute()
        end = time.monotonic() + asked.seconds
        bench = Bench(out=asked.out.absolute(), home=Path(folder), model=model, hf_home=hf_home, end=end)
        prepare(bench)
        for step in STEPS:
            if asked.only and step.__name__ not in asked.only.split(","):
                continue
            if bench.end - time.monotonic() < LEAST:
                bench.found[step.__name__] = {"skipped": "no time was left"}
                continue
            bench.found[step.__name__] = step(bench)
            write(bench)
            print(f"{step.__name__}: {bench.found[step.__name__]['wall']:.1f} s", flush=True)
    write(bench)
    print((bench.out / "start.txt").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
