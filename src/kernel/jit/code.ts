// A loaded program as the JIT reads it: one step a slot, and what the loader knows about its constants.

import type { Instruction } from '../../isa/instruction.js';
import type { Semantics } from '../../isa/table.js';
import type { KfuncCall } from '../kfuncs/calls.js';

/** One instruction with its meaning. The second slot of a wide one has none. */
export interface Step {
  readonly insn: Instruction;
  readonly does: Semantics;
}

/** A map as compiled code knows it: its place in linear memory never changes. */
export interface MapConstant {
  /** Address of the BpfMap header. */
  readonly address: number;
  readonly kind:
    | 'array'
    | 'percpu-array'
    | 'hash'
    | 'percpu-hash'
    | 'prog-array'
    | 'perf-event-array'
    | 'ringbuf'
    | 'redirect-map'
    | 'other';
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  /** First element, and the distance from one to the next. */
  readonly values: number;
  readonly elementSize: number;
  /** Bytes from one CPU's values to the next. */
  readonly cpuStride: number;
  readonly writable: boolean;
  readonly readable: boolean;
}

/** What an `ld_imm64` stands for, beyond its number. */
export type Constant =
  | { readonly kind: 'map'; readonly map: MapConstant }
  /** An address inside the map's first value. */
  | { readonly kind: 'value'; readonly map: MapConstant; readonly offset: number }
  /** The address of the function that begins at slot `entry`. */
  | { readonly kind: 'function'; readonly entry: number };

/** What kind of context the program gets; from the program type's row. */
export interface ContextShape {
  readonly size: number;
  /** Byte offsets of the 4-byte fields that hold where the packet (or its metadata) begins and ends. */
  readonly packetFields: ReadonlyMap<number, 'start' | 'end'>;
  /** A bit for each byte that may be written (checked mode), the first in the lowest of the first byte. */
  readonly writable: Uint8Array;
  readonly frame: FrameShape;
}

/** A frame: the context, and behind it what the kernel keeps of a run. Byte offsets of 4-byte fields, from its beginning. */
export interface FrameShape {
  readonly size: number;
  /** What of the packet a program may touch at most, metadata included. */
  readonly packetStart: number;
  readonly packetEnd: number;
  /** Where the packet begins (LD_ABS). */
  readonly data: number;
  /** r0 at exit, 8 bytes. */
  readonly result: number;
  readonly redirectIfindex: number;
  /** What the context's pointers lead to, beside packets. */
  readonly objects: { readonly from: number; readonly to: number };
}

export interface Code {
  /** By slot. */
  readonly steps: readonly (Step | undefined)[];
  /** By slot of an `ld_imm64`. */
  readonly constants: ReadonlyMap<number, Constant>;
  readonly context: ContextShape;
  /** The program's arena: the upper half of its pointers, and the slots of the instructions that access it. */
  readonly arena?: { readonly upper: number; readonly accesses: ReadonlySet<number> };
  /** Calls of kernel functions, by slot. */
  readonly kfuncs: ReadonlyMap<number, KfuncCall>;
}

/** Slots that an instruction takes. */
export const width = (step: Step): number => (step.does.kind === 'loadImm64' ? 2 : 1);

/** Where a jump, branch or local call goes. */
export function target(slot: number, step: Step): number {
  const { insn, does } = step;
  const inImm = (does.kind === 'jump' && does.distanceIn === 'imm') || does.kind === 'call';
  return slot + 1 + (inImm ? insn.imm : insn.offset);
}
