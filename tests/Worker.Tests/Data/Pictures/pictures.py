"""Writes pictures in every kind that the decoders know, each with what PIL and torchvision make of it.

usage: pictures.py FOLDER
NAME.jpg or NAME.png beside NAME.rgb (height × width × 3 bytes); crop-*.rgb are 224 × 224 × 3 bytes of photo.jpg.
kind-COLOURS-DEPTH.png and kind-COLOURS-DEPTH-interlaced.png are written without PIL, which writes few kinds and interlaces none.
"""
import pathlib
import struct
import sys
import zlib

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


def filtered(rows, pixel_bytes, first):
    """Each filter in turn: the PNG specification's §9."""
    above = np.zeros_like(rows[0], dtype=int)
    for y, row in enumerate(rows.astype(int)):
        kind = (first + y) % 5
        left, upper_left = (np.concatenate([np.zeros(pixel_bytes, int), of[:-pixel_bytes]]) for of in (row, above))
        guess = left + above - upper_left
        distances = np.stack([abs(guess - left), abs(guess - above), abs(guess - upper_left)])
        paeth = np.choose(distances.argmin(0), [left, above, upper_left])  # the first of equals
        yield bytes([kind]) + ((row - [0, left, above, (left + above) // 2, paeth][kind]) % 256).astype(np.uint8).tobytes()
        above = row


def keep_kind(colours, depth, interlaced):
    """A PNG of a colour type and depth, (height, width, samples) of them."""
    deep = scene(33, 45).astype(np.uint16) * 257 ^ 0x5A
    count = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colours]
    samples = np.concatenate([deep, deep[..., :1]], -1)[..., :count] >> (16 - depth)
    passes = [(0, 0, 1, 1)]
    if interlaced:
        passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    data = b""
    for number, (x, y, step_x, step_y) in enumerate(passes):
        part = samples[y::step_y, x::step_x]
        bits = (part[..., None] >> np.arange(depth)[::-1]) & 1
        rows = np.packbits(bits.astype(np.uint8).reshape(len(part), -1), axis=1)
        data += b"".join(filtered(rows, max(1, count * depth // 8), number))
    palette = np.random.RandomState(depth).bytes(3 << depth)
    compressed = zlib.compress(data)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 45, 33, depth, colours, 0, 0, interlaced))]
    chunks += [(b"PLTE", palette)] if colours == 3 else []
    chunks += [(b"IDAT", compressed[:100]), (b"IDAT", compressed[100:]), (b"IEND", b"")]
    path = folder / f"kind-{colours}-{depth}{'-interlaced' if interlaced else ''}.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks))
    picture = Image.open(path)
    if (colours, depth) == (0, 16):  # what PIL would cut off at 255
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    path.with_suffix(".rgb").write_bytes(np.asarray(picture.convert("RGB")).tobytes())


for colours, depths in {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}.items():
    for depth in depths:
        keep_kind(colours, depth, 0)
        keep_kind(colours, depth, 1)

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
