"""The zoo in torchvision, and written from the papers where torchvision lacks a net, apart from the C# code.

For each folder given, reads FOLDER/case.json and FOLDER/values.bin (little-endian, the case's precision: the input, every parameter, every
buffer), writes FOLDER/results.bin (float64: the logits, those of each auxiliary head, the gradient of every parameter and, in training,
every buffer afterwards, for the loss sum(logits * sin(arange))), computed at the case's precision and, where that is float32, in float64
after it.
"""
import json
import sys

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torchvision.models as tv
from torchvision.models.vgg import VGG, cfgs, make_layers

import inception_nets
from paper_nets import normalised


# --- torchvision, with what it lacks put in by hand ---

class ZeroPadded(nn.Module):
    """Option A of He et al. 2015, section 4.1."""

    def __init__(self, stride, extra):
        super().__init__()
        self.stride, self.extra = stride, extra

    def forward(self, x):
        x = x[:, :, ::self.stride, ::self.stride]
        return torch.cat([x, x.new_zeros(x.shape[0], self.extra, *x.shape[2:])], 1)


class Plain(nn.Module):
    """A residual block's layers in a row, with nothing round them: the plain nets of He et al. 2015, Fig. 3 middle."""

    def __init__(self, block):
        super().__init__()
        for i in (1, 2, 3):
            if hasattr(block, "conv%d" % i):
                setattr(self, "conv%d" % i, getattr(block, "conv%d" % i))
                setattr(self, "bn%d" % i, getattr(block, "bn%d" % i))

    def forward(self, x):
        for i in (1, 2, 3):
            if hasattr(self, "conv%d" % i):
                x = torch.relu(getattr(self, "bn%d" % i)(getattr(self, "conv%d" % i)(x)))
        return x


def resnet(name, options, classes):
    net = getattr(tv, name)(num_classes=classes)
    if not options.get("residual", True):
        for stage in (net.layer1, net.layer2, net.layer3, net.layer4):
            for i, block in enumerate(stage):
                stage[i] = Plain(block)
        return net
    for stage in (net.layer1, net.layer2, net.layer3, net.layer4):
        for block in stage:
            if options.get("stridePlacement") == "paper":
                block.conv1.stride, block.conv2.stride = block.conv2.stride, block.conv1.stride
            if options.get("shortcut") == "A" and block.downsample is not None:
                conv = block.downsample[0]
                block.downsample = ZeroPadded(conv.stride[0], conv.out_channels - conv.in_channels)
    return net


def vgg(name, options, classes):
    cfg = cfgs[{"vgg11": "A", "vgg13": "B", "vgg16": "D", "vgg19": "E"}[name[:5]]]
    width, size = options.get("width", 1), options.get("inputSize", 224)
    layers = make_layers([c if c == "M" else int(c * width) for c in cfg], name.endswith("_bn"))
    net = VGG(layers, num_classes=classes, init_weights=False, dropout=0)
    if size != 224:
        cells, hidden = size // 32, int(4096 * width)
        net.avgpool = nn.Identity()
        net.classifier = nn.Sequential(
            nn.Linear(int(512 * width) * cells * cells, hidden), nn.ReLU(), nn.Identity(),
            nn.Linear(hidden, hidden), nn.ReLU(), nn.Identity(), nn.Linear(hidden, classes))
    return net


def mobilenet_v2(name, options, classes):
    net = tv.mobilenet_v2(num_classes=classes, dropout=0, width_mult=options.get("widthMultiplier", 1.0))
    if options.get("bottleneckActivation") == "relu6":
        for block in net.features:
            if hasattr(block, "use_res_connect"):
                block.conv.append(nn.ReLU6())
    return net


def torchvision_net(case):
    name, options, classes = case["model"], case["options"], case["classes"]
    if name.startswith("resnet"):
        return resnet(name, options, classes)
    if name in ("vgg11_lrn", "vgg16_c"):
        return None
    if name.startswith("vgg"):
        return vgg(name, options, classes)
    if name == "mobilenet_v2":
        return mobilenet_v2(name, options, classes)
    if name == "googlenet_tv" and options.get("inputSize", 224) > 64:
        return tv.GoogLeNet(
            num_classes=classes, aux_logits=options.get("auxiliaryHeads", True), init_weights=False, dropout=0, dropout_aux=0)
    if name == "inception_v3" and options.get("inputSize", 299) > 64 and "gridReduction" not in options:
        return tv.Inception3(num_classes=classes, aux_logits=options.get("auxiliaryHeads", True), init_weights=False, dropout=0)
    if name == "alexnet_owt":
        return tv.AlexNet(num_classes=classes, dropout=0)
    return None


