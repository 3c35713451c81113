"""Parse option values, for pytest's options and the commands: each function is an argparse `type`.

The module imports nothing of qiltest before it has an error to tell, because every pytest session loads it.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable
from pathlib import Path

#: more seeds per case than this must be given as a list, so that a single seed is not taken for a count.
MAX_SEED_COUNT = 64
#: largest seed that torch and a run's records take.
MAX_SEED = 2**63 - 1
AUTO = "auto"
ALL = "all"
MAX_ROUNDS = 100
#: a LoRA at more than this is no release of anything.
MAX_STRENGTH = 4.0


def natural_int(text: str) -> int:
    """Read a whole number from 0 on. Raises argparse.ArgumentTypeError."""
    return _whole(text, "a whole number", least=0)


def positive_int(text: str) -> int:
    """Read a whole number from 1 on. Raises argparse.ArgumentTypeError."""
    return _whole(text, "a whole number", least=1)


def seed_count(text: str) -> int:
    """Read a number of seeds, 1 to 64. Raises argparse.ArgumentTypeError."""
    return _whole(text, "a number of seeds", least=1, most=MAX_SEED_COUNT)


def rate(text: str) -> float:
    """Read edits per character, from 0 to below 1. Raises argparse.ArgumentTypeError."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{shown(text)} is not a rate\n  -> write edits per character, such as 0.01")
    return value


def strengths(text: str) -> tuple[float, ...]:
    """Read factors on a LoRA's delta with commas between them, above 0 to 4. Raises argparse.ArgumentTypeError."""
    found = []
    for part in text.split(","):
        try:
            value = float(part)
        except ValueError:
            value = float("nan")
        if not 0 < value <= MAX_STRENGTH:
            what = f"{shown(part)} is not a strength"
            raise argparse.ArgumentTypeError(
                f"{what}\n  -> write factors above 0 to {MAX_STRENGTH:g}, such as 0.5,0.8,1"
            )
        found.append(value)
    return tuple(dict.fromkeys(found))


def rounds(text: str) -> int | str:
    """Read a number of timed loops, 1 to 100, or `auto`. Raises argparse.ArgumentTypeError."""
    if text == AUTO:
        return AUTO
    return _whole(text, "a number of denoise loops", least=1, most=MAX_ROUNDS, other=f"{AUTO}, or ")


def workers(text: str) -> int | str:
    """Read a number of workers, or `all`. Raises argparse.ArgumentTypeError."""
    return ALL if text == ALL else _whole(text, "a number of workers", least=1, other=f"{ALL}, or ")


def shard(text: str) -> tuple[int, int]:
    """Read a part as `2/3`: the second of three. Raises argparse.ArgumentTypeError."""
    match = re.fullmatch("([0-9]{1,4})/([0-9]{1,4})", text)
    found = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= found[0] <= found[1]:
        raise argparse.ArgumentTypeError(f"{shown(text)} is no part\n  -> write 1/3, 2/3 and 3/3 on three runners")
    return found


def expectation(text: str) -> int | str:
    """Read a number of images that must be judged, or `all`. Raises argparse.ArgumentTypeError."""
    return ALL if text == ALL else _whole(text, "a number of images", least=1, other=f"{ALL}, or ")


def seeds(text: str) -> int | tuple[int, ...]:
    """Read a count such as `8`, or a list such as `42,43` (one seed: `42,`). Raises argparse.ArgumentTypeError."""
    parts = [part.strip() for part in text.split(",")]
    # of more digits than any seed has the first suffice to see that it is too large
    numbers = [int(part.lstrip("0")[:20] or "0") for part in parts if part.isdecimal()]
    if len(numbers) != sum(1 for part in parts if part) or not numbers:
        raise argparse.ArgumentTypeError(
            f"{shown(text)} is neither a number nor a list of seeds\n  -> write 8, or 42,43,44"
        )
    if max(numbers) > MAX_SEED:
        what = f"{shown(text)} has a seed that is too large"
        raise argparse.ArgumentTypeError(f"{what}\n  -> give seeds from 0 to {MAX_SEED}")
    if twice := sorted({number for number in numbers if numbers.count(number) > 1}):
        raise argparse.ArgumentTypeError(f"{shown(text)} has seed {twice[0]} twice\n  -> give each seed once")
    if len(parts) > 1:
        return tuple(numbers)
    if not 1 <= numbers[0] <= MAX_SEED_COUNT:
        raise argparse.ArgumentTypeError(
            f"{text} asks for {text} seeds per case\n"
            f"  -> write `{text},` for the one seed {text}, or a number from 1 to {MAX_SEED_COUNT}"
        )
    return numbers[0]


def one_of(*choices: str) -> Callable[[str], str]:
    """Return a function that reads one of `choices`. It raises argparse.ArgumentTypeError.

    For pytest's options: it prints what argparse says of `choices` as it is.
    """

    def read(text: str) -> str:
        if text not in choices:
            raise argparse.ArgumentTypeError(f"{shown(text)} is not a choice\n  -> write one of: {', '.join(choices)}")
        return text

    return read


def shown(text: str) -> str:
    """Return a value for a message, in which nothing acts on a terminal or a job's log."""
    from qiltest.text.escape import printable_line

    return printable_line(text)


def image_hashes(text: str) -> tuple[str, ...]:
    """Read the beginnings of SHA-256 in hexadecimal, of 12 digits or more. Raises argparse.ArgumentTypeError."""
    found = tuple(part.strip().lower() for part in text.split(","))
    wrong = [part for part in found if re.fullmatch("[0-9a-f]{12,64}", part) is None]
    if wrong:
        raise argparse.ArgumentTypeError(
            f"{shown(wrong[0])} is not the SHA-256 of an image\n  -> copy the command that the failing test printed"
        )
    return found


def seconds(text: str) -> float:
    """Read a time above 0 and up to a day, in seconds. Raises argparse.ArgumentTypeError."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 < value <= 86_400:
        raise argparse.ArgumentTypeError(f"{shown(text)} is not a time\n  -> write seconds, such as 600")
    return value


def existing_file(text: str) -> Path:
    """Read the path of a file that is there. Raises argparse.ArgumentTypeError."""
    return _existing(text, "file", Path.is_file)


def existing_folder(text: str) -> Path:
    """Read the path of a folder that is there. Raises argparse.ArgumentTypeError."""
    return _existing(text, "folder", Path.is_dir)


def _existing(text: str, what: str, is_there: Callable[[Path], bool]) -> Path:
    path = Path(text)
    try:
        if is_there(path):
            return path
    except (OSError, ValueError):  # no path at all: too long, or with a zero byte
        pass
    other = f"it is no {what}" if os.path.lexists(path) else "nothing is there"
    raise argparse.ArgumentTypeError(
        f"no such {what}: {shown(text)} ({other})\n  -> check the path; --help says which {what} it is"
    )


def names(text: str) -> list[str]:
    """Read names with commas between them; for `action="extend"`."""
    return [name.strip() for name in text.split(",") if name.strip()]


def _whole(text: str, what: str, *, least: int, most: int | None = None, other: str = "") -> int:
    number = int(text) if text.removeprefix("-").isdecimal() else None
    if number is None:
        wrong = f"is not {what}"
    elif number < least:
        wrong = f"is too small; the least is {least}"
    elif most is not None and number > most:
        wrong = f"is too large; the most is {most}"
    else:
        return number
    allowed = f"{least} or more" if most is None else f"{least} to {most}"
    raise argparse.ArgumentTypeError(f"{shown(text)} {wrong}\n  -> write {other}{allowed}")
