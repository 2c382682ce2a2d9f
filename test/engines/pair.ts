// The same program on both engines, in two emulated kernels that have done the same things: addresses are equal in
// both, so that everything a run leaves behind can be compared, wrong programs' runs included.

import { MapFlag, MapType } from '../../src/bpf/types.js';
import { assemble, type Instruction, loadPseudo, PseudoSource } from '../../src/isa/index.js';
import { EmulatedKernel } from '../../src/kernel/kernel.js';
import { Machine, type MapSpec, type Result } from './machine.js';

export { type Outcome, type Result, u32 } from './machine.js';

/** Possible CPUs of the kernels. */
export const CPUS = 2;

export const MAPS = {
  array: { type: MapType.Array, keySize: 4, valueSize: 12, maxEntries: 4 },
  hash: { type: MapType.Hash, keySize: 4, valueSize: 20, maxEntries: 4 },
  percpu: { type: MapType.PercpuArray, keySize: 4, valueSize: 8, maxEntries: 2 },
  perhash: { type: MapType.PercpuHash, keySize: 4, valueSize: 8, maxEntries: 4 },
  globals: { type: MapType.Array, keySize: 4, valueSize: 24, maxEntries: 1 },
  rodata: { type: MapType.Array, keySize: 4, valueSize: 16, maxEntries: 1, flags: MapFlag.RdonlyProg },
  rohash: { type: MapType.Hash, keySize: 4, valueSize: 8, maxEntries: 4, flags: MapFlag.RdonlyProg },
  /** No program of the generator names it: it must never change. */
  bystander: { type: MapType.Array, keySize: 4, valueSize: 64, maxEntries: 2 },
} as const satisfies Record<string, MapSpec>;

export type MapName = keyof typeof MAPS;
export const MAP_NAMES = Object.keys(MAPS) as MapName[];

export type EngineName = 'jit' | 'interpreter';

/** Markers of map operands in text: `r1 = map array` and `r1 = value globals+4`. */
const MARK = 0x6d6170;

/** Assembles text in which `rN = map NAME` and `rN = value NAME+OFFSET` stand for maps, by index in MAP_NAMES. */
export function assembleWithMaps(text: string): Instruction[] {
  const marked = text.replace(/= (map|value) (\w+)(?:\+(\d+))?/g, (_, kind, name, offset = '0') => {
    const index = MAP_NAMES.indexOf(name as MapName);
    if (index < 0) throw new Error(`there is no map ${name}`);
    const low = (kind === 'value' ? 0x100 : 0) + index;
    return `= 0x${(MARK * 0x100 + Number(offset)).toString(16)}${low.toString(16).padStart(8, '0')} ll`;
  });
  return assemble(marked).map((insn) => {
    const high = insn.immHigh ?? 0;
    if (insn.opcode !== 0x18 || high >>> 8 !== MARK) return insn;
    return insn.imm & 0x100
      ? loadPseudo(insn.dst, PseudoSource.MAP_VALUE, insn.imm & 0xff, high & 0xff)
      : loadPseudo(insn.dst, PseudoSource.MAP_FD, insn.imm & 0xff);
  });
}

const machine = (engine: EngineName, budget: number) =>
  new Machine(new EmulatedKernel({ engine, budget, cpus: CPUS, now: () => 1, safety: 'check' }), MAPS);

/** Both engines. */
export class Pair {
  readonly jit: Machine<EmulatedKernel>;
  readonly interpreter: Machine<EmulatedKernel>;
  #ready: Promise<void> | undefined;

  constructor(budget = 50_000) {
    this.jit = machine('jit', budget);
    this.interpreter = machine('interpreter', budget);
  }

  async #prepare(): Promise<void> {
    for (const one of [this.jit, this.interpreter]) {
      await one.start();
      // What is made by the first run is made now.
      await one.run(assemble('r0 = 0; exit'), [new Uint8Array(64)]);
    }
  }

  /** Runs the program in both, on maps as they are at the beginning. */
  async run(
    insns: readonly Instruction[],
    packets: readonly Uint8Array[],
  ): Promise<{ jit: Result; interpreter: Result }> {
    this.#ready ??= this.#prepare();
    await this.#ready;
    return {
      jit: await this.jit.run(insns, packets),
      interpreter: await this.interpreter.run(insns, packets),
    };
  }
}