# --- from the papers: f(images, parameters, buffers, case) ---

TABLE_I = ["012", "123", "234", "345", "045", "015", "0123", "1234", "2345", "0345", "0145", "0125", "0134", "1245", "0235", "012345"]


def lenet5_1998(x, p, b, case):
    def squash(a):
        return 1.7159 * torch.tanh(2 * a / 3)

    def subsample(x, name):
        total = x[:, :, ::2, ::2] + x[:, :, ::2, 1::2] + x[:, :, 1::2, ::2] + x[:, :, 1::2, 1::2]
        return squash(total * p[name + ".weight"][:, None, None] + p[name + ".bias"][:, None, None])

    if x.shape[-1] == 28:
        x = F.pad(x, (2, 2, 2, 2))
    x = subsample(squash(F.conv2d(x, p["c1.weight"], p["c1.bias"])), "s2")
    maps, first = [], 0
    for i, column in enumerate(TABLE_I):
        kernels = p["c3.weight"][first:first + len(column)]
        first += len(column)
        maps.append(F.conv2d(x[:, [int(c) for c in column]], kernels[None], p["c3.bias"][i:i + 1]))
    x = subsample(squash(torch.cat(maps, 1)), "s4")
    x = squash(x.flatten(1) @ p["c5.weight"].flatten(1).T + p["c5.bias"])
    x = squash(x @ p["f6.weight"].T + p["f6.bias"])
    codes = torch.tensor(case["codes"], dtype=x.dtype).view(-1, 84)
    assert set(codes.flatten().tolist()) == {-1.0, 1.0} and len({tuple(c.tolist()) for c in codes}) == len(codes)
    return torch.stack([-((x - code) ** 2).sum(1) for code in codes], 1)


def fourlayer_cnn(x, p, b, case):
    act = {"relu": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid}[case["options"]["activation"]]

    def conv(x, name):
        return F.conv2d(x, p[name + ".weight"], p[name + ".bias"], padding=2)

    x = act(F.max_pool2d(conv(x, "conv1"), 3, 2, ceil_mode=True))
    x = F.avg_pool2d(act(conv(x, "conv2")), 3, 2, ceil_mode=True)
    x = F.avg_pool2d(act(conv(x, "conv3")), 3, 2, ceil_mode=True)
    return x.flatten(1) @ p["fc.weight"].T + p["fc.bias"]


def alexnet_keras(x, p, b, case):
    def conv(x, name, **kw):
        return torch.relu(F.conv2d(x, p[name + ".weight"], p[name + ".bias"], **kw))

    size = case["options"].get("inputSize", 224)
    x = conv(x, "conv1", stride=4) if size == 224 else conv(x, "conv1", padding=2, stride=1 if size < 48 else 2)
    x = F.max_pool2d(x, 3, 2)
    x = F.max_pool2d(conv(x, "conv2", padding=2), 3, 2)
    x = conv(conv(x, "conv3", padding=1), "conv4", padding=1)
    x = F.max_pool2d(conv(x, "conv5", padding=1), 2, 2).flatten(1)
    for name in ("fc6", "fc7"):
        x = torch.relu(x @ p[name + ".weight"].T + p[name + ".bias"])
    return x @ p["fc8.weight"].T + p["fc8.bias"]


def vgg_of_table_1(stages, lrn=False):
    def net(x, p, b, case):
        weights = iter([name[:-len(".weight")] for name in p if name.endswith("weight")])
        for stage, kernels in enumerate(stages):
            for kernel in kernels:
                name = next(weights)
                assert p[name + ".weight"].shape[-1] == kernel
                x = torch.relu(F.conv2d(x, p[name + ".weight"], p[name + ".bias"], padding="same"))
                if lrn and stage == 0:
                    x = normalised(x)
            x = F.max_pool2d(x, 2, 2, ceil_mode=True)
        x = x.flatten(1)
        for last in (False, False, True):
            name = next(weights)
            x = x @ p[name + ".weight"].T + p[name + ".bias"]
            x = x if last else torch.relu(x)
        return x

    return net


