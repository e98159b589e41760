"""What is published: the files and the licenses of the sdist and of the wheel."""

from __future__ import annotations

import shutil
import subprocess
import sys
from email import message_from_string
from pathlib import Path

import pytest

Files = dict[str, str]

ROOT = Path(__file__).parent.parent
NOT_TRACKED = [".env", "local.py", "scratch/notes.py", "tests/local.py", "access_tokens/.env"]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory in which the sdist and the wheel were built."""
    checkout = tmp_path_factory.mktemp("checkout")
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "access_tokens", checkout / "access_tokens", ignore=ignore)
    for name in ["pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", ".gitignore"]:
        shutil.copy(ROOT / name, checkout)
    for name in NOT_TRACKED:
        (checkout / name).parent.mkdir(exist_ok=True)
        (checkout / name).write_text("PASSWORD = 'correct horse'")
    subprocess.run([sys.executable, "-m", "hatchling", "build"], cwd=checkout, check=True)
    return checkout


@pytest.fixture(scope="module")
def published(checkout: Path) -> tuple[Files, Files]:
    """Return the files of the sdist and those of the wheel, by path."""
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
        if path.is_file()
    }


def test_every_file_of_the_package_is_published(published: tuple[Files, Files]) -> None:
    package = {f"access_tokens/{name}" for name in read(ROOT / "access_tokens")}
    package = {name for name in package if "__pycache__" not in name}
    for files in published:
        assert files.keys() >= package


def test_types_are_published(published: tuple[Files, Files]) -> None:
    for files in published:
        assert "access_tokens/py.typed" in files


def test_file_that_is_hidden_or_outside_the_package_is_not_published(
    published: tuple[Files, Files],
) -> None:
    for files in published:
        assert not [name for name, text in files.items() if "correct horse" in text]


def test_metadata_names_the_licenses_of_code_and_icons(published: tuple[Files, Files]) -> None:
    _, wheel = published
    (text,) = (text for name, text in wheel.items() if name.endswith("/METADATA"))
    metadata = message_from_string(text)

    assert metadata["License-Expression"] == "MIT AND ISC"
    assert metadata.get_all("License-File") == ["LICENSE", "access_tokens/LICENSES/lucide.txt"]


def test_package_index_can_show_the_readme(checkout: Path) -> None:
    files = map(str, (checkout / "dist").glob("*.*"))
    command = [sys.executable, "-m", "twine", "check", "--strict", *files]
    process = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert process.returncode == 0, process.stdout
