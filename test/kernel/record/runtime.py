"""What helpers of XDP programs answer: test/kernel/goldens/helper-results.json.

Three kinds of row. `csum`: from, to (hex, null for a null pointer), seed, r0. `xdp`: a packet, calls made one after
the other on it (helper, arguments), r0 of each, the packet afterwards. `hold`: what a program reads through pointers to
values of a hash map after updates and deletions; the program is in hold() below and in the test.
All r0 are signed 64-bit decimals.
"""

import random

from bpf import *

XDP, ARRAY, HASH = 6, 2, 1
CSUM_DIFF, REDIRECT, HEAD, META, TAIL, LENGTH, LOAD, STORE = 28, 23, 44, 54, 65, 188, 189, 190
SIZE, RESULTS, AREA = 8192, 0, 1024
memory = map_create(ARRAY, 4, SIZE, 1)
KEY = bytes_buffer(bytes(4))
random.seed(2)


def measure(code, packet, area=b"", results=1):
    """Runs the program; signed results, the area afterwards, the packet afterwards."""
    value = bytes_buffer(bytes(AREA) + area + bytes(SIZE - AREA - len(area)))
    assert map_op(MAP_UPDATE, memory, KEY, value) == 0
    program, log = prog_load(XDP, code)
    assert program >= 0, log
    error, _, after = test_run(program, packet)
    os.close(program)
    assert error == 0, error
    assert map_op(MAP_LOOKUP, memory, KEY, value) == 0
    return list(struct.unpack_from(f"<{results}q", value.raw)), value.raw[AREA:], after


def keep(index):
    """Stores r0 as result number `index`."""
    return map_value(1, memory, RESULTS + 8 * index) + insn(0x7B, 1, 0)


def csum(source, target, seed):
    code = map_value(1, memory, AREA) if source is not None else insn(0xB7, 1)
    code += insn(0xB7, 2, imm=len(source or b""))
    code += map_value(3, memory, AREA + 2048) if target is not None else insn(0xB7, 3)
    code += insn(0xB7, 4, imm=len(target or b"")) + load_imm64(5, seed) + call(CSUM_DIFF) + keep(0)
    (result,), _, _ = measure(code + insn(0xB7, imm=2) + EXIT, bytes(64), (source or b"").ljust(2048, b"\0") + (target or b""))
    return ["csum", source and source.hex(), target and target.hex(), str(seed), str(result)]


def xdp(packet, calls):
    code, area = insn(0xBF, 6, 1), bytearray(4096)
    for i, (helper, *args) in enumerate(calls):
        code += insn(0xBF, 1, 6)
        if helper == REDIRECT:
            code += load_imm64(1, args[0]) + load_imm64(2, args[1])
        elif helper in (LOAD, STORE):
            offset, size = args
            area[64 * i:64 * i + min(size, 64)] = bytes((i * 7 + k) & 255 for k in range(min(size, 64)))
            code += load_imm64(2, offset) + map_value(3, memory, AREA + 64 * i) + insn(0xB7, 4, imm=size)
        elif helper != LENGTH:
            code += load_imm64(2, args[0])
        code += call(helper) + keep(i)
    results, after_area, after = measure(code + insn(0xB7, imm=2) + EXIT, packet, bytes(area), len(calls))
    read = [after_area[64 * i:64 * i + call_[2]].hex() for i, call_ in enumerate(calls) if call_[0] == LOAD]
    return ["xdp", packet.hex(), [list(call_) for call_ in calls], [str(r) for r in results], after.hex(), read]


def hold(flags):
    """A program that holds pointers to the value of key 1 (set to 1 before): p at first, q after an update."""
    fd = map_create(HASH, 4, 8, 4, flags)
    assert map_op(MAP_UPDATE, fd, bytes_buffer(struct.pack("<I", 1)), bytes_buffer(struct.pack("<Q", 1))) == 0

    def key(n):
        return insn(0x62, 10, 0, -4, n) + insn(0xBF, 2, 10) + insn(0x07, 2, imm=-4) + map_fd(1, fd)

    def update(k, v):
        return insn(0x7A, 10, 0, -16, v) + insn(0xBF, 3, 10) + insn(0x07, 3, imm=-16) + insn(0xB7, 4) + key(k) + call(2)

    def lookup(register):
        return key(1) + call(1) + insn(0x55, 0, 0, 2) + insn(0xB7, imm=0) + EXIT + insn(0xBF, register, 0)

    def show(register, index):
        return insn(0x79, 0, register) + keep(index)

    code = lookup(6) + update(1, 2) + show(6, 0) + lookup(7) + show(7, 1) + update(1, 3) + show(6, 2) + show(7, 3)
    code += key(1) + call(3) + show(6, 4) + show(7, 5) + update(2, 9) + show(6, 6) + show(7, 7)
    results, _, _ = measure(code + insn(0xB7, imm=2) + EXIT, bytes(64), b"", 8)
    os.close(fd)
    return ["hold", flags, [str(r) for r in results]]