def mobilenet_v1(x, p, b, case):
    act = F.relu6 if case["options"].get("activation") == "relu6" else F.relu

    def norm(x, name):
        return act(F.batch_norm(
            x, b[name + ".running_mean"], b[name + ".running_var"], p[name + ".weight"], p[name + ".bias"], training=case["training"]))

    size = case["options"].get("inputSize", 224)
    x = norm(F.conv2d(x, p["conv1.weight"], stride=1 if size < 48 else 2, padding=1), "bn1")
    for i, stride in enumerate([1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1]):
        name = "blocks.%d" % i
        # One channel at a time, as the word depthwise says.
        w = p[name + ".depthwise.weight"]
        x = torch.cat([F.conv2d(x[:, c:c + 1], w[c:c + 1], stride=stride, padding=1) for c in range(x.shape[1])], 1)
        x = norm(x, name + ".bn1")
        x = norm(F.conv2d(x, p[name + ".pointwise.weight"]), name + ".bn2")
    return x.mean((2, 3)) @ p["fc.weight"].T + p["fc.bias"]


FROM_PAPERS = {
    "lenet5_1998": lenet5_1998,
    "fourlayer_cnn": fourlayer_cnn,
    "alexnet_keras": alexnet_keras,
    "vgg11_lrn": vgg_of_table_1([[3], [3], [3, 3], [3, 3], [3, 3]], lrn=True),
    "vgg16_c": vgg_of_table_1([[3, 3], [3, 3], [3, 3, 1], [3, 3, 1], [3, 3, 1]]),
    "mobilenet_v1": mobilenet_v1,
    **inception_nets.NETS,
}


def results(case, x, parameters, buffers, dtype):
    x = x.to(dtype)
    p = {name: value.to(dtype).clone().requires_grad_() for name, value in parameters.items()}
    b = {name: value.to(dtype).clone() for name, value in buffers.items()}
    net = torchvision_net(case)
    if net is None:
        outputs = FROM_PAPERS[case["model"]](x, p, b, case)
    else:
        net = net.to(dtype).train(case["training"])
        missing, unexpected = net.load_state_dict({**p, **b}, strict=False)
        assert not unexpected and all(m.endswith("num_batches_tracked") for m in missing), (missing, unexpected)
        p = {name: dict(net.named_parameters())[name] for name in p}
        b = {name: dict(net.named_buffers())[name] for name in b}
        outputs = net(x)
    # GoogLeNet's come in the net's order, though torchvision 0.14 names the first head's aux_logits2.
    outputs = [outputs] if isinstance(outputs, torch.Tensor) else list(outputs)
    sum((logits * torch.arange(logits.numel(), dtype=dtype).view_as(logits).sin()).sum() for logits in outputs).backward()
    return [logits.detach() for logits in outputs] + [q.grad for q in p.values()] + (list(b.values()) if case["training"] else [])


def main(folder):
    with open(folder + "/case.json") as f:
        case = json.load(f)
    values = torch.from_numpy(np.fromfile(folder + "/values.bin", "<f4" if case["single"] else "<f8"))

    def take(shape):
        nonlocal values
        count = int(np.prod(shape))
        head, values = values[:count], values[count:]
        return head.view(*shape)

    x = take(case["input"])
    parameters = {entry["name"]: take(entry["shape"]) for entry in case["parameters"]}
    buffers = {entry["name"]: take(entry["shape"]) for entry in case["buffers"]}
    assert values.numel() == 0
    with open(folder + "/results.bin", "wb") as f:
        for dtype in [torch.float32, torch.float64] if case["single"] else [torch.float64]:
            for tensor in results(case, x, parameters, buffers, dtype):
                tensor.double().contiguous().numpy().astype("<f8", copy=False).tofile(f)


for case_folder in sys.argv[1:]:
    main(case_folder)
