"""bpf(2) of the kernel of this machine, for the scripts that record goldens from it. Needs root, x86-64."""

import ctypes
import json
import os
import struct
import sys

LIBC = ctypes.CDLL(None, use_errno=True)
SYS_BPF = 321
# Where goldens go: another folder may be asked for, to compare.
GOLDEN = os.environ.get("SKEP_GOLDENS") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "goldens")

MAP_CREATE, MAP_LOOKUP, MAP_UPDATE, MAP_DELETE, MAP_NEXT_KEY, PROG_LOAD = range(6)
PROG_TEST_RUN = 10
MAP_LOOKUP_AND_DELETE = 21
MAP_FREEZE = 22

GPL = ctypes.create_string_buffer(b"GPL")
NO_LICENSE = ctypes.create_string_buffer(b"Apache-2.0")


def bpf(command, attr):
    """The result of the system call, or a negative errno, and the attributes afterwards."""
    buffer = ctypes.create_string_buffer(attr.ljust(160, b"\0"))
    result = LIBC.syscall(SYS_BPF, command, buffer, 160)
    return (result if result >= 0 else -ctypes.get_errno()), buffer.raw


def address(data):
    return ctypes.addressof(data) if data is not None else 0


def bytes_buffer(data):
    return ctypes.create_string_buffer(bytes(data), max(1, len(data)))


def map_create(type_, key, value, entries, flags=0, numa=0, extra=0):
    attr = struct.pack("<IIIIIII16sIIIIIQ", type_, key, value, entries, flags, 0, numa, b"", 0, 0, 0, 0, 0, extra)
    return bpf(MAP_CREATE, attr)[0]


def map_op(command, fd, key=None, value=None, flags=0):
    """Key and value are ctypes buffers; the value is read or written in place."""
    return bpf(command, struct.pack("<IIQQQ", fd, 0, address(key), address(value), flags))[0]


def insn(code, dst=0, src=0, off=0, imm=0):
    return struct.pack("<BBhi", code, dst | src << 4, off, imm)


def load_imm64(dst, value, src=0):
    low, high = struct.unpack("<ii", struct.pack("<Q", value & (1 << 64) - 1))
    return insn(0x18, dst, src, 0, low) + insn(0, 0, 0, 0, high)


def map_fd(dst, fd):
    return insn(0x18, dst, 1, 0, fd) + insn(0)


def map_value(dst, fd, offset=0):
    return insn(0x18, dst, 2, 0, fd) + insn(0, 0, 0, 0, offset)


def call(helper):
    return insn(0x85, 0, 0, 0, helper)


EXIT = insn(0x95)


def prog_load(type_, instructions, license=GPL, attach_type=0, flags=0):
    """A descriptor or a negative errno, and the verifier's log."""
    log = ctypes.create_string_buffer(65536)
    code = bytes_buffer(instructions)
    attr = struct.pack(
        "<IIQQIIQII16sII", type_, len(instructions) // 8, address(code), address(license), 1, len(log),
        address(log), 0, flags, b"", 0, attach_type,
    )
    result = bpf(PROG_LOAD, attr)[0]
    return result, log.value.decode("utf-8", "replace")


def test_run(fd, data, ctx=b"", out=4096):
    """(errno or 0, retval, packet afterwards)"""
    source = bytes_buffer(data)
    target = ctypes.create_string_buffer(out)
    context = bytes_buffer(ctx)
    attr = struct.pack(
        "<IIIIQQIIIIQQ", fd, 0, len(data), out, address(source), address(target), 1, 0, len(ctx), 0,
        address(context) if ctx else 0, 0,
    )
    result, after = bpf(PROG_TEST_RUN, attr)
    _, retval, _, size = struct.unpack_from("<IIII", after)
    return result, retval, target.raw[:size] if result == 0 else b""


def write(name, rows, **more):
    """Writes a golden with the kernel that made it, one row a line."""
    kernel = os.uname()
    head = {"madeBy": "test/kernel/record/" + os.path.basename(sys.argv[0]), "kernel": f"{kernel.sysname} {'.'.join(kernel.release.split('.')[:2])} {kernel.machine}", **more}
    with open(os.path.join(GOLDEN, name), "w", encoding="utf-8") as file:
        text = json.dumps(head)[:-1]
        file.write(text + ', "rows": [\n' + ",\n".join(json.dumps(row) for row in rows) + "\n]}\n")
    print(f"{name}: {len(rows)} rows")
