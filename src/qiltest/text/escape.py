"""Escape untrusted text: prompts, readings and ids come from models and files that nobody checked.

`visible` comes first everywhere: it shows characters that would act (control, direction overrides) or break an encoder
(lone surrogates). Then the medium: terminals and job logs by `printable`, HTML by jinja2's autoescape, Markdown by
`markdown`, workflow commands by `command_data` and `command_property`, JSON that is printed by `printable_json`.
"""

from __future__ import annotations

import json
import re
import unicodedata

#: longest text shown in full, so that a runaway reading cannot make a report of a gigabyte.
MAX_SHOWN = 4_000

_CONTROL_PICTURES = 0x2400
_DELETE = 0x7F
#: format characters that are harmless: the variation selectors of emoji.
_HARMLESS = frozenset("\ufe0e\ufe0f")
_MARKDOWN_SPECIAL = re.compile(r"[\\`*_{}\[\]<>|~$]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_URL = re.compile(r":(?=//)|(?<=\bwww)\.", re.IGNORECASE)
#: @mentions and addresses, #numbers and :shortcodes: that GitHub turns into links and images after rendering.
_REFERENCE = re.compile(r"(?<!\w)@(?=\w)|@(?=[\w-]+\.\w)|#(?=\d)|:(?=[a-z0-9_+-]+:)")
_ORDERED = re.compile(r"^(\d+)([.)])(?=\s|$)")
#: what a job's log takes for a command: `::name` at the start of a line, after spaces too, and `##[name]` anywhere.
_COMMAND = re.compile(r"^([^\S\n]*)(?=::)|(?<=#)(?=#\[|#vso\[)", re.MULTILINE | re.IGNORECASE)
_OLD_COMMAND = re.compile(r"##(?=\[|vso\[)", re.IGNORECASE)
_BLOCK_START = re.compile(r"^(\s*)([-+=]|\d+(?=[.)]))")


def visible(text: str, *, newline: str = "\n") -> str:
    """Return `text` with everything invisible or active made visible.

    Control characters become control pictures (NUL: U+2400), direction and other format characters their code point
    in guillemets, surrogates and noncharacters U+FFFD. Line feeds become `newline`; carriage returns before them go.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(newline if char == "\n" else _visible_character(char) for char in text.replace("\r\n", "\n"))


def _visible_character(char: str) -> str:
    code = ord(char)
    if code < ord(" "):
        return " " if char == "\t" else chr(_CONTROL_PICTURES + code)
    if code == _DELETE:
        return "\u2421"
    category = unicodedata.category(char)
    if category in {"Cs", "Cc"} or code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF:
        return "\ufffd"
    if category in {"Cf", "Zl", "Zp"} and char not in _HARMLESS:
        return f"«U+{code:04X}»"
    return char


def bounded(text: str, limit: int = MAX_SHOWN) -> str:
    """Return at most `limit` characters of `text`, and how many were cut."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]} […{len(text) - limit} more characters]"


def one_line(text: str, limit: int = MAX_SHOWN) -> str:
    """Return `text` visible, bounded, with line feeds as a return mark."""
    return visible_bounded(text, limit, newline=" ⏎ ")


def visible_bounded(text: str, limit: int = MAX_SHOWN, *, newline: str = "\n") -> str:
    """Return the visible form of `text`, bounded, in the time that its first characters take.

    What is cut is told in characters of the text, those among them whose visible form is not shown whole.
    """
    if (start := text[: limit + 1]).isascii() and start.isprintable():
        return bounded(text, limit)
    shown, room, at = list[str](), limit, 0
    while at < len(text):
        end = at + 2 if text.startswith("\r\n", at) else at + 1
        form = newline if text[end - 1] == "\n" else _visible_character(text[at])
        shown.append(form[:room])
        room -= len(form)
        if room < 0:
            return f"{''.join(shown)} […{len(text) - at} more characters]"
        at = end
    return "".join(shown)


def printable(text: str) -> str:
    """Return `text` for a terminal or a job's log: visible, and with a backslash where a workflow command would begin.

    Line feeds stay; a caller who means one line takes `printable_line`.
    """
    return without_commands(visible(text))


def printable_line(text: str, limit: int = MAX_SHOWN) -> str:
    """Return `text` as one bounded line for a terminal or a job's log."""
    return without_commands(one_line(text, limit))


def without_commands(text: str) -> str:
    """Return `text` with a backslash in what GitHub and Azure take for a command when they read a job's log."""
    return _COMMAND.sub(r"\g<0>\\", text)


def printable_json(text: str) -> str:
    """Return JSON of the same value in which every character that would act on a terminal or a job's log is escaped."""
    escaped = text if text.isascii() else "".join(map(_json_character, text))
    # JSON leaves this one character that acts as it is, in ASCII too
    return _OLD_COMMAND.sub(r"#\\u0023", escaped.replace(chr(_DELETE), r"\u007f"))


def _json_character(char: str) -> str:
    return char if char == "\n" or _visible_character(char) == char else json.dumps(char)[1:-1]


def without_surrogates(text: str) -> str:
    """Return `text` with lone surrogates as U+FFFD, so that it can be encoded."""
    return _SURROGATE.sub("\ufffd", text)


def markdown(text: str, limit: int = MAX_SHOWN) -> str:
    """Return `text` as inline Markdown that renders as itself, in a table cell too.

    Also escapes what GitHub adds to Markdown: bare links, @mentions, #references, :emoji:, $mathematics$.
    """
    escaped = _MARKDOWN_SPECIAL.sub(r"\\\g<0>", visible_bounded(text, limit).replace("&", "&amp;"))
    escaped = escaped.replace("\\<", "&lt;").replace("\\>", "&gt;")
    escaped = (_ORDERED if escaped[:1].isdigit() else _BLOCK_START).sub(r"\1\\\2", escaped)
    escaped = _URL.sub(r"\\\g<0>", escaped)
    return _REFERENCE.sub(r"\g<0><!-- -->", escaped).replace("\n", "<br>")


def command_data(text: str) -> str:
    """Return `text` escaped as the message of a GitHub workflow command."""
    return visible(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def command_property(text: str) -> str:
    """Return `text` escaped as a property value of a GitHub workflow command."""
    return command_data(text).replace(":", "%3A").replace(",", "%2C")
