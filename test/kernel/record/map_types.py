"""What the kernel answers to commands on maps that forget, match prefixes or have no keys: LRU hashes, tries, queues,
stacks and Bloom filters: test/kernel/goldens/map-types.json.
"""

from commands import *


def lru_creations():
    for type_ in (LRU_HASH, LRU_PERCPU_HASH):
        for key, value, entries in ((4, 4, 1), (4, 4, 2), (4, 4, 3), (4, 9, 100), (13, 1, 5), (0, 4, 1), (4, 0, 1), (4, 4, 0)):
            for flags in (0, NO_COMMON_LRU, NO_PREALLOC, NO_COMMON_LRU | ZERO_SEED):
                yield type_, key, value, entries, flags
        for bit in range(20):
            if bit not in (13, 14, 15, 16):
                yield type_, 4, 4, 2, 1 << bit
        for flags in (1 << 1 | 1 << 2, 1 << 2 | 1, 1 << 3 | 1 << 4, 1 << 7 | 1 << 8):
            yield type_, 4, 4, 2, flags
        for value in (32768, 32769, (4 << 20) - 53, (4 << 20) - 52):
            yield type_, 4, value, 1
        yield type_, 4, 4, 2, 0, 0, 1
        for entries in ((1 << 27) + 1, 0xFFFFFFFF):
            yield type_, 4, 4, entries
            yield type_, 4, 4, entries, NO_COMMON_LRU
    yield HASH, 4, 4, (1 << 27) + 1, NO_PREALLOC


def trie_creations():
    for key in (0, 3, 4, 5, 8, 20, 260, 261):
        for value in (0, 1, 4, 4194024, 4194025):
            yield LPM_TRIE, key, value, 4, NO_PREALLOC
    for entries in (0, 1, 1000000, 0xFFFFFFFF):
        yield LPM_TRIE, 8, 4, entries, NO_PREALLOC
    yield LPM_TRIE, 8, 4, 4
    for bit in range(20):
        if bit not in (13, 14, 15, 16):
            yield LPM_TRIE, 8, 4, 2, NO_PREALLOC | 1 << bit
    for flags in (1 << 3 | 1 << 4, 1 << 7 | 1 << 8):
        yield LPM_TRIE, 8, 4, 2, NO_PREALLOC | flags
    yield LPM_TRIE, 8, 4, 2, NO_PREALLOC, 0, 1


def keyless_creations():
    for type_ in (QUEUE, STACK, BLOOM_FILTER):
        for key in (0, 1, 4):
            for value in (0, 1, 4, 5, 4 << 20, (4 << 20) + 1, 0xFFFFFFFF):
                for entries in (0, 1, 7):
                    yield type_, key, value, entries
        for entries in (2, 3, 100, 1000, 12345, 1000000):
            yield type_, 0, 8, entries
        for bit in range(20):
            if bit not in (13, 14, 15, 16):
                yield type_, 0, 4, 2, 1 << bit
        for flags in (1 << 3 | 1 << 4, 1 << 7 | 1 << 8):
            yield type_, 0, 4, 2, flags
        for extra in (1, 2, 3, 5, 15, 16, 1 << 32):
            for entries in (1, 100, 1000):
                yield type_, 0, 4, entries, 0, 0, extra


