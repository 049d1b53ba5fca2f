"""torchvision's weights into a safetensors file and ours out of one, with the format's reader and writer in their shortest form.

torchvision_weights.py MODEL SIZE DTYPE FOLDER: reads FOLDER/input.bin (2, 3, SIZE, SIZE) and FOLDER/ours.safetensors; writes
FOLDER/theirs.safetensors (random weights and statistics of torchvision's net of ten classes) and the logits of either net in evaluation
mode, FOLDER/theirs.bin and FOLDER/ours.bin.
"""
import json
import struct
import sys

import numpy as np
import torch
import torchvision.models as tv

NAMES = {torch.float64: "F64", torch.float32: "F32", torch.int64: "I64"}
TYPES = {name: dtype for dtype, name in NAMES.items()}


def save(state, path):
    header, begin = {"__metadata__": {"format": "pt"}}, 0
    for name, tensor in state.items():
        end = begin + tensor.numel() * tensor.element_size()
        header[name] = {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [begin, end]}
        begin = end
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in state.values():
            file.write(tensor.contiguous().numpy().tobytes())


def load(path):
    data = bytearray(open(path, "rb").read())
    n = struct.unpack("<Q", data[:8])[0]
    state = {}
    for name, entry in json.loads(data[8:8 + n]).items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            state[name] = torch.frombuffer(data[8 + n + begin:8 + n + end], dtype=TYPES[entry["dtype"]]).reshape(entry["shape"])
    return state


NETS = {
    "alexnet_owt": tv.alexnet, "vgg11_bn": tv.vgg11_bn, "resnet18": tv.resnet18, "mobilenet_v2": tv.mobilenet_v2,
    # With their heads. Their own way of drawing weights takes minutes.
    "googlenet_tv": lambda num_classes: tv.GoogLeNet(num_classes, init_weights=False),
    "inception_v3": lambda num_classes: tv.Inception3(num_classes, init_weights=False),
}


def net(name, dtype):
    return NETS[name](num_classes=10).to(dtype).eval()


def main(name, size, dtype, folder):
    torch.manual_seed(3)
    torch.set_num_threads(1)
    dtype = TYPES[dtype]
    images = torch.from_numpy(np.fromfile(f"{folder}/input.bin", dtype=np.float64).reshape(2, 3, int(size), int(size))).to(dtype)
    theirs = net(name, dtype)
    for buffer_name, buffer in theirs.named_buffers():
        if buffer_name.endswith(("running_mean", "running_var")):
            buffer.copy_(torch.rand_like(buffer) + 0.5)
    save(theirs.state_dict(), f"{folder}/theirs.safetensors")
    ours = net(name, dtype)
    ours.load_state_dict(load(f"{folder}/ours.safetensors"), strict=True)
    assert all(int(count) == 5 for count_name, count in ours.named_buffers() if count_name.endswith("num_batches_tracked"))
    with torch.no_grad():
        for made, file in ((theirs, "theirs.bin"), (ours, "ours.bin")):
            made(images).double().numpy().tofile(f"{folder}/{file}")


main(*sys.argv[1:])
