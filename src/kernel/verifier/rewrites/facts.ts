// What rewriting needs of a verification, kept with the program: the instructions as they were loaded, what was found out
// about each, and who loaded them.

import type { Btf } from '../../../btf/index.js';
import { kfuncAt } from '../kfuncs.js';
import type { AluMask } from '../pointers.js';
import type { ProgramToVerify, VerifierMap } from '../program.js';
import { type MapUse, Mark, type Subprog, type Verifier } from '../verifier.js';

/** What one call of a kernel function needs. */
export interface KfuncFacts {
  readonly name: string;
  /** The prototype's parameters that Linux fills in itself. */
  readonly parameters: readonly string[];
  /** The type of an allocated object that it makes, takes or gives back. */
  readonly btf?: Btf | undefined;
  readonly typeId?: number | undefined;
  /** Where the node lies in the object. */
  readonly nodeOffset?: number | undefined;
}

export interface RewriteFacts {
  readonly program: ProgramToVerify;
  // The program, by slot.
  readonly code: Uint8Array;
  readonly dst: Uint8Array;
  readonly src: Uint8Array;
  readonly off: Int16Array;
  readonly imm: Int32Array;
  /** Mark bits. */
  readonly marks: Uint16Array;
  readonly subprogs: readonly Subprog[];
  readonly mapUse: ReadonlyMap<number, MapUse>;
  readonly pointerType: ReadonlyMap<number, number>;
  readonly fastcallSpills: ReadonlyMap<number, number>;
  readonly inlinedLoops: ReadonlyMap<number, { readonly subprog: number; readonly fits: boolean }>;
  readonly aluMasks: ReadonlyMap<number, AluMask>;
  readonly kfuncs: ReadonlyMap<number, KfuncFacts>;
  /** Calls that pass a pointer to what a program allocated for each CPU. */
  readonly percpuCalls: ReadonlySet<number>;
  /** Calls that must not sleep, of helpers that allocate. */
  readonly atomicCalls: ReadonlySet<number>;
  /** 64-bit arithmetic of arena pointers, which is done with 32 bits. */
  readonly arenaAlu: ReadonlySet<number>;
  readonly usedMaps: ReadonlySet<VerifierMap>;
  /** Packets are written through pointers. */
  readonly writesPacket: boolean;
  /** An exception may be thrown, as far as was followed. */
  readonly throws: boolean;
  /** Whoever loaded has CAP_BPF. */
  readonly privileged: boolean;
  readonly btf: Btf | undefined;
}

/** The facts of a verification that has accepted; nothing is copied. */
export function factsOf(v: Verifier): RewriteFacts {
  const kfuncs = new Map<number, KfuncFacts>();
  let throws = false;
  for (let slot = 0; slot < v.length; slot++) {
    if (v.code[slot] !== 0x85 || v.src[slot] !== 2) continue;
    const use = kfuncAt(v, slot);
    if (!use) continue;
    if (use.name === 'bpf_throw' && (v.marks[slot] as number) & Mark.SEEN) throws = true;
    kfuncs.set(slot, {
      name: use.name,
      parameters: use.parameters.map(({ name }) => name),
      ...v.kfuncFacts.get(slot),
    });
  }
  const { program, code, dst, src, off, imm, marks, subprogs, mapUse, pointerType, fastcallSpills } = v;
  const { inlinedLoops, aluMasks, usedMaps, percpuCalls, atomicCalls, arenaAlu, writesPacket, btf } = v;
  return {
    ...{ program, code, dst, src, off, imm, marks, subprogs, mapUse, pointerType, fastcallSpills },
    ...{ inlinedLoops, aluMasks, usedMaps, percpuCalls, atomicCalls, arenaAlu, writesPacket, btf },
    kfuncs,
    throws,
    privileged: v.bpfCapable,
  };
}
