"""`qiltest completion`: prints the shell code that completes commands, options, runs, cases and variants."""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import argcomplete
from argcomplete.completers import FilesCompleter
from argcomplete.finders import safe_actions
from argcomplete.shell_integration import shellcode

from qiltest.cli.common import AddParser, console, json_flag, print_json
from qiltest.cli.parser import Once
from qiltest.files import read_file
from qiltest.reading.registry import reader_names

SHELLS = ("bash", "zsh", "fish")
#: newest runs that are offered; most bytes of a case file.
_RUNS, _MOST_BYTES = 50, 1 << 20
_VARIANTS = "variants.toml"


def add_parser(add: AddParser) -> None:
    """Add the options of `qiltest completion`."""
    parser = add(
        description="Prints the code by which a shell completes `qiltest`: commands, options, stored runs, cases and "
        "variants. Exit code 0: done; 2: wrong usage.",
        parents=[json_flag()],
    )
    parser.add_argument("shell", nargs="?", choices=SHELLS, default=SHELLS[0], help=f"default: {SHELLS[0]}")
    parser.set_defaults(handler=run_completion)


def run_completion(args: argparse.Namespace) -> int:
    """Print the code. Returns 0."""
    code = shellcode(["qiltest"], shell=args.shell)
    if args.json:
        print_json({"shell": args.shell, "code": code})
    else:
        console().out(code, highlight=False)
    return 0


def complete(parser_of: Callable[[str | None], argparse.ArgumentParser], line: str, **options: Any) -> None:  # noqa: ANN401
    """Answer the shell that asks for completions of `line`, and end the process; `options` are argcomplete's."""
    words = [word for word in line.split()[1:] if not word.startswith("-")]
    command = words[0] if words and (len(words) > 1 or line.endswith((" ", "\t")) or "-" in line) else None
    parser = parser_of(command)
    for one in (parser, *_subparsers(parser)):
        for action in one._actions:
            with_completer: Any = action  # argcomplete's way to give an action its completer
            if action.metavar in _COMPLETERS:
                with_completer.completer = _COMPLETERS[action.metavar]
    safe_actions.add(Once)  # it only stores, as argparse's own does, so that `--runs FOLDER` counts here
    argcomplete.autocomplete(parser, **options)


def _subparsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.values()


def _runs(parsed_args: argparse.Namespace, **_: object) -> Iterable[str]:
    """Return the newest runs, by their ids."""
    root = getattr(parsed_args, "runs", None) or Path("runs")
    found = sorted((path.parent.name for path in root.glob("*/events.jsonl")), reverse=True)[:_RUNS]
    return ["latest", *found]


def _cases(parsed_args: argparse.Namespace, **_: object) -> Iterable[str]:
    """Return the ids of the cases, alone and with each resolution."""
    names = []
    for path in sorted(_folder(parsed_args).glob("*.toml")):
        case = _toml(path) if path.name != _VARIANTS else {}
        if isinstance(identity := case.get("id"), str):
            sizes = [one.get("size") for one in case.get("resolutions", ()) if isinstance(one, dict)]
            names += [identity, *(f"{identity}@{size}" for size in sizes)]
    return names


def _variants(parsed_args: argparse.Namespace, **_: object) -> Iterable[str]:
    """Return the names in the variants' file."""
    return [name for name, table in _toml(_folder(parsed_args) / _VARIANTS).items() if isinstance(table, dict)]


def _variants_and_files(prefix: str, parsed_args: argparse.Namespace, **_: object) -> Iterable[str]:
    return [*_variants(parsed_args), *FilesCompleter()(prefix)]


def _readers(**_: object) -> Iterable[str]:
    return reader_names()


def _folder(parsed_args: argparse.Namespace) -> Path:
    return getattr(parsed_args, "cases", None) or Path("cases")


def _toml(path: Path) -> dict[str, Any]:
    """Return what a TOML file holds; nothing where it cannot be read, for here nobody could be told."""
    with suppress(OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError):
        return tomllib.loads(read_file(path, most=_MOST_BYTES).decode())
    return {}


#: by the name that an option's value has in the help.
_COMPLETERS: dict[Any, Callable[..., Iterable[str]]] = {
    "RUN": _runs,
    **dict.fromkeys(("ID[@WxH]", "ID", "CASE[@WxH]"), _cases),
    **dict.fromkeys(("VARIANT", "V", "A", "B"), _variants),
    "VARIANT|FILE": _variants_and_files,
    "READER": _readers,
}
