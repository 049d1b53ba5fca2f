#!/usr/bin/env python3
"""Weights that ./cluster checkpoint download has written, in PyTorch, with nothing but torch itself.

    python3 examples/weights.py WEIGHTS.safetensors              # what is in it
    python3 examples/weights.py WEIGHTS.safetensors resnet18 3   # in torchvision's net for 3 classes

With the package safetensors it is safetensors.torch.load_file("WEIGHTS.safetensors").
"""
import json
import struct
import sys

import torch

_TYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64}


def load(path):
    """A state dict: tensors by PyTorch's names."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = bytearray(file.read())
    header.pop("__metadata__", None)
    weights = {}
    for name, told in header.items():
        begin, end = told["data_offsets"]
        kind = _TYPES[told["dtype"]]
        size = torch.empty((), dtype=kind).element_size()
        weights[name] = torch.frombuffer(data, dtype=kind, count=(end - begin) // size, offset=begin).reshape(told["shape"])
    return weights


def main(path, model=None, classes=None):
    weights = load(path)
    if model is None:
        for name, tensor in weights.items():
            print(name, "×".join(map(str, tensor.shape)) or "one number", str(tensor.dtype).removeprefix("torch."))
        return
    import torchvision

    net = getattr(torchvision.models, model)(num_classes=int(classes))
    net.load_state_dict(weights)
    net.eval()
    print(f"{model} has its {sum(parameter.numel() for parameter in net.parameters()):,} parameters from {path}")


if __name__ == "__main__":
    main(*sys.argv[1:])
