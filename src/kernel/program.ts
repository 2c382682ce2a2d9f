// A loaded program: what it was made from, what it refers to, and the engine's form of it.

import type { ProgDump, ProgInfo, RunFault } from '../bpf/bpf.js';
import { type AttachType, type ProgType, progTypeName } from '../bpf/types.js';
import type { Btf } from '../btf/index.js';
import { disassembleKernel } from '../isa/disassemble.js';
import { encodeUnchecked } from '../isa/encode.js';
import type { Instruction } from '../isa/instruction.js';
import { PseudoSource } from '../isa/opcodes.js';
import { rowOf } from '../isa/table.js';
import type { RunnableProgram } from './engine.js';
import { JitProgram } from './jit/jit.js';
import { sourceLine } from './line-info.js';
import type { KernelMap, ProgramTraits } from './maps/index.js';
import type { Fault } from './memory/fault.js';
import { layout } from './memory/memory.js';
import type { Device } from './net/device.js';
import type { KernelObject } from './objects.js';
import type { ProgramTypeDefinition } from './programs/definition.js';
import { codePlaces, type Shown, show } from './shown.js';
import type { KernelSymbol } from './symbols.js';
import type { RewriteFacts } from './verifier/rewrites/index.js';

/** The BTF object that a program or map was loaded with. */
export interface KernelBtf {
  readonly id: number;
  readonly btf: Btf;
}

export interface ProgramParts {
  readonly id: number;
  readonly definition: ProgramTypeDefinition;
  readonly expectedAttachType: AttachType | 0;
  readonly name: string;
  readonly tag: string;
  readonly gplCompatible: boolean;
  /** After relocation, one entry an instruction. */
  readonly insns: readonly Instruction[];
  /** As it was loaded, with ids of maps in the place of descriptors. */
  readonly xlated: Uint8Array;
  readonly maps: readonly KernelMap[];
  /** What the program keeps: its maps and its BTF. */
  readonly held: KernelObject[];
  readonly btf: KernelBtf | undefined;
  /** struct bpf_func_info[] as it was given. */
  readonly funcInfo: Uint8Array | undefined;
  /** struct bpf_line_info[], checked. */
  readonly lineInfo: Uint8Array | undefined;
  /** Address of the Program in linear memory. */
  readonly address: number;
  readonly runnable: RunnableProgram;
  /** What maps with programs in them look at. */
  readonly traits: ProgramTraits;
  /** The device that the program is bound to. */
  readonly device: Device | undefined;
  /** ProgFlag bits of the load. */
  readonly flags: number;
  /** How many bytes of context it looks at; 0 when it was not verified. */
  readonly contextSize: number;
  /** What it is rewritten by when somebody asks to see it; undefined when it was not verified. */
  readonly facts: RewriteFacts | undefined;
  /** Instructions that the verifier looked at. */
  readonly verifiedInsns: number;
  /** Seconds since the epoch. */
  readonly loadedAt: number;
  /** Of whoever loaded it. */
  readonly uid: number;
}

/** Bytes of `struct bpf_prog` before the instructions, in Linux 6.18 on 64-bit machines. */
const HEADER = 96;
const PAGE = 4096;

export class KernelProgram {
  readonly parts: ProgramParts;
  /** Maps that no instruction uses (BPF_PROG_BIND_MAP). */
  readonly #bound: KernelMap[] = [];
  #shown: Promise<Shown> | undefined;
  #runs = 0;
  #nanoseconds = 0;

  constructor(parts: ProgramParts) {
    this.parts = parts;
  }

  get id(): number {
    return this.parts.id;
  }

  get type(): ProgType {
    return this.parts.definition.type;
  }

  /** Makes a map the program's; false when it was already. */
  bind(map: KernelMap): boolean {
    if (this.parts.maps.includes(map) || this.#bound.includes(map)) return false;
    this.#bound.push(map);
    return true;
  }

  /** Adds to the statistics. */
  count(runs: number, nanoseconds: number): void {
    this.#runs += runs;
    this.#nanoseconds += nanoseconds;
  }

  /** The program after rewriting. */
  shown(): Promise<Shown> {
    this.#shown ??= show(this.parts);
    return this.#shown;
  }

  async info(): Promise<ProgInfo> {
    const { id, definition, name, tag, gplCompatible, maps, btf, loadedAt, uid, runnable, xlated } =
      this.parts;
    const shown = await this.shown();
    // Memory that rewriting took is not given back.
    const bytes = Math.max(xlated.length, shown.xlated.length);
    return {
      id,
      type: definition.type,
      name,
      tag,
      gplCompatible,
      bytesXlated: shown.xlated.length,
      bytesJited: runnable.codeSize,
      mapIds: [...maps, ...this.#bound].map((map) => map.id),
      btfId: btf?.id ?? 0,
      loadedAt,
      uid,
      memlock: Math.ceil((HEADER + bytes) / PAGE) * PAGE,
      verifiedInsns: this.parts.verifiedInsns,
      attachBtfObjId: 0,
      attachBtfId: 0,
      ifindex: 0,
      runTimeNs: BigInt(Math.round(this.#nanoseconds)),
      runCnt: BigInt(this.#runs),
      recursionMisses: 0n,
    };
  }

  /** Machine code is the WebAssembly module as a whole; addresses are where functions would lie. */
  async dump(): Promise<ProgDump> {
    const { runnable } = this.parts;
    const { xlated, funcInfo, lineInfo, lineRecords, functions } = await this.shown();
    const dump = {
      xlated: xlated.slice(),
      funcInfo: funcInfo.slice(),
      funcInfoRecSize: 8,
      lineInfo: lineInfo.slice(),
      lineInfoRecSize: 16,
      progTags: functions.map(({ tag }) => tag),
    };
    if (!(runnable instanceof JitProgram)) {
      const none = new BigUint64Array();
      return {
        ...dump,
        jited: new Uint8Array(),
        jitedKsyms: none,
        jitedFuncLens: new Uint32Array(),
        jitedLineInfo: none,
      };
    }
    const { lengths, lines } = codePlaces(runnable.functions, functions, this.parts.lineInfo, lineRecords);
    return {
      ...dump,
      jited: runnable.bytes.slice(),
      jitedKsyms: BigUint64Array.from(functions, ({ symbol }) => symbol.address),
      jitedFuncLens: lengths,
      jitedLineInfo: lines,
    };
  }

  /** Its functions as /proc/kallsyms has them; none while it is interpreted. */
  async symbols(): Promise<KernelSymbol[]> {
    if (!(this.parts.runnable instanceof JitProgram)) return [];
    return (await this.shown()).functions.map(({ symbol }) => symbol);
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
    const { kind, message } = describeFault(
      fault,
      progTypeName(this.parts.definition.type) ?? 'this type of',
    );
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

/**
 * Instructions for a dump: the descriptors of maps become ids (Linux: bpf_insn_prepare_dump). `idOf` gives the id of
 * the map behind a descriptor.
 */
export function dumpInstructions(insns: readonly Instruction[], idOf: (fd: number) => number): Uint8Array {
  return encodeUnchecked(
    insns.map((insn) => {
      const does = rowOf(insn)?.semantics;
      if (does?.kind !== 'loadImm64') return insn;
      const isMap = does.pseudo === PseudoSource.MAP_FD || does.pseudo === PseudoSource.MAP_VALUE;
      return isMap ? { ...insn, imm: idOf(insn.imm) } : insn;
    }),
  );
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
