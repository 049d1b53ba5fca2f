"""torch.utils.data.DataLoader with torchvision's transforms.

usage: loader.py make FOLDER IMAGES    writes JPEG files as FOLDER/{train,val}/CLASS/*.jpg
       loader.py run FOLDER            then orders on standard input: one pass over the training part each
"""
import json
import pathlib
import sys
import time

CLASSES, BATCH = 4, 64


def make(folder, images):
    import numpy as np
    from PIL import Image

    random = np.random.RandomState(1)
    y, x = np.mgrid[0:375, 0:500].astype(np.float32)  # the usual size in ImageNet
    for i in range(images):
        waves = [127 + 100 * np.sin(x / random.uniform(5, 60) + i) * np.cos(y / random.uniform(5, 60)) for _ in range(3)]
        pixels = np.clip(np.stack(waves, -1) + random.normal(0, 8, (375, 500, 3)), 0, 255).astype(np.uint8)
        for part in ["train"] if i >= CLASSES else ["train", "val"]:
            path = folder / part / f"class-{i % CLASSES}" / f"{i:06}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path, quality=90)


def run(folder):
    from torch.utils.data import DataLoader
    from torchvision import datasets, transforms

    normalize = [transforms.ToTensor(), transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))]
    views = {
        "training": [transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip(), *normalize],
        "evaluation": [transforms.Resize(256), transforms.CenterCrop(224), *normalize],
    }
    loaders = {}
    print(json.dumps({"Seconds": 0, "Images": 0}), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        key = order["View"], order["Threads"]
        if key not in loaders:
            data = datasets.ImageFolder(folder / "train", transforms.Compose(views[order["View"]]))
            loaders[key] = DataLoader(data, BATCH, shuffle=True, num_workers=order["Threads"], persistent_workers=True)
        began = time.perf_counter()
        seen = sum(len(labels) for _, labels in loaders[key])
        print(json.dumps({"Seconds": time.perf_counter() - began, "Images": seen}), flush=True)


if sys.argv[1] == "make":
    make(pathlib.Path(sys.argv[2]), int(sys.argv[3]))
else:
    run(pathlib.Path(sys.argv[2]))
