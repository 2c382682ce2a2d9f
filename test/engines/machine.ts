// A kernel with a set of maps in a known state: loads programs, runs them on packets, and tells all that the maps hold
// afterwards.

import type { Bpf, RunFault } from '../../src/bpf/bpf.js';
import { MapType, ProgType } from '../../src/bpf/types.js';
import { encode, type Instruction, PseudoSource } from '../../src/isa/index.js';

/** What is needed of a kernel. */
export type MachineKernel = Pick<
  Bpf,
  | 'mapCreate'
  | 'mapUpdateElem'
  | 'mapLookupElem'
  | 'mapDeleteElem'
  | 'mapGetNextKey'
  | 'mapFreeze'
  | 'possibleCpus'
  | 'progLoad'
  | 'progRunBatch'
  | 'progTestRun'
  | 'close'
>;

/** A map whose keys begin with a number of four bytes; elements 0, 1 ... hold a pattern when a program begins to run. */
export interface MapSpec {
  readonly type: MapType;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags?: number;
  /** Written once, then frozen. */
  readonly frozen?: boolean;
}

/** What came of one packet. */
export type Outcome =
  | { readonly retval: number; readonly data: string }
  | { readonly fault: RunFault['kind']; readonly slot: number };

export interface Result {
  readonly outcomes: readonly Outcome[];
  /** All elements of all maps afterwards, as text. */
  readonly maps: string;
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

const hex = (bytes: Uint8Array): string => {
  let text = '';
  for (const byte of bytes) text += HEX[byte];
  return text;
};

/** A number, in `size` bytes. */
export const u32 = (value: number, size = 4): Uint8Array => {
  const bytes = new Uint8Array(size);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
};

/** Bytes that differ from element to element. */
const pattern = (seed: number, size: number): Uint8Array =>
  Uint8Array.from({ length: size }, (_, i) => (seed * 37 + i * 11 + 1) & 0xff);

const isHash = (type: MapType): boolean => type === MapType.Hash || type === MapType.PercpuHash;
const isPerCpu = (type: MapType): boolean => type === MapType.PercpuArray || type === MapType.PercpuHash;

/** A map of a machine. */
interface OpenMap extends MapSpec {
  readonly name: string;
  readonly fd: number;
}

export class Machine<K extends MachineKernel = MachineKernel> {
  readonly kernel: K;
  readonly #specs: Readonly<Record<string, MapSpec>>;
  readonly #maps: OpenMap[] = [];
  #cpus = 1;

  constructor(kernel: K, maps: Readonly<Record<string, MapSpec>>) {
    this.kernel = kernel;
    this.#specs = maps;
  }

  /** Makes the maps. */
  async start(): Promise<void> {
    this.#cpus = await this.kernel.possibleCpus();
    for (const [name, spec] of Object.entries(this.#specs)) {
      const map = { ...spec, name, fd: await this.kernel.mapCreate(spec) };
      this.#maps.push(map);
      if (!spec.frozen) continue;
      await this.#fill(map);
      await this.kernel.mapFreeze(map.fd);
    }
    await this.reset();
  }

  /** Puts a program into element `index` of a program array. */
  async setProgram(map: string, index: number, prog: number): Promise<void> {
    const fd = this.#maps.find(({ name }) => name === map)?.fd ?? -1;
    await this.kernel.mapUpdateElem(fd, u32(index), u32(prog));
  }

  async #fill(map: OpenMap): Promise<void> {
    const { type, keySize, valueSize, maxEntries } = map;
    const number = this.#maps.indexOf(map);
    const size = isPerCpu(type) ? valueSize * this.#cpus : valueSize;
    const entries = isHash(type) ? 2 : maxEntries;
    for (let key = 0; key < entries; key++) {
      await this.kernel.mapUpdateElem(map.fd, u32(key, keySize), pattern(number * 16 + key, size));
    }
  }

  /** The maps' contents at the beginning. */
  async reset(): Promise<void> {
    for (const map of this.#maps) {
      if (map.frozen || map.type === MapType.ProgArray) continue;
      if (isHash(map.type)) {
        for (const key of await this.#keys(map)) await this.kernel.mapDeleteElem(map.fd, key);
      }
      await this.#fill(map);
    }
  }

  async #keys({ type, maxEntries, fd }: OpenMap): Promise<Uint8Array[]> {
    if (!isHash(type)) return Array.from({ length: maxEntries }, (_, key) => u32(key));
    const keys: Uint8Array[] = [];
    for (let key: Uint8Array | null = null; ; ) {
      const next: Uint8Array | undefined = await this.kernel.mapGetNextKey(fd, key).catch(() => undefined);
      if (!next) return keys;
      keys.push(next);
      key = next;
    }
  }

  async contents(): Promise<string> {
    const lines: string[] = [];
    for (const map of this.#maps) {
      if (map.type === MapType.ProgArray) continue;
      const elements: string[] = [];
      for (const key of await this.#keys(map)) {
        elements.push(`${hex(key)}=${hex(await this.kernel.mapLookupElem(map.fd, key))}`);
      }
      lines.push(`${map.name}: ${elements.sort().join(' ')}`);
    }
    return lines.join('\n');
  }

  /** Loads an XDP program whose map operands hold the numbers of maps, in the order of the specs. */
  async load(insns: readonly Instruction[]): Promise<number> {
    const withDescriptors = insns.map((insn) =>
      insn.opcode === 0x18 && (insn.src === PseudoSource.MAP_FD || insn.src === PseudoSource.MAP_VALUE)
        ? { ...insn, imm: this.#maps[insn.imm]?.fd ?? -1 }
        : insn,
    );
    return this.kernel.progLoad({
      type: ProgType.Xdp,
      instructions: encode(withDescriptors),
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
    const result = await this.kernel.progRunBatch(prog, {
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

  /** Test-runs a loaded program `repeat` times on each packet; metadata come back with it. A fault throws. */
  async testRuns(prog: number, packets: readonly Uint8Array[], repeat = 1): Promise<Outcome[]> {
    const outcomes: Outcome[] = [];
    for (const dataIn of packets) {
      const { retval, dataOut } = await this.kernel.progTestRun(prog, { dataIn, repeat });
      outcomes.push({ retval, data: hex(dataOut) });
    }
    return outcomes;
  }

  /** Loads a program and runs it, as a batch or with `run`, on maps as they are at the beginning. */
  async run(
    insns: readonly Instruction[],
    packets: readonly Uint8Array[],
    run: (prog: number) => Promise<Outcome[]> = (prog) => this.outcomes(prog, packets),
  ): Promise<Result> {
    await this.reset();
    const prog = await this.load(insns);
    try {
      return { outcomes: await run(prog), maps: await this.contents() };
    } finally {
      await this.kernel.close(prog);
    }
  }
}
