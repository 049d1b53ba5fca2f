"""One rank of PyTorch's training step. usage: train.py FOLDER MEETING RANK WORLD_SIZE THREADS CASE SETTINGS; then orders on standard input.

CASE and SETTINGS are JSON: the network and its images; learning rate, momentum and weight decay. Networks are torchvision's, or written
from their papers in plain torch.nn where it has none; with two ranks and more they are wrapped in DistributedDataParallel over Gloo.
"""
import copy
import json
import sys
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torchvision.models as tv
from torchvision.models.googlenet import Inception, InceptionAux


class PaperNorm(nn.LocalResponseNorm):
    """Krizhevsky 2012, section 3.3, where alpha multiplies the sum; PyTorch's multiplies the mean."""

    def __init__(self):
        super().__init__(5, alpha=5e-4, beta=0.75, k=2.0)


class LeNet5(nn.Module):
    """LeCun 1998, section II.B, with plain tanh, trained-free subsampling and a linear output."""

    def __init__(self, channels, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.pool = nn.AvgPool2d(2)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, classes)

    def forward(self, x):
        x = self.pool(torch.tanh(self.conv1(x)))
        x = self.pool(torch.tanh(self.conv2(x))).flatten(1)
        return self.fc3(torch.tanh(self.fc2(torch.tanh(self.fc1(x)))))


