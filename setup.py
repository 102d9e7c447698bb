"""What ``pyproject.toml`` can't say: a build begins without what an earlier one left behind."""

import shutil

from setuptools import setup
from setuptools.command.build_py import build_py


class FreshBuild(build_py):
    """Copies the modules into an empty folder; setuptools keeps it, and with it what was deleted since."""

    def run(self) -> None:
        """Empty the folder, then build."""
        if not self.editable_mode:
            shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()


setup(cmdclass={"build_py": FreshBuild})
