"""`qiltest lora`: exit codes and what is printed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from qiltest.cli.main import build_parser
from qiltest.errors import QiltestError
from small_loras import lora, with_header, write


@pytest.fixture
def base(tmp_path):
    """A folder in diffusers layout, as far as the command reads it."""
    folder = tmp_path / "small"
    (folder / "transformer").mkdir(parents=True)
    config = {"num_layers": 6, "attention_head_dim": 8, "num_attention_heads": 2, "joint_attention_dim": 12}
    (folder / "transformer" / "config.json").write_text(json.dumps(config))
    return folder


def run(capsys, *arguments):
    """Run the command as `qiltest.cli.main.main` does: an error that leaves it is its message and its exit code."""
    parsed = build_parser("lora").parse_args(["lora", *map(str, arguments)])
    message = ""
    try:
        code = parsed.handler(parsed)
    except QiltestError as error:
        code, message = error.exit_code, str(error)
    return code, capsys.readouterr().out, message


def test_a_file_that_fits_is_exit_code_0(capsys, tmp_path, base):
    code, out, _ = run(capsys, write(tmp_path, lora()), "--base", base)
    assert code == 0
    for part in ("effective scale", "0.5", "72 of 90 in small", "lora_down/lora_up", "fits small"):
        assert part in out


def test_a_file_that_does_not_fit_is_exit_code_1_and_says_why(capsys, tmp_path, base):
    arrays = {key.replace("to_q", "wq"): value for key, value in lora().items()}
    code, out, _ = run(capsys, write(tmp_path, arrays), "--base", base)
    assert code == 1
    assert "ERROR" in out
    assert "12 keys with no match in small" in out.replace("\n", " ")
    assert out.endswith("\ndoes not fit small\n")


@pytest.mark.parametrize("data", [b"", b"nonsense", b"\x80\x02}q\x00.xxxxxxxxxxx"], ids=["empty", "nonsense", "pickle"])
def test_a_file_that_is_no_safetensors_is_exit_code_1_as_of_qiltest_check(capsys, tmp_path, data):
    path = tmp_path / "file.safetensors"
    path.write_bytes(data)
    code, out, _ = run(capsys, path)
    assert code == 1
    assert out.startswith("ERROR  ")
    assert f"{path}: download the file again" in out
    code, out, _ = run(capsys, path, "--json")
    record = json.loads(out)
    assert (code, record["passes"], record["findings"][0]["code"]) == (1, False, "broken")


def test_a_file_that_fits_no_base_says_so_and_not_that_the_compared_release_is_missing(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    arrays = {key.replace("transformer_blocks", "blocks"): value for key, value in lora().items()}
    code, out, message = run(capsys, write(tmp_path, arrays), "--like", "4step")
    assert (code, message) == (1, "")
    assert "keys with no match in qwen-image" in out.replace("\n", " ")
    assert out.endswith("\ndoes not fit qwen-image\n")


def test_a_file_that_is_not_there_is_exit_code_2(capsys, tmp_path):
    assert run(capsys, tmp_path / "none.safetensors")[0] == 2
    assert run(capsys, "embedded::nosuch")[0] == 2


def test_a_pickle_by_its_name_is_exit_code_2(capsys, tmp_path):
    path = tmp_path / "lora.bin"
    path.write_bytes(b"\x80\x02.")
    code, _, err = run(capsys, path)
    assert code == 2
    assert "pickles are never opened" in err


def test_a_base_that_is_not_there_is_exit_code_2(capsys, tmp_path):
    code, _, err = run(capsys, write(tmp_path, lora()), "--base", tmp_path / "nowhere")
    where = tmp_path / "nowhere" / "transformer" / "config.json"
    assert code == 2
    assert err == (
        f"{where}: cannot read the transformer config: No such file or directory\n"
        "  -> name tiny, qwen-image or a folder in diffusers layout"
    )


def test_json_has_every_fact(capsys, tmp_path, base):
    code, out, _ = run(capsys, write(tmp_path, lora(), metadata={"k": "v"}), "--base", base, "--json")
    record = json.loads(out)
    assert code == 0
    assert record["passes"] is True
    assert (record["ranks"], record["alphas"], record["scales"]) == ([3], [1.5], [0.5])
    assert len(record["modules"]) == 72
    assert len(record["blocks"]) == 6
    assert record["metadata"] == {"k": "v"}
    assert len(record["sha256"]) == 64
    assert {"naming", "prefixes", "dtypes", "fits", "variants", "unknown_keys", "missing_keys", "findings"} <= set(
        record
    )


def test_json_of_a_bad_file_is_json_and_exit_code_1(capsys, tmp_path, base):
    arrays = {key: value * np.nan if "0.attn.to_q.lora_up" in key else value for key, value in lora().items()}
    code, out, _ = run(capsys, write(tmp_path, arrays), "--base", base, "--json")
    assert code == 1
    assert json.loads(out)["non_finite"] == ["transformer_blocks.0.attn.to_q.lora_up.weight"]


def test_a_release_four_times_too_strong_does_not_hold_beside_the_one_it_replaces(capsys, tmp_path, base):
    old = write(tmp_path, lora(alpha=1.5), "old.safetensors")
    new = write(tmp_path, lora(alpha=6.0), "new.safetensors")
    assert run(capsys, new, "--base", base)[0] == 0
    code, out, _ = run(capsys, new, "--base", base, "--like", old)
    assert code == 1
    assert "4 times as strong" in out.replace("\n", " ")
    assert out.endswith(f"\ncannot replace {old}\n")
    code, out, _ = run(capsys, old, "--base", base, "--like", old, "--json")
    assert code == 0
    assert json.loads(out)["like"]["strength"] == 1.0


def test_a_variant_that_does_not_exist_is_exit_code_2(capsys, tmp_path, base):
    code, _, err = run(capsys, write(tmp_path, lora()), "--base", base, "--like", "5step")
    assert code == 2
    assert "5step" in err


def test_the_verb_needs_no_torch(tmp_path, base):
    script = (
        "import sys; sys.modules.update(dict.fromkeys(('torch', 'diffusers', 'transformers', 'peft')))\n"
        "from qiltest.cli.main import main; sys.exit(main(sys.argv[1:]))\n"
    )
    command = [sys.executable, "-c", script, "lora", str(write(tmp_path, lora())), "--base", str(base)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_a_file_that_no_catalogue_knows_says_so(capsys, tmp_path, base):
    _, out, _ = run(capsys, write(tmp_path, lora()), "--base", base)
    assert "release          none that the catalogue knows by SHA-256 or name\n" in out
    _, out, _ = run(capsys, write(tmp_path, lora()), "--base", base, "--json")
    assert json.loads(out)["release"] is None


def test_a_release_of_that_name_is_shown_as_a_hint_and_changes_no_exit_code(capsys, tmp_path, base):
    path = write(tmp_path, lora(), "Qwen-Image-Edit-Lightning-4steps-V1.0-bf16.safetensors")
    code, out, _ = run(capsys, path, "--base", base)
    assert code == 0
    assert "Qwen-Image-Edit-Lightning-4steps-V1.0 (bf16), by its name, which is only a hint\n" in out
    assert "note  it has the name of Qwen-Image-Edit-Lightning-4steps-V1.0 (bf16) and another SHA-256 (" in out


def test_a_shipped_variant_of_another_number_of_steps_is_noted_by_the_name(capsys, tmp_path):
    variants = Path(__file__).parents[2] / "cases"
    old = write(tmp_path, lora(), "old.safetensors")
    path = write(tmp_path, lora(), "mine-8steps.safetensors")
    settings = tmp_path / "cases"
    settings.mkdir()
    text = (variants / "variants.toml").read_text(encoding="utf-8").replace(REAL_FOUR, str(old))
    (settings / "variants.toml").write_text(text, encoding="utf-8")
    folder = tmp_path / "small"
    (folder / "transformer").mkdir(parents=True)
    config = {"num_layers": 6, "attention_head_dim": 8, "num_attention_heads": 2, "joint_attention_dim": 12}
    (folder / "transformer" / "config.json").write_text(json.dumps(config))
    _, out, _ = run(capsys, path, "--base", folder, "--cases", settings, "--like", "4step")
    assert "note  its name or metadata speak of 8 steps, variant 4step takes 4 (a hint: the name may be wrong)\n" in out


HOSTILE = {
    "x\n\x1b[32mfits small\x1b[0m\nmetadata y": "1\n::error::a",
    "\x9b2J\u202e": "\x1b]0;b\x07",
    "##[error]c": "##[d]",
}


def test_keys_and_values_of_metadata_cannot_act_on_a_terminal_or_a_jobs_log(capsys, tmp_path, base):
    arrays = lora() | {"\x1b[2J\n::error::e\x07": np.zeros(1)}
    path = write(tmp_path, arrays, metadata=HOSTILE)
    code, out, _ = run(capsys, path, "--base", base)
    assert code == 1
    assert all(char == "\n" or char.isprintable() for char in out)
    lines = out.splitlines()
    assert not any(line.lstrip().startswith("::") or "##[" in line for line in lines)
    assert "fits small" not in lines
    assert sum(line.startswith("metadata") for line in lines) == len(HOSTILE)
    code, out, _ = run(capsys, path, "--base", base, "--json")
    assert all(char == "\n" or char.isprintable() for char in out)
    assert "##[" not in out
    assert json.loads(out)["metadata"] == HOSTILE


def test_what_is_shown_of_a_file_is_bounded_and_json_has_all(capsys, tmp_path, base):
    arrays = {key: value * (1 + number) for number, (key, value) in enumerate(lora().items())}
    path = write(tmp_path, arrays, metadata={f"k{number:03}": "v" * 10_000 for number in range(100)})
    _, out, _ = run(capsys, path, "--base", base)
    assert len(out) < 20_000
    assert "metadata         and 60 more entries (--json has all)\n" in out
    assert ", and 64 more\n" in out
    _, out, _ = run(capsys, path, "--base", base, "--json")
    assert len(json.loads(out)["metadata"]) == 100


def test_a_file_larger_than_any_lora_is_refused_without_a_hash(capsys, tmp_path, base):
    header = {
        "transformer_blocks.0.attn.to_q.weight": {"dtype": "I8", "shape": [1 << 36], "data_offsets": [0, 1 << 36]}
    }
    path = tmp_path / "large.safetensors"
    path.write_bytes(with_header(header))
    os.truncate(path, path.stat().st_size + (1 << 36))
    code, out, _ = run(capsys, path, "--base", base, "--like", path)
    assert code == 1
    assert "sha256           not computed: the file is refused for its size\n" in out
    assert "ERROR  a checkpoint of whole weights" in out


REAL_FOUR = "lightx2v/Qwen-Image-Lightning::Qwen-Image-Lightning-4steps-V1.0.safetensors"
