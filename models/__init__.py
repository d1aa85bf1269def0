"""Networks and what defines their contract: mel, alignment, landmarks, checkpoints, ONNX and its runtime.

A network has a folder, `lite`, `expert`, `wav2lip` or `near`, and in it files of the same names:

- `network`: the torch module. Needs torch.
- `contract`: what trainer and runtime must agree on; no torch. Left out where models.onnx.contract says it all.
- `onnx`: the exported network, opened by the runtime; no torch.
- `export`: how it is written where models.onnx.export alone does not do.
- `discriminator`: the network that it is trained against.

The folder `models/onnx` holds what they share of ONNX files; `import onnx` is the library everywhere, since imports are
absolute.
"""