def lru_commands(entries):
    """Fills the map, and more; every now and then all keys that are left."""
    for n in range(1, 3 * entries):
        yield "update", key4(n), bytes([n & 255]), (0, 1, 0, 2)[n % 4] if n % 7 == 0 else 0
        if n % 5 == 0:
            yield "update", key4(n - 2), b"again"
        if n % 11 == 0:
            yield "delete", key4(n - 3)
        if n % 13 == 0:
            yield "take", key4(n - 1)
        if n % (entries // 2) == 0:
            yield "keys",
    for flags in (3, 4, 8, 1 << 40):
        yield "update", key4(1), b"1", flags
    for flags in (1, 4, 8, 1 << 32):
        yield "lookup", key4(1), flags
        yield "take", key4(1), flags
    yield "keys",
    yield "memlock",
    yield "next", key4(0)
    yield "freeze",
    yield "take", key4(1)
    yield "update", key4(1), b"1"


def shuffled(seed):
    """Numbers from 0 to 32767, the same in every Python."""
    while True:
        seed = seed * 1103515245 + 12345 & 0x7FFFFFFF
        yield seed >> 16


def used_commands(entries, cpus, seed):
    """Keys that are set and looked up by programs, on one CPU or two: now mostly the one, now the other."""
    numbers = shuffled(seed)
    for n in range(6 * entries):
        if cpus > 1 and n % 3 == 0:
            yield "on", next(numbers) % cpus
        yield "update", key4(next(numbers) % (2 * entries)), bytes([n & 255])
        for _ in range(next(numbers) % (1 + n // 4 % 12)):
            yield "use", key4(next(numbers) % (2 * entries))
        if n % 9 == 0:
            yield "delete", key4(next(numbers) % (2 * entries))
        if n % entries == 0:
            yield "keys",
    yield "keys",
    yield "on", 0


def used_up_commands(entries):
    """A full map of which everything was looked up: something has to go all the same."""
    for n in range(entries):
        yield "update", key4(n), b"old"
    for n in range(entries):
        yield "use", key4(n)
    for n in range(3):
        yield "update", key4(entries + n), b"new"
        yield "keys",


def prefix(length, *data):
    return struct.pack("<I", length) + bytes(data)


def trie_commands():
    yield "next", None
    yield "lookup", prefix(32, 10, 0, 0, 1)
    yield "delete", prefix(32, 10, 0, 0, 1)
    yield "next", prefix(8, 10, 0, 0, 0)
    some = [(8, 10, 0, 0, 0), (16, 10, 1, 0, 0), (24, 10, 1, 2, 0), (32, 10, 1, 2, 3), (24, 10, 1, 3, 9), (0, 1, 2, 3, 4), (31, 10, 1, 2, 2)]
    for i, one in enumerate(some):
        for flags in (3, 4, 1 << 40, 2, 1, 1, 2, 0):
            yield "update", prefix(*one), bytes([i, flags & 255]), flags
        yield "memlock",
        yield "keys",
    for length in (0, 7, 8, 15, 16, 20, 24, 31, 32, 33, 0xFFFFFFFF):
        for data in ((10, 1, 2, 3), (10, 1, 3, 9), (10, 9, 0, 0), (11, 0, 0, 0)):
            yield "lookup", prefix(length, *data)
            yield "next", prefix(length, *data)
    for flags in (1, 4, 8):
        yield "lookup", prefix(32, 10, 0, 0, 1), flags
    yield "take", prefix(32, 10, 0, 0, 1)
    for one in ((33, 10, 1, 2, 3), (23, 10, 1, 2, 0), (24, 10, 1, 2, 99), (16, 10, 1, 0, 0), (16, 10, 1, 0, 0), (23, 10, 1, 2, 0), (32, 10, 1, 2, 3), (0, 0, 0, 0, 0)):
        yield "delete", prefix(*one)
        yield "keys",
    for i in range(12):
        yield "update", prefix(20 + i, 172, 16, i * 16, 0), bytes([i])
    yield "keys",
    yield "memlock",
    yield "update", prefix(20, 172, 16, 0, 0), b"old"
    yield "freeze",
    yield "update", prefix(20, 172, 16, 0, 0), b"frozen"
    yield "delete", prefix(20, 172, 16, 0, 0)


def queue_commands():
    for i in range(6):
        for flags in (0, 1, 3, 4, 8, 1 << 40) if i < 2 else (0, 2):
            yield "update", b"", bytes([i, flags & 255]), flags
        yield "lookup", b""
    for flags in (1, 4, 8, 1 << 32):
        yield "lookup", b"", flags
        yield "take", b"", flags
    yield "delete", b""
    yield "next", None
    for _ in range(3):
        yield "take", b""
        yield "lookup", b""
    yield "update", b"", b"a"
    yield "update", b"", b"b"
    for _ in range(5):
        yield "take", b""
    yield "memlock",
    yield "update", b"", b"a"
    yield "freeze",
    yield "update", b"", b"b"
    yield "take", b""
    yield "lookup", b""


def bloom_commands(values, size):
    """The bits of a filter without a seed are Linux's: what is wrongly found as well."""
    value = lambda n: struct.pack("<Q", n * 0x9E3779B97F4A7C15 & (1 << 64) - 1).ljust(size, bytes([n & 255]))[:size]
    for flags in (1, 2, 3, 4, 8, 1 << 40):
        yield "update", b"", value(0), flags
    for n in range(values):
        yield "update", b"", value(n)
    for n in range(3 * values):
        yield "lookup", b"", 0, value(n)
    for flags in (1, 4, 8, 1 << 32):
        yield "lookup", b"", flags, value(0)
    yield "take", b"", 0, value(0)
    yield "delete", b""
    yield "next", None
    yield "memlock",
    yield "freeze",
    yield "update", b"", value(0)


def rows():
    for creations_of in (lru_creations, trie_creations, keyless_creations):
        yield from (run(create, []) for create in creations_of())
    for type_ in (LRU_HASH, LRU_PERCPU_HASH):
        for entries in (4, 10, 60):
            for flags in (0, NO_COMMON_LRU):
                yield sort_keys(run((type_, 4, 6, entries, flags), list(lru_commands(entries))))
    for entries in (1, 2, 3, 9, 16):
        for flags in (0, NO_COMMON_LRU):
            for cpus in (1, 2):
                yield sort_keys(run((LRU_HASH, 4, 6, entries, flags), list(used_commands(entries, cpus, entries))))
    for entries, flags in ((4, 0), (40, 0), (400, 0), (4, NO_COMMON_LRU), (40, NO_COMMON_LRU)):
        yield sort_keys(run((LRU_HASH, 4, 6, entries, flags), list(used_up_commands(entries))))
    yield run((LPM_TRIE, 8, 6, 10, NO_PREALLOC), list(trie_commands()))
    for type_ in (QUEUE, STACK):
        yield run((type_, 0, 6, 4), list(queue_commands()))
        yield run((type_, 0, 2, 1), list(queue_commands()))
    for size in (1, 3, 4, 8, 11, 12, 13, 24, 25):
        yield run((BLOOM_FILTER, 0, size, 20, ZERO_SEED), list(bloom_commands(20, size)))
    for extra in (1, 2, 15):
        yield run((BLOOM_FILTER, 0, 8, 50, ZERO_SEED, 0, extra), list(bloom_commands(50, 8)))


def sort_keys(row):
    for command in row["commands"]:
        if command[0] == "keys":
            command[3].sort()
        elif command[0] == "next" and command[3] is not None:
            command[3] = "any"
    return row


write("map-types.json", list(rows()), cpus=CPUS)
