// The functions of an object: each FUNC symbol of an executable section is a run of instructions. Global and weak
// ones outside `.text` are programs; those in `.text`, and static ones anywhere, are subprograms.

import { SkepError } from '../base/error.js';
import { faultOf } from '../isa/check.js';
import { LD_IMM64, slotOffsets } from '../isa/classify.js';
import { decodeOne } from '../isa/decode.js';
import type { Instruction } from '../isa/instruction.js';
import { SLOT_BYTES } from '../isa/opcodes.js';
import {
  describeSection,
  type ElfFile,
  type ElfSection,
  type ElfSymbol,
  SectionFlag,
  SectionType,
  SymbolBinding,
  SymbolType,
  SymbolVisibility,
} from './file.js';

/** A function as it stands in its section, before linking. */
export interface ObjectFunction {
  readonly name: string;
  readonly section: ElfSection;
  /** First slot, from the start of the section. */
  readonly start: number;
  /** Length in slots. */
  readonly slots: number;
  readonly instructions: readonly Instruction[];
  /** The slot of each instruction, from the start of the function. */
  readonly offsets: Int32Array;
  /** Global or weak: others may call it, and the verifier looks at it on its own. */
  readonly global: boolean;
  /** Global, but hidden: the verifier is to look at it as at a static function (libbpf's mark_btf_static). */
  readonly hidden: boolean;
}

/** Finds functions by where they are. */
export interface FunctionTable {
  /** By section index, then by start. */
  readonly all: readonly ObjectFunction[];
  /** The function that contains a slot of a section. */
  at(section: number, slot: number): ObjectFunction | undefined;
}

/** A function for an error message: `section 3 'xdp', function 'drop'`. */
export const describeFunction = (fn: { name: string; section: ElfSection }): string =>
  `${describeSection(fn.section)}, function '${fn.name}'`;

/** Whether a section holds instructions. */
export const isExecutable = (section: ElfSection): boolean =>
  section.type === SectionType.Progbits && (section.flags & SectionFlag.ExecInstr) !== 0 && section.size > 0;

/**
 * Decodes all functions of the executable sections. Throws a SkepError for a function that leaves its section,
 * overlaps another or cuts a wide instruction in two.
 */
export function readFunctions(elf: ElfFile): FunctionTable {
  const bySection = new Map<number, ElfSymbol[]>();
  for (const symbol of elf.symbols) {
    if (symbol.type !== SymbolType.Func || symbol.special) continue;
    const list = bySection.get(symbol.section);
    if (list === undefined) bySection.set(symbol.section, [symbol]);
    else list.push(symbol);
  }
  const untyped = untypedNames(elf);
  const sections = new Map<number, ObjectFunction[]>();
  for (const section of elf.sections) {
    if (!isExecutable(section)) continue;
    sections.set(section.index, readSection(elf, section, bySection.get(section.index) ?? [], untyped));
  }
  return {
    all: [...sections.values()].flat(),
    at(section, slot) {
      const list = sections.get(section) ?? [];
      let low = 0;
      let high = list.length - 1;
      while (low < high) {
        const middle = (low + high + 1) >>> 1;
        if ((list[middle]?.start ?? 0) <= slot) low = middle;
        else high = middle - 1;
      }
      const found = list[low];
      return found !== undefined && slot >= found.start && slot < found.start + found.slots
        ? found
        : undefined;
    },
  };
}

