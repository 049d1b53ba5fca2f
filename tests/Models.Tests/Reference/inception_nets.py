"""The Inception line written from its papers, apart from the C# code.

f(images, parameters, buffers, case) -> logits, then those of the heads in training.

A convolution is (channels, height, width[, stride[, padding]]) with the paper's numbers; each is asserted to be what the C# net has, so
that widths and kernels are compared as well as values. Padding keeps the size unless it is given.
"""
import torch
import torch.nn.functional as F

from paper_nets import normalised

MAX, AVG, AVG_INSIDE = "max", "avg", "avg, padding left out"


class Net:
    def __init__(self, p, b, case):
        self.p, self.b, self.case, self.options = p, b, case, case["options"]
        size = self.options.get("inputSize", case["input"][2])
        self.small, self.first = size <= 64, 1 if size < 48 else 2

    def scaled(self, channels):
        return max(1, round(channels * self.options.get("width", 1)))

    def norm(self, x, name):
        return F.batch_norm(
            x, self.b[name + ".running_mean"], self.b[name + ".running_var"], self.p[name + ".weight"], self.p[name + ".bias"],
            training=self.case["training"], eps=1e-3)

    def conv(self, x, name, channels, height, width, stride=1, padding=None):
        w = self.p[name + ".conv.weight"]
        assert list(w.shape) == [self.scaled(channels), x.shape[1], height, width], (name, w.shape, x.shape)
        x = F.conv2d(x, w, self.p.get(name + ".conv.bias"), stride, (height // 2, width // 2) if padding is None else padding)
        return torch.relu(self.norm(x, name + ".bn") if name + ".bn.weight" in self.p else x)

    def step(self, x, name, step):
        if step[0] == MAX:
            return F.max_pool2d(x, 3, step[1], padding=step[2])
        if step[0] == AVG:
            return F.avg_pool2d(x, 3, 1, padding=1)
        if step[0] == AVG_INSIDE:
            return F.avg_pool2d(x, 3, 1, padding=1, count_include_pad=False)
        return self.conv(x, name, *step)

    def row(self, x, name, steps):
        for i, step in enumerate(steps):
            x = self.step(x, "%s.%d" % (name, i), step)
        return x

    def rows(self, x, name, branches, start=0):
        """Branches as lists of steps, named branch<n>.<i>."""
        return torch.cat([self.row(x, "%s.branch%d" % (name, start + i), steps) for i, steps in enumerate(branches)], 1)

    def classify(self, x):
        return x.mean((2, 3)) @ self.p["fc.weight"].T + self.p["fc.bias"]

    def linear(self, x, name):
        return x @ self.p[name + ".weight"].T + self.p[name + ".bias"]


# --- GoogLeNet, 2014, Table 1 ---

MODULES = {
    "3a": (64, 96, 128, 16, 32, 32), "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64), "4b": (160, 112, 224, 24, 64, 64), "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64), "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128), "5b": (384, 192, 384, 48, 128, 128),
}


def googlenet_with(five, pool4, lrn):
    def net(x, p, b, case):
        n = Net(p, b, case)
        norm = normalised if lrn and case["options"].get("lrn", True) else (lambda a: a)

        def pool(a, k=3):
            return F.max_pool2d(a, k, 2, ceil_mode=True)

        def module(a, which):
            one, r3, c3, r5, c5, proj = MODULES[which]
            name = "inception" + which
            return torch.cat([
                n.conv(a, name + ".branch1", one, 1, 1), n.row(a, name + ".branch2", [(r3, 1, 1), (c3, 3, 3)]),
                n.row(a, name + ".branch3", [(r5, 1, 1), (c5, five, five)]), n.row(a, name + ".branch4", [(MAX, 1, 1), (proj, 1, 1)])], 1)

        def head(a, name):
            exact = five == 5 and a.shape[-1] == 14
            a = F.avg_pool2d(a, 5, 3) if exact else F.adaptive_avg_pool2d(a, 4)
            a = n.conv(a, name + ".conv", 128, 1, 1).flatten(1)
            return n.linear(torch.relu(n.linear(a, name + ".fc1")), name + ".fc2")

        x = n.conv(x, "conv1", 64, *((3, 3, n.first) if n.small else (7, 7, 2)))
        x = norm(x if n.small else pool(x))
        x = norm(n.conv(n.conv(x, "conv2", 64, 1, 1), "conv3", 192, 3, 3))
        x = x if n.small else pool(x)
        x = pool(module(module(x, "3a"), "3b"))
        x = after_4a = module(x, "4a")
        x = after_4d = module(module(module(x, "4b"), "4c"), "4d")
        x = pool(module(x, "4e"), pool4)
        logits = n.classify(module(module(x, "5a"), "5b"))
        heads = case["training"] and case["options"].get("auxiliaryHeads", True)
        return [logits, head(after_4a, "aux1"), head(after_4d, "aux2")] if heads else [logits]

    return net


# --- Inception v2, 2015, Fig. 5 ---

def inception_v2(x, p, b, case):
    n = Net(p, b, case)
    k, stride = (3, n.first) if n.small else (7, 2)
    if case["options"].get("firstConvolution") == "separable":
        w = p["conv1.depthwise.weight"]
        assert w.shape[0] == 8 * x.shape[1]
        x = torch.cat([F.conv2d(x[:, c:c + 1], w[8 * c:8 * c + 8], stride=stride, padding=k // 2) for c in range(x.shape[1])], 1)
        x = n.conv(x, "conv1", 64, 1, 1)
    else:
        x = n.conv(x, "conv1", 64, k, k, stride)
    x = x if n.small else F.max_pool2d(x, 3, 2, padding=1)
    x = n.conv(n.conv(x, "conv2", 64, 1, 1), "conv3", 192, 3, 3)
    x = x if n.small else F.max_pool2d(x, 3, 2, padding=1)
    for which, one, r, c, rr, cc, proj, pool in [
            ("3a", 64, 64, 64, 64, 96, 32, (AVG,)), ("3b", 64, 64, 96, 64, 96, 64, (AVG,)), ("3c", 0, 128, 160, 64, 96, 0, None),
            ("4a", 224, 64, 96, 96, 128, 128, (AVG,)), ("4b", 192, 96, 128, 96, 128, 128, (AVG,)),
            ("4c", 160, 128, 160, 128, 160, 128, (AVG,)),
            ("4d", 96, 128, 192, 160, 192, 128, (AVG,)), ("4e", 0, 128, 192, 192, 256, 0, None),
            ("5a", 352, 192, 320, 160, 224, 128, (AVG,)), ("5b", 352, 192, 320, 192, 224, 128, (MAX, 1, 1))]:
        name = "inception" + which
        if pool is None:
            x = n.rows(x, name, [[(r, 1, 1), (c, 3, 3, 2)], [(rr, 1, 1), (cc, 3, 3), (cc, 3, 3, 2)], [(MAX, 2, 1)]], start=2)
        else:
            x = torch.cat([n.conv(x, name + ".branch1", one, 1, 1),
                           n.rows(x, name, [[(r, 1, 1), (c, 3, 3)], [(rr, 1, 1), (cc, 3, 3), (cc, 3, 3)], [pool, (proj, 1, 1)]],
                                  start=2)], 1)
    return [n.classify(x)]


# --- 2015 and 2016: nets for 299 pixels ---

def stem(n, x):
    """To 147x147x64."""
    x = n.conv(x, "Conv2d_1a_3x3", 32, 3, 3, *((n.first, 1) if n.small else (2, 0)))
    x = n.conv(x, "Conv2d_2a_3x3", 32, 3, 3, 1, 1 if n.small else 0)
    return n.conv(x, "Conv2d_2b_3x3", 64, 3, 3)


def plain_stem(n, x):
    """To 71x71x192."""
    x = stem(n, x)
    x = n.conv(x if n.small else F.max_pool2d(x, 3, 2), "Conv2d_3b_1x1", 80, 1, 1)
    return n.conv(x, "Conv2d_4a_3x3", 192, 3, 3, 1, 1 if n.small else 0)


def v4_stem(n, x):
    """2016, Fig. 3."""
    stride, padding = (1, 1) if n.small else (2, 0)
    x = n.rows(stem(n, x), "Mixed_3a", [[(MAX, stride, padding)], [(96, 3, 3, stride, padding)]])
    x = n.rows(x, "Mixed_4a", [[(64, 1, 1), (96, 3, 3, 1, padding)], [(64, 1, 1), (64, 7, 1), (64, 1, 7), (96, 3, 3, 1, padding)]])
    return n.rows(x, "Mixed_5a", [[(192, 3, 3, stride, padding)], [(MAX, stride, padding)]])


def inception_v3(x, p, b, case):
    n = Net(p, b, case)

    def chain(a, *steps):
        for name, channels, height, width, *rest in steps:
            a = n.conv(a, name, channels, height, width, *rest)
        return a

    def avg(a):
        return F.avg_pool2d(a, 3, 1, padding=1)

    def a_block(x, m, pool):
        return torch.cat([
            n.conv(x, m + "branch1x1", 64, 1, 1), chain(x, (m + "branch5x5_1", 48, 1, 1), (m + "branch5x5_2", 64, 5, 5)),
            chain(x, (m + "branch3x3dbl_1", 64, 1, 1), (m + "branch3x3dbl_2", 96, 3, 3), (m + "branch3x3dbl_3", 96, 3, 3)),
            n.conv(avg(x), m + "branch_pool", pool, 1, 1)], 1)

    def b_block(x, m, c):
        return torch.cat([
            n.conv(x, m + "branch1x1", 192, 1, 1),
            chain(x, (m + "branch7x7_1", c, 1, 1), (m + "branch7x7_2", c, 1, 7), (m + "branch7x7_3", 192, 7, 1)),
            chain(x, (m + "branch7x7dbl_1", c, 1, 1), (m + "branch7x7dbl_2", c, 7, 1), (m + "branch7x7dbl_3", c, 1, 7),
                  (m + "branch7x7dbl_4", c, 7, 1), (m + "branch7x7dbl_5", 192, 1, 7)),
            n.conv(avg(x), m + "branch_pool", 192, 1, 1)], 1)

    def c_block(x, m):
        three = n.conv(x, m + "branch3x3_1", 384, 1, 1)
        double = chain(x, (m + "branch3x3dbl_1", 448, 1, 1), (m + "branch3x3dbl_2", 384, 3, 3))
        return torch.cat([
            n.conv(x, m + "branch1x1", 320, 1, 1), n.conv(three, m + "branch3x3_2a", 384, 1, 3),
            n.conv(three, m + "branch3x3_2b", 384, 3, 1),
            n.conv(double, m + "branch3x3dbl_3a", 384, 1, 3), n.conv(double, m + "branch3x3dbl_3b", 384, 3, 1),
            n.conv(avg(x), m + "branch_pool", 192, 1, 1)], 1)

    def reduction(x, m, *rows):
        """Section 5: the order of the pool and of the block that is otherwise beside it."""
        order = case["options"].get("gridReduction", "parallel")
        halve = (lambda a: F.max_pool2d(a, 3, 2))
        last = (2, 0) if order == "parallel" else (1, 1)
        x = halve(x) if order == "poolFirst" else x
        joined = torch.cat([chain(x, *[(m + row[0], *row[1:], *(last if row is rows_[-1] else ())) for row in rows_]) for rows_ in rows]
                           + [halve(x) if order == "parallel" else x], 1)
        return halve(joined) if order == "inceptionFirst" else joined

    x = plain_stem(n, x)
    x = x if n.small else F.max_pool2d(x, 3, 2)
    for m, pool in (("Mixed_5b.", 32), ("Mixed_5c.", 64), ("Mixed_5d.", 64)):
        x = a_block(x, m, pool)
    x = reduction(
        x, "Mixed_6a.", [("branch3x3", 384, 3, 3)],
        [("branch3x3dbl_1", 64, 1, 1), ("branch3x3dbl_2", 96, 3, 3), ("branch3x3dbl_3", 96, 3, 3)])
    for m, c in (("Mixed_6b.", 128), ("Mixed_6c.", 160), ("Mixed_6d.", 160), ("Mixed_6e.", 192)):
        x = b_block(x, m, c)
    auxiliary = []
    if case["training"] and case["options"].get("auxiliaryHeads", True):
        a = F.avg_pool2d(x, 5, 3) if x.shape[-1] >= 17 else F.adaptive_avg_pool2d(x, 5)
        a = n.conv(n.conv(a, "AuxLogits.conv0", 128, 1, 1), "AuxLogits.conv1", 768, 5, 5, 1, 0)
        auxiliary = [n.linear(a.mean((2, 3)), "AuxLogits.fc")]
    x = reduction(x, "Mixed_7a.", [("branch3x3_1", 192, 1, 1), ("branch3x3_2", 320, 3, 3)],
                  [("branch7x7x3_1", 192, 1, 1), ("branch7x7x3_2", 192, 1, 7), ("branch7x7x3_3", 192, 7, 1), ("branch7x7x3_4", 192, 3, 3)])
    x = c_block(c_block(x, "Mixed_7b."), "Mixed_7c.")
    return [n.classify(x)] + auxiliary


def reduction_a(n, x, k, l, m, last):
    return n.rows(x, "Mixed_6a", [[(last, 3, 3, 2, 0)], [(k, 1, 1), (l, 3, 3), (m, 3, 3, 2, 0)], [(MAX, 2, 0)]])


def inception_v4(x, p, b, case):
    n = Net(p, b, case)
    x = v4_stem(n, x)
    for m in "bcde":
        x = n.rows(
            x, "Mixed_5" + m,
            [[(96, 1, 1)], [(64, 1, 1), (96, 3, 3)], [(64, 1, 1), (96, 3, 3), (96, 3, 3)], [(AVG_INSIDE,), (96, 1, 1)]])
    x = reduction_a(n, x, 192, 224, 256, 384)
    for m in "bcdefgh":
        x = n.rows(x, "Mixed_6" + m, [
            [(384, 1, 1)], [(192, 1, 1), (224, 1, 7), (256, 7, 1)],
            [(192, 1, 1), (192, 1, 7), (224, 7, 1), (224, 1, 7), (256, 7, 1)], [(AVG_INSIDE,), (128, 1, 1)]])
    x = n.rows(x, "Mixed_7a", [
        [(192, 1, 1), (192, 3, 3, 2, 0)], [(256, 1, 1), (256, 1, 7), (320, 7, 1), (320, 3, 3, 2, 0)], [(MAX, 2, 0)]])
    for m in "bcd":
        name = "Mixed_7" + m
        one, two = n.row(x, name + ".branch1", [(384, 1, 1)]), n.row(x, name + ".branch2", [(384, 1, 1), (448, 1, 3), (512, 3, 1)])
        x = torch.cat([
            n.row(x, name + ".branch0", [(256, 1, 1)]),
            n.conv(one, name + ".branch1_wide", 256, 1, 3), n.conv(one, name + ".branch1_high", 256, 3, 1),
            n.conv(two, name + ".branch2_wide", 256, 1, 3), n.conv(two, name + ".branch2_high", 256, 3, 1),
            n.row(x, name + ".branch3", [(AVG_INSIDE,), (256, 1, 1)])], 1)
    return [n.classify(x)]


def residual(n, x, name, scale, rectify, branches):
    r = n.rows(x, name + ".branches", branches)
    r = F.conv2d(r, n.p[name + ".up.weight"], n.p[name + ".up.bias"])
    x = x + scale * r if n.options.get("residual", True) else r
    return torch.relu(x) if rectify else x


def c_blocks(n, x, count, one, two):
    rows = [[(192, 1, 1)], [(192, 1, 1), (one, 1, 3), (two, 3, 1)]]
    for i in range(count):
        x = residual(n, x, "repeat_c.%d" % i, 0.2, True, rows)
    return x, rows


def inception_resnet_v1(x, p, b, case):
    n = Net(p, b, case)
    x = n.conv(plain_stem(n, x), "Conv2d_4b_3x3", 256, 3, 3, *((1, 1) if n.small else (2, 0)))
    for i in range(5):
        x = residual(n, x, "repeat_a.%d" % i, 0.17, True, [[(32, 1, 1)], [(32, 1, 1), (32, 3, 3)], [(32, 1, 1), (32, 3, 3), (32, 3, 3)]])
    x = reduction_a(n, x, 192, 192, 256, 384)
    for i in range(10):
        x = residual(n, x, "repeat_b.%d" % i, 0.1, True, [[(128, 1, 1)], [(128, 1, 1), (128, 1, 7), (128, 7, 1)]])
    x = n.rows(x, "Mixed_7a", [
        [(256, 1, 1), (384, 3, 3, 2, 0)], [(256, 1, 1), (256, 3, 3, 2, 0)], [(256, 1, 1), (256, 3, 3), (256, 3, 3, 2, 0)], [(MAX, 2, 0)]])
    x, rows = c_blocks(n, x, 5, 192, 192)
    variant = case["options"].get("variant", "paper")
    if variant != "paper":
        x = residual(n, x, "block_c6.0", 1, False, rows)
    if variant == "features512":
        x = F.conv2d(x.mean((2, 3), keepdim=True), p["features.conv.weight"])
        assert x.shape[1] == n.scaled(512)
        x = n.norm(x, "features.bn")
    return [n.classify(x)]


def inception_resnet_v2(x, p, b, case):
    n = Net(p, b, case)
    paper = case["options"].get("variant") == "paper"
    if paper:
        x, (a, bb, c) = v4_stem(n, x), (5, 10, 5)
    else:
        x, (a, bb, c) = plain_stem(n, x), (10, 20, 9)
        x = x if n.small else F.max_pool2d(x, 3, 2)
        x = n.rows(
            x, "Mixed_5b",
            [[(96, 1, 1)], [(48, 1, 1), (64, 5, 5)], [(64, 1, 1), (96, 3, 3), (96, 3, 3)], [(AVG_INSIDE,), (64, 1, 1)]])
    for i in range(a):
        x = residual(n, x, "repeat_a.%d" % i, 0.17, True, [[(32, 1, 1)], [(32, 1, 1), (32, 3, 3)], [(32, 1, 1), (48, 3, 3), (64, 3, 3)]])
    x = reduction_a(n, x, 256, 256, 384, 384)
    for i in range(bb):
        x = residual(n, x, "repeat_b.%d" % i, 0.1, True, [[(192, 1, 1)], [(128, 1, 1), (160, 1, 7), (192, 7, 1)]])
    x = n.rows(x, "Mixed_7a", [
        [(256, 1, 1), (384, 3, 3, 2, 0)], [(256, 1, 1), (288, 3, 3, 2, 0)], [(256, 1, 1), (288, 3, 3), (320, 3, 3, 2, 0)], [(MAX, 2, 0)]])
    x, rows = c_blocks(n, x, c, 224, 256)
    if not paper:
        x = residual(n, x, "block_c10.0", 1, False, rows)
        x = n.conv(x, "Conv2d_7b_1x1", 1536, 1, 1)
    return [n.classify(x)]


NETS = {
    "googlenet": googlenet_with(five=5, pool4=3, lrn=True),
    "googlenet_tv": googlenet_with(five=3, pool4=2, lrn=False),
    "inception_v2": inception_v2,
    "inception_v3": inception_v3,
    "inception_v4": inception_v4,
    "inception_resnet_v1": inception_resnet_v1,
    "inception_resnet_v2": inception_resnet_v2,
}
