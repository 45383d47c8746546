"""The package imports and says its version; what describes the project is well-formed."""

from __future__ import annotations

import ast
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

import subcore

ROOT = Path(__file__).resolve().parent.parent


def test_version_matches_metadata() -> None:
    assert subcore.__version__ == version("subcore")


def test_every_requirement_is_bounded_above() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = [*project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        names += extra
    assert [name for name in names if "<" not in name and not name.startswith("setuptools")] == []


@pytest.mark.parametrize(
    "path", sorted((ROOT / ".github" / "workflows").glob("*.yml")), ids=lambda path: path.name
)
def test_workflow_is_well_formed(path: Path) -> None:
    # YAML 1.1 reads the key `on` as true.
    workflow = yaml.safe_load(path.read_text())
    assert {"name", True, "jobs"} <= set(workflow)
    for job in workflow["jobs"].values():
        assert "runs-on" in job
        assert all(("uses" in step) != ("run" in step) for step in job["steps"])


def test_the_embedded_exchanges_share_no_code_with_what_they_judge() -> None:
    """They know the venue's documents alone: a mistake of the core's would else be theirs as well."""
    folder = ROOT / "python" / "subcore"
    paths = sorted((folder / "sim").rglob("*.py"))
    assert len(paths) > 20
    for path in paths:
        package = list(path.relative_to(folder.parent).parent.parts)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                above = package[: len(package) + 1 - node.level] if node.level else []
                names = [".".join([*above, *filter(None, [node.module])])]
            else:
                names = [name.name for name in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                ours = name.partition(".")[0] == "subcore"
                assert not ours or (name + ".").startswith("subcore.sim."), f"{path} imports {name}"
