"""Names on one line what the peers are made of, and up to which instruction set PyTorch computes."""
import platform

import numpy
import PIL
import torch
import torchvision

capability = [line.split()[-1] for line in torch.__config__.show().splitlines() if "CPU capability" in line]
print(
    f"PyTorch {torch.__version__} ({', '.join(capability) or 'unknown'}), torchvision {torchvision.__version__}, "
    f"Pillow {PIL.__version__}, NumPy {numpy.__version__}, Python {platform.python_version()}"
)
