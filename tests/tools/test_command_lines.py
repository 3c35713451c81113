"""A file or folder that a benchmark or tool is to read, and that is not there, is one line with a remedy."""

import ast
import runpy
import subprocess
import sys
from argparse import ArgumentTypeError
from pathlib import Path

import pytest

from qiltest.arguments import existing_file, existing_folder

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted(path for folder in ("benchmarks", "tools") for path in (ROOT / folder).rglob("*.py"))
#: what is written, or may be missing: images that are measured where they are there, results that are merged.
NOT_READ = {"--out", "--output", "--page", "--store", "--cache", "--save", "--raw", "--record", "out", "output"}
OTHERS = {
    ("benchmarks/edit/change.py", "--images"),
    ("benchmarks/glyphs/labelled.py", "--images"),
    ("benchmarks/gpu/gpu_table.py", "--merge"),
    ("benchmarks/gpu/gpu_table.py", "--other"),
    ("benchmarks/gpu/gpu_table.py", "--results"),
    ("benchmarks/quality/quality.py", "--images"),
    ("benchmarks/quality/scene.py", "--images"),
    ("benchmarks/readers/drawn/make.py", "folder"),
    ("benchmarks/readers/strokes.py", "--images"),
    ("tools/report_images.py", "--folder"),
    ("tools/tiny_edit/case_inputs.py", "folder"),
}


def paths_of(script):
    """Yield the options and words of a script that are taken as they are for a path."""
    for call in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "add_argument":
            kinds = {word.arg: word.value for word in call.keywords}
            if isinstance(kinds.get("type"), ast.Name) and kinds["type"].id == "Path":
                yield call.args[0].value


def test_every_path_that_is_read_is_looked_for_before_anything_is_done():
    found = {(path.relative_to(ROOT).as_posix(), name) for path in SCRIPTS for name in paths_of(path)}
    assert {one for one in found if one[1] not in NOT_READ} == OTHERS


@pytest.mark.parametrize(
    ("read", "name", "said"),
    [
        (existing_file, "none", "no such file: none (nothing is there)"),
        (existing_folder, "none", "no such folder: none (nothing is there)"),
        (existing_file, ".", "no such file: . (it is no file)"),
        (existing_folder, "a.txt", "no such folder: a.txt (it is no folder)"),
        (existing_file, "a\0b", "no such file: "),
        (existing_file, "a" * 5000, "no such file: "),
    ],
)
def test_what_is_not_there_is_told(tmp_path, monkeypatch, read, name, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").touch()
    with pytest.raises(ArgumentTypeError) as caught:
        read(name)
    what, _, remedy = str(caught.value).partition("\n  -> ")
    assert what.startswith(said)
    assert remedy.startswith("check the path")


def test_what_is_there_is_its_path(tmp_path):
    (tmp_path / "a.txt").touch()
    assert existing_file(str(tmp_path / "a.txt")) == tmp_path / "a.txt"
    assert existing_folder(str(tmp_path)) == tmp_path


def modules_of_scripts():
    """Modules of benchmarks and tools by their plain names, which several of those folders have."""
    folders = (str(ROOT / "benchmarks"), str(ROOT / "tools"))
    files = ((name, getattr(module, "__file__", None) or "") for name, module in sys.modules.items())
    return {name for name, file in files if file.startswith(folders)}


@pytest.fixture
def command_line(monkeypatch, capsys):
    """Run a script as `python SCRIPT WORDS` does, without a process: each would import torch, or diffusers too."""

    def run(script, *words):
        for name in modules_of_scripts():
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setattr(sys, "path", [str(script.parent), *sys.path])
        monkeypatch.setattr(sys, "argv", [str(script), *words])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(script), run_name="__main__")
        return ended.value.code, capsys.readouterr().err

    yield run
    for name in modules_of_scripts():
        del sys.modules[name]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "words", "said"),
    [
        ("benchmarks/glyphs/pages.py", ("--bank", "none.xz"), "argument --bank: no such file: none.xz"),
        ("benchmarks/glyphs/steps.py", ("none",), "argument runs: no such folder: none"),
        ("benchmarks/glyphs/steps.py", ("runs",), "runs: no runs here"),
        (
            "tools/tiny_edit/evaluate_edit.py",
            ("--out", "a", "--model", "none"),
            "argument --model: no such folder: none",
        ),
        ("benchmarks/parallel/gpus_table.py", ("none.json",), "argument results: no such file: none.json"),
        ("benchmarks/gpu/compiled_table.py", ("none.json",), "argument results: no such file: none.json"),
        ("tools/tiny_edit/evaluate_edit.py", ("--out", "a"), "no inputs in a/inputs.zip, and no --atlas to make them"),
    ],
)
def test_a_command_line_ends_with_2_and_no_traceback(tmp_path, monkeypatch, command_line, script, words, said):
    (tmp_path / "runs" / "inputs").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    code, error = command_line(ROOT / script, *words)
    assert code == 2, error
    assert said in error
    assert "\n  -> " in error
    assert "Traceback" not in error
    assert not (tmp_path / "a").exists()


@pytest.mark.slow
def test_a_process_ends_as_its_command_line_does(tmp_path):
    command = [sys.executable, str(ROOT / "benchmarks" / "parallel" / "gpus_table.py"), "none.json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "argument results: no such file: none.json" in done.stderr
    assert "\n  -> " in done.stderr
    assert "Traceback" not in done.stderr
