// Programs written as text, on a kernel with each engine: what tests of maps, helpers and tail calls have in common.

import type { Fd } from '../../src/bpf/bpf.js';
import { ProgType } from '../../src/bpf/types.js';
import { assemble, encode, loadPseudo, PseudoSource } from '../../src/isa/index.js';
import { EmulatedKernel } from '../../src/kernel/kernel.js';

/** How many random programs are tried. */
export const RUNS = Number(process.env.SKEP_FAULT_RUNS ?? 500);
export const ENGINES = ['jit', 'interpreter'] as const;
export const CPUS = 2;

export const kernels = ENGINES.map(
  (engine) => new EmulatedKernel({ engine, cpus: CPUS, now: () => 1, safety: 'check' }),
);

/** Text in which `rN = map I` stands for the map with index I of `fds`. */
function instructions(text: string, fds: readonly Fd[]): Uint8Array {
  const marked = text.replace(
    /= map (\d+)/g,
    (_, index) => `= 0x6d6170${Number(index).toString(16).padStart(8, '0')} ll`,
  );
  return encode(
    assemble(marked).map((insn) =>
      insn.opcode === 0x18 && insn.immHigh === 0x6d6170
        ? loadPseudo(insn.dst, PseudoSource.MAP_FD, fds[insn.imm] ?? -1)
        : insn,
    ),
  );
}

export const load = (kernel: EmulatedKernel, text: string, fds: readonly Fd[]): Promise<Fd> =>
  kernel.progLoad({ type: ProgType.Xdp, instructions: instructions(text, fds), license: 'GPL' });

/** Bytes of the packets. */
export const PACKET = 60;

export const MASK = (1n << 64n) - 1n;

export const u32 = (value: number): Uint8Array => new Uint8Array(new Uint32Array([value]).buffer);

/** A register that points into the stack, `at` bytes below its end. */
export const pointer = (register: string, at: number): string[] => [
  `${register} = r10`,
  `${register} += -${at}`,
];
