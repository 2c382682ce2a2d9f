"""Which helpers the kernel has, who may call them, and which want a GPL licence: test/kernel/goldens/helpers.json.

Names and numbers come from the kernel's BTF (needs bpftool), the rest from the verifier's words when a program of
each type calls each helper. Program types that cannot be loaded without something to attach to are left out.
"""

import re
import subprocess

from bpf import *

btf = subprocess.run(
    ["bpftool", "btf", "dump", "file", "/sys/kernel/btf/vmlinux"], capture_output=True, text=True, check=True
).stdout
names = {int(value): name for name, value in re.findall(r"'BPF_FUNC_(\w+)' val=(\d+)", btf)}
del names[0]

# Program type: expected attach type and load flags.
TYPES = {type_: (0, 0) for type_ in range(1, 33) if type_ not in (26, 27, 28, 29)}
TYPES.update({9: (2, 0), 18: (8, 0), 25: (21, 0), 30: (36, 0), 31: (0, 1 << 4), 32: (45, 0), 21: (39, 0)})


def verdict(type_, helper, license=GPL):
    attach, flags = TYPES[type_]
    fd, log = prog_load(type_, call(helper) + insn(0xB7) + EXIT, license, attach, flags)
    if fd >= 0:
        os.close(fd)
    if "cannot use helper" in log or "invalid func" in log or "unknown func" in log:
        return "no"
    if "GPL-restricted" in log:
        return "gpl"
    return "yes"


def loadable(type_):
    """Whether this kernel has the program type at all: its verifier says something about a program without exit."""
    attach, flags = TYPES[type_]
    return prog_load(type_, insn(0xB7), GPL, attach, flags)[1] != ""


TYPES = {type_: how for type_, how in TYPES.items() if loadable(type_)}
rows = []
for helper, name in sorted(names.items()):
    types = [type_ for type_ in TYPES if verdict(type_, helper) == "yes"]
    gpl = any(verdict(type_, helper, NO_LICENSE) == "gpl" for type_ in types)
    rows.append({"id": helper, "name": name, "gplOnly": gpl, "programTypes": types})
write("helpers.json", rows, programTypes=list(TYPES))
