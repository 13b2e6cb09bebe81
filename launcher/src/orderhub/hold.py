"""Becomes another program that ends when its parent ends: `hold.py PARENT SIGNAL USER PROGRAM ARGS…`.

Runs as a plain file, before anything is installed into the process, so it imports the standard library alone.
It replaces itself by PROGRAM (exec): no process stays in between and no memory is spent on watching.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import sys

PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_SET_SECUREBITS = 28
SECBIT_NO_SETUID_FIXUP = 1 << 2
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAP_DAC_OVERRIDE = 1
CAPABILITY_VERSION_3 = 0x20080522


class CapHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class CapData(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def prctl(libc: ctypes.CDLL, option: int, *arguments: int) -> None:
    padded = [ctypes.c_ulong(value) for value in (*arguments, 0, 0, 0, 0)[:4]]
    if libc.prctl(option, *padded) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl {option}: {os.strerror(number)}")


def become(libc: ctypes.CDLL, user: str) -> None:
    """Drop root for `user`, keeping only the right to pass closed folders.

    PostgreSQL refuses uid 0, yet its data lies in a 0700 folder of root and its programs perhaps under /root.
    Opening those folders to the world would be worse than this one capability.
    """
    entry = pwd.getpwnam(user)
    os.setgroups([])
    os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
    # initdb looks for its programs with access(2), which disregards capabilities of other users without this bit.
    # A root that may not set it can still run programs that lie in open folders.
    with contextlib.suppress(OSError):
        prctl(libc, PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP)
    prctl(libc, PR_SET_KEEPCAPS, 1)
    os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)
    mask = 1 << CAP_DAC_OVERRIDE
    data = (CapData * 2)(CapData(mask, mask, mask), CapData(0, 0, 0))
    if libc.capset(ctypes.byref(CapHeader(CAPABILITY_VERSION_3, 0)), data) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"keeping CAP_DAC_OVERRIDE: {os.strerror(number)}")
    prctl(libc, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE)


def main(arguments: list[str]) -> None:
    parent, signal_number, user, program = int(arguments[0]), int(arguments[1]), arguments[2], arguments[3:]
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if user:
            become(libc, user)
        # After the change of user, which clears it; before the look at the parent, which may have ended by now.
        if signal_number:
            prctl(libc, PR_SET_PDEATHSIG, signal_number)
            if os.getppid() != parent:
                sys.exit(0)
    os.umask(0o077)
    os.execv(program[0], program)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (OSError, KeyError) as problem:
        sys.exit(f"orderhub: cannot start {sys.argv[4]}: {problem}")
