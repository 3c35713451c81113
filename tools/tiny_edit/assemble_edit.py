"""Write what a training left as a model in diffusers layout: `lite` (weights in files that travel) and `loras`.

    python tools/tiny_edit/assemble_edit.py CHECKPOINTS --out MODEL

Without `lite` it writes the text-to-image model's weights under the editing pipeline's classes: a model that loads and cannot edit.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from edit_models import build_edit_text_encoder, build_edit_tokenizer, export, take_text_to_image, take_vae
from models import build_transformer, build_vae
from pack_weights import read_weights

from qiltest.arguments import existing_folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=existing_folder, help="what train_edit.py wrote")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    tokenizer = build_edit_tokenizer()
    vae, transformer, encoder = build_vae(), build_transformer(), build_edit_text_encoder(tokenizer)
    take_vae(vae)
    take_text_to_image(transformer, encoder)
    if (args.folder / "lite").is_dir():
        read_weights(args.folder / "lite", {"transformer": transformer, "text_encoder": encoder})
    export(args.out, vae, transformer, encoder, tokenizer)
    (args.out / "loras").mkdir(exist_ok=True)
    for path in sorted(args.folder.glob("loras/*step.safetensors")):
        shutil.copyfile(path, args.out / "loras" / path.name)


if __name__ == "__main__":
    main()
