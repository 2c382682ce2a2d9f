// Programs from functions: the main one, then every function that it reaches, in the order in which libbpf appends
// them (bpf_object__reloc_code): a function is placed when the first call to it is met, and its own calls are
// followed before the rest of its caller's.
//
//     main: call a; call b        main | a | c | b          imm of a call or of a function's address:
//     a:    call c                                          slots from the next instruction to the callee

import { SkepError } from '../base/error.js';
import type { Btf } from '../btf/btf.js';
import type { BtfExt } from '../btf/ext.js';
import { isFunctionReference, isLocalCall } from '../isa/classify.js';
import type { Instruction } from '../isa/instruction.js';
import { CallSource, PseudoSource, SLOT_BYTES } from '../isa/opcodes.js';
import { describeSection, type ElfSection } from './file.js';
import { describeFunction, type FunctionTable, type ObjectFunction } from './functions.js';
import type { Target, Targets } from './relocations.js';
import type { FunctionSpec, LineSpec, ProgramSpec, Reference } from './spec.js';

/** What a linked program consists of; the rest of a ProgramSpec is what its section says. */
export type LinkedProgram = Pick<
  ProgramSpec,
  'instructions' | 'functions' | 'references' | 'lines' | 'coreRelocations'
>;

/** Records of `.BTF.ext` by the slot of their section, ascending. */
interface SectionRecords {
  functions: ReadonlyMap<number, number>;
  lines: readonly LineSpec[];
  core: LinkedProgram['coreRelocations'];
}

const noRecords: SectionRecords = { functions: new Map(), lines: [], core: [] };

/** Links the programs of one object. */
export class Linker {
  readonly #functions: FunctionTable;
  readonly #targets: Targets;
  readonly #records = new Map<number, SectionRecords>();
  /** Names of exception callbacks by the FUNC id of the main function that a declaration tag ties them to. */
  readonly #exceptionCallbacks: ReadonlyMap<number, string>;
  /** Slots that may still be linked: subprograms are copied into each program, which a hostile file can overdo. */
  #budget: number;

  constructor(
    functions: FunctionTable,
    targets: Targets,
    sections: readonly ElfSection[],
    btf?: { btf: Btf; ext: BtfExt },
  ) {
    this.#functions = functions;
    this.#targets = targets;
    this.#exceptionCallbacks = btf === undefined ? new Map() : exceptionCallbacks(btf.btf);
    const slots = functions.all.reduce((sum, fn) => sum + fn.slots, 0);
    this.#budget = Math.min(65_536 + 256 * slots, 4_194_304);
    if (btf === undefined) return;
    const seen = new Set<string>();
    for (const section of sections) {
      if (seen.has(section.name)) continue;
      seen.add(section.name);
      const records = sectionRecords(section, btf.ext);
      if (records !== undefined) this.#records.set(section.index, records);
    }
  }

  /** The program that begins with `main`. */
  link(main: ObjectFunction): LinkedProgram {
    const bases = new Map<ObjectFunction, number>();
    const order = this.#place(main, bases);
    const program: LinkedProgram = {
      instructions: [],
      functions: [],
      references: [],
      lines: [],
      coreRelocations: [],
    };
    for (const fn of order) this.#append(program, fn, bases);
    return program;
  }

