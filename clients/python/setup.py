from setuptools import setup
from setuptools.command.build_py import build_py

import make_contracts


class BuildWithContracts(build_py):
    """What the package knows of the scheduler's calls is made from its protos, and kept nowhere else."""

    def run(self):
        make_contracts.make()
        super().run()


setup(cmdclass={"build_py": BuildWithContracts})
