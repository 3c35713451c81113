"""The command line as a whole; each command has tests of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

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
    others = {"__init__", "main", "common", "parser", "examples", "check_output", "check_images"}
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