  /** Which functions the program has, in which order. An explicit stack: a chain of calls may be long. */
  #place(main: ObjectFunction, bases: Map<ObjectFunction, number>): ObjectFunction[] {
    const order: ObjectFunction[] = [];
    let end = 0;
    const stack: { fn: ObjectFunction; next: number }[] = [];
    const enter = (fn: ObjectFunction): void => {
      this.#budget -= fn.slots;
      if (this.#budget < 0) {
        throw new SkepError('with all subprograms in place, the programs of this object become too large', {
          where: describeFunction(main),
        });
      }
      bases.set(fn, end);
      end += fn.slots;
      order.push(fn);
      stack.push({ fn, next: 0 });
    };
    enter(main);
    for (let frame = stack.at(-1); frame !== undefined; frame = stack.at(-1)) {
      const { fn } = frame;
      const before = stack.length;
      while (frame.next < fn.instructions.length && stack.length === before) {
        const callee = this.#callee(fn, frame.next++);
        if (callee !== undefined && !bases.has(callee)) enter(callee);
      }
      if (stack.length > before) continue;
      stack.pop();
      // The handler of exceptions is called by none, and comes after all that the main program calls.
      if (stack.length > 0) continue;
      const handler = this.#exceptionCallback(main);
      if (handler !== undefined && !bases.has(handler)) enter(handler);
    }
    return order;
  }

  /** The function that an instruction calls or takes the address of. */
  #callee(fn: ObjectFunction, index: number): ObjectFunction | undefined {
    const insn = fn.instructions[index];
    const slot = fn.start + (fn.offsets[index] ?? 0);
    const target = this.#targets.get(fn.section.index)?.get(slot);
    if (target !== undefined) {
      return target.kind === 'call' || target.kind === 'function' ? target.fn : undefined;
    }
    if (insn === undefined) return undefined;
    if (isFunctionReference(insn)) {
      throw new SkepError('loads the address of a function, but has no relocation that says which', {
        where: `${describeFunction(fn)}, instruction ${slot - fn.start}`,
      });
    }
    if (!isLocalCall(insn)) return undefined;
    // Without a relocation a call stays within its section.
    const callee = slot + 1 + insn.imm;
    const found = this.#functions.at(fn.section.index, callee);
    if (found !== undefined && found.start === callee) return found;
    throw new SkepError(`calls slot ${callee} of ${describeSection(fn.section)}, where no function begins`, {
      where: `${describeFunction(fn)}, instruction ${slot - fn.start}`,
    });
  }

  #append(program: LinkedProgram, fn: ObjectFunction, bases: ReadonlyMap<ObjectFunction, number>): void {
    const base = bases.get(fn) ?? 0;
    const targets = this.#targets.get(fn.section.index);
    for (const [index, insn] of fn.instructions.entries()) {
      const slot = base + (fn.offsets[index] ?? 0);
      const callee = this.#callee(fn, index);
      if (callee !== undefined) {
        const imm = (bases.get(callee) ?? 0) - slot - 1;
        if (insn.immHigh === undefined) {
          program.instructions.push({ ...insn, imm });
        } else {
          program.instructions.push({ ...insn, src: PseudoSource.FUNC, imm, immHigh: 0 });
          program.references.push({ kind: 'function', slot, name: callee.name });
        }
        continue;
      }
      const target = targets?.get(fn.start + (fn.offsets[index] ?? 0));
      const resolved = target === undefined ? undefined : refer(insn, target, slot);
      program.instructions.push(resolved?.insn ?? insn);
      if (resolved !== undefined) program.references.push(resolved.reference);
    }
    this.#appendRecords(program, fn, base);
  }

  #appendRecords(program: LinkedProgram, fn: ObjectFunction, base: number): void {
    const records = this.#records.get(fn.section.index) ?? noRecords;
    const move = base - fn.start;
    const main: FunctionSpec = { name: fn.name, slot: base, typeId: records.functions.get(fn.start) ?? 0 };
    program.functions.push(main);
    for (const line of within(records.lines, fn)) program.lines.push({ ...line, slot: line.slot + move });
    for (const core of within(records.core, fn)) {
      program.coreRelocations.push({ ...core, slot: core.slot + move });
    }
  }

  #exceptionCallback(main: ObjectFunction): ObjectFunction | undefined {
    const id = this.#records.get(main.section.index)?.functions.get(main.start) ?? 0;
    const name = this.#exceptionCallbacks.get(id);
    if (name === undefined) return undefined;
    const handler = this.#functions.all.find((fn) => fn.name === name && fn.global);
    if (handler !== undefined) return handler;
    throw new SkepError(`names '${name}' as its exception callback, but there is no such global function`, {
      where: describeFunction(main),
    });
  }
}

