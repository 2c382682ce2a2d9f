"""What bpf_trace_vprintk and bpf_trace_printk print and return: test/kernel/goldens/printk.json.

Run as `unshare -m python3 printk.py`: tracefs is mounted privately. A row: the format (hex, with its NUL unless that is
the point), the arguments (a number as a decimal string, {"at": hex} for a pointer to these bytes), the helper's
result and the text (hex, null when nothing was printed).
"""

import random
import subprocess

from bpf import *

TRACE = "/sys/kernel/tracing"
if not os.path.exists(TRACE + "/trace"):
    subprocess.run(["mount", "-t", "tracefs", "none", TRACE], check=True)

FORMAT, DATA, MEMORY, SIZE = 0, 2048, 2176, 8192
VPRINTK, PRINTK = 177, 6
fd = map_create(2, 4, SIZE, 1)
assert fd >= 0


def traced(run):
    with open(TRACE + "/trace", "w", encoding="ascii"):
        pass
    result = run()
    with open(TRACE + "/trace", "rb") as file:
        lines = file.read()
    mark = b"bpf_trace_printk: "
    return result, lines[lines.index(mark) + len(mark):-1] if mark in lines else None


def measure(helper, format_, args):
    value = bytearray(SIZE)
    value[FORMAT:FORMAT + len(format_)] = format_
    code, used = b"", MEMORY
    for i, arg in enumerate(args):
        if isinstance(arg, bytes):
            value[used:used + len(arg)] = arg
            code += map_value(6, fd, used) + map_value(7, fd, DATA + 8 * i) + insn(0x7B, 7, 6)
            used += len(arg)
        else:
            value[DATA + 8 * i:DATA + 8 * i + 8] = struct.pack("<Q", arg & (1 << 64) - 1)
    assert used <= SIZE
    assert map_op(MAP_UPDATE, fd, bytes_buffer(bytes(4)), bytes_buffer(value)) == 0
    if helper == VPRINTK:
        code += map_value(3, fd, DATA) + insn(0xB7, 4, imm=8 * len(args))
    else:
        code += map_value(6, fd, DATA)
        for i in range(3):
            code += insn(0x79, 3 + i, 6, 8 * i)
    code += map_value(1, fd, FORMAT) + insn(0xB7, 2, imm=len(format_)) + call(helper) + EXIT
    program, log = prog_load(6, code)
    assert program >= 0, log
    (error, result, _), text = traced(lambda: test_run(program, bytes(14)))
    assert error == 0
    os.close(program)
    return result - (1 << 32) if result >> 31 else result, text


def show(arg):
    return {"at": arg.hex()} if isinstance(arg, bytes) else str(arg)


ip4, ip6 = bytes([10, 0, 200, 7]), bytes(range(0xF0, 0x100))
text, long = b"some text\0", bytes(range(97, 123)) * 30 + b"\0"
NUMBERS = [0, 1, -1, 7, 42, 255, -128, 65535, 2**31 - 1, 2**31, -(2**31), 2**32, 2**63 - 1, 2**63, 0xFFFF888100001234, 123456789012]

cases = []
for kind in ["d", "i", "u", "x", "X", "ld", "li", "lu", "lx", "lX", "lld", "lli", "llu", "llx", "llX"]:
    for flags in ["", "8", "08", "-8", "+", " ", "+08", "- 8", "0-8", "022", "-22", "+22", " 022", "1", "3"]:
        cases += [(f"[%{flags}{kind}]", [n]) for n in (NUMBERS[2::4] if flags else NUMBERS)]
for bad in [
    "%", "%%", "100%%", "%#x", "%o", "%5", "%.3d", "%.3s", "%*d", "%hd", "%hhd", "%zu", "%lllx", "%lc", "%ls", "%f", "%e", "%n",
    "%b", "%p%", "%p%%", "%5%", "% %", "%pa", "%pe", "%pI", "%pI5", "%pi", "%pI4", "%pI6c", "%pM", "%pk", "%pu", "%pd", "%pux",
    "%sx", "%s5", "%s,", "%s%d", "%s.%s", "%cx", "%dx", "%pksx", "%pks x", "%pus!", "%pKx", "%pxx", "%pxabc d", "%pI4abc d",
    "%pBabc d", "%psabc d", "a\nb", "tab\t%d\n", "\x01", "bell\x07", "\x7f", "\x80", "\xc3\xa9", "%d\xe9", "", "plain",
    "%s\xa0", "%s\xbf", "%s\xe9", "%s\x85", "%px\xe9\xd7", "%px\xbf", "%pB\xe9\xffz ", "%pI4\xe9x y", "%d%c\xf7",
    "%d %d", "%d %d %d", "%d %d %d %d", "%0", "%-", "%+5", "%05", "%l", "%ll", "%d%", "%00000d", "%000000000000000000007d",
]:
    # Other pointers than null are printed as a hash that differs from boot to boot.
    cases += [(bad, [0 if bad.startswith(("%p%", "%pK")) else 5] * n) for n in (0, 1, 3)]
