"""Writes pictures in every kind that the decoders know, each with what PIL and torchvision make of it.

usage: pictures.py FOLDER
NAME.jpg or NAME.png beside NAME.rgb (height × width × 3 bytes); crop-*.rgb are 224 × 224 × 3 bytes of photo.jpg.
"""
import pathlib
import sys

import numpy as np
import torchvision.transforms.functional as F
from PIL import Image

folder = pathlib.Path(sys.argv[1])


def scene(height, width):
    """Smooth colours, edges and fine texture: what compression and resizing each find hard."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    random = np.random.RandomState(7)
    red = 128 + 90 * np.sin(x / 37.0) * np.cos(y / 23.0)
    green = np.where((x // 50 + y // 40) % 2 == 0, 60, 190) + 20 * np.sin(x * y / 900.0)
    blue = 255 * x / width
    return np.clip(np.stack([red, green, blue], -1) + random.normal(0, 6, (height, width, 3)), 0, 255).astype(np.uint8)


def keep(name, picture, **options):
    picture.save(folder / name, **options)
    reference = np.asarray(Image.open(folder / name).convert("RGB"))
    (folder / name).with_suffix(".rgb").write_bytes(reference.tobytes())


photo = Image.fromarray(scene(375, 500))
keep("photo.jpg", photo, quality=92)
keep("progressive.jpg", photo, quality=80, progressive=True)
keep("full-chroma.jpg", photo, quality=95, subsampling=0)
keep("grey.jpg", photo.convert("L"), quality=90)
keep("cmyk.jpg", photo.convert("CMYK"), quality=95)

small = Image.fromarray(scene(33, 45))
keep("colours.png", small)
keep("translucent.png", Image.merge("RGBA", [*small.split(), small.split()[0]]))
keep("grey-png.png", small.convert("L"))
keep("grey-translucent.png", Image.merge("LA", [small.convert("L"), small.split()[2]]))
keep("palette.png", small.quantize(200))
keep("few-colours.png", small.quantize(5))
keep("two-tones.png", small.convert("1"))

deep = (np.asarray(small.convert("L")).astype(np.uint16) * 257) ^ 0x5A  # the lower bytes are noise
Image.fromarray(deep).save(folder / "deep.png")
(folder / "deep.rgb").write_bytes(np.repeat((deep >> 8).astype(np.uint8)[..., None], 3, -1).tobytes())

stored = Image.open(folder / "photo.jpg")
for name, crop in {
    "crop-center": F.center_crop(F.resize(stored, 256), 224),
    "crop-corner": F.crop(F.resize(stored, 256), 0, 256 * 500 // 375 - 224, 224, 224),
    "crop-box": F.resized_crop(stored, top=31, left=77, height=290, width=250, size=[224, 224]),
    "crop-small-box": F.resized_crop(stored, top=200, left=300, height=90, width=61, size=[224, 224]),
    "crop-large-box": F.resized_crop(stored, top=0, left=0, height=375, width=500, size=[224, 224]),
}.items():
    (folder / f"{name}.rgb").write_bytes(np.asarray(crop).tobytes())
