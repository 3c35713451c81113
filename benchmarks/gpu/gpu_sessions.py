"""Stages that run whole sessions of pytest: the wall time of a suite, a release check, the embedded model."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import gpu_parts as parts
from gpu_lab import Found, Lab, Stage, share, suite_run, writing

from qiltest.recipe import Size


def suite_wall(name: str, size: Size) -> Stage:
    """3 variants x 4 cases by pytest in this process, everything loaded: wall time over denoising and decoding."""

    def stage(lab: Lab) -> Found:
        folder = parts.write_suite(lab.scratch / name, lab.scale, lab.loras, size=size)
        generator = writing(lab)
        if parts.has_reader():  # its libraries are loading too, as torch and the weights are
            from qiltest.reading import open_reader

            open_reader()
        for variant in parts.VARIANTS:  # everything is loaded and warm, and known to be
            generator.warm_up(lab.recipe(variant, lab.scale.size(size)))
        share(generator)
        # pytest's plugins and what the session's end imports are libraries, loaded like torch before the clock starts
        import qiltest.session.summary  # noqa: F401

        parts.run_pytest(folder, ["--collect-only", "--qil-model=random"])
        return suite_run(folder, ["--qil-rounds=1", "--qil-model=random"])

    return stage


def release_check(lab: Lab) -> Found:
    """Run the suite again with another LoRA in one variant's place: the others' images come from the store."""
    folder = parts.write_suite(
        lab.scratch / "suite",
        lab.scale,
        {**lab.loras, "4step": parts.write_lora(lab.scratch / "loras" / "new.safetensors", lab.scale, seed=9)},
        size=Size(704, 1280),
    )
    share(writing(lab))
    found = suite_run(folder, ["--qil-rounds=1", "--qil-model=random", "--qil-reuse"])
    fresh = suite_run(folder, ["--qil-rounds=1", "--qil-model=random", "--qil-fresh", "--qil-variant=4step"])
    return {"with_the_store": found, "the_new_variant_alone": fresh}


def tiny(lab: Lab) -> Found:
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

    installed = {sample.value for sample in metadata.entry_points(group="pytest11")}
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
        return told | {"error": "no image was generated; see the tail"}
    run = RunStore(root=runs).load("latest")
    compared = []
    for result in run.results:
        if result.score is None or result.golden is None:
            continue
        here = {text.expected: text.read for text in result.score.texts}
        there = {text.expected: text.read for text in result.golden.texts}
        compared.append(
            {
                "image": result.id,
                "verdict": str(result.verdict),
                "same_readings": here == there,
                "distance_here": result.score.distance,
                "distance_in_golden": result.golden.distance,
                "denoise_seconds": result.timing.denoise_seconds if result.timing else None,
            }
        )
    return {
        **told,
        "images": len(run.results),
        "hold": sum(1 for result in run.results if result.passes),
        "read_as_on_the_cpu": sum(1 for one in compared if one["same_readings"]),
        "compared": compared,
    }
