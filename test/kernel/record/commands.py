"""Maps made and used by lists of commands, for the scripts that record what the kernel answers to them.

A row is one map: how it is created, the answer (0 or a negative errno), its memlock, and a list of commands with
their answers. Keys and values are hex; a value of null stands for a null pointer.
"""

import os

from bpf import *

HASH, ARRAY, PROG_ARRAY, PERCPU_HASH, PERCPU_ARRAY = 1, 2, 3, 5, 6
LRU_HASH, LRU_PERCPU_HASH, LPM_TRIE, QUEUE, STACK, BLOOM_FILTER = 9, 10, 11, 22, 23, 30
NO_PREALLOC, NO_COMMON_LRU, ZERO_SEED = 1, 2, 64
CPUS = len(os.sched_getaffinity(0))
# The CPU that asks decides which elements of an LRU map go: always the first.
os.sched_setaffinity(0, {0})


def memlock(fd):
    with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as file:
        for line in file:
            if line.startswith("memlock:"):
                return int(line.split()[1])
    raise RuntimeError("no memlock in fdinfo")


def slots(type_, value):
    return (value + 7 & ~7) * CPUS if type_ in (PERCPU_HASH, PERCPU_ARRAY, LRU_PERCPU_HASH) else value


def walk(fd, key_size):
    """0 and all keys, in the kernel's order."""
    keys = []
    key = None
    while True:
        following = ctypes.create_string_buffer(key_size)
        if map_op(MAP_NEXT_KEY, fd, key, following) < 0:
            break
        keys.append(following.raw.hex())
        key = following
    return 0, keys


XDP = 6


def looker_up(fd, key_size):
    """A program that looks up the key at the packet's start; it returns whether it is there."""
    code = insn(0x61, 2, 1, 0) + insn(0x61, 3, 1, 4) + insn(0xBF, 4, 2) + insn(0x07, 4, 0, 0, key_size)
    code += insn(0xB7, 0) + insn(0x2D, 4, 3, 5) + map_fd(1, fd) + call(1) + insn(0x15, 0, 0, 1) + insn(0xB7, 0, 0, 0, 1)
    program, log = prog_load(XDP, code + EXIT)
    if program < 0:
        raise RuntimeError(log)
    return program


def run(create, commands):
    type_, key_size, value_size = create[0], create[1], create[2]
    fd = map_create(*create)
    row = {"create": list(create), "result": min(fd, 0), "commands": []}
    if fd < 0:
        return row
    row["memlock"] = memlock(fd)
    size = slots(type_, value_size)
    program = looker_up(fd, key_size) if any(command[0] == "use" for command in commands) else -1
    for name, *args in commands:
        # An empty key, of a map without keys, is a null pointer too.
        key = bytes_buffer(args[0]) if args and isinstance(args[0], bytes) and args[0] else None
        out = None
        if name in ("lookup", "take"):
            command = MAP_LOOKUP if name == "lookup" else MAP_LOOKUP_AND_DELETE
            value = bytes_buffer((args[2] if len(args) > 2 else b"").ljust(max(size, 1), b"\0"))
            result = map_op(command, fd, key, value, args[1] if len(args) > 1 else 0)
            out = value.raw.hex() if result == 0 else None
        elif name == "update":
            value = bytes_buffer(args[1].ljust(size, b"\0"))
            result = map_op(MAP_UPDATE, fd, key, value, args[2] if len(args) > 2 else 0)
        elif name == "delete":
            result = map_op(MAP_DELETE, fd, key)
        elif name == "next":
            following = ctypes.create_string_buffer(max(key_size, 1))
            result = map_op(MAP_NEXT_KEY, fd, key, following)
            out = following.raw.hex() if result == 0 else None
        elif name == "freeze":
            result = bpf(MAP_FREEZE, struct.pack("<I", fd))[0]
        elif name == "keys":
            result, out = walk(fd, key_size)
        elif name == "memlock":
            result = memlock(fd)
        elif name == "use":
            _, result, _ = test_run(program, args[0].ljust(64, b"\0"))
        elif name == "on":
            os.sched_setaffinity(0, {args[0]})
            result = 0
        row["commands"].append([name, [a.hex() if isinstance(a, bytes) else a for a in args], result, out])
    if program >= 0:
        os.close(program)
    os.close(fd)
    return row


def key4(n):
    return struct.pack("<I", n)
