"""A text that tries to act on a terminal and on a CI job's log, and a check that nothing of it acts."""

import re
import unicodedata

#: a title, colours, a C1 control sequence, a next line, direction overrides, and workflow commands of GitHub and Azure.
HOSTILE = (
    "a\x1b]0;PWNED\x07\x1b[31m\x9b2J\x85b\u202e\u2066\u2028c\x7f\x08\r\n::error title=x::PWNED\n  ::add-mask::x\n"
    "##[error]PWNED ##vso[task.complete]x"
)
#: the same for places that take one line only.
HOSTILE_LINE = HOSTILE.replace("\r\n", "").replace("\n", "")
_EMOJI_STYLE = "\ufe0e\ufe0f"
_COMMAND = re.compile(r"^\s*::|##\[|##vso\[", re.MULTILINE)


def acting(text: str) -> list[str]:
    """Return what in an output would act: control and format characters but line feeds, and workflow commands."""
    characters = {
        f"U+{ord(char):04X}"
        for char in text
        if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and char not in f"\n{_EMOJI_STYLE}"
    }
    return [*sorted(characters), *_COMMAND.findall(text)]
