// The same program on both engines, in two emulated kernels that have done the same things: addresses are equal in
// both, so that everything a run leaves behind can be compared, wrong programs' runs included.

import type { PacketBatchResult, RunFault } from '../../src/bpf/bpf.js';
import { MapFlag, MapType, ProgType } from '../../src/bpf/types.js';
import { assemble, encode, type Instruction, loadPseudo, PseudoSource } from '../../src/isa/index.js';
import { EmulatedKernel } from '../../src/kernel/kernel.js';

/** Possible CPUs of the kernels. */
export const CPUS = 2;

/** A map of the pair, with what it holds when a program begins to run: keys and values as text of bytes. */
interface MapSpec {
  readonly type: MapType;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags?: number;
}

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

/** What came of one packet. */
export type Outcome =
  | { readonly retval: number; readonly data: string }
  | { readonly fault: RunFault['kind']; readonly slot: number };

export interface Result {
  readonly outcomes: readonly Outcome[];
  /** All elements of all maps afterwards, as text. */
  readonly maps: string;
}

const hex = (bytes: Uint8Array): string => Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');

export const u32 = (value: number): Uint8Array => {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
};

/** Bytes that differ from element to element. */
const pattern = (seed: number, size: number): Uint8Array =>
  Uint8Array.from({ length: size }, (_, i) => (seed * 37 + i * 11 + 1) & 0xff);

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
  return assemble(marked);
}

/** Replaces the markers by descriptors. */
function withDescriptors(insns: readonly Instruction[], fds: readonly number[]): Instruction[] {
  return insns.map((insn) => {
    const high = insn.immHigh ?? 0;
    if (insn.opcode !== 0x18 || high >>> 8 !== MARK) return insn;
    const fd = fds[insn.imm & 0xff] ?? -1;
    return insn.imm & 0x100
      ? loadPseudo(insn.dst, PseudoSource.MAP_VALUE, fd, high & 0xff)
      : loadPseudo(insn.dst, PseudoSource.MAP_FD, fd);
  });
}

/** One engine with the maps. */
class Machine {
  readonly kernel: EmulatedKernel;
  readonly fds: number[] = [];

  constructor(engine: EngineName, budget: number) {
    this.kernel = new EmulatedKernel({ engine, budget, cpus: CPUS, now: () => 1 });
  }

  async start(): Promise<void> {
    for (const name of MAP_NAMES) this.fds.push(await this.kernel.mapCreate(MAPS[name]));
    await this.reset();
  }

  /** The maps' contents at the beginning. */
  async reset(): Promise<void> {
    const { kernel } = this;
    for (const [i, name] of MAP_NAMES.entries()) {
      const { type, valueSize, maxEntries } = MAPS[name] as MapSpec;
      const fd = this.fds[i] ?? -1;
      const perCpu = type === MapType.PercpuArray || type === MapType.PercpuHash;
      const size = perCpu ? valueSize * CPUS : valueSize;
      const isHash = type === MapType.Hash || type === MapType.PercpuHash;
      if (isHash) {
        for (let key = await this.#firstKey(fd); key; key = await this.#firstKey(fd)) {
          await kernel.mapDeleteElem(fd, key);
        }
      }
      const entries = isHash ? 2 : maxEntries;
      for (let key = 0; key < entries; key++) {
        await kernel.mapUpdateElem(fd, u32(key), pattern(i * 16 + key, size));
      }
    }
  }

  async #firstKey(fd: number): Promise<Uint8Array | undefined> {
    return this.kernel.mapGetNextKey(fd, null).catch(() => undefined);
  }

  async contents(): Promise<string> {
    const lines: string[] = [];
    for (const [i, name] of MAP_NAMES.entries()) {
      const fd = this.fds[i] ?? -1;
      const elements: string[] = [];
      for (let key: Uint8Array | null = null; ; ) {
        const next: Uint8Array | undefined = await this.kernel.mapGetNextKey(fd, key).catch(() => undefined);
        if (!next) break;
        elements.push(`${hex(next)}=${hex(await this.kernel.mapLookupElem(fd, next))}`);
        key = next;
      }
      lines.push(`${name}: ${elements.sort().join(' ')}`);
    }
    return lines.join('\n');
  }

  async load(insns: readonly Instruction[]): Promise<number> {
    return this.kernel.progLoad({
      type: ProgType.Xdp,
      instructions: encode(withDescriptors(insns, this.fds)),
      license: 'GPL',
    });
  }

  /** Runs a loaded program on packets. */
  async outcomes(prog: number, packets: readonly Uint8Array[]): Promise<Outcome[]> {
    const offsets = new Uint32Array(packets.length + 1);
    let length = 0;
    packets.forEach((packet, i) => {
      length += packet.length;
      offsets[i + 1] = length;
    });
    const data = new Uint8Array(length);
    packets.forEach((packet, i) => {
      data.set(packet, offsets[i]);
    });
    const result: PacketBatchResult = await this.kernel.progRunBatch(prog, {
      count: packets.length,
      data,
      offsets,
      wantData: true,
    });
    const faults = new Map(result.faults.map(({ index, fault }) => [index, fault]));
    return packets.map((_, i) => {
      const fault = faults.get(i);
      if (fault) return { fault: fault.kind, slot: fault.slot };
      return {
        retval: result.retvals[i] ?? 0,
        data: hex((result.data ?? data).subarray(result.offsets?.[i] ?? 0, result.offsets?.[i + 1] ?? 0)),
      };
    });
  }
}

/** Both engines. */
export class Pair {
  readonly jit: Machine;
  readonly interpreter: Machine;
  #ready: Promise<void> | undefined;

  constructor(budget = 50_000) {
    this.jit = new Machine('jit', budget);
    this.interpreter = new Machine('interpreter', budget);
  }

  async #prepare(): Promise<void> {
    for (const machine of [this.jit, this.interpreter]) {
      await machine.start();
      // What is made by the first run is made now.
      await runOn(machine, assemble('r0 = 0; exit'), [new Uint8Array(64)]);
    }
  }

  /** Runs the program in both, on maps as they are at the beginning. */
  async run(
    insns: readonly Instruction[],
    packets: readonly Uint8Array[],
  ): Promise<{ jit: Result; interpreter: Result }> {
    this.#ready ??= this.#prepare();
    await this.#ready;
    const jit = await runOn(this.jit, insns, packets);
    return { jit, interpreter: await runOn(this.interpreter, insns, packets) };
  }
}

async function runOn(
  machine: Machine,
  insns: readonly Instruction[],
  packets: readonly Uint8Array[],
): Promise<Result> {
  await machine.reset();
  const prog = await machine.load(insns);
  try {
    const outcomes = await machine.outcomes(prog, packets);
    return { outcomes, maps: await machine.contents() };
  } finally {
    await machine.kernel.close(prog);
  }
}
