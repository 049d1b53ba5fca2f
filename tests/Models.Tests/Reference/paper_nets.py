"""LeNet-5 and AlexNet written from their papers, apart from the C# code: what the tests compare logits and gradients with.

For each folder given, reads FOLDER/case.json and FOLDER/values.bin (float64, little-endian: the input, then every parameter), writes
FOLDER/results.bin (the logits, then the gradient of every parameter) for the loss sum(logits * arange).
"""
import json
import sys

import numpy as np
import torch
import torch.nn.functional as F


def normalised(x, n=5, k=2.0, alpha=1e-4, beta=0.75):
    """Krizhevsky 2012, section 3.3, term by term."""
    channels = x.shape[1]
    out = []
    for i in range(channels):
        low, high = max(0, i - n // 2), min(channels - 1, i + n // 2)
        total = sum(x[:, j] ** 2 for j in range(low, high + 1))
        out.append(x[:, i] / (k + alpha * total) ** beta)
    return torch.stack(out, 1)


def lenet5(x, p, options):
    act = torch.tanh if options["activation"] == "tanh" else torch.relu
    if options["inputSize"] == 28:
        x = F.pad(x, (2, 2, 2, 2))
    x = F.avg_pool2d(act(F.conv2d(x, p["conv1.weight"], p["conv1.bias"])), 2)
    x = F.avg_pool2d(act(F.conv2d(x, p["conv2.weight"], p["conv2.bias"])), 2)
    # C5 as the convolution that the paper calls it.
    x = act(F.conv2d(x, p["fc1.weight"].view(-1, 16, 5, 5), p["fc1.bias"])).flatten(1)
    x = act(x @ p["fc2.weight"].T + p["fc2.bias"])
    return x @ p["fc3.weight"].T + p["fc3.bias"]


def alexnet(x, p, options):
    size = options["inputSize"]
    if size == 224:
        x, stride = F.pad(x, (1, 2, 1, 2)), 4
    else:
        x, stride = F.pad(x, (2, 2, 2, 2)), 1 if size < 48 else 2

    def half(name, tower):
        w, b = p[name + ".weight"], p[name + ".bias"]
        return w.chunk(2)[tower], b.chunk(2)[tower]

    def conv(x, name, tower, **kw):
        return torch.relu(F.conv2d(x, *half(name, tower), **kw))

    def pool(x):
        return F.max_pool2d(x, 2 if options.get("pooling") == "plain" else 3, 2)

    norm = normalised if options["lrn"] else (lambda x: x)
    towers = [pool(norm(conv(x, "conv1", t, stride=stride))) for t in (0, 1)]
    towers = [pool(norm(conv(towers[t], "conv2", t, padding=2))) for t in (0, 1)]
    both = torch.cat(towers, 1)
    towers = [conv(both, "conv3", t, padding=1) for t in (0, 1)]
    towers = [conv(towers[t], "conv4", t, padding=1) for t in (0, 1)]
    towers = [pool(conv(towers[t], "conv5", t, padding=1)) for t in (0, 1)]
    x = torch.cat([t.flatten(1) for t in towers], 1)
    x = torch.relu(F.linear(x, p["fc6.weight"], p["fc6.bias"]))
    x = torch.relu(F.linear(x, p["fc7.weight"], p["fc7.bias"]))
    return F.linear(x, p["fc8.weight"], p["fc8.bias"])


def main(folder):
    with open(folder + "/case.json") as f:
        case = json.load(f)
    values = torch.from_numpy(np.fromfile(folder + "/values.bin", "<f8"))

    def take(shape):
        nonlocal values
        count = int(np.prod(shape))
        head, values = values[:count], values[count:]
        return head.view(*shape).clone()

    x = take(case["input"])
    p = {entry["name"]: take(entry["shape"]).requires_grad_() for entry in case["parameters"]}
    assert values.numel() == 0
    logits = {"lenet5": lenet5, "alexnet": alexnet}[case["model"]](x, p, case["options"])
    (logits * torch.arange(logits.numel(), dtype=torch.float64).view_as(logits)).sum().backward()
    with open(folder + "/results.bin", "wb") as f:
        for tensor in [logits.detach()] + [q.grad for q in p.values()]:
            f.write(tensor.contiguous().numpy().astype("<f8").tobytes())


if __name__ == "__main__":
    for case_folder in sys.argv[1:]:
        main(case_folder)
