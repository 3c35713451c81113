"""Write the network as ONNX, its weights in 16 bits, the calibration in its metadata.

    python tools/glyph_verifier/glyph_export.py network.pt evaluation.json [--out src/qiltest/reading/glyphs/glyphs.onnx]

Needs the package onnx besides qiltest's own.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from glyph_net import Net

from qiltest.arguments import existing_file
from qiltest.reading.glyphs.crop import SIDE
from qiltest.reading.glyphs.network import FILE


def main() -> int:
    """Export a state dict with the calibration of its evaluation."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=existing_file, help="weights that glyph_train.py wrote")
    parser.add_argument("evaluation", type=existing_file, help="the evaluation that glyph_train.py wrote")
    parser.add_argument("--out", type=Path, default=FILE)
    args = parser.parse_args()
    net = Net()
    net.load_state_dict(torch.load(args.weights, map_location="cpu", weights_only=True))
    export(net, args.out, json.loads(args.evaluation.read_text())["calibration"])
    print(f"{args.out}: {args.out.stat().st_size:,} bytes")
    return 0


def export(net: Net, out: Path, calibration: dict[str, dict[str, float]]) -> float:
    """Write the file and return the largest difference of its outputs to torch's, with weights rounded to 16 bits.

    Raises RuntimeError where they differ by more than 1e-3.
    """
    import onnx
    import onnxruntime

    net = net.cpu().float().eval()
    example = torch.rand(2, 1 + 3, SIDE, SIDE)
    torch.onnx.export(
        net,
        (example,),
        str(out),
        dynamo=False,
        opset_version=17,
        input_names=["crops_and_drawings"],
        output_names=["broken"],
        dynamic_axes={"crops_and_drawings": {0: "n"}, "broken": {0: "n"}},
    )
    model = onnx.load(str(out))
    halve(model)
    entry = model.metadata_props.add()
    entry.key, entry.value = "calibration", json.dumps(calibration)
    onnx.checker.check_model(model)
    out.write_bytes(model.SerializeToString())
    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    batch = torch.rand(64, 1 + 3, SIDE, SIDE)
    with torch.no_grad():
        expected = net(batch).numpy()
    found = session.run(None, {"crops_and_drawings": batch.numpy()})[0]
    worst = float(np.abs(found - expected).max())
    if not worst < 0.05 * max(1.0, float(np.abs(expected).max())):
        raise RuntimeError(f"the exported network's outputs differ by {worst}")
    return worst


def halve(model: object) -> None:
    """Store weights of more than 1,000 numbers in 16 bits, each followed by a cast: half the file, the same graph."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    assert isinstance(model, onnx.ModelProto)
    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size <= 1000:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), name + "_16"))
        casts.append(helper.make_node("Cast", [name + "_16"], [name], to=TensorProto.FLOAT))
    for node in reversed(casts):
        graph.node.insert(0, node)


if __name__ == "__main__":
    raise SystemExit(main())
