// A program as the kernel shows it: rewritten, with its functions, their tags and where they would lie. It is made when
// somebody asks, because a load should not wait for it.

import type { ProgDump } from '../bpf/bpf.js';
import { decodeOne } from '../isa/decode.js';
import type { Instruction } from '../isa/instruction.js';
import { programTag } from '../isa/tag.js';
import type { CompiledProgram } from './jit/module.js';
import type { ProgramParts } from './program.js';
import { functionAddress, type KernelSymbol, kernelNames } from './symbols.js';
import { kernelTypes } from './types/index.js';
import { type Rewritten, rewrite } from './verifier/rewrites/index.js';

const FUNC_RECORD = 8;
const LINE_RECORD = 16;

/** A function of a program. */
export interface ShownFunction {
  /** First slot after rewriting. */
  readonly start: number;
  /** 16 hex digits. */
  readonly tag: string;
  readonly symbol: KernelSymbol;
  /** First slot as it was loaded; undefined for what the kernel added. */
  readonly loadedAt: number | undefined;
}

export interface Shown extends Pick<ProgDump, 'xlated' | 'funcInfo' | 'lineInfo'> {
  readonly functions: readonly ShownFunction[];
  /** The number of each line record among those that were loaded. */
  readonly lineRecords: readonly number[];
}

/** What is asked of a program to show it. */
export type ShownParts = Pick<
  ProgramParts,
  'facts' | 'xlated' | 'id' | 'name' | 'tag' | 'btf' | 'funcInfo' | 'lineInfo'
>;

/** What nobody verified is shown as it was loaded. */
export async function show(parts: ShownParts): Promise<Shown> {
  const { facts } = parts;
  if (!facts) return asLoaded(parts);
  const rewritten = await rewrite(facts, { kernelTypes, names: kernelNames });
  const starts = facts.subprogs.map(({ start }) => start);
  return {
    xlated: rewritten.xlated,
    functions: functionsOf(parts, rewritten, starts),
    funcInfo: moved(
      parts.funcInfo,
      FUNC_RECORD,
      rewritten.functions.filter(({ number }) => number >= 0).map(({ number, start }) => [number, start]),
    ),
    lineInfo: moved(
      parts.lineInfo,
      LINE_RECORD,
      rewritten.lines.map(({ record, slot }) => [record, slot]),
    ),
    lineRecords: rewritten.lines.map(({ record }) => record),
  };
}

function asLoaded(parts: ShownParts): Shown {
  const { xlated, funcInfo, lineInfo } = parts;
  const count = Math.floor((lineInfo?.length ?? 0) / LINE_RECORD);
  return {
    xlated,
    functions: functionsOf(parts, { xlated, functions: [{ number: 0, start: 0 }] }, [0]),
    funcInfo: funcInfo ?? new Uint8Array(),
    lineInfo: lineInfo ?? new Uint8Array(),
    lineRecords: Array.from({ length: count }, (_, i) => i),
  };
}

/** Records of so many bytes that begin with a slot: those with these numbers, at other slots. */
function moved(
  records: Uint8Array | undefined,
  size: number,
  kept: readonly (readonly [number: number, slot: number])[],
): Uint8Array {
  if (!records) return new Uint8Array();
  const found = kept.filter(([number]) => (number + 1) * size <= records.length);
  const bytes = new Uint8Array(found.length * size);
  const view = new DataView(bytes.buffer);
  found.forEach(([number, slot], i) => {
    bytes.set(records.subarray(number * size, (number + 1) * size), i * size);
    view.setUint32(i * size, slot, true);
  });
  return bytes;
}

function functionsOf(
  { id, name, tag, funcInfo, btf }: ShownParts,
  { xlated, functions }: Pick<Rewritten, 'xlated' | 'functions'>,
  loaded: readonly number[],
): ShownFunction[] {
  return functions.map(({ number, start }, i) => {
    // The tag of the only function is the program's; those of several are made of what they became.
    const own = functions.length > 1 ? functionTag(xlated, start, functions[i + 1]?.start) : tag;
    // Functions without types are all called F.
    const called = functionName(funcInfo, btf?.btf, number) ?? (i === 0 ? name : 'F');
    // The main function goes by the program's tag.
    const text = `bpf_prog_${i === 0 ? tag : own}${called && `_${called}`}`;
    return {
      start,
      tag: own,
      symbol: { address: functionAddress(id, i), name: text },
      loadedAt: loaded[number],
    };
  });
}

/**
 * Bytes of machine code of each function, and the address of each line record's: where in the functions of the module the
 * instruction is that the line begins with. Code that stands nowhere has the address of its function.
 */
export function codePlaces(
  compiled: CompiledProgram['functions'],
  functions: readonly ShownFunction[],
  lineInfo: Uint8Array | undefined,
  records: readonly number[],
): { lengths: Uint32Array; lines: BigUint64Array } {
  const offsets = new Map<number, number>();
  const sizes = new Map<number, number>();
  for (const { size, places } of compiled) {
    for (const { offset, slot } of places) {
      if (!offsets.has(slot)) offsets.set(slot, offset);
      const owner = ownerOf(functions, slot);
      if (!sizes.has(owner)) sizes.set(owner, size);
    }
  }
  const view = lineInfo && new DataView(lineInfo.buffer, lineInfo.byteOffset, lineInfo.byteLength);
  const lines = records.map((record) => {
    const slot = view?.getUint32(record * LINE_RECORD, true) ?? 0;
    const address = functions[ownerOf(functions, slot)]?.symbol.address ?? 0n;
    return address + BigInt(offsets.get(slot) ?? 0);
  });
  return {
    lengths: Uint32Array.from(functions, (_, i) => sizes.get(i) ?? 0),
    lines: BigUint64Array.from(lines),
  };
}

/** The function that a slot of the loaded program is in. */
function ownerOf(functions: readonly ShownFunction[], slot: number): number {
  let owner = 0;
  functions.forEach(({ loadedAt }, i) => {
    if (loadedAt !== undefined && loadedAt <= slot) owner = i;
  });
  return owner;
}

function functionTag(xlated: Uint8Array, start: number, end = xlated.length / 8): string {
  const insns: Instruction[] = [];
  for (let slot = start; slot < end; ) {
    const { insn, slots } = decodeOne(xlated, slot);
    insns.push(insn);
    slot += slots;
  }
  return programTag(insns, 'sha256');
}

/** The name of a function's type. */
function functionName(
  funcInfo: Uint8Array | undefined,
  btf: NonNullable<ShownParts['btf']>['btf'] | undefined,
  number: number,
): string | undefined {
  if (!funcInfo || !btf || number < 0 || (number + 1) * FUNC_RECORD > funcInfo.length) return undefined;
  const view = new DataView(funcInfo.buffer, funcInfo.byteOffset, funcInfo.byteLength);
  const type = btf.type(view.getUint32(number * FUNC_RECORD + 4, true));
  return type.kind === 'FUNC' ? type.name : undefined;
}
