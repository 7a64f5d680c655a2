"""Printing never ends a command: what a terminal's encoding cannot say is written as an escape."""

import json
import subprocess
import sys

from tests.killing import warm


def test_an_ascii_terminal_loses_characters_and_not_the_work(tmp_path):
    (tmp_path / "x.json").write_text(json.dumps({"sprache": "Türkçe – ქართული"}), encoding="utf-8")
    environment = warm(PYTHONIOENCODING="ascii")
    for place, code in (("x.json", 0), ("mañana.json", 2)):
        done = subprocess.run([sys.executable, "-m", "recipes.cli", "inspect", place], cwd=tmp_path, env=environment,
                              capture_output=True, text=True, check=False)
        assert done.returncode == code and "Traceback" not in done.stderr
        said = done.stdout if code == 0 else done.stderr
        assert (r"T\xfcrk\xe7e \u2013" if code == 0 else r"ma\xf1ana.json: expected") in said
