"""Files are written as a whole or not at all."""

import errno
import os
import random
import signal
import stat
import subprocess
import sys
import threading
import time
from contextlib import nullcontext

import numpy as np
import pytest
from injection import executed, raising

from skbackprop.atomic import remove_leftovers, write_atomically
from skbackprop.container import read, write

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "model.skb"
    write(file, {"k": 0}, {"M": np.zeros(10)})
    return file


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt(), MemoryError()]
)
@pytest.mark.parametrize("call", ["open", "write", "fsync", "replace", "chmod", "folder's fsync"])
def test_an_error_leaves_one_of_the_two_files_and_no_litter(path, monkeypatch, call, error):
    before, fsync, synced = path.read_bytes(), os.fsync, []

    def fails(*args, **kwargs):
        raise error

    def fails_for_the_folder(fd):
        synced.append(fd)
        return fails() if len(synced) == 2 else fsync(fd)

    if call == "open":
        monkeypatch.setattr("builtins.open", fails)
    elif call == "folder's fsync":
        monkeypatch.setattr(os, "fsync", fails_for_the_folder)
    elif call != "write":
        monkeypatch.setattr(os, call, fails)
    with pytest.raises(type(error)):
        write_atomically(str(path), fails if call == "write" else lambda file: file.write(b"new"))
    monkeypatch.undo()
    assert path.read_bytes() == (b"new" if call == "folder's fsync" else before)
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError()])
def test_an_error_at_any_line_leaves_one_of_the_two_files_and_no_litter(path, error):
    def save():
        write(path, {"k": 1}, {"M": np.ones(10)})

    before, lines = path.read_bytes(), executed(save)
    after = path.read_bytes()
    assert len(lines) > 50 and any(at.code.co_filename.endswith("atomic.py") for at in lines)
    for point in lines:
        path.write_bytes(before)
        assert raising(save, point, error)
        assert path.read_bytes() in (before, after), point
        assert os.listdir(path.parent) == [path.name], point


@pytest.mark.parametrize("code", ["EINVAL", "EBADF", "ENOTSUP", "ENOSYS", "EIO"])
def test_a_folder_that_cannot_be_synchronised(path, monkeypatch, code):
    """Where folders never can the file is written all the same; an error of the disk is told."""
    fsync, number = os.fsync, getattr(errno, code)

    def fails_for_folders(fd):
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(number, os.strerror(number))
        fsync(fd)

    monkeypatch.setattr(os, "fsync", fails_for_folders)
    told = pytest.raises(OSError, match=os.strerror(number)) if code == "EIO" else nullcontext()
    with told:
        write(path, {"k": 1}, {})
    assert read(path)[0] == {"k": 1} and os.listdir(path.parent) == [path.name]


def test_a_name_as_long_as_can_be(tmp_path):
    path = tmp_path / ("x" * 255)
    write(path, {"k": 1}, {})
    remove_leftovers(str(path))
    assert read(path)[0] == {"k": 1} and os.listdir(tmp_path) == [path.name]


@pytest.mark.skipif(os.name != "posix", reason="links and modes of POSIX")
def test_a_link_and_the_mode_stay(path):
    link = path.parent / "link"
    link.symlink_to(path)
    path.chmod(0o640)
    write(link, {"k": 1}, {})
    assert link.is_symlink() and read(path)[0] == {"k": 1}
    assert path.stat().st_mode & 0o777 == 0o640


def test_folders_and_devices_are_no_place_for_a_file(tmp_path):
    with pytest.raises(IsADirectoryError):
        write(tmp_path, {}, {})
    with pytest.raises(FileNotFoundError):
        write(tmp_path / "none" / "m", {}, {})
    assert not os.listdir(tmp_path)
    if hasattr(os, "mkfifo"):  # in place of a device, which root would lose if this failed
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(ValueError, match="regular file"):
            write(tmp_path / "pipe", {}, {})
        assert os.listdir(tmp_path) == ["pipe"]


