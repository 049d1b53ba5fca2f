"""Steps of torch.optim on prescribed gradients. Reads FOLDER/cases.json, writes FOLDER/results.json."""
import json
import sys

import torch

folder = sys.argv[1]
with open(folder + "/cases.json") as f:
    given = json.load(f)


def train(case):
    weight = torch.tensor(given["weight"], dtype=torch.float64, requires_grad=True)
    optimizer = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[case["name"]]([weight], lr=1.0, **case["arguments"])
    for rate, gradient in zip(given["rates"], given["gradients"]):
        optimizer.param_groups[0]["lr"] = rate
        weight.grad = torch.tensor(gradient, dtype=torch.float64)
        optimizer.step()
    state = {k: v.tolist() for k, v in optimizer.state[weight].items() if torch.is_tensor(v) and v.dim()}
    return {"weight": weight.tolist(), "state": state}


with open(folder + "/results.json", "w") as f:
    json.dump([train(case) for case in given["cases"]], f)
