"""Steps of torch.optim on prescribed gradients. Reads FOLDER/case.json, writes FOLDER/results.json."""
import json
import sys

import torch

folder = sys.argv[1]
with open(folder + "/case.json") as f:
    case = json.load(f)
weight = torch.tensor(case["weight"], dtype=torch.float64, requires_grad=True)
optimizer = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[case["name"]]([weight], lr=1.0, **case["arguments"])
for rate, gradient in zip(case["rates"], case["gradients"]):
    optimizer.param_groups[0]["lr"] = rate
    weight.grad = torch.tensor(gradient, dtype=torch.float64)
    optimizer.step()
state = {k: v.tolist() for k, v in optimizer.state[weight].items() if torch.is_tensor(v) and v.dim()}
with open(folder + "/results.json", "w") as f:
    json.dump({"weight": weight.tolist(), "state": state}, f)
