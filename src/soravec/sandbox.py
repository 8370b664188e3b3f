"""What a child process may still do once it decodes: read files, compute, and answer.

`withdraw` is called in the child while it has one thread: on Linux a Landlock domain keeps the
memory, the environment and the open files of all other processes from it, and of a superuser's
capabilities it keeps only that to read all files. `confine` is called before its first job. It caps
memory, open files and core dumps, and on Linux installs a seccomp filter: no sockets, no new
processes, no file opened for writing or changed in any way, no debugging or signalling of other
processes. `doctor` tells what holds.

The filter lists what is refused. A list of what is allowed would be tighter, and break with every
new libc; what is left open to a decoder that was taken over is to read the files that its user can
read, and to burn its share of time and memory.
"""

import ctypes
import os
import platform
import signal
import struct
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from errno import EACCES, ENOSYS, EPERM

ONE_THREAD = dict.fromkeys(
    (
        "OPENBLAS_NUM_THREADS",
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "BLIS_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
    ),
    "1",
)
"""What every child finds in its environment. There is a child per core: threads of BLAS beside them
only wait for one another, busily, and took a third of the time."""

_KEPT = """
PATH HOME USER TMPDIR TMP TEMP TZ LANG LANGUAGE LD_LIBRARY_PATH DYLD_LIBRARY_PATH VIRTUAL_ENV
USERPROFILE APPDATA LOCALAPPDATA SYSTEMROOT SYSTEMDRIVE WINDIR PATHEXT
NUMBER_OF_PROCESSORS PROCESSOR_ARCHITECTURE
"""
_KEPT_PREFIXES = ("LC_", "PYTHON", "CUDA_", "NVIDIA_", "OV_", "OPENVINO_", "ORT_", "GLIBC_")


@dataclass(frozen=True, slots=True)
class ChildLimits:
    """What a child may use."""

    memory_bytes: int = 4 * 2**30
    """Data that it may allocate (`RLIMIT_DATA`), and memory that it may hold (its parent looks)."""
    open_files: int = 256
    """Files that it may have open (`RLIMIT_NOFILE`)."""


def child_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what a child finds of its parent's environment: no keys, tokens or passwords."""
    kept = {
        name: value
        for name, value in environment.items()
        if name.upper() in _KEPT.split() or name.upper().startswith(_KEPT_PREFIXES)
    }
    return kept | ONE_THREAD | {"ORT_DISABLE_TELEMETRY": "1"}


def withdraw() -> list[str]:
    """Keep this process from looking into others, or signalling them, for good.

    A process in a Landlock domain may trace none outside of it, and what /proc tells of memory,
    environment and open files is for those who may, and for superusers, so those capabilities go
    too. All this holds for this thread and those that it starts: it must be the only one.

    Returns:
        What could not be given up here, in sentences.
    """
    if sys.platform != "linux":
        return ["other processes of the user are not shut off on this platform"]
    try:
        if len(os.listdir("/proc/self/task")) != 1:  # noqa: PTH208
            raise OSError(EPERM, "there are other threads")
        _enter_domain()
        _drop_capabilities()
    except OSError as error:
        return [f"the memory and environment of other processes are not shut off ({error})"]
    return []


def confine(limits: ChildLimits, *, parent_id: int) -> list[str]:
    """Give up, for good, what a child that decodes has no need of.

    Args:
        limits: What it may use.
        parent_id: The process without which it is to end.

    Returns:
        What could not be given up here, in sentences.
    """
    lacking = []
    if os.name == "posix":
        lacking += _set_limits(limits)
    else:
        lacking.append("no limits on memory and files on this platform")
    if sys.platform != "linux":
        lacking.append("network and new processes are not shut off on this platform")
        return lacking
    _die_with(parent_id)
    try:
        _install(_program(platform.machine()))
    except OSError as error:
        lacking.append(f"network and new processes are not shut off ({error})")
    return lacking


