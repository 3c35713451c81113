"""False alarms of goldens on real images that change and keep their text: JPEG, size, margins, brightness.

    python benchmarks/gate/reencoded.py [--images ../shared/real-images] [--change "JPEG 90"] [--store FOLDER]

The golden of each real image is what the reader reads in it as it is, right or wrong. The same image is read after the
mild changes of `benchmarks/readers/perturbed.py` and judged twice: by the sum of all edits alone, and text by text. The
text is the same, so each image that fails is a false alarm: what the reader's own jitter costs. Half of the images have
errors, which is where the two rules differ. Prints one JSON object by change; readings are kept in `--store`.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gate_power_rates import Seen, judgement, rate
from PIL import Image

from qiltest.arguments import existing_folder
from qiltest.errors import QiltestError
from qiltest.files import write_atomically
from qiltest.gate.verdict import Verdict
from qiltest.reading import Reader, Reading, open_reader
from qiltest.recipe import Size
from qiltest.scoring import score_case
from qiltest.strict_json import decode
from qiltest.suite.cases import Case, ExpectedText, Limits, Resolution

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks" / "readers"))
from perturbed import CHANGES  # noqa: E402

from readers import images_of  # noqa: E402

AS_IT_IS = "as it is"


def case_of(record: dict[str, Any]) -> Case:
    """Return the case that a real image was made for, as far as its texts go."""
    size = Size(record["width"], record["height"])
    return Case(
        id=Path(record["file"]).stem,
        title="",
        prompt="",
        language="en",
        report_table=None,
        texts=tuple(ExpectedText(text=text) for text in record["expected_text"]),
        resolutions=(Resolution(size=size, tiny=size),),
        limits=Limits(tolerance=0),
    )


def seen(path: Path, change: str, case: Case, reader: Reader, store: Path) -> Seen:
    """Read an image after a change (or take the stored reading), and score it."""
    kept = store / f"{change.replace(' ', '_').replace('%', 'pc')}--{path.name}.json"
    if not kept.is_file():
        data = io.BytesIO()
        CHANGES[change](Image.open(path).convert("RGB")).save(data, "PNG", compress_level=1)
        record = asdict(reader.read(data.getvalue()))
        write_atomically(kept, json.dumps(record, ensure_ascii=False, allow_nan=False).encode())
    reading = decode(Reading, kept.read_bytes())
    size = case.resolutions[0].size  # the golden's: another size is part of the change
    try:
        return Seen(score=score_case(case, reading), effective=size, reading=reading)
    except QiltestError as error:
        return Seen(score=None, effective=size, error=str(error).splitlines()[0])


def by_change(pairs: list[tuple[Case, Seen, Seen]]) -> dict[str, Any]:
    """Return how many images fail by each rule, and which fail by one alone."""
    found: dict[str, Any] = {}
    alarms: dict[bool, dict[str, tuple[str, ...]]] = {True: {}, False: {}}
    for case, before, after in pairs:
        for by_text, failed in alarms.items():
            now = judgement(case, 0, before, after, by_text=by_text)
            if now is None or now.verdict is not Verdict.PASS:
                failed[case.id] = (after.error,) if now is None else now.reasons
    for errors in (False, True):
        own = [case.id for case, before, _ in pairs if before.score and bool(before.score.distance) is errors]
        found["golden with errors" if errors else "golden without"] = {
            name: rate(sum(image in alarms[by_text] for image in own), len(own))
            for name, by_text in (("sum", False), ("text by text", True))
        }
    found["text by text alone"] = {image: why for image, why in alarms[True].items() if image not in alarms[False]}
    return found


def main() -> int:
    """Read, judge, print. Returns 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--images",
        type=existing_folder,
        default=str(ROOT.parent / "shared" / "real-images"),
        help="a folder of images with true readings",
    )
    parser.add_argument("--change", action="append", choices=[c for c in CHANGES if c != AS_IT_IS])
    parser.add_argument("--reader", default="rapidocr:threads=1")
    parser.add_argument("--store", type=Path, default=ROOT / "build" / "reencoded")
    args = parser.parse_args()
    reader = open_reader(args.reader)
    store = args.store / f"{reader.info.fingerprint}-{reader.info.code}"
    records = images_of(args.images)
    result: dict[str, Any] = {"reader": reader.info.fingerprint, "code": reader.info.code, "images": len(records)}
    for change in args.change or [c for c in CHANGES if c != AS_IT_IS]:
        pairs = []
        for record in records:
            case, path = case_of(record), args.images / record["file"]
            before = seen(path, AS_IT_IS, case, reader, store)
            if before.score is not None:
                pairs.append((case, before, seen(path, change, case, reader, store)))
        result[change] = by_change(pairs)
        print(change, file=sys.stderr, flush=True)
    print(json.dumps(result, ensure_ascii=False, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
