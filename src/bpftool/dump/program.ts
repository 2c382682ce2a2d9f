// A program as the dumps need it, and where its words come from: names of functions from the kernel's symbols,
// prototypes and source lines from the BTF that it was loaded with.

import type { Bpf, Fd, ProgDump, ProgInfo } from '../../bpf/bpf.js';
import { BpfError } from '../../bpf/errno.js';
import { Btf } from '../../btf/index.js';
import { KernelSymbols } from './symbols.js';

export interface DumpedProgram {
  readonly info: ProgInfo;
  readonly dump: ProgDump;
  /** What it was loaded with; without it there are no prototypes and no source lines. */
  readonly btf?: Btf | undefined;
  /** Without them calls are shown as addresses. */
  readonly symbols?: KernelSymbols | undefined;
}

/** Reads all of it from the kernel. Throws the kernel's BpfError; only symbols may be missing. */
export async function readProgram(bpf: Bpf, fd: Fd): Promise<DumpedProgram> {
  const info = await bpf.progInfo(fd);
  const dump = await bpf.progDump(fd);
  const btf = info.btfId === 0 ? undefined : await readBtf(bpf, info.btfId);
  return { info, dump, btf, symbols: await readSymbols(bpf) };
}

async function readBtf(bpf: Bpf, id: number): Promise<Btf> {
  const fd = await bpf.btfGetFdById(id);
  try {
    return Btf.parse(await bpf.btfData(fd));
  } finally {
    await bpf.close(fd);
  }
}

async function readSymbols(bpf: Bpf): Promise<KernelSymbols | undefined> {
  try {
    return KernelSymbols.parse(await bpf.readFile('/proc/kallsyms'));
  } catch (error) {
    if (error instanceof BpfError) return undefined;
    throw error;
  }
}
