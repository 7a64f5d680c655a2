"""Commands that are forked from a warm process end, fail and die as those that are started (recipes/warm/)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from recipes.warm import FIRST, ROOT, warm
from recipes.warm.first.sitecustomize import settings

SERVER = FIRST.with_name("server.py")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks and /proc")
TRAIN = """import os, sys, time
print("words", *sys.argv[1:], "folder", os.getcwd(), "warm" if "colorsys" in sys.modules else "cold",
      os.environ["MARK"], flush=True)
print("said", file=sys.stderr)
if sys.argv[1] == "sleep":
    time.sleep(60)
sys.exit(int(sys.argv[1]))
"""


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """What a served process has; `fairseq_cli.train` is a script of a few lines."""
    (tmp_path / "fairseq_cli").mkdir()
    (tmp_path / "fairseq_cli" / "__init__.py").write_text("")
    (tmp_path / "fairseq_cli" / "train.py").write_text(TRAIN)
    server = subprocess.Popen([sys.executable, str(SERVER), str(tmp_path / "train.sock"), str(os.getpid()), "colorsys"], cwd="/")
    limit = time.monotonic() + 60
    while not (tmp_path / "train.sock").exists():
        assert server.poll() is None and time.monotonic() < limit
        time.sleep(0.01)
    monkeypatch.setenv("PYTHONPATH", str(FIRST))
    yield {**os.environ, "RELEXIFY_WARM": str(tmp_path), "RELEXIFY_WARM_PATH": str(FIRST), "MARK": "x", "SERVER": str(server.pid),
           "RELEXIFY_WARM_MOUNTS": os.readlink("/proc/self/ns/mnt"), "RELEXIFY_WARM_SETTINGS": settings(os.environ)}
    server.kill()
    server.wait()


def start(folder: Path, environment: dict[str, str], *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-m", "fairseq_cli.train", *words], cwd=folder, env=environment, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.parametrize("code", [0, 3])
def test_output_words_folder_and_exit_code_are_those_of_a_started_process(tmp_path: Path, environment: dict[str, str],
                                                                         code: int) -> None:
    found = []
    for given in (environment, {**environment, "RELEXIFY_WARM": ""}):
        child = start(tmp_path, given, str(code), "b c")
        out, error = child.communicate(timeout=60)
        found.append((child.returncode, out, error))
    assert found[0] == (code, f"words {code} b c folder {tmp_path} warm x\n", "said\n")
    assert found[1] == (code, f"words {code} b c folder {tmp_path} cold x\n", "said\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_both(tmp_path: Path, environment: dict[str, str], number: int) -> None:
    child = start(tmp_path, environment, "sleep")
    assert child.stdout is not None and "warm" in child.stdout.readline()
    child.send_signal(number)
    assert child.wait(60) == -number
    assert child.stdout.read() == ""  # its end comes when the forked process, which holds it too, is gone


def test_modules_that_stand_before_ours_are_not_left_out(tmp_path: Path, environment: dict[str, str]) -> None:
    environment["PYTHONPATH"] += os.pathsep + str(tmp_path / "other")
    child = start(tmp_path, environment, "0")
    assert "cold" in child.communicate(timeout=60)[0]


def test_another_locale_is_not_followed(tmp_path: Path, environment: dict[str, str]) -> None:
    child = start(tmp_path, {**environment, "LC_ALL": "C", "LANG": "C"}, "0")
    assert "cold" in child.communicate(timeout=60)[0]


PROGRAM = "import sys; print(*sys.argv, 'warm' if 'colorsys' in sys.modules else 'cold'); sys.exit(5)"


@pytest.mark.parametrize(("server", "said"), [("train", "warm"), ("none", "cold"), ("", "cold")])
def test_a_programs_text_is_served_where_it_asks_for_that(tmp_path: Path, environment: dict[str, str], server: str,
                                                         said: str) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, "a b"], cwd=tmp_path, env={**environment, "RELEXIFY_WARM_CODE": server},
                          capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (5, f"-c a b {said}\n", "")


def test_what_a_served_program_starts_is_served_no_more(tmp_path: Path, environment: dict[str, str]) -> None:
    """Python's own helpers are programs' texts too (multiprocessing); they did not ask."""
    code = f"import subprocess, sys; sys.exit(subprocess.run([sys.executable, '-c', {PROGRAM!r}]).returncode)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env={**environment, "RELEXIFY_WARM_CODE": "train"},
                          capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (5, "-c cold\n")


@pytest.mark.parametrize("kept", [True, False])
def test_locks_are_inherited_where_they_would_be(tmp_path: Path, environment: dict[str, str], kept: bool) -> None:
    """A lock is held as long as the process that was given it lives, though the one that took it has let it go."""
    import fcntl

    code = "import sys; print('warm' if 'colorsys' in sys.modules else 'cold', flush=True); sys.stdin.read()"
    with open(tmp_path / "lock", "ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        child = subprocess.Popen([sys.executable, "-c", code], env={**environment, "RELEXIFY_WARM_CODE": "train"}, text=True,
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[lock.fileno()] if kept else [])
        assert child.stdout is not None and child.stdout.readline() == "warm\n"
    with open(tmp_path / "lock", "ab") as lock:
        free = True
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            free = False
    assert free is not kept
    child.communicate("", timeout=60)
    with open(tmp_path / "lock", "ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_streams_are_those_of_a_started_process(tmp_path: Path, environment: dict[str, str]) -> None:
    """Pipes and not what the warm process had; they can be told to write what an encoding lacks as escapes."""
    code = ("import sys\nsys.stderr.reconfigure(errors='backslashreplace')\n"
            "sys.stdout.reconfigure(errors='backslashreplace', encoding='ascii')\n"
            "print(sys.stdin.read(), 'ü', sys.stdout.isatty(), 'colorsys' in sys.modules)")
    done = subprocess.run([sys.executable, "-u", "-c", code], env={**environment, "RELEXIFY_WARM_CODE": "train"}, input="in",
                          capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout, done.stderr) == ("in \\xfc False True\n", "")


@pytest.mark.parametrize("encoding", ["ascii", "iso8859-1:replace", ""])
def test_an_encoding_of_the_streams_is_followed(tmp_path: Path, environment: dict[str, str], encoding: str) -> None:
    code = "import sys; print(*((s.encoding, s.errors) for s in (sys.stdin, sys.stdout, sys.stderr)))"
    environment["PYTHONIOENCODING"] = encoding
    said = [subprocess.run([sys.executable, "-c", code], env={**environment, "RELEXIFY_WARM_CODE": server}, capture_output=True,
                           text=True, check=True, timeout=60).stdout for server in ("train", "")]
    assert said[0] == said[1]


def test_where_the_warm_process_cannot_import_the_command_is_started(tmp_path: Path, environment: dict[str, str]) -> None:
    server = subprocess.Popen([sys.executable, str(SERVER), str(tmp_path / "plain.sock"), str(os.getpid()), "no_such_module"],
                              cwd="/", stderr=subprocess.DEVNULL)
    limit = time.monotonic() + 60
    while not (tmp_path / "plain.sock").exists():
        assert server.poll() is None and time.monotonic() < limit
        time.sleep(0.01)
    environment["RELEXIFY_WARM_CODE"] = "plain"
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=False,
                          timeout=60)
    assert (done.returncode, done.stdout) == (5, "-c cold\n") and server.wait(60) == 1


def test_a_users_own_sitecustomize_runs_where_nothing_is_served(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("print('the user was here')\n")
    path = os.pathsep.join([str(FIRST), str(tmp_path)])
    environment = {**os.environ, "PYTHONPATH": path, "RELEXIFY_WARM": ""}
    done = subprocess.run([sys.executable, "-c", "print('and ours')"], env=environment, capture_output=True, text=True,
                          check=False, timeout=60)
    assert (done.stdout, done.stderr) == ("the user was here\nand ours\n", "")


@pytest.mark.cold
def test_commands_are_served_as_long_as_the_servers_are_there() -> None:
    given = {key: value for key, value in os.environ.items() if not key.startswith("RELEXIFY_WARM")}
    code = "import sys; print('torch' in sys.modules)"
    with warm(given) as more:
        assert warm({**given, **more}).__enter__() == {}, "one set of servers is enough"
        place = Path(more["RELEXIFY_WARM"])
        limit = time.monotonic() + 60
        while not (place / "plain.sock").exists():
            assert time.monotonic() < limit
            time.sleep(0.01)
        said = subprocess.run([sys.executable, "-c", code], env={**given, **more, "RELEXIFY_WARM_CODE": "plain"},
                              capture_output=True, text=True, check=True, timeout=120).stdout
    assert said == "True\n" and not place.exists()
    after = subprocess.run([sys.executable, "-c", code], env={**given, **more, "RELEXIFY_WARM_CODE": "plain"},
                           capture_output=True, text=True, check=True, timeout=120).stdout
    assert after == "False\n"


WAITS = """import os, sys, time
try:
    print("warm" if "colorsys" in sys.modules else "cold", os.getpid(), flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    print("cleaned", flush=True)
    sys.exit(130)
"""


def waiting(environment: dict[str, str], interrupts: object = signal.SIG_DFL) -> tuple[subprocess.Popen[str], int]:
    """A served program that waits, in a group of its own, and the process that it is forked into.

    Args:
        interrupts: what SIGINT finds, whatever these tests have it find: where they run in the background, it is ignored.
    """
    child = subprocess.Popen([sys.executable, "-c", WAITS], env={**environment, "RELEXIFY_WARM_CODE": "train"}, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, process_group=0,
                             preexec_fn=lambda: signal.signal(signal.SIGINT, interrupts))  # type: ignore[arg-type]
    assert child.stdout is not None
    said, process = child.stdout.readline().split()
    assert said == "warm"
    return child, int(process)


def test_ctrl_c_reaches_the_command_which_cleans_up_and_is_not_run_again(environment: dict[str, str]) -> None:
    child, _ = waiting(environment)
    os.killpg(child.pid, signal.SIGINT)
    assert child.communicate(timeout=60) == ("cleaned\n", "") and child.returncode == 130


def test_what_a_command_ignores_when_it_is_started_is_ignored(environment: dict[str, str]) -> None:
    """As under nohup, or in the background of a shell without job control."""
    child, process = waiting(environment, signal.SIG_IGN)
    found = [int(line.split()[1], 16) for line in Path(f"/proc/{process}/status").read_text().splitlines()
             if line.startswith("SigIgn")]
    assert found[0] >> (signal.SIGINT - 1) & 1
    os.killpg(child.pid, signal.SIGINT)
    child.send_signal(signal.SIGTERM)
    out, _ = child.communicate(timeout=60)
    assert (child.returncode, out) == (-signal.SIGTERM, "")


def test_a_command_whose_server_is_gone_ends_with_a_line_and_is_not_run_again(environment: dict[str, str]) -> None:
    child, _ = waiting(environment)
    os.kill(int(environment["SERVER"]), signal.SIGKILL)
    out, error = child.communicate(timeout=60)
    assert (child.returncode, out, error) == (1, "", "the warm process that ran this command is gone\n")


def state(process: int) -> str:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_stopped_command_stands_still_until_it_is_told_to_go_on(environment: dict[str, str]) -> None:
    child, process = waiting(environment)
    for number, there in ((signal.SIGTSTP, lambda: state(process) == "T"), (signal.SIGCONT, lambda: state(process) != "T")):
        child.send_signal(number)
        limit = time.monotonic() + 60
        while not there():
            assert time.monotonic() < limit
            time.sleep(0.01)
    child.send_signal(signal.SIGTERM)
    child.communicate(timeout=60)
    assert child.returncode == -signal.SIGTERM


def test_other_warnings_are_not_followed(tmp_path: Path, environment: dict[str, str]) -> None:
    child = start(tmp_path, {**environment, "PYTHONWARNINGS": "ignore::DeprecationWarning"}, "0")
    assert "cold" in child.communicate(timeout=60)[0] and child.returncode == 0


def test_a_server_whose_parent_is_gone_already_ends(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, str(SERVER), str(tmp_path / "x.sock"), "1", "colorsys"], check=False, timeout=60)
    assert done.returncode == 0


def test_nothing_is_left_behind_where_the_process_that_began_it_is_killed(tmp_path: Path) -> None:
    code = ("import os, time\nfrom recipes.warm import warm\n"
            "with warm(dict(os.environ)) as more:\n    print(more['RELEXIFY_WARM'], flush=True)\n    time.sleep(60)")
    given = {key: value for key, value in os.environ.items() if not key.startswith("RELEXIFY_WARM")}
    child = subprocess.Popen([sys.executable, "-c", code], env={**given, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
                             text=True, stdout=subprocess.PIPE)
    assert child.stdout is not None
    place = Path(child.stdout.readline().strip())
    limit = time.monotonic() + 60
    while len(list(place.iterdir())) < 2:  # both serve
        assert time.monotonic() < limit
        time.sleep(0.01)
    child.kill()
    while place.exists():
        assert time.monotonic() < limit
        time.sleep(0.01)
    child.communicate(timeout=60)
