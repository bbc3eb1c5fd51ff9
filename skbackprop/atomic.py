"""A file that is written as a whole or not at all."""

import errno
import os
import secrets
import stat
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO
from zlib import crc32

SUFFIX = ".tmp"
# What fsync says of a folder on file systems (shares, FUSE) that can do it for files alone.
NO_SYNC = (errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.ENOSYS)


def path_of(path: str | os.PathLike) -> str:
    """The path as a string; a TypeError for anything else than a path."""
    text = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(text, str):
        raise TypeError(f"path must be a str or an os.PathLike of one; got {path!r}")
    if not text or "\0" in text:
        raise ValueError(f"path must be the name of a file; got {text!r}")
    return text


def write_atomically(path: str, write: Callable[[BinaryIO], None]) -> None:
    """Write a file under another name, and rename it when it is safe on the disk.

    Whatever stops this (an error, Ctrl-C, a full disk, kill -9), a file that was there
    before is still there and whole. Only kill -9 and a power failure can leave the temporary
    file behind (:func:`remove_leftovers`). A symbolic link is followed; the file's mode is kept.

    An OSError of the disk after the renaming is raised although the new file is in its place:
    it is whole, and whether it outlasts a power failure is not known.
    """
    path = os.path.realpath(path)
    mode = _mode(path)
    folder = os.path.dirname(path)
    temporary = _temporary(path)
    try:
        with open(temporary, "xb") as file:  # a new file, of the mode that umask allows
            if mode is not None:
                os.chmod(temporary, mode)
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):  # it may not have been made yet
            os.unlink(temporary)
        raise
    _sync(folder)


def try_to_write(path: str) -> None:
    """Raise the OSError that writing the file would raise, and leave nothing behind."""
    path = os.path.realpath(path)
    _mode(path)
    temporary = _temporary(path)
    try:
        with open(temporary, "xb") as file:
            file.flush()
        os.unlink(temporary)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def _temporary(path):
    """A name in the same folder: only within a file system is renaming one step."""
    return os.path.join(os.path.dirname(path), f"{_prefix(path)}{secrets.token_hex(8)}{SUFFIX}")


def remove_leftovers(path: str) -> None:
    """Remove temporary files of writers that were killed; no other may be at work."""
    path = os.path.realpath(path)
    folder = os.path.dirname(path)
    for name in os.listdir(folder):
        if name.startswith(_prefix(path)) and name.endswith(SUFFIX):
            os.unlink(os.path.join(folder, name))


def _prefix(path):
    """What names of temporary files for this one begin with; short, whatever its length."""
    return f".skbackprop-{crc32(os.fsencode(os.path.basename(path))):08x}-"


def _mode(path):
    """The mode of the file that will be replaced; None if there is none."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(f"{path} is a folder")
    if not stat.S_ISREG(mode):  # a device would be replaced by a file
        raise ValueError(f"path must be the name of a regular file, which {path} is not")
    return stat.S_IMODE(mode)


def _sync(folder):
    """Make the renaming last through a power failure, where the system can."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows, or a folder that may be written and not read
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in NO_SYNC:
            raise
    finally:
        os.close(descriptor)
