"""What the kernel answers to right and wrong map commands: test/kernel/goldens/map-errors.json."""

from commands import *


def creations():
    for type_ in (HASH, ARRAY, PROG_ARRAY, PERCPU_HASH, PERCPU_ARRAY):
        for key in (0, 1, 4, 8, 13, 512, 513):
            for value in (0, 1, 4, 8, 12, 32768, 32769):
                yield type_, key, value, 4
        for entries in (0, 1, 3, 64, 100):
            yield type_, 4, 4, entries
        for bit in range(20):
            if bit not in (13, 14, 15, 16):  # arguments in other fields, or another kind of object
                yield type_, 4, 4, 2, 1 << bit
        for flags in (1 << 3 | 1 << 4, 1 << 7 | 1 << 8, 1 | 1 << 6, 1 | 1 << 7, 1 << 10 | 1 << 7):
            yield type_, 4, 4, 2, flags
        yield type_, 4, 4, 2, 1 << 2, 4096
        yield type_, 4, 4, 2, 1 << 2, 0
        yield type_, 4, 4, 2, 0, 0, 1
        yield type_, 4, 4 << 20, 1
        yield type_, 4, (4 << 20) - 53, 1
        yield type_, 4, (4 << 20) - 52, 1
        yield type_, 4, 1 << 31, 1
        yield type_, 4, 0xFFFFFFFF, 1
        yield type_, 0xFFFFFFFF, 8, 1
    yield HASH, 4, 8, 0x80000001
    yield HASH, 4, 8, 0xFFFFFFFF
    yield PERCPU_HASH, 4, 8, 0xFFFFFFFF
    yield 34, 4, 4, 4
    yield 1000, 4, 4, 4


def array_commands():
    yield "next", None
    for index in (0, 1, 2, 3, 4, 0xFFFFFFFF):
        k = key4(index)
        yield "lookup", k
        for flags in (0, 1, 2, 3, 4, 5, 8, 1 << 40):
            yield "update", k, b"\x11\x22", flags
        for flags in (1, 4, 8, 1 << 32):
            yield "lookup", k, flags
        yield "delete", k
        yield "next", k
    yield "lookup", key4(2)
    yield "freeze",
    yield "freeze",
    yield "update", key4(0), b"\x33"
    yield "delete", key4(0)
    yield "lookup", key4(0)


def hash_commands():
    yield "next", None
    for n in (1, 2, 3):
        yield "lookup", key4(n)
        yield "delete", key4(n)
        for flags in (3, 4, 8, 1 << 40, 2, 1, 1, 2, 0):
            yield "update", key4(n), bytes([n, flags & 255, 7]), flags
            yield "lookup", key4(n)
    for flags in (1, 4, 8, 1 << 32):
        yield "lookup", key4(1), flags
    yield "update", key4(4), b"4"
    yield "update", key4(5), b"5"
    yield "update", key4(4), b"6", 2
    yield "delete", key4(2)
    yield "update", key4(5), b"5", 2
    yield "update", key4(5), b"5", 1
    yield "update", key4(2), b"2"
    yield "lookup", key4(5)
    for n in (1, 2, 3, 4, 5):
        yield "delete", key4(n)
        yield "next", key4(n) if n == 5 else None
    yield "update", key4(9), b"9"
    yield "next", None
    yield "next", key4(9)
    yield "next", key4(1)
    yield "freeze",
    yield "update", key4(9), b"1"
    yield "delete", key4(9)
    yield "lookup", key4(9)


def drop_order(row):
    """Which key comes first among several is the kernel's random seed, not a fact."""
    for command in row["commands"]:
        if command[0] == "next" and command[3] is not None:
            command[3] = command[3] if command[3] == key4(9).hex() else "any"
    return row


def prog_array_commands():
    yield "next", None
    for index in (0, 3, 4):
        yield "lookup", key4(index)
        yield "delete", key4(index)
        yield "update", key4(index), key4(9999)
        yield "update", key4(index), key4(9999), 1
        yield "update", key4(index), key4(9999), 2
        yield "update", key4(index), key4(9999), 4
        yield "next", key4(index)
    yield "freeze",
    yield "update", key4(0), key4(9999)


rows = [run(create, []) for create in creations()]
for type_ in (ARRAY, PERCPU_ARRAY):
    rows.append(run((type_, 4, 6, 4), list(array_commands())))
for type_ in (HASH, PERCPU_HASH):
    for flags in (0, 1):
        rows.append(drop_order(run((type_, 4, 6, 4, flags), list(hash_commands()))))
rows.append(run((PROG_ARRAY, 4, 4, 4), list(prog_array_commands())))
for flags in (1 << 3, 1 << 4):
    rows.append(run((ARRAY, 4, 8, 2, flags), [("lookup", key4(0)), ("update", key4(0), b"1"), ("next", None), ("delete", key4(0))]))
    rows.append(run((HASH, 4, 8, 2, flags), [("lookup", key4(0)), ("update", key4(0), b"1"), ("next", None), ("delete", key4(0))]))
write("map-errors.json", rows, cpus=CPUS)
