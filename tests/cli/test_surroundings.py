"""What a command finds around it: pipes that close, streams that are closed, letters that cannot be written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from initdist import surroundings
from initdist.paths import sqlite_file, sqlite_uri
from tests.command import TINY, by_identity, environment

SETTLED = "from initdist import surroundings; surroundings.settle(); "


def _shell(line: str, folder=None, **variables: str) -> subprocess.CompletedProcess[str]:
    """A line of bash, in which $PY is this Python."""
    variables = {"PY": sys.executable, **variables}
    return subprocess.run(
        ["bash", "-c", line], cwd=folder, env=environment() | variables, capture_output=True, text=True, check=False
    )


def test_what_nobody_reads_any_more_ends_nothing():
    script = SETTLED + "[print(number, flush=True) for number in range(9999)]; print('through', file=sys.stderr)"
    done = _shell(f'set -o pipefail; $PY -c "import sys; {script}" | head -1')
    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n", "through\n")


def test_a_closed_stream_never_becomes_a_file():
    """Else what is printed would go into the first file to be opened."""
    script = SETTLED + (
        "file = open('/dev/null'); print('lost'); inherited = list(map(os.get_inheritable, range(3))); "
        "sys.exit(file.fileno() < 3 or sys.stdin.read() != '' or not all(inherited))"
    )
    for closed in ("<&-", ">&-", "<&- >&- 2>&-"):
        done = _shell(f'$PY -c "import os, sys; {script}" {closed}')
        assert (done.returncode, done.stderr) == (0, "")


def test_a_letter_that_the_terminal_lacks_is_replaced():
    script = SETTLED + r"print('\u2013 \xe9'); print('\udcff', file=sys.stderr)"
    done = _shell(f'$PY -c "import sys; {script}"', PYTHONIOENCODING="ascii:strict")
    assert (done.returncode, done.stdout, done.stderr) == (0, "? ?\n", "?\n")
    done = _shell(f'$PY -c "import sys; {script}"', PYTHONIOENCODING="utf-8:strict")
    assert (done.returncode, done.stdout, done.stderr) == (0, "\u2013 \xe9\n", "\\udcff\n")


def test_the_collector_leaves_what_imports_have_made_alone_and_finds_garbage_still():
    """In a command it looks rarely, and not at the end, after all that others do there. In a training process it never
    looks at imports."""
    frozen = "atexit.register(lambda: print(gc.get_freeze_count() > 1000)); "  # 3.12 has some hundred from the start
    told = "print(gc.isenabled(), gc.get_threshold()[0])"
    done = _shell(f'$PY -c "import atexit, gc; {frozen}{SETTLED}{frozen}{told}"')
    assert (done.stdout, done.stderr) == (f"True {surroundings.ALLOCATIONS}\nFalse\nTrue\n", "")
    cycles = "import gc, initdist.workers.preloaded; ring = []; ring.append(ring); del ring; "
    found = "gc.isenabled(), gc.get_freeze_count() > 10**5, gc.collect() > 0"
    done = _shell(f'$PY -c "{cycles}print({found})"')
    assert (done.stdout, done.stderr) == ("True True True\n", "")


def test_a_terminal_that_is_gone_ends_nothing():
    ours, theirs = os.openpty()
    script = "sys.stdin.read(); print('lost', flush=True); print(3 * 9999 * ' '); sys.exit(7)"
    command = [sys.executable, "-c", f"import sys; {SETTLED}{script}"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    os.close(ours)
    process.communicate()
    assert process.returncode == 7


@pytest.mark.parametrize(("module", "status"), [("initdist.train", 1), ("multirun_analysis", 1), ("initdist.clean", 1)])
def test_a_folder_that_is_gone_is_said(tmp_path, module, status):
    done = _shell(f'mkdir "{tmp_path}/gone"; cd "{tmp_path}/gone"; rmdir "{tmp_path}/gone"; $PY -m {module}')
    assert done.returncode == status
    assert done.stderr.splitlines()[-1].endswith(": the current folder must exist, and it was removed; cd to another")
    assert "Traceback" not in done.stderr


def test_a_sweep_in_odd_surroundings(tmp_path):
    """In a folder with an odd name, also for temporary files, without a home, on a bare terminal, and with its reader
    gone after one line."""
    folder = tmp_path / "a b'c\"d=e,f#g%20h%[i]{j}$k? ü"
    temporary = tmp_path / ("long" * 20)
    folder.mkdir()
    temporary.mkdir()
    command = f"unset HOME; set -o pipefail; $PY -m initdist.train -m {' '.join(TINY)} model.width=4,5 seed=0,1"
    odd = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "TERM": "dumb", "COLUMNS": "40", "TMPDIR": str(temporary)}
    done = _shell(f"{command} <&- 2>err | head -1", folder, **odd)
    said = (folder / "err").read_text()
    assert (done.returncode, "Traceback" in said) == (0, False), said
    assert len(done.stdout.splitlines()) == 1
    assert not list(folder.glob("*.db-*"))  # what SQLite has beside a store that is open
    for module in ("initdist.measure dry_run=true", "initdist.clean", "multirun_analysis --help"):
        done = _shell(f"unset HOME; set -o pipefail; $PY -m {module} | true", folder, **odd)
        assert (done.returncode, done.stderr) == (0, ""), module
        assert not list(folder.glob("*.db-*")), module
    assert len(by_identity(folder)) == 4


@pytest.mark.parametrize("name", ["plain", "a%20b", "a%b", "a?b", "ü #'\"%3F"])
def test_the_uri_of_a_store_leads_to_its_file(name):
    """As SQLAlchemy reads it, and as we do."""
    file = Path("/folder", name, "mlflow.db")
    assert make_url(sqlite_uri(file)).database == str(file)
    assert sqlite_file(sqlite_uri(file)) == file
    assert sqlite_file(f"{sqlite_uri(file)}?timeout=60") == file
    assert sqlite_file("postgresql://host/a%20b") is None
