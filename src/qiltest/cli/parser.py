"""The parser of the commands: argparse, with texts that may begin with a hyphen.

argparse takes every word that begins with a hyphen for an option. An expected text such as `-15~-10°C` is none: an
option of `type=TEXT` takes it, written `--expect=-15~-10°C` or `--expect -15~-10°C`. A word with two hyphens is always
taken for an option, because a misspelled one must not become a text; the error tells how to write it as a text.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from qiltest.text.escape import printable

#: how a text begins whose lines are kept.
EXAMPLES = "examples:"
#: the `type` of an option that takes free text. Where it takes several words, its action must be `extend`.
TEXT = "text"
_TWICE = "given twice, and it has one value"
_SEVERAL = {argparse.ONE_OR_MORE, argparse.ZERO_OR_MORE}


class Once(argparse._StoreAction):
    """An option with one value: given twice, the first one would be lost without a word, so that is an error."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,  # noqa: ANN401 - as argparse has it
        option_string: str | None = None,
    ) -> None:
        """Take the value. Raises argparse.ArgumentError where there is one already."""
        if option_string is not None and type(parser) is Parser:  # argcomplete's own kind parses more than once
            if self in parser.given:
                raise argparse.ArgumentError(self, _TWICE)
            parser.given.add(self)
        super().__call__(parser, namespace, values, option_string)


class Help(argparse.HelpFormatter):
    """Help that keeps the lines of examples, and folds every other text."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if text.startswith(EXAMPLES):
            return "".join(f"{indent}{line}\n" for line in text.splitlines())
        return super()._fill_text(text, width, indent)


class Parser(argparse.ArgumentParser):
    """A parser that takes texts beginning with a hyphen, and whose messages quote arguments without obeying them."""

    def __init__(self, *args: Any, **keywords: Any) -> None:  # noqa: ANN401 - argparse's own
        super().__init__(*args, **{"formatter_class": Help, **keywords})
        self.register("type", TEXT, str)
        self.register("action", None, Once)
        self.register("action", "store", Once)
        #: options with one value that the words had so far.
        self.given: set[argparse.Action] = set()

    def parse_known_args(  # type: ignore[override]
        self,
        args: Sequence[str] | None = None,
        namespace: Any = None,  # noqa: ANN401 - as argparse has it
    ) -> tuple[Any, list[str]]:
        """Parse as argparse does, after each text was bound to its option.

        Unknown words are refused here, so that the usage shown is that of the command, not of `qiltest`.
        """
        words = sys.argv[1:] if args is None else args
        self.given.clear()
        parsed, unknown = super().parse_known_args(self._bound(list(words)), namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return parsed, unknown

    def error(self, message: str) -> NoReturn:
        """Print usage, the message and a remedy, and exit with 2."""
        super().error(printable(message + self._remedy(message)))

    def _bound(self, words: list[str]) -> list[str]:
        """Return the words with `--expect A -15` written as `--expect=A --expect=-15`."""
        bound, rest = list[str](), iter(words)
        word = next(rest, None)
        while word is not None:
            action = self._option_string_actions.get(word)
            if word == "--":
                return [*bound, word, *rest]
            if action is None or action.type != TEXT:
                bound.append(word)
                word = next(rest, None)
                continue
            texts, following = self._texts(rest, several=action.nargs in _SEVERAL)
            # without any, the option stays alone, and argparse says what it lacks
            bound += [f"{word}={text}" for text in texts] or [word]
            word = following
        return bound

    def _texts(self, words: Iterator[str], *, several: bool) -> tuple[list[str], str | None]:
        """Return the texts that stand next, and the word behind them."""
        texts = list[str]()
        for word in words:
            if not self._is_text(word) or (texts and not several):
                return texts, word
            texts.append(word)
        return texts, None

    def _is_text(self, word: str) -> bool:
        if not word.startswith("-") or word == "-":
            return True
        known = self._option_string_actions
        if word in known or word.partition("=")[0] in known or word == "--":
            return False
        if word.startswith("--"):
            return " " in word  # as argparse has it
        return f"-{word}" not in known  # `-json` is a slip of the hand, not a text

    def _remedy(self, message: str) -> str:
        lacking = re.match(r"argument ([^ :]*/)?(--[\w-]+): expected ", message)
        if lacking:
            return f"\n  -> write {lacking[2]}=VALUE; so also a value that begins with a hyphen"
        if message.endswith(_TWICE):
            return "\n  -> give it once; options that may be repeated say so in the help"
        if not message.startswith("unrecognized arguments:"):
            return ""
        texts = [action.option_strings[0] for action in self._actions if action.type == TEXT]
        written = "".join(f"; a text that begins with hyphens is written {flag}=TEXT" for flag in texts[:1])
        return f"\n  -> `{self.prog} --help` lists the options{written}"
