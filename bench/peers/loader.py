"""torch.utils.data.DataLoader with torchvision's transforms.

usage: loader.py make FOLDER IMAGES    writes JPEG files as FOLDER/{train,val}/CLASS/*.jpg
       loader.py run ROOT              then orders on standard input: one pass over the training part each, of ROOT/pictures (JPEG)
                                       or ROOT/packed (raw)
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


def raw(folder, transform):
    """Pictures that lie decoded in safetensors files, mapped, as one would read them without FFCV."""
    import numpy as np
    import torch

    def mapped(path):
        with open(path, "rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(size))
        return [np.memmap(path, dtype, "r", 8 + size + header[name]["data_offsets"][0], tuple(header[name]["shape"]))
                for name, dtype in [("images", np.uint8), ("labels", np.int64)]]

    class Pictures(torch.utils.data.Dataset):
        def __init__(self):
            self.shards = [mapped(path) for path in sorted(folder.glob("train-*.safetensors"))]
            self.places = [(shard, i) for shard, (images, _) in enumerate(self.shards) for i in range(len(images))]

        def __len__(self):
            return len(self.places)

        def __getitem__(self, sample):
            shard, i = self.places[sample]
            images, labels = self.shards[shard]
            return transform(torch.from_numpy(np.array(images[i])).permute(2, 0, 1)), int(labels[i])

    return Pictures()


def run(root):
    import torch
    from torch.utils.data import DataLoader
    from torchvision import datasets, transforms

    normalize = transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    views = {
        "training": [transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip()],
        "evaluation": [transforms.Resize(256), transforms.CenterCrop(224)],
    }
    sources = {
        "image-folder": lambda view: datasets.ImageFolder(
            root / "pictures" / "train", transforms.Compose([*view, transforms.ToTensor(), normalize])),
        "raw-shards": lambda view: raw(
            root / "packed", transforms.Compose([*view, transforms.ConvertImageDtype(torch.float32), normalize])),
    }
    loaders = {}
    print(json.dumps({"Seconds": 0, "Images": 0}), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        key = order["Source"], order["View"], order["Threads"]
        if key not in loaders:
            loaders.clear()  # ends the workers of the one before
            loaders[key] = DataLoader(
                sources[order["Source"]](views[order["View"]]), BATCH, shuffle=True, num_workers=order["Threads"], persistent_workers=True)
        began = time.perf_counter()
        seen = sum(len(labels) for _, labels in loaders[key])
        print(json.dumps({"Seconds": time.perf_counter() - began, "Images": seen}), flush=True)


if sys.argv[1] == "make":
    make(pathlib.Path(sys.argv[2]), int(sys.argv[3]))
else:
    run(pathlib.Path(sys.argv[2]))