def some(size):
    return bytes(random.choice((0, 255, random.randrange(256))) for _ in range(size))


rows = []
ones, zeros = b"\xff" * 8, bytes(8)
for source in (None, zeros[:4], ones[:4], zeros, ones, bytes(range(20))):
    for target in (None, zeros[:4], ones[:4], zeros, ones, bytes(range(100, 120))):
        for seed in (0, 1, 0xFFFF, 0xFFFFFFFF, 0xFFFF0000, 0x123456789ABCDEF0):
            rows.append(csum(source, target, seed))
for _ in range(150):
    source, target = (None if random.random() < 0.2 else some(4 * random.randint(1, 100)) for _ in range(2))
    rows.append(csum(source, target, random.choice((0, random.getrandbits(32), 0xFFFFFFFF))))
for size in (1, 2, 3, 5, 6, 7, 13, 64):
    rows += [csum(some(size), None, 7), csum(None, some(size), 7), csum(some(4), some(size), 7)]

packet = bytes(range(64))
tail = 4096 - 320 - 256 - 64
for n in (0, 1, -1, 4, 50, 51, -50, -215, -216, -217, -256, 1 << 31, -(1 << 31), 0xFFFFFFFF, (1 << 32) + 4):
    rows.append(xdp(packet, [(HEAD, n), (LENGTH,)]))
for n in (0, 1, 4, -1, -49, -50, -51, -64, tail, tail + 1, 1 << 31, 0x7FFFFFFF, -(1 << 31), (1 << 32) + 4):
    rows.append(xdp(packet, [(TAIL, n), (LENGTH,)]))
for n in (0, 1, -1, -3, 4, -4, -8, -30, -32, -36, -64, -128, -216, -220, -248, -252, -256, 1 << 31, 0xFFFFFFFC):
    rows.append(xdp(packet, [(META, n), (LENGTH,)]))
rows += [
    xdp(packet, [(META, -32), (HEAD, 8), (META, 32), (HEAD, -8), (META, 4), (META, -4)]),
    xdp(packet, [(META, -16), (HEAD, -200), (HEAD, -1), (META, 16), (HEAD, -16), (HEAD, -1)]),
    xdp(packet, [(HEAD, -216), (META, -4), (META, 0), (HEAD, 4), (META, -4)]),
    xdp(packet, [(HEAD, 50), (HEAD, 1), (TAIL, -1), (TAIL, 100), (HEAD, 100), (HEAD, 1)]),
    xdp(packet, [(TAIL, -50), (TAIL, 50), (LENGTH,), (TAIL, tail), (TAIL, 1)]),
]
for offset, size in ((0, 1), (0, 64), (63, 1), (64, 1), (60, 4), (60, 5), (0xFFFF, 1), (0x10000, 1), (1 << 32, 4), (-1, 1), (10, 33)):
    rows.append(xdp(packet, [(LOAD, offset, size), (STORE, offset, size), (LOAD, offset, size)]))
rows.append(xdp(packet, [(REDIRECT, 7, 0), (REDIRECT, 7, 1), (REDIRECT, 0, 0), (REDIRECT, 1, 1 << 40)]))
for _ in range(40):
    calls = []
    for _ in range(8):
        kind = random.choice((HEAD, HEAD, TAIL, META, META, STORE, LOAD, LENGTH))
        if kind in (LOAD, STORE):
            calls.append((kind, random.randint(0, 70), random.randint(1, 40)))
        elif kind == LENGTH:
            calls.append((kind,))
        else:
            calls.append((kind, random.choice((4, 8, 1)) * random.randint(-12, 12)))
    rows.append(xdp(some(random.randint(14, 200)), calls))
rows += [hold(0), hold(1)]
write("helper-results.json", rows)