function readSection(
  elf: ElfFile,
  section: ElfSection,
  symbols: ElfSymbol[],
  untyped: ReadonlyMap<number, string>,
): ObjectFunction[] {
  if (section.size % SLOT_BYTES !== 0) {
    throw new SkepError(
      `has ${section.size} bytes, which is no multiple of ${SLOT_BYTES}, the size of an instruction`,
      { where: describeSection(section) },
    );
  }
  const code = elf.contents(section);
  const slots = section.size / SLOT_BYTES;
  // Clang before 6 gave its functions no type: there the section is the program.
  if (symbols.length === 0) {
    return [
      decodeFunction(
        elf,
        code,
        section,
        { name: untyped.get(section.index) ?? section.name, start: 0, slots },
        true,
        false,
      ),
    ];
  }
  const sorted = symbols.toSorted((a, b) => a.value - b.value);
  const functions: ObjectFunction[] = [];
  let last: ObjectFunction | undefined;
  for (const [i, symbol] of sorted.entries()) {
    const place = { name: symbol.name, section };
    // Assembly may come without sizes; then a function ends where the next one begins.
    const size = symbol.size || (sorted[i + 1]?.value ?? section.size) - symbol.value;
    if (symbol.value + size > section.size || size <= 0) {
      throw new SkepError(
        `its ${size} bytes at offset ${symbol.value} are not in the section of ${section.size} bytes`,
        { where: describeFunction(place) },
      );
    }
    if (symbol.value % SLOT_BYTES !== 0 || size % SLOT_BYTES !== 0) {
      throw new SkepError(
        `offset ${symbol.value} and size ${size} must be multiples of ${SLOT_BYTES}, the size of an instruction`,
        { where: describeFunction(place) },
      );
    }
    const global = symbol.binding !== SymbolBinding.Local;
    const hidden =
      global &&
      (symbol.visibility === SymbolVisibility.Hidden || symbol.visibility === SymbolVisibility.Internal);
    const range = { name: symbol.name, start: symbol.value / SLOT_BYTES, slots: size / SLOT_BYTES };
    if (last !== undefined && range.start < last.start + last.slots) {
      if (range.start !== last.start || range.slots !== last.slots) {
        throw new SkepError(`overlaps with function '${last.name}'`, { where: describeFunction(place) });
      }
      // Two names for one function share what was decoded.
      functions.push({ ...last, name: symbol.name, global, hidden });
      continue;
    }
    last = decodeFunction(elf, code, section, range, global, hidden);
    functions.push(last);
  }
  return functions;
}

function decodeFunction(
  elf: ElfFile,
  code: Uint8Array,
  section: ElfSection,
  range: { name: string; start: number; slots: number },
  global: boolean,
  hidden: boolean,
): ObjectFunction {
  const { name, start, slots } = range;
  try {
    const bytes = code.subarray(start * SLOT_BYTES, (start + slots) * SLOT_BYTES);
    const instructions = decodeAny(bytes, elf.littleEndian);
    const offsets = slotOffsets(instructions);
    return { name, section, start, slots, instructions, offsets, global, hidden };
  } catch (cause) {
    if (!(cause instanceof SkepError)) throw cause;
    throw new SkepError(cause.message, { where: describeFunction({ name, section }), cause });
  }
}

/**
 * The instructions as they stand, also with operands that they must not have: what is valid is for the kernel to say.
 * Opcodes must be known, and wide instructions whole, because they decide what everything else means.
 */
function decodeAny(bytes: Uint8Array, littleEndian: boolean): Instruction[] {
  const instructions: Instruction[] = [];
  for (let slot = 0; slot * SLOT_BYTES < bytes.length; ) {
    const { insn, slots, fault } = decodeOne(bytes, slot, { littleEndian });
    if (fault !== undefined && (insn.opcode === LD_IMM64 || faultOf(insn)?.field === 'opcode'))
      throw new SkepError(fault, { where: `instruction ${slot}` });
    instructions.push(insn);
    slot += slots;
  }
  return instructions;
}

/** The names of untyped symbols at the start of sections, by section. */
function untypedNames(elf: ElfFile): Map<number, string> {
  const names = new Map<number, string>();
  for (const { section, special, type, binding, value, name } of elf.symbols) {
    const start = !special && type === SymbolType.NoType && binding !== SymbolBinding.Local && value === 0;
    if (start && name !== '' && !names.has(section)) names.set(section, name);
  }
  return names;
}
