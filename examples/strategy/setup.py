"""Compile the strategy against the installed subcore: python setup.py build_ext --inplace"""

from __future__ import annotations

from Cython.Build import cythonize
from setuptools import setup

setup(name="imbalance", ext_modules=cythonize(["imbalance.pyx"]))
