"""Computes every case with PyTorch and writes inputs, results and gradients as raw arrays.

Usage: reference.py FOLDER. Writes FOLDER/index.json (name -> list of {role, shape, dtype, offset}) and FOLDER/data.bin.
The gradient of a case is that of sum(result * weights) for each floating-point input, with weights 1, 2, 3, ... / count.
"""
import json
import sys

import torch
import torch.nn.functional as F

torch.manual_seed(20240601)
torch.set_num_threads(1)
D = torch.float64


def n(*shape, dtype=D):
    return torch.randn(*shape, dtype=dtype)


def p(*shape):
    return torch.rand(*shape, dtype=D) + 0.5


def i(high, *shape):
    return torch.randint(0, high, shape)


def channels_last(x):
    return x.contiguous(memory_format=torch.channels_last)


CASES = {
    "add": (lambda a, b: a + b, n(3, 4), n(4)),
    "add alpha": (lambda a, b: torch.add(a, b, alpha=2.5), n(3, 4), n(3, 4)),
    "scalar minus": (lambda a: 2 - a, n(3)),
    "scalar over": (lambda a: 3 / a, p(3)),
    "mul": (lambda a, b: a * b, n(3, 1), n(1, 4)),
    "div": (lambda a, b: a / b, n(3, 4), p(3, 4)),
    "div floor": (lambda a: torch.div(a, 0.3, rounding_mode="floor"), n(6)),
    "remainder": (lambda a: a % 3, n(5) * 5),
    "pow": (lambda a: a ** 1.7, p(5)),
    "sqrt": (lambda a: a.sqrt(), p(5)),
    "rsqrt": (lambda a: a.rsqrt(), p(5)),
    "exp": (lambda a: a.exp(), n(5)),
    "log": (lambda a: a.log(), p(5)),
    "log1p": (lambda a: a.log1p(), p(5)),
    "neg abs": (lambda a: (-a).abs(), n(5)),
    "tanh": (lambda a: a.tanh(), n(5)),
    "sigmoid": (lambda a: a.sigmoid(), n(5)),
    "relu": (lambda a: a.relu(), n(9)),
    "relu6": (lambda a: F.relu6(a * 8), n(9)),
    "clamp": (lambda a: a.clamp(-0.5, 0.5), n(9)),
    "clamp min": (lambda a: a.clamp_min(0.1), n(9)),
    "maximum": (lambda a, b: torch.maximum(a, b), n(5), n(5)),
    "addcmul": (lambda a, b, c: torch.addcmul(a, b, c, value=0.5), n(4), n(4), n(4)),
    "addcdiv": (lambda a, b, c: torch.addcdiv(a, b, c, value=0.5), n(4), n(4), p(4)),
    "lerp": (lambda a, b, w: torch.lerp(a, b, w), n(4), n(4), p(4)),
    "where": (lambda a, b: torch.where(a > 0, a, b), n(8), n(8)),
    "masked fill": (lambda a: a.masked_fill(a > 0, 7.0), n(8)),
    "matmul": (lambda a, b: a @ b, n(2, 3, 4), n(4, 5)),
    "mm": (lambda a, b: a.mm(b), n(3, 4), n(4, 5)),
    "bmm": (lambda a, b: a.bmm(b), n(2, 3, 4), n(2, 4, 5)),
    "addmm": (lambda a, b, c: torch.addmm(a, b, c, beta=0.5, alpha=2), n(3, 5), n(3, 4), n(4, 5)),
    "sum": (lambda a: a.sum(), n(3, 4)),
    "sum dims": (lambda a: a.sum((0, 2), keepdim=True), n(3, 4, 5)),
    "mean": (lambda a: a.mean(), n(3, 4)),
    "mean dims": (lambda a: a.mean((0, 2)), n(3, 4, 5)),
    "var": (lambda a: a.var(), n(3, 4)),
    "var biased": (lambda a: a.var((0, 2), unbiased=False, keepdim=True), n(3, 4, 5)),
    "std": (lambda a: a.std(), n(3, 4)),
    "norm": (lambda a: a.norm(), n(3, 4)),
    "max": (lambda a: a.max(), n(3, 4)),
    "max dim": (lambda a: a.max(1)[0], n(3, 4)),
    "argmax": (lambda a: a.argmax(1), n(3, 4)),
    "logsumexp": (lambda a: a.logsumexp(1), n(3, 4)),
    "cumsum": (lambda a: a.cumsum(1), n(3, 4)),
    "topk": (lambda a: a.topk(2, 1)[0], n(3, 6)),
    "eq": (lambda a, b: a.eq(b), i(3, 8), i(3, 8)),
    "bincount": (lambda a: a.bincount(minlength=6), i(4, 12)),
    "transpose": (lambda a: a.transpose(0, 2), n(2, 3, 4)),
    "permute": (lambda a: a.permute(2, 0, 1).reshape(4, 6), n(2, 3, 4)),
    "view flatten": (lambda a: a.view(6, 4).flatten(), n(2, 3, 4)),
    "narrow select": (lambda a: a.narrow(1, 1, 2).select(0, 1), n(2, 3, 4)),
    "slices": (lambda a: a[1, :, 1:4:2], n(2, 3, 5)),
    "ellipsis none": (lambda a: a[..., None, -1], n(2, 3, 5)),
    "index tensor": (lambda a, j: a[:, j], n(2, 5), i(5, 4)),
    "mask": (lambda a: a[a > 0], n(2, 5)),
    "index select": (lambda a, j: a.index_select(1, j), n(2, 5), i(5, 4)),
    "gather": (lambda a, j: a.gather(1, j), n(3, 5), i(5, 3, 2)),
    "cat": (lambda a, b: torch.cat([a, b], 1), n(2, 3), n(2, 4)),
    "stack": (lambda a, b: torch.stack([a, b], 1), n(2, 3), n(2, 3)),
    "split": (lambda a: a.split(2, 1)[1] * 2 + a.split([1, 2, 2], 1)[2], n(3, 5)),
    "chunk": (lambda a: a.chunk(3, 0)[1], n(7, 2)),
    "expand": (lambda a: a.expand(3, 4), n(3, 1)),
    "roll": (lambda a: a.roll((1, 2), (0, 1)), n(3, 4)),
    "softmax": (lambda a: a.softmax(1), n(3, 4)),
    "log softmax": (lambda a: F.log_softmax(a, 1), n(3, 4)),
    "linear": (lambda x, w, b: F.linear(x, w, b), n(5, 3), n(4, 3), n(4)),
    "conv2d": (lambda x, w, b: F.conv2d(x, w, b, (2, 1), (1, 2), (1, 2)), n(2, 3, 9, 8), n(4, 3, 3, 2), n(4)),
    "conv2d groups": (lambda x, w: F.conv2d(x, w, groups=2), n(2, 4, 6, 6), n(6, 2, 3, 3)),
    "conv2d same": (lambda x, w: F.conv2d(x, w, padding="same"), n(2, 3, 6, 6), n(4, 3, 4, 3)),
    "conv2d channels last": (lambda x, w: F.conv2d(channels_last(x), channels_last(w), padding=1), n(2, 4, 6, 5), n(3, 4, 3, 3)),
    "max pool": (lambda x: F.max_pool2d(x, 3, 2, 1), n(2, 3, 9, 8)),
    "max pool ceil": (lambda x: F.max_pool2d(x, 3, 2, ceil_mode=True), n(2, 3, 8, 8)),
    "avg pool": (lambda x: F.avg_pool2d(x, (2, 3), (2, 1), (1, 1), count_include_pad=False), n(2, 3, 8, 8)),
    "adaptive pool": (lambda x: F.adaptive_avg_pool2d(x, (3, 2)), n(2, 3, 8, 7)),
    "batch norm train": (lambda x, w, b: F.batch_norm(x, torch.zeros(3, dtype=D), torch.ones(3, dtype=D), w, b, True, 0.2, 1e-4),
                         n(4, 3, 5, 5), n(3), n(3)),
    "batch norm eval": (lambda x, m, v, w, b: F.batch_norm(x, m.detach(), v.detach(), w, b), n(4, 3, 5, 5), n(3), p(3), n(3), n(3)),
    "local response": (lambda x: F.local_response_norm(x, 5, 1e-2, 0.75, 2.0), n(2, 7, 4, 3)),
    "local response even": (lambda x: F.local_response_norm(x, 4, 1e-1, 0.5, 1.0), n(2, 7, 5)),
    "pad": (lambda x: F.pad(x, (1, 2, 0, 1), value=3.0), n(2, 3, 4)),
    "pad reflect": (lambda x: F.pad(x, (1, 2, 2, 1), mode="reflect"), n(2, 3, 5, 5)),
    "cross entropy": (lambda x, t: F.cross_entropy(x, t), n(5, 4), i(4, 5)),
    "cross entropy smooth": (lambda x, t, w: F.cross_entropy(x, t, w.detach(), reduction="sum", label_smoothing=0.1), n(5, 4), i(4, 5), p(4)),
    "nll": (lambda x, t: F.nll_loss(x.log_softmax(1), t, reduction="none"), n(5, 4), i(4, 5)),
    "mse": (lambda a, b: F.mse_loss(a, b), n(4), n(4)),
    "one hot": (lambda t: F.one_hot(t, 5), i(5, 6)),
    "float32 conv": (lambda x, w: F.conv2d(x, w, padding=1), n(2, 3, 6, 6, dtype=torch.float32), n(4, 3, 3, 3, dtype=torch.float32)),
    "to float": (lambda a: a.to(torch.float32) * 2, n(4)),
}


def main(folder):
    index = {}
    with open(folder + "/data.bin", "wb") as data:
        for name, (function, *inputs) in CASES.items():
            for tensor in inputs:
                if tensor.is_floating_point():
                    tensor.requires_grad_()
            result = function(*inputs)
            records = [("input", tensor) for tensor in inputs] + [("result", result)]
            if result.requires_grad:
                weights = torch.arange(1, result.numel() + 1, dtype=result.dtype).view(result.shape) / result.numel()
                (result * weights).sum().backward()
                records += [("grad", x.grad if x.grad is not None else torch.zeros_like(x)) for x in inputs if x.is_floating_point()]
            index[name] = []
            for role, tensor in records:
                array = tensor.detach().contiguous().numpy()
                index[name].append({"role": role, "shape": list(tensor.shape), "dtype": str(array.dtype), "offset": data.tell()})
                data.write(array.tobytes())
    with open(folder + "/index.json", "w") as out:
        json.dump(index, out)


main(sys.argv[1])