/** `exception_callback:NAME` is a declaration tag on a main function (libbpf's bpf_prog_assign_exc_cb). */
function exceptionCallbacks(btf: Btf): Map<number, string> {
  const prefix = 'exception_callback:';
  const names = new Map<number, string>();
  for (let id = btf.firstId; id < btf.typeCount; id++) {
    if (btf.kind(id) !== 'DECL_TAG') continue;
    const type = btf.type(id);
    if (type.kind !== 'DECL_TAG' || !type.name.startsWith(prefix)) continue;
    names.set(type.type, type.name.slice(prefix.length));
  }
  return names;
}

/** An instruction with its operand resolved as far as an object can, and the reference that remains. */
function refer(
  insn: Instruction,
  target: Target,
  slot: number,
): { insn: Instruction; reference: Reference } | undefined {
  switch (target.kind) {
    case 'map':
      return {
        insn: { ...insn, src: PseudoSource.MAP_FD, imm: 0, immHigh: 0 },
        reference: { kind: 'map', slot, map: target.map },
      };
    case 'mapValue':
      return {
        insn: { ...insn, src: PseudoSource.MAP_VALUE, imm: 0, immHigh: target.offset },
        reference: { kind: 'mapValue', slot, map: target.map, offset: target.offset },
      };
    case 'extern': {
      const { extern } = target;
      const reference: Reference = { kind: 'extern', slot, name: extern.name };
      if (insn.immHigh === undefined) {
        return { insn: { ...insn, src: CallSource.KFUNC, imm: 0 }, reference };
      }
      if (extern.section === '.kconfig') {
        return { insn: { ...insn, src: PseudoSource.MAP_VALUE, imm: 0, immHigh: extern.offset }, reference };
      }
      return { insn: { ...insn, imm: 0, immHigh: 0 }, reference };
    }
    case 'call':
    case 'function':
      return undefined;
  }
}

/** The records of a function: ascending by slot, found by halving. */
function within<T extends { slot: number }>(records: readonly T[], fn: ObjectFunction): T[] {
  let low = 0;
  let high = records.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((records[middle]?.slot ?? 0) < fn.start) low = middle + 1;
    else high = middle;
  }
  let end = low;
  while (end < records.length && (records[end]?.slot ?? 0) < fn.start + fn.slots) end++;
  return records.slice(low, end);
}

function sectionRecords(section: ElfSection, ext: BtfExt): SectionRecords | undefined {
  const functions = ext.funcInfo.get(section.name);
  const lines = ext.lineInfo.get(section.name);
  const core = ext.coreRelocations.get(section.name);
  if (functions === undefined && lines === undefined && core === undefined) return undefined;
  const slotOf = (record: { insnOff: number }, kind: string): number => {
    if (record.insnOff % SLOT_BYTES === 0 && record.insnOff < section.size)
      return record.insnOff / SLOT_BYTES;
    throw new SkepError(
      `a ${kind} record is at offset ${record.insnOff}, which is no instruction of ${describeSection(section)}`,
      { where: '.BTF.ext' },
    );
  };
  return {
    functions: new Map(functions?.map((record) => [slotOf(record, 'func_info'), record.typeId])),
    lines: ascending(
      (lines ?? []).map(({ insnOff, ...line }) => ({ ...line, slot: slotOf({ insnOff }, 'line_info') })),
    ),
    core: ascending(
      (core ?? []).map(({ insnOff, ...relocation }) => ({
        ...relocation,
        slot: slotOf({ insnOff }, 'core_relo'),
      })),
    ),
  };
}

/** One record a slot, ascending, as the kernel wants them. */
function ascending<T extends { slot: number }>(records: T[]): T[] {
  const sorted = records.toSorted((a, b) => a.slot - b.slot);
  return sorted.filter((record, i) => sorted[i - 1]?.slot !== record.slot);
}