for flags in ["", "5", "12", "-12", "012", "+12", "20", "-20"]:
    cases += [(f"[%{flags}s]", [text]), (f"[%{flags}c]", [65]), (f"[%{flags}pks]", [text]), (f"[%{flags}px]", [0xFFFF888100001234])]
    cases += [(f"[%{flags}px]", [0x12]), (f"[%{flags}p]", [0]), (f"[%{flags}pK]", [0]), (f"[%{flags}ps]", [0x1234]), (f"[%{flags}pS]", [0x1234])]
    cases += [(f"[%{flags}pB]", [0x1234]), (f"[%{flags}pI4]", [ip4]), (f"[%{flags}pi4]", [ip4]), (f"[%{flags}pI6]", [ip6]), (f"[%{flags}pi6]", [ip6])]
    cases += [(f"[%{flags}p]", [-5]), (f"[%{flags}pus]", [1])]
cases += [
    ("%s", [b"\0"]), ("%s", [1]), ("[%s]", [0]), ("%pI4", [0]), ("%pI6", [1]), ("%c%c%c", [72, 0, 73]), ("%c", [200]),
    ("[%s]", [long]), ("[%s] [%s]", [long, text]), ("%s %d", [long, 1]), ("%s%c", [long[-500:], 65]), ("%s %pI4", [long[-500:], ip4]),
    ("%s %pI6", [long[-500:], ip6]), ("%s %d", [long[-507:], 3]), ("%s %lld", [long[-504:], 3]), ("%s", ["caf\u00e9".encode() + b"\0"]),
    ("%1000d|", [1]), ("%1022d|", [1]), ("%1023d|", [1]), ("%1024d|x", [1]), ("%1030d|%s", [1, text]), ("%2000d", [1]),
    ("%1030d|%pI4|%s", [1, ip4, text]), ("%1000d|%pI6|%s", [1, ip6, text]), ("%500000d", [1]), ("%-500000s|", [text]),
    ("%8388607d", [1]), ("%8388608d", [1]), ("%-16777210s|", [text]), ("%16777210d", [1]), ("%99999999999px", [1]), ("%4294967300d", [1]), ("%4294967295d", [1]), ("%c%d%c%lld%s%x", [65, 1, 66, 2, text, 3]),
    ("%d %s %pI4 %c %llx %pI6 %s %u", [1, text, ip4, 65, 2**60, ip6, text, 9]),
    (" ".join(["%d"] * 12), list(range(12))), ("%d " * 13, list(range(12))), ("%pi6 " * 12, [ip6] * 12), ("%pI6 " * 12, [ip6] * 12),
    ("x" * 1500, []), ("x" * 1022, []), ("x" * 1023, []), ("x" * 1024, []), ("%s" * 3 + "%d", [text, b"q" * 100 + b"\0", text, 5]),
]
random.seed(1)
pieces = ["d", "u", "x", "lld", "llx", "c", "s", "pks", "pI4", "pi6", "px", "pB", "i", "X", "lu"]
for _ in range(300):
    format_, args = "", []
    for _ in range(random.randint(1, 6)):
        piece = random.choice(pieces)
        format_ += random.choice(["", " ", "a", ",", "%%", "\t", "0", "<"])
        format_ += "%" + "".join(random.choice("0+- ") for _ in range(random.randint(0, 2)))
        format_ += random.choice(["", "", "1", "7", "19"]) + piece
        format_ += random.choice(["", " ", ".", ";", "%%", "7"]) if random.random() < 0.95 else random.choice(["x", "#", "*d"])
        if piece in ("s", "pks"):
            args.append(bytes(random.choice(b"abcXYZ ") for _ in range(random.randint(0, 40))) + b"\0")
        elif piece in ("pI4", "pi6"):
            args.append(bytes(random.randrange(256) for _ in range(16)))
        else:
            args.append(random.choice(NUMBERS) if piece != "c" else random.randint(32, 126))
    cases.append((format_, args))

rows = []
for format_, args in cases:
    encoded = format_.encode("latin-1") + b"\0"
    result, printed = measure(VPRINTK, encoded, args)
    rows.append(["trace_vprintk", encoded.hex(), [show(a) for a in args], result, None if printed is None else printed.hex()])
for format_, args in [("%d %s %x", [1, text, 255]), ("none", []), ("%d", [7]), ("%d %d %d %d", [1, 2, 3]), ("%s", [1])]:
    encoded = format_.encode("latin-1") + b"\0"
    result, printed = measure(PRINTK, encoded, args)
    rows.append(["trace_printk", encoded.hex(), [show(a) for a in args], result, None if printed is None else printed.hex()])
for encoded in (b"no end", b"%d", b"a\0b\0", b"%d\0%d\0"):
    result, printed = measure(VPRINTK, encoded, [1])
    rows.append(["trace_vprintk", encoded.hex(), ["1"], result, None if printed is None else printed.hex()])
write("printk.json", rows)