def memory_of(process_id: int) -> int:
    """Return the bytes of memory that a process holds; 0 where that cannot be told."""
    try:
        with open(f"/proc/{process_id}/statm", "rb") as file:  # noqa: PTH123  # five times a second
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def open_files_of(process_id: int) -> int:
    """Return how many files a process has open; 0 where that cannot be told."""
    try:
        return len(os.listdir(f"/proc/{process_id}/fd"))  # noqa: PTH208
    except OSError:
        return 0


def cap_cpu_seconds(process_id: int, more_seconds: float) -> None:
    """Let a process compute for so many seconds more, where the platform can; then it is killed."""
    if sys.platform != "linux":
        return
    import resource

    try:
        with open(f"/proc/{process_id}/stat", "rb") as file:  # noqa: PTH123
            fields = file.read().rpartition(b")")[2].split()
        used = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        hard = resource.prlimit(process_id, resource.RLIMIT_CPU)[1]
        soft = int(used + more_seconds) + 1
        resource.prlimit(process_id, resource.RLIMIT_CPU, (soft, hard))
    except (OSError, ValueError, IndexError):  # it is gone
        return


def _set_limits(limits: ChildLimits) -> list[str]:
    import resource

    lacking = []
    wanted = {
        resource.RLIMIT_DATA: limits.memory_bytes,
        resource.RLIMIT_NOFILE: limits.open_files,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
    }
    for kind, value in wanted.items():
        already = [old for old in resource.getrlimit(kind) if old != resource.RLIM_INFINITY]
        most = min([value, *already])
        try:
            resource.setrlimit(kind, (most, most))
        except (OSError, ValueError) as error:
            lacking.append(f"a limit cannot be set here ({error})")
    return lacking


def _die_with(parent_id: int) -> None:
    """End when the parent does, even inside a call that never returns."""
    _libc().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_id:  # it ended before
        os._exit(0)


# The domain

_LANDLOCK_CREATE_RULESET, _LANDLOCK_RESTRICT_SELF = 444, 446
_LANDLOCK_VERSION = 1
_MAKE_DEVICES = 1 << 6 | 1 << 11
"""Rights to files that are given up: a domain gives up something. No child makes a device."""
_SCOPE_SIGNAL, _SCOPE_SINCE = 1 << 1, 6


def _enter_domain() -> None:
    """Enter a Landlock domain of one's own.

    Raises:
        OSError: The kernel has no Landlock, or refuses.
    """
    version = _checked_call(_LANDLOCK_CREATE_RULESET, None, 0, _LANDLOCK_VERSION)
    given = struct.pack("=Q", _MAKE_DEVICES)
    if version >= _SCOPE_SINCE:
        given = struct.pack("=QQQ", _MAKE_DEVICES, 0, _SCOPE_SIGNAL)
    rules = _checked_call(_LANDLOCK_CREATE_RULESET, given, len(given), 0)
    try:
        _give_up_privileges()
        _checked_call(_LANDLOCK_RESTRICT_SELF, rules, 0)
    finally:
        os.close(rules)


