"""A session on a model's folder that others wrote: nothing of it runs, and remembered hashes can be forgotten."""

import json
import pickle
import shutil
from pathlib import Path

import pytest

import apart
from qiltest.generation.sources import EMBEDDED


def refused(result, *lines):
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    text = result.stdout.str() + result.stderr.str()
    for line in lines:
        assert line in text
    assert "Traceback" not in text


class Payload:
    """Writes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return exec, (f"open({str(self.mark)!r}, 'w').write('ran')",)


@pytest.mark.parametrize("component", ["transformer", "text_encoder"])
@pytest.mark.slow
def test_a_pickle_that_an_index_names_is_never_opened(suite, component):
    """Once it was: the image was generated from it, and other weights in it were taken for the same model."""
    suite.pytester.makeconftest("")
    mark, folder = suite.path / "ran", suite.path / "model"
    shutil.copytree(EMBEDDED, folder)
    weights = next((folder / component).glob("*.safetensors"))
    weights.unlink()
    weights.with_name("w.bin").write_bytes(pickle.dumps(Payload(mark)))
    weights.with_name(f"{weights.name}.index.json").write_text(json.dumps({"weight_map": {"a": "w.bin"}}))
    result = suite.run_apart(f"--qil-model={folder}", "--qil-device=cpu", "--qil-update=missing", loads=apart.MODEL)
    refused(
        result, f"{component}/{weights.name}.index.json names w.bin, which is not a .safetensors file", "  -> nothing"
    )
    assert not mark.exists()
    assert not (suite.path / "golden").exists()


def test_rehash_forgets_what_was_remembered(suite, monkeypatch, tmp_path):
    monkeypatch.setenv("QILTEST_CACHE", str(tmp_path / "own"))
    memory = tmp_path / "own" / "hashes.json"
    memory.parent.mkdir()
    memory.write_text("{}")
    suite.record()
    assert suite.run().ret == 0
    assert memory.exists()
    assert suite.run("--qil-rehash").ret == 0
    assert not memory.exists()


def test_remembered_hashes_that_cannot_be_forgotten_are_not_believed(suite, monkeypatch, tmp_path):
    monkeypatch.setenv("QILTEST_CACHE", str(tmp_path / "own"))
    (tmp_path / "own" / "hashes.json").mkdir(parents=True)
    refused(suite.run("--qil-rehash"), "--qil-rehash: ", "the remembered hashes cannot be removed", "  -> ")
    assert suite.generated() == []
