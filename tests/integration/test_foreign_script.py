"""A folder that a foreign script makes from `qiltest plan` gets the verdicts of an in-process run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import apart
from qiltest.cli.main import main
from qiltest.gate.verdict import Verdict
from qiltest.generation.sources import EMBEDDED
from qiltest.runs import RunStore

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).parent / "foreign_script.py"
CASES, VARIANTS = ("pi-number", "capybara"), ("8step", "4step")
SELECTED = (f"--qil-case={','.join(CASES)}", f"--qil-variant={','.join(VARIANTS)}", "--qil-model=tiny")
IMAGES = ("--qil-images=images", "--qil-images-from=diffusers")
TEST = "def test_report_case(qil_case_run):\n    qil_case_run.check()\n"


def session(folder, *args):
    words = ["-q", f"--qil-cases={ROOT / 'cases'}", *SELECTED, *args]
    done = apart.run_pytest(words, folder, loads=apart.MODEL)
    return done.ret, RunStore(root=folder / "runs").load("latest"), done.stdout.str()


def judged(result):
    """All that a verdict on a text is made of."""
    read = [(text.expected, text.read, text.distance) for text in result.score.texts]
    return result.verdict, result.judgement.reasons, result.score.distance, read, result.health, result.image.sha256


@pytest.mark.slow
@pytest.mark.skipif(not (EMBEDDED / "model_index.json").exists(), reason="the embedded model is not in this checkout")
def test_a_folder_that_a_foreign_script_made_gets_the_verdicts_of_an_in_process_run(tmp_path, monkeypatch, capsys):
    (tmp_path / "test_suite.py").write_text(TEST)
    named = [word for case in CASES for word in ("--case", case)] + [w for v in VARIANTS for w in ("--variant", v)]
    plan = ["plan", "--model=tiny", f"--cases={ROOT / 'cases'}", *named, f"--output={tmp_path / 'plan.json'}"]
    assert main(plan) == 0
    script = [sys.executable, str(SCRIPT), str(tmp_path / "plan.json"), str(EMBEDDED), str(tmp_path / "images")]
    subprocess.run(script, check=True, timeout=500)

    goldens = ("--qil-golden=goldens", "--qil-update=missing")
    _, here, said = session(tmp_path, "--qil-threads=1", *goldens)
    _, there, _ = session(tmp_path, *IMAGES, *goldens)
    assert len(here.results) == len(CASES) * len(VARIANTS), said
    assert there.model == "elsewhere/diffusers"
    assert [judged(there.result(one.id)) for one in here.results] == [judged(one) for one in here.results]
    recorded = {one.id: one.golden_recorded for one in here.results}
    assert recorded == {one.id: one.golden_recorded for one in there.results}

    # what was recorded passes from then on, as it does in process
    status, again, said = session(tmp_path, *IMAGES, "--qil-golden=goldens", "--qil-reuse")
    assert {one.id: one.verdict is Verdict.PASS for one in again.results} == recorded, said
    assert status == int(not all(recorded.values()))

    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    main(["compare", "--across", here.id, there.id, "--json"])
    record = json.loads(capsys.readouterr().out)
    assert [one["same_images"] for one in record["comparisons"]] == [len(CASES)] * len(VARIANTS)