_CAPABILITIES_3 = 0x20080522
_CAPGET, _CAPSET = {"x86_64": 125, "aarch64": 90}, {"x86_64": 126, "aarch64": 91}
_READ_ALL_FILES = 1 << 1 | 1 << 2
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH: what root may read is to be read."""


def _drop_capabilities() -> None:
    """Keep no capability but those to read files that are there.

    Raises:
        OSError: The kernel refuses, or this processor is not known here.
    """
    machine = platform.machine()
    if machine not in _CAPGET:
        raise OSError(ENOSYS, f"capabilities are not known on {machine}")
    head = struct.pack("=Ii", _CAPABILITIES_3, 0)
    held = ctypes.create_string_buffer(24)  # effective, permitted, inheritable; twice
    _checked_call(_CAPGET[machine], head, held)
    effective, permitted, *_ = struct.unpack("=6I", held.raw)
    kept = struct.pack("=6I", effective & _READ_ALL_FILES, permitted & _READ_ALL_FILES, 0, 0, 0, 0)
    _checked_call(_CAPSET[machine], head, kept)


def _checked_call(number: int, *arguments: int | bytes | ctypes.Array[ctypes.c_char] | None) -> int:
    call = _libc().syscall
    call.restype = ctypes.c_long
    given = (ctypes.c_long(one) if isinstance(one, int) else one for one in arguments)
    result = int(call(ctypes.c_long(number), *given))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


# The filter

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_SECCOMP_SET_MODE_FILTER, _SECCOMP_FILTER_FLAG_TSYNC = 1, 1
_SYS_SECCOMP = {"x86_64": 317, "aarch64": 277}
_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32_CALLS = 0x40000000

_LOAD, _EQUAL, _ANY_BIT, _AT_LEAST, _RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000

_CLONE_THREAD = 0x10000
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

_REFUSED: Mapping[int, Mapping[str, tuple[int, int | None]]] = {
    EACCES: {  # (x86-64, AArch64); None where there is no such call
        **{"socket": (41, 198), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201)},
        **{"socketpair": (53, 199), "sendto": (44, 206), "sendmsg": (46, 211)},
        **{"sendmmsg": (307, 269), "memfd_create": (319, 279), "memfd_secret": (447, 447)},
        **{"mq_open": (240, 180), "shmget": (29, 194), "semget": (64, 190), "msgget": (68, 186)},
        **{"io_uring_setup": (425, 425), "io_uring_enter": (426, 426)},
        **{"fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281)},
        **{"creat": (85, None), "truncate": (76, 45), "unlink": (87, None), "unlinkat": (263, 35)},
        **{"rename": (82, None), "renameat": (264, 38), "renameat2": (316, 276)},
        **{"mkdir": (83, None), "mkdirat": (258, 34), "rmdir": (84, None)},
        **{"link": (86, None), "linkat": (265, 37), "symlink": (88, None), "symlinkat": (266, 36)},
        **{"mknod": (133, None), "mknodat": (259, 33), "chmod": (90, None), "fchmod": (91, 52)},
        **{"fchmodat": (268, 53), "fchmodat2": (452, 452), "chown": (92, None), "fchown": (93, 55)},
        **{"lchown": (94, None), "fchownat": (260, 54), "utimensat": (280, 88)},
        **{"utime": (132, None), "utimes": (235, None), "futimesat": (261, None)},
        **{"setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7)},
        **{"removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16)},
        **{"setxattrat": (463, 463), "removexattrat": (466, 466), "file_setattr": (469, 469)},
        "open_by_handle_at": (304, 265),
    },
    EPERM: {
        **{"ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271)},
        **{"pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424)},
        **{"rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240)},
        **{"setpriority": (141, 140), "ioprio_set": (251, 30), "sched_setparam": (142, 118)},
        **{"sched_setscheduler": (144, 119), "sched_setattr": (314, 274)},
        **{"migrate_pages": (256, 238), "move_pages": (279, 239)},
        **{"tkill": (200, 130), "kcmp": (312, 272), "process_madvise": (440, 440)},
        **{"mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51)},
        **{"open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430)},
        **{"mount_setattr": (442, 442), "ioperm": (173, None), "iopl": (172, None)},
        **{"setns": (308, 268), "unshare": (272, 97), "bpf": (321, 280), "keyctl": (250, 219)},
        **{"add_key": (248, 217), "request_key": (249, 218), "perf_event_open": (298, 241)},
        **{"userfaultfd": (323, 282), "init_module": (175, 105), "finit_module": (313, 273)},
        **{"delete_module": (176, 106), "kexec_load": (246, 104), "reboot": (169, 142)},
        **{"swapon": (167, 224), "acct": (163, 89), "sethostname": (170, 161)},
        **{"settimeofday": (164, 170), "clock_settime": (227, 112), "setrlimit": (160, 164)},
    },
    # Their flags lie in memory, where a filter cannot look: libc goes on with `clone` and `openat`.
    ENOSYS: {"clone3": (435, 435), "openat2": (437, 437)},
}

_CLONE = (56, 220)
_OPEN, _OPENAT = (2, None), (257, 56)
_KILL_CALL, _TGKILL = (62, 129), (234, 131)
_PRLIMIT, _FCNTL = (302, 261), (72, 25)
_FCNTL_OF_OTHERS = (8, 10, 15)
"""F_SETOWN, F_SETSIG and F_SETOWN_EX have signals sent."""

Instruction = tuple[int, int, int, int]
"""Code, how many to pass over if true and if false, operand."""


def _program(machine: str) -> list[Instruction]:
    """Return the filter for a processor.

    Raises:
        OSError: There is none for it.
    """
    if machine not in _AUDIT_ARCH:
        raise OSError(ENOSYS, f"there is no filter for {machine}")
    column = list(_AUDIT_ARCH).index(machine)
    program: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_EQUAL, 1, 0, _AUDIT_ARCH[machine]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
    ]
    if machine == "x86_64":
        program += [(_AT_LEAST, 0, 1, _X32_CALLS), (_RETURN, 0, 0, _ERRNO | ENOSYS)]
    for error, calls in _REFUSED.items():
        for numbers in calls.values():
            program += _if_call(numbers[column], [(_RETURN, 0, 0, _ERRNO | error)])
    own = [(_EQUAL, 1, 0, os.getpid()), (_RETURN, 0, 0, _ERRNO | EPERM)]
    no_pointer = [(_EQUAL, 1, 0, 0), (_RETURN, 0, 0, _ERRNO | EPERM)]  # limits may be read

    def refused_if(value: int) -> list[Instruction]:
        return [(_EQUAL, 0, 1, value), (_RETURN, 0, 0, _ERRNO | EPERM)]

    conditional: list[tuple[tuple[int, int | None], int, list[Instruction]]] = [
        (_CLONE, 0, [(_ANY_BIT, 1, 0, _CLONE_THREAD), (_RETURN, 0, 0, _ERRNO | EACCES)]),
        (_OPEN, 1, [(_ANY_BIT, 0, 1, _WRITES), (_RETURN, 0, 0, _ERRNO | EACCES)]),
        (_OPENAT, 2, [(_ANY_BIT, 0, 1, _WRITES), (_RETURN, 0, 0, _ERRNO | EACCES)]),
        (_KILL_CALL, 0, own),
        (_TGKILL, 0, own),
        (_FCNTL, 1, [step for bad in _FCNTL_OF_OTHERS for step in refused_if(bad)]),
        (_PRLIMIT, 2, [*no_pointer, (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * 2 + 4), *no_pointer]),
    ]
    for numbers, argument, rest in conditional:
        steps = [(_LOAD, 0, 0, _ARGUMENTS_AT + 8 * argument), *rest, (_RETURN, 0, 0, _ALLOW)]
        program += _if_call(numbers[column], steps)
    return [*program, (_RETURN, 0, 0, _ALLOW)]


def _if_call(number: int | None, steps: Sequence[Instruction]) -> Iterator[Instruction]:
    if number is not None:
        yield (_EQUAL, 0, len(steps), number)
        yield from steps


def _install(program: Sequence[Instruction]) -> None:
    """Install a filter for every thread of this process.

    Raises:
        OSError: The kernel has no seccomp, or refuses.
    """

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    given = Program(len(program), ctypes.addressof(buffer))
    _give_up_privileges()
    call = _libc().syscall
    call.restype = ctypes.c_long
    number = ctypes.c_long(_SYS_SECCOMP[platform.machine()])
    mode, flags = ctypes.c_uint(_SECCOMP_SET_MODE_FILTER), ctypes.c_uint(_SECCOMP_FILTER_FLAG_TSYNC)
    if call(number, mode, flags, ctypes.byref(given)):
        error = ctypes.get_errno()
        raise OSError(error, f"the kernel refuses a seccomp filter: {os.strerror(error)}")


def _give_up_privileges() -> None:
    """Let no program that is started give more rights; the kernel asks for it."""
    if _libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "new privileges cannot be given up")


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