def test_leftovers_of_this_file_alone_are_removed(path):
    class Killed(BaseException):
        """Whose temporary file nobody removes."""

    def dies(file):
        file.write(b"half")
        raise Killed

    for name in ("model.skb", "other.skb"):
        with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
            patch.setattr(os, "unlink", lambda path: None)
            write_atomically(str(path.parent / name), dies)
    mine = path.parent / ".skbackprop-notes.tmp"
    mine.touch()
    assert len(os.listdir(path.parent)) == 4
    remove_leftovers(str(path))
    assert path.exists() and mine.exists() and len(os.listdir(path.parent)) == 3


def test_threads_save_to_one_path(path):
    def save(k):
        for _ in range(10):
            write(path, {"k": k}, {"M": np.full(1000, float(k))})

    threads = [threading.Thread(target=save, args=(k,)) for k in range(1, 5)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        header, arrays = read(path)
        assert (arrays["M"] == header["k"]).all()
    for thread in threads:
        thread.join()
    assert os.listdir(path.parent) == [path.name]


# ----- kill -9 and a full disk ------------------------------------------------------------

SAVES = """
import itertools, sys
import numpy as np
from skbackprop.container import write
print("begins", flush=True)
for k in itertools.count(1):
    write(sys.argv[1], {"k": k}, {"M": np.full(200_000, float(k))})
"""


@pytest.mark.skipif(os.name != "posix", reason="kill -9")
def test_killed_25_times_while_saving(path):
    random.seed(0)
    seen = set()
    for _ in range(25):
        with subprocess.Popen(
            [sys.executable, "-c", SAVES, path], env=ENVIRONMENT, stdout=subprocess.PIPE
        ) as process:
            process.stdout.readline()
            time.sleep(random.uniform(0, 0.05))
            process.send_signal(signal.SIGKILL)
        header, arrays = read(path)
        assert (arrays["M"] == header["k"]).all()
        seen.add(header["k"])
    assert len(seen) > 3
    remove_leftovers(str(path))
    assert os.listdir(path.parent) == [path.name]


SAVES_SOME = """
import sys
import numpy as np
from skbackprop.container import write
for _ in range(40):
    write(sys.argv[1], {"k": int(sys.argv[2])}, {"M": np.full(20_000, float(sys.argv[2]))})
"""


def test_processes_save_to_one_path(path):
    commands = [[sys.executable, "-c", SAVES_SOME, path, str(k)] for k in range(1, 4)]
    processes = [subprocess.Popen(command, env=ENVIRONMENT) for command in commands]
    while any(process.poll() is None for process in processes):
        header, arrays = read(path)
        assert (arrays["M"] == header["k"]).all()
        time.sleep(0.001)  # there are few processors
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert read(path)[0]["k"] in (1, 2, 3) and os.listdir(path.parent) == [path.name]


FULL = """
import errno, os, resource, signal, sys
import numpy as np
from skbackprop.container import write
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
limit, numbers = map(int, sys.argv[2:])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))  # as if the disk were full then
try:
    write(sys.argv[1], {"k": 1}, {"M": np.ones(numbers)})
except OSError as error:
    sys.exit(0 if error.errno == errno.EFBIG else 1)
sys.exit(2)
"""


@pytest.mark.skipif(os.name != "posix", reason="limits of POSIX")
@pytest.mark.parametrize(("limit", "numbers"), [(100_000, 200_000), (500, 100)])
def test_a_full_disk_leaves_the_old_file_and_no_litter(path, limit, numbers):
    """In the midst of an array, and when what was buffered is written at the end."""
    before = path.read_bytes()
    command = [sys.executable, "-c", FULL, path, str(limit), str(numbers)]
    done = subprocess.run(command, env=ENVIRONMENT)
    assert done.returncode == 0
    assert path.read_bytes() == before and os.listdir(path.parent) == [path.name]
