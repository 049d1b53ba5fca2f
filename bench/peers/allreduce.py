"""One rank of PyTorch's Gloo all-reduce. usage: allreduce.py FOLDER RANK WORLD_SIZE; then orders on standard input."""
import json
import sys
import time

import torch
import torch.distributed as dist

folder, rank, world_size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
dist.init_process_group("gloo", init_method=f"file://{folder}/gloo", rank=rank, world_size=world_size)
print(json.dumps({"Seconds": 0}), flush=True)

for line in sys.stdin:
    order = json.loads(line)
    values = torch.ones(order["Bytes"] // 4)
    dist.all_reduce(values)
    assert values[-1] == world_size, values[-1]
    dist.barrier()
    began = time.perf_counter()
    for _ in range(order["Iterations"]):
        dist.all_reduce(values)
    seconds = (time.perf_counter() - began) / order["Iterations"]
    print(json.dumps({"Seconds": seconds}), flush=True)
