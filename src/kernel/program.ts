// A loaded program: what it was made from, what it refers to, and the engine's form of it.

import type { ProgInfo, RunFault } from '../bpf/bpf.js';
import { type ProgType, progTypeName } from '../bpf/types.js';
import type { Btf } from '../btf/index.js';
import { disassembleKernel } from '../isa/disassemble.js';
import type { Instruction } from '../isa/instruction.js';
import type { RunnableProgram } from './engine.js';
import { sourceLine } from './line-info.js';
import type { KernelMap } from './maps/index.js';
import type { Fault } from './memory/fault.js';
import { layout } from './memory/memory.js';

/** The BTF object that a program or map was loaded with. */
export interface KernelBtf {
  readonly id: number;
  readonly btf: Btf;
}

export interface ProgramParts {
  readonly id: number;
  readonly type: ProgType;
  readonly name: string;
  readonly tag: string;
  readonly gplCompatible: boolean;
  /** After relocation, one entry an instruction. */
  readonly insns: readonly Instruction[];
  readonly maps: readonly KernelMap[];
  readonly btf: KernelBtf | undefined;
  /** struct bpf_line_info[], checked. */
  readonly lineInfo: Uint8Array | undefined;
  /** Address of the Program in linear memory. */
  readonly address: number;
  readonly runnable: RunnableProgram;
  readonly slots: number;
  /** Seconds since the epoch. */
  readonly loadedAt: number;
}

export class KernelProgram {
  readonly parts: ProgramParts;

  constructor(parts: ProgramParts) {
    this.parts = parts;
  }

  get info(): ProgInfo {
    const { id, type, name, tag, gplCompatible, maps, btf, loadedAt, runnable, slots } = this.parts;
    return {
      id,
      type,
      name,
      tag,
      gplCompatible,
      bytesXlated: slots * 8,
      bytesJited: runnable.codeSize,
      mapIds: maps.map((map) => map.id),
      btfId: btf?.id ?? 0,
      loadedAt,
      uid: 0,
    };
  }

  /** The source line of an instruction (slot): the last line that begins at or before it. */
  source(slot: number): RunFault['source'] {
    const { btf, lineInfo } = this.parts;
    return btf && lineInfo ? sourceLine(lineInfo, btf.btf, slot) : undefined;
  }

  /** The instruction at a slot, as the kernel prints it. */
  instruction(slot: number): string {
    let at = 0;
    for (const insn of this.parts.insns) {
      if (at === slot) return disassembleKernel(insn);
      at += insn.immHigh === undefined ? 1 : 2;
    }
    return `no instruction at ${slot}`;
  }

  /** A fault of this program, in words. */
  explain(fault: Fault): RunFault {
    const { id, name } = this.parts;
    const { kind, message } = describeFault(fault, progTypeName(this.parts.type) ?? 'this type of');
    const source = this.source(fault.slot);
    return {
      kind,
      message,
      slot: fault.slot,
      progId: id,
      progName: name,
      instruction: this.instruction(fault.slot),
      ...(source ? { source } : {}),
    };
  }
}

const hex = (value: bigint): string => `0x${value.toString(16)}`;

/** A fault in words; `type` says which programs may not do this. */
export function describeFault(fault: Fault, type: string): Pick<RunFault, 'kind' | 'message'> {
  const { address, size } = fault;
  const bytes = size === 1 ? '1 byte' : `${size} bytes`;
  switch (fault.kind) {
    case layout.FAULT_NULL:
      return {
        kind: 'null-dereference',
        message: `access of ${bytes} through a null pointer (address ${hex(address)}): check the pointer against NULL first`,
      };
    case layout.FAULT_BOUNDS:
      return {
        kind: 'out-of-bounds',
        message: `access of ${bytes} at ${hex(address)}, outside the packet, stack, context and map values that the program may touch`,
      };
    case layout.FAULT_READ_ONLY:
      return {
        kind: 'read-only',
        message: `write of ${bytes} at ${hex(address)}, which ${type} programs may only read`,
      };
    case layout.FAULT_BUDGET:
      return {
        kind: 'budget',
        message: 'the run took more instructions than its budget allows: does a loop end?',
      };
    case layout.FAULT_STACK:
      return { kind: 'stack-overflow', message: 'too many nested calls for the stack' };
    default:
      return {
        kind: 'bad-argument',
        message: `a helper was given ${hex(address)}, which is not what this argument must be`,
      };
  }
}
