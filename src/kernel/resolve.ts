// From what a load brings to what runs: `ld_imm64` of descriptors become addresses (Linux: resolve_pseudo_ldimm64).

import { BpfError, Errno } from '../bpf/errno.js';
import { MapType } from '../bpf/types.js';
import { functionTarget } from '../isa/classify.js';
import type { Instruction } from '../isa/instruction.js';
import { PseudoSource } from '../isa/opcodes.js';
import { rowOf } from '../isa/table.js';
import type { Constant, MapConstant } from './jit/code.js';
import { arenaStart } from './maps/arena.js';
import type { KernelMap } from './maps/index.js';
import { type KernelMemory, layout, POINTER_BASE } from './memory/memory.js';

export interface Resolved {
  readonly insns: Instruction[];
  /** By slot: what an `ld_imm64` stands for. */
  readonly constants: Map<number, Constant>;
  /** Maps in the order of first use. */
  readonly maps: KernelMap[];
}

const KINDS: ReadonlyMap<MapType, MapConstant['kind']> = new Map([
  [MapType.Array, 'array'],
  [MapType.PercpuArray, 'percpu-array'],
  [MapType.Hash, 'hash'],
  [MapType.PercpuHash, 'percpu-hash'],
  [MapType.ProgArray, 'prog-array'],
  [MapType.PerfEventArray, 'perf-event-array'],
  [MapType.Ringbuf, 'ringbuf'],
  [MapType.Devmap, 'redirect-map'],
  [MapType.DevmapHash, 'redirect-map'],
  [MapType.Cpumap, 'redirect-map'],
  [MapType.Xskmap, 'redirect-map'],
]);

/** What the JIT needs to know of a map. */
function describe(map: KernelMap, memory: KernelMemory): MapConstant {
  const field = (offset: number) => memory.u32(map.address + offset);
  const access = field(layout.BpfMap_access);
  return {
    address: map.address,
    kind: KINDS.get(map.type) ?? 'other',
    keySize: map.keySize,
    valueSize: map.valueSize,
    maxEntries: map.maxEntries,
    values: field(layout.BpfMap_values),
    elementSize: field(layout.BpfMap_elementSize),
    cpuStride: field(layout.BpfMap_cpuStride),
    readable: (access & layout.ACCESS_READ) !== 0,
    writable: (access & layout.ACCESS_WRITE) !== 0,
  };
}

const refuse = (message: string, errno: Errno = Errno.EINVAL): never => {
  throw new BpfError('BPF_PROG_LOAD', errno, message, `${message}\n`);
};

/** Replaces descriptors by addresses. `mapOf` gives the map of a descriptor. */
export function resolve(
  insns: readonly Instruction[],
  memory: KernelMemory,
  mapOf: (fd: number) => KernelMap | undefined,
): Resolved {
  const constants = new Map<number, Constant>();
  const maps: KernelMap[] = [];
  const described = new Map<KernelMap, MapConstant>();
  const use = (fd: number): { map: KernelMap; constant: MapConstant } => {
    const map = mapOf(fd) ?? refuse(`fd ${fd} is not pointing to valid bpf_map`, Errno.EBADF);
    const constant = described.get(map) ?? describe(map, memory);
    if (!described.has(map)) {
      described.set(map, constant);
      maps.push(map);
    }
    return { map, constant };
  };
  const out: Instruction[] = [];
  let slot = 0;
  for (const insn of insns) {
    const does = rowOf(insn)?.semantics;
    if (does?.kind !== 'loadImm64') {
      out.push(insn);
      slot++;
      continue;
    }
    let value: bigint | undefined;
    switch (does.pseudo) {
      case PseudoSource.NONE:
        break;
      case PseudoSource.MAP_FD: {
        const { constant } = use(insn.imm);
        constants.set(slot, { kind: 'map', map: constant });
        value = POINTER_BASE + BigInt(constant.address);
        break;
      }
      case PseudoSource.MAP_VALUE: {
        const { map, constant } = use(insn.imm);
        const offset = (insn.immHigh ?? 0) >>> 0;
        if (map.type === MapType.Arena) {
          value = arenaStart(map.mapExtra) + BigInt(offset);
          break;
        }
        if (map.type !== MapType.Array || map.maxEntries !== 1) {
          refuse(`no direct value access support for this map type (map ${map.name}, insn ${slot})`);
        }
        if (offset >= map.valueSize) {
          refuse(
            `invalid access to map value pointer, value_size=${map.valueSize} off=${offset} (insn ${slot})`,
          );
        }
        constants.set(slot, { kind: 'value', map: constant, offset });
        value = POINTER_BASE + BigInt(constant.values + offset);
        break;
      }
      case PseudoSource.FUNC: {
        // A code address: no memory is there, so it can be compared and passed on, not read.
        const entry = functionTarget(insn, slot) ?? refuse(`insn ${slot} refers to no function`);
        constants.set(slot, { kind: 'function', entry });
        value = 0xffffffffc0000000n + BigInt(entry * 8);
        break;
      }
      default:
        refuse(`insn ${slot}: ld_imm64 with src_reg ${insn.src} is not supported by the emulated kernel yet`);
    }
    if (value === undefined) out.push(insn);
    else {
      const keep = does.pseudo === PseudoSource.FUNC ? insn : { ...insn, src: 0 };
      out.push({
        ...keep,
        imm: Number(BigInt.asIntN(32, value)),
        immHigh: Number(BigInt.asIntN(32, value >> 32n)),
      });
    }
    slot += 2;
  }
  return { insns: out, constants, maps };
}
