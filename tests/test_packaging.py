"""What is installed is what stands in the repository, and the pinned versions are versions that setup.cfg allows."""

from __future__ import annotations

import configparser
import os
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from setuptools import find_packages

pytestmark = pytest.mark.invariant
ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("pretrain", "adapt", "tasks", "recipes")


@pytest.fixture(scope="module")
def setup():
    parser = configparser.RawConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


def requirements(setup) -> list[Requirement]:
    return [Requirement(line) for line in lines(setup["options"]["install_requires"])]


def test_every_folder_with_code_is_installed(setup):
    found = set(find_packages(str(ROOT), include=lines(setup["options.packages.find"]["include"])))
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    code = {".".join(path.parent.relative_to(ROOT).parts) for path in files}
    assert code <= found, f"folders without __init__.py: {sorted(code - found)}"
    assert {name.partition(".")[0] for name in found} == set(FOLDERS)


def test_every_data_file_is_installed(setup):
    patterns = setup["options.package_data"]
    for folder in FOLDERS:
        globs = [glob.strip() for key in ("*", folder) if key in patterns for glob in patterns[key].split(",")]
        packed = {path for glob in globs for path in (ROOT / folder).glob(glob)}
        for path in (ROOT / folder).rglob("*"):
            skipped = "__pycache__" in path.parts or path.suffix in {".py", ".md"} or path.name.startswith(".")
            assert path.is_dir() or skipped or path in packed, \
                f"{path.relative_to(ROOT)} matches no pattern of [options.package_data]"


def test_command_exists(setup):
    scripts = setup["options.entry_points"]["console_scripts"].strip()
    assert scripts == "relexify = recipes.cli:main"
    assert (ROOT / "recipes/cli.py").is_file()


@pytest.mark.parametrize(("system", "machine", "python", "wanted"), [
    ("linux", "x86_64", "3.11", True), ("linux", "x86_64", "3.12", True), ("linux", "x86_64", "3.13", False),
    ("linux", "aarch64", "3.11", False), ("darwin", "arm64", "3.12", False), ("win32", "AMD64", "3.11", False)])
def test_one_fairseq_for_each_platform(setup, system, machine, python, wanted):
    environment = {"sys_platform": system, "platform_machine": machine, "python_version": python, "extra": ""}
    core = {each.name: each for each in requirements(setup) if each.marker is None or each.marker.evaluate(environment)}
    upstream = Requirement(setup["options.extras_require"]["fairseq"].strip())
    assert upstream.name == "fairseq" and upstream.marker is not None
    assert ("ve-fairseq" in core) is wanted
    assert upstream.marker.evaluate(environment) is not wanted
    if wanted:
        assert str(core["ve-fairseq"].specifier) == "==0.12.3"


def test_constraints_pin_every_dependency_within_its_range(setup):
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pinned = [Requirement(line) for line in lines(text) if not line.startswith("#")]
    pins = {canonicalize_name(pin.name): pin for pin in pinned}
    wanted = requirements(setup)
    for name, extra in setup["options.extras_require"].items():
        if name != "fairseq":
            wanted += [Requirement(line) for line in lines(extra)]
    for requirement in wanted:
        if requirement.name == "relexify":
            assert requirement.extras <= set(setup["options.extras_require"])
            continue
        pin = pins[canonicalize_name(requirement.name)]
        version = str(pin.specifier).removeprefix("==")
        assert requirement.specifier.contains(version, prereleases=True), (str(requirement), str(pin))
    assert str(pins["torch"].specifier) == "==2.13.0"  # a local label (+cpu) would shut out every other build


def test_ci_runs_what_the_reader_runs():
    script = ROOT / ".ci/run"
    assert os.access(script, os.X_OK)
    assert "exec make test" in script.read_text() and "set -euo pipefail" in script.read_text()
