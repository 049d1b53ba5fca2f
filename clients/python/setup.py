import pathlib
import sys

from setuptools import setup
from setuptools.command.build_py import build_py

# What pip builds with does not look for modules beside this file.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import make_contracts  # noqa: E402


class BuildWithContracts(build_py):
    """What the package knows of the scheduler's calls is made from its protos, and kept nowhere else."""

    def run(self):
        make_contracts.make()
        super().run()


setup(cmdclass={"build_py": BuildWithContracts})