class AlexNet(nn.Module):
    """Krizhevsky 2012, section 3.5, Fig. 2: both towers on one device, as convolutions of two groups.

    Each tower is normalised by itself.
    """

    def __init__(self, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 96, 11, 4)
        self.conv2 = nn.Conv2d(96, 256, 5, padding=2, groups=2)
        self.conv3 = nn.Conv2d(256, 384, 3, padding=1)
        self.conv4 = nn.Conv2d(384, 384, 3, padding=1, groups=2)
        self.conv5 = nn.Conv2d(384, 256, 3, padding=1, groups=2)
        self.fc6, self.fc7, self.fc8 = nn.Linear(9216, 4096), nn.Linear(4096, 4096), nn.Linear(4096, classes)
        self.norm, self.pool = PaperNorm(), nn.MaxPool2d(3, 2)
        self.drop6, self.drop7 = nn.Dropout(), nn.Dropout()

    def forward(self, x):
        x = F.pad(x, (1, 2, 1, 2))
        x = self.pool(self.by_tower(F.relu(self.conv1(x), inplace=True)))
        x = self.pool(self.by_tower(F.relu(self.conv2(x), inplace=True)))
        x = F.relu(self.conv3(x), inplace=True)
        x = F.relu(self.conv4(x), inplace=True)
        x = self.pool(F.relu(self.conv5(x), inplace=True)).flatten(1)
        x = self.drop6(F.relu(self.fc6(x), inplace=True))
        x = self.drop7(F.relu(self.fc7(x), inplace=True))
        return self.fc8(x)

    def by_tower(self, x):
        n, c, h, w = x.shape
        return self.norm(x.reshape(2 * n, c // 2, h, w)).reshape(n, c, h, w)


class BiasedConv(nn.Module):
    """GoogLeNet's unit as published: a bias and no batch normalisation."""

    def __init__(self, inputs, outputs, **kw):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, **kw)

    def forward(self, x):
        return F.relu(self.conv(x), inplace=True)


class PaperInception(Inception):
    """5x5 convolutions, where torchvision has 3x3."""

    def __init__(self, *sizes):
        super().__init__(*sizes, conv_block=BiasedConv)
        self.branch3[1] = BiasedConv(sizes[4], sizes[5], kernel_size=5, padding=2)


class PaperAux(InceptionAux):
    """Averages of 5x5, three pixels apart, where torchvision pools adaptively."""

    def __init__(self, inputs, classes, dropout):
        super().__init__(inputs, classes, BiasedConv, dropout)

    def forward(self, x):
        x = self.conv(F.avg_pool2d(x, 5, 3)).flatten(1)
        return self.fc2(self.dropout(F.relu(self.fc1(x), inplace=True)))


def googlenet(classes):
    """Szegedy 2014, Table 1 and Fig. 3, with local response normalisation."""
    net = tv.GoogLeNet(classes, init_weights=False, dropout=0.4, blocks=[BiasedConv, PaperInception, PaperAux])
    net.maxpool1 = nn.Sequential(net.maxpool1, PaperNorm())
    net.maxpool2 = nn.Sequential(PaperNorm(), net.maxpool2)
    net.maxpool4 = nn.MaxPool2d(3, 2, ceil_mode=True)
    return net


def network(case):
    name, classes = case["Model"], case["Classes"]
    if name == "lenet5":
        return LeNet5(case["Channels"], classes)
    if name == "alexnet":
        return AlexNet(classes)
    if name == "googlenet":
        return googlenet(classes)
    if name == "googlenet_tv":
        return tv.googlenet(num_classes=classes, init_weights=False)
    return getattr(tv, {"alexnet_owt": "alexnet"}.get(name, name))(num_classes=classes)


def read(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        data = file.read()
    header.pop("__metadata__", None)
    types = {"F32": "<f4", "I64": "<i8"}
    values = {name: np.frombuffer(data, types[t["dtype"]], int(np.prod(t["shape"])), t["data_offsets"][0]).reshape(t["shape"])
              for name, t in header.items()}
    return {name: torch.from_numpy(value.copy()) for name, value in values.items()}


def write(path, tensors):
    header, begin = {}, 0
    for name, tensor in tensors.items():
        end = begin + tensor.element_size() * tensor.numel()
        dtype = "F64" if tensor.dtype == torch.float64 else "F32"
        header[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": [begin, end]}
        begin = end
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for tensor in tensors.values():
            file.write(tensor.cpu().contiguous().numpy().tobytes())


class Trainer:
    def __init__(self, folder, rank, world_size, case, settings):
        self.rank, self.world_size = rank, world_size
        self.device, self.precision = torch.device(case["Device"]), case["Precision"]
        self.layout = torch.channels_last if settings["Tuned"] else torch.contiguous_format
        torch.backends.cudnn.benchmark = settings["Tuned"]
        self.net = network(case).train()
        self.load(read(f"{folder}/weights.safetensors"))
        self.net.to(self.device, memory_format=self.layout)
        batch = read(f"{folder}/batch-{rank}.safetensors")
        self.images, self.labels = batch["images"], batch["labels"]
        if self.device.type == "cuda":  # as a DataLoader leaves them with pin_memory
            self.images, self.labels = self.images.pin_memory(), self.labels.pin_memory()
        self.model = nn.parallel.DistributedDataParallel(self.net) if world_size > 1 else self.net
        self.optimizer = torch.optim.SGD(
            self.net.parameters(), settings["LearningRate"], settings["Momentum"], weight_decay=settings["WeightDecay"])
        self.criterion = nn.CrossEntropyLoss()

    def load(self, weights):
        parameters = dict(self.net.named_parameters())
        assert parameters.keys() == weights.keys(), parameters.keys() ^ weights.keys()
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(weights[name])

    def gradients(self, precision):
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
        images = self.images.to(self.device, non_blocking=True).contiguous(memory_format=self.layout)
        labels = self.labels.to(self.device, non_blocking=True)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            outputs = self.model(images)
            self.optimizer.zero_grad()
            loss, main = self.losses(outputs, labels)
        loss.backward()
        return main

    def losses(self, outputs, labels):
        if torch.is_tensor(outputs):
            return (self.criterion(outputs, labels),) * 2
        main = self.criterion(outputs.logits, labels)
        return main + 0.3 * (self.criterion(outputs.aux_logits1, labels) + self.criterion(outputs.aux_logits2, labels)), main

    def reference(self):
        """The step in float64, of a copy that no wrapper has touched: each contestant's is held against it."""
        self.net.zero_grad()
        net = copy.deepcopy(self.net).double().to(memory_format=torch.contiguous_format)
        loss, main = self.losses(net(self.images.to(self.device).double()), self.labels.to(self.device))
        loss.backward()
        if self.world_size > 1:
            for parameter in net.parameters():
                torch.distributed.all_reduce(parameter.grad)
                parameter.grad /= self.world_size
        return net, main

    def train(self, steps):
        self.step()
        self.wait()
        began = time.perf_counter()
        for _ in range(steps):
            loss = self.step()
        self.wait()
        return (time.perf_counter() - began) / steps, loss

    def wait(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def step(self):
        loss = self.gradients(self.precision).item()  # as every training loop's log asks for
        self.optimizer.step()
        return loss

    def check(self, folder, precision):
        dropouts = [module for module in self.net.modules() if isinstance(module, nn.Dropout)]
        for module in dropouts:
            module.eval()
        net, loss = self.reference() if precision == "float64" else (self.net, self.gradients(precision))
        loss = loss.detach()
        for module in dropouts:
            module.train()
        if self.world_size > 1:
            torch.distributed.all_reduce(loss)
        owned = net.named_parameters() if self.rank == 0 else []
        write(f"{folder}/gradients-{self.rank}.safetensors", {name: parameter.grad for name, parameter in owned})
        return loss.item() / self.world_size


def main(folder, meeting, rank, world_size, threads, case, settings):
    torch.set_num_threads(threads)
    torch.manual_seed(rank)
    if world_size > 1:
        torch.distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=world_size)
    trainer = Trainer(folder, rank, world_size, case, settings)
    print(json.dumps({"Seconds": 0, "Loss": 0}), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        if order["Steps"] == 0:
            answer = {"Seconds": 0, "Loss": trainer.check(order["Folder"], order["Precision"])}
        else:
            seconds, loss = trainer.train(order["Steps"])
            answer = {"Seconds": seconds, "Loss": loss}
        print(json.dumps(answer), flush=True)


folder, meeting, rank, world_size, threads, case, settings = sys.argv[1:]
main(folder, meeting, int(rank), int(world_size), int(threads), json.loads(case), json.loads(settings))
