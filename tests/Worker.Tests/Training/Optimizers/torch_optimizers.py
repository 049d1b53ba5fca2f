"""Steps of torch.optim on prescribed gradients and validation losses. Reads FOLDER/cases.json, writes FOLDER/results.json."""
import json
import math
import sys

import torch

folder = sys.argv[1]
with open(folder + "/cases.json") as f:
    given = json.load(f)


class Lars:
    """You et al. 2017, arXiv:1708.03888, Algorithm 1, word by word, for one layer's weight."""

    def __init__(self, parameters, lr, trust, momentum, weight_decay):
        (self.weight,) = parameters
        self.param_groups = [{"lr": lr}]
        self.trust, self.momentum, self.weight_decay = trust, momentum, weight_decay
        self.state = {self.weight: {"momentum_buffer": torch.zeros_like(self.weight)}}

    def step(self):
        w, g, beta = self.weight.detach(), self.weight.grad, self.weight_decay
        local = self.trust * math.sqrt((w * w).sum().item()) / (math.sqrt((g * g).sum().item()) + beta * math.sqrt((w * w).sum().item()))
        v = self.momentum * self.state[self.weight]["momentum_buffer"] + self.param_groups[0]["lr"] * local * (g + beta * w)
        self.state[self.weight]["momentum_buffer"] = v
        w -= v


OPTIMIZERS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "rmsprop": torch.optim.RMSprop, "lars": Lars}


def train(case):
    weight = torch.tensor(given["weight"], dtype=torch.float64, requires_grad=True)
    optimizer = OPTIMIZERS[case["name"]]([weight], lr=1.0, **case["arguments"])
    for rate, gradient in zip(given["rates"], given["gradients"]):
        optimizer.param_groups[0]["lr"] = rate
        weight.grad = torch.tensor(gradient, dtype=torch.float64)
        optimizer.step()
    state = {k: v.tolist() for k, v in optimizer.state[weight].items() if torch.is_tensor(v) and v.dim()}
    return {"weight": weight.tolist(), "state": state}


def plateau():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **given["plateau"])
    rates = []
    for loss in given["losses"]:
        schedule.step(loss)
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


with open(folder + "/results.json", "w") as f:
    json.dump({"optimizers": [train(case) for case in given["cases"]], "plateauRates": plateau()}, f)
