"""What is published: the files and the licenses of the sdist and of the wheel."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from email import message_from_string
from pathlib import Path

import pytest

Files = dict[str, str]

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
IN_SDIST = PYPROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["only-include"]
ALWAYS_IN_SDIST = ["pyproject.toml", "README.md", "LICENSE", ".gitignore"]
PRIVATE = [".env", "local.py", "scratch/notes.py", "tests/.env", "access_tokens/.env"]
WORKFLOW = ROOT / ".github" / "workflows" / "tests.yml"
MADE_HERE = ("__pycache__", "_build")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Files, Files]:
    """Return the files of the sdist and those of the wheel, by path."""
    checkout = tmp_path_factory.mktemp("checkout")
    for name in [*IN_SDIST, *ALWAYS_IN_SDIST]:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns(*MADE_HERE))
        else:
            shutil.copy(ROOT / name, checkout)
    for name in PRIVATE:
        (checkout / name).parent.mkdir(exist_ok=True)
        (checkout / name).touch()
    subprocess.run([sys.executable, "-m", "hatchling", "build"], cwd=checkout, check=True)

    (sdist,) = (checkout / "dist").glob("*.tar.gz")
    shutil.unpack_archive(sdist, checkout / "unpacked", filter="data")
    (wheel,) = (checkout / "dist").glob("*.whl")
    shutil.unpack_archive(wheel, checkout / "installed", format="zip")
    (unpacked,) = (checkout / "unpacked").iterdir()
    return read(unpacked), read(checkout / "installed")


def read(root: Path) -> Files:
    return {
        path.relative_to(root).as_posix(): path.read_text(errors="replace")
        for path in root.rglob("*")
        if path.is_file() and not set(MADE_HERE) & set(path.parts)
    }


def test_every_file_of_the_package_is_published(published: tuple[Files, Files]) -> None:
    package = {f"access_tokens/{name}" for name in read(ROOT / "access_tokens")}
    for files in published:
        assert files.keys() >= package


def test_types_are_published(published: tuple[Files, Files]) -> None:
    for files in published:
        assert "access_tokens/py.typed" in files


def test_sdist_has_the_tests_and_the_documentation(published: tuple[Files, Files]) -> None:
    sdist, _ = published
    for folder in ["docs", "example_project", "tests"]:
        assert sdist.keys() >= {f"{folder}/{name}" for name in read(ROOT / folder)}


def test_wheel_has_the_package_alone(published: tuple[Files, Files]) -> None:
    _, wheel = published
    (metadata,) = {name.partition("/")[0] for name in wheel} - {"access_tokens"}
    assert metadata.endswith(".dist-info")


def test_private_file_is_not_published(published: tuple[Files, Files]) -> None:
    for files in published:
        assert files.keys().isdisjoint(PRIVATE)


def test_metadata_names_the_licenses_of_code_and_icons(published: tuple[Files, Files]) -> None:
    _, wheel = published
    (text,) = (text for name, text in wheel.items() if name.endswith("/METADATA"))
    metadata = message_from_string(text)

    assert metadata["License-Expression"] == "MIT AND ISC"
    assert metadata.get_all("License-File") == ["LICENSE", "access_tokens/LICENSES/lucide.txt"]


@pytest.mark.skipif(not WORKFLOW.exists(), reason="The sdist has no workflows.")
@pytest.mark.parametrize("name", ["Python", "Django"])
def test_each_version_in_the_metadata_is_tested(name: str) -> None:
    classifiers = "\n".join(PYPROJECT["project"]["classifiers"])
    (tested,) = re.findall(rf"^ +{name.lower()}: (\[.+\])$", WORKFLOW.read_text(), re.MULTILINE)

    assert json.loads(tested) == re.findall(rf"{name} :: (\d\.\d+)$", classifiers, re.MULTILINE)
