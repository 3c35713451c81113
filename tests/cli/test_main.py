"""The command line as a whole; each command has tests of its own."""

import argparse
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from qiltest import __version__, cli
from qiltest.cli.main import COMMANDS, build_parser, main

CHECK = ["check", "--lora=x", "--like=y", "--threads=none"]


def test_the_version_is_told(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"qiltest {__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_what_it_does_and_takes_json(capsys, command):
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    assert "--json" in capsys.readouterr().out


@pytest.mark.parametrize("called", [None, "lora"])
def test_the_commands_are_those_of_the_help(called):
    text = " ".join(build_parser(called).format_help().split())
    assert all(f" {command} {line}" in text for command, line in COMMANDS.items())


def test_every_module_of_the_folder_is_a_command():
    modules = {path.stem for path in Path(cli.__file__).parent.glob("*.py")}
    # `check_images` and `check_output` are parts of `check`
    others = {"__init__", "main", "common", "parser", "own_words", "examples", "check_output", "check_images"}
    assert modules - others == set(COMMANDS)


@pytest.mark.parametrize("args", [[], ["dance"], ["rescore", "--nothing"], ["history", "x", "--last=0"], CHECK])
def test_a_command_used_wrongly_ends_with_2(capsys, args):
    with pytest.raises(SystemExit) as caught:
        main(args)
    assert caught.value.code == 2
    assert "usage: qiltest" in capsys.readouterr().err


def test_an_error_that_users_can_mend_has_no_traceback(tmp_path, capsys):
    assert main(["rescore", "--runs", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert err.startswith("qiltest: ")
    assert "  -> " in err
    assert "Traceback" not in err


def test_an_interrupted_command_says_so(monkeypatch, capsys):
    def interrupt(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr("qiltest.cli.rescore.RunStore", interrupt)
    assert main(["rescore"]) == 130
    assert capsys.readouterr().err == "qiltest: interrupted\n"


@pytest.mark.parametrize("argument", ["--version", "--help"])
def test_what_needs_no_command_loads_none(argument):
    script = (
        "import sys; from qiltest.cli.main import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "print(*(name for name in sys.modules if name.partition('.')[0] in {'qiltest', 'rich', 'numpy', 'pydantic'}))\n"
    )
    done = subprocess.run([sys.executable, "-c", script, argument], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert loaded == {
        "qiltest",
        "qiltest.errors",
        "qiltest.text",
        "qiltest.text.escape",
        "qiltest.cli",
        "qiltest.cli.main",
        "qiltest.cli.parser",
    }


def test_it_starts_without_torch_and_without_readers():
    script = (
        "import sys, qiltest.cli.main\n"
        "loaded = {'torch', 'diffusers', 'rapidocr', 'easyocr', 'onnxruntime', 'cv2'} & set(sys.modules)\n"
        "print(sorted(loaded))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_plugin_loads_neither():
    script = (
        "import sys, pytest\n"
        "pytest.main(['--version'])\n"
        "loaded = {'torch', 'diffusers', 'rapidocr', 'easyocr', 'onnxruntime', 'cv2', 'PIL'} & set(sys.modules)\n"
        "print(sorted(loaded))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("command", COMMANDS)
def test_an_option_with_one_value_is_refused_where_it_is_given_twice(command, capsys):
    subcommands = next(a for a in build_parser(command)._actions if isinstance(a, argparse._SubParsersAction))
    single = [
        action
        for action in subcommands.choices[command]._actions
        if isinstance(action, argparse._StoreAction) and action.option_strings and action.nargs is None
    ]
    assert single or command in {"init", "completion"}
    for action in single:
        flag = action.option_strings[0]
        value = str((action.choices or [{"--draws": "2", "--margin": "0.01"}.get(flag, "1")])[0])
        with pytest.raises(SystemExit):
            main([command, f"{flag}={value}", f"{flag}={value}"])
        said = capsys.readouterr().err
        assert f"{flag}: given twice, and it has one value" in said
        assert "-> give it once" in said


def test_the_same_options_may_be_given_to_the_next_call(capsys):
    for _ in range(2):
        assert main(["runs", "--runs=nowhere"]) in {0, 2}
        assert "given twice" not in capsys.readouterr().err


def test_an_error_of_scoring_and_its_remedy_have_a_line_each(tmp_path, capsys):
    Image.effect_noise((64, 64), 9).convert("RGB").save(tmp_path / "noise.png")
    assert main(["score", str(tmp_path / "noise.png"), "--expect", "\u0416"]) == 1
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"ERROR: {tmp_path / 'noise.png'}: --expect: rapidocr")
    assert second.startswith("  -> use a reader of this script")
    assert second.endswith("name marks that may be missing as optional (`--optional`)")
