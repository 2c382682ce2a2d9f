// What the instructions of a section refer to: the relocations of `.rel<section>`, resolved to functions, maps,
// variables and externs. Two types occur in code (BPF psABI):
//
//     R_BPF_64_64   ld_imm64: address of a map, a variable (imm is the addend), a function, an extern
//     R_BPF_64_32   call: a function (imm is the addend in slots, minus one) or an extern kernel function

import { SkepError } from '../base/error.js';
import { CALL, LD_IMM64 } from '../isa/classify.js';
import type { Instruction } from '../isa/instruction.js';
import { CallSource, SLOT_BYTES } from '../isa/opcodes.js';
import {
  describeSection,
  describeSymbol,
  type ElfFile,
  type ElfRelocation,
  type ElfSection,
  type ElfSymbol,
  RelocationType,
  relocationTypeName,
  SectionType,
  SymbolType,
} from './file.js';
import { describeFunction, type FunctionTable, isExecutable, type ObjectFunction } from './functions.js';
import type { ExternSpec } from './spec.js';

/** What an instruction refers to. */
export type Target =
  | { kind: 'call'; fn: ObjectFunction }
  | { kind: 'function'; fn: ObjectFunction }
  | { kind: 'map'; map: string }
  | { kind: 'mapValue'; map: string; offset: number }
  | { kind: 'extern'; extern: ExternSpec };

/** Targets by section index and slot in the section. */
export type Targets = ReadonlyMap<number, ReadonlyMap<number, Target>>;

/** Where maps, variables and externs are. */
export interface ObjectSymbols {
  functions: FunctionTable;
  /** Maps by section index and offset (`.maps`, `maps`). */
  mapAt(section: number, offset: number): string | undefined;
  /** The map that holds a section's variables. */
  sectionMap(section: number): string | undefined;
  /** Externs by symbol index. */
  externs: ReadonlyMap<number, ExternSpec>;
}

/** The relocation sections that apply to a section. */
export function relocationSections(elf: ElfFile): { target: ElfSection; section: ElfSection }[] {
  return elf.sections
    .filter(({ type }) => type === SectionType.Rel || type === SectionType.Rela)
    .map((section) => ({ section, target: elf.section(section.info, describeSection(section)) }));
}

/** Resolves the relocations of all executable sections. Throws a SkepError that names section, symbol, instruction. */
export function resolveTargets(elf: ElfFile, symbols: ObjectSymbols): Targets {
  const result = new Map<number, Map<number, Target>>();
  for (const { section, target } of relocationSections(elf)) {
    if (!isExecutable(target)) continue;
    const targets = result.get(target.index) ?? new Map<number, Target>();
    result.set(target.index, targets);
    for (const relocation of elf.relocations(section)) {
      if (relocation.type === RelocationType.R_BPF_NONE && !elf.early) continue;
      if (relocation.offset % SLOT_BYTES !== 0 || relocation.offset >= target.size) {
        throw new SkepError(
          `a relocation is at offset ${relocation.offset}, which is no instruction of ${describeSection(target)}`,
          { where: describeSection(section) },
        );
      }
      const slot = relocation.offset / SLOT_BYTES;
      const fn = symbols.functions.at(target.index, slot);
      // A weak function that lost against a strong one leaves its code and relocations behind (libbpf's linker).
      if (fn === undefined) continue;
      targets.set(slot, resolve(elf, symbols, fn, slot, relocation));
    }
  }
  return result;
}

/** The instruction that begins at a slot of the section, or undefined within a wide one. */
function instructionAt(fn: ObjectFunction, slot: number): Instruction | undefined {
  const wanted = slot - fn.start;
  let low = 0;
  let high = fn.instructions.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((fn.offsets[middle] ?? 0) < wanted) low = middle + 1;
    else high = middle;
  }
  return fn.offsets[low] === wanted ? fn.instructions[low] : undefined;
}

function resolve(
  elf: ElfFile,
  symbols: ObjectSymbols,
  fn: ObjectFunction,
  slot: number,
  relocation: ElfRelocation,
): Target {
  const { symbol, type } = relocation;
  const where = `${describeFunction(fn)}, instruction ${slot - fn.start}`;
  const fail = (message: string, hint = ''): SkepError => new SkepError(message, { where, hint });
  const insn = instructionAt(fn, slot);
  const isCall = insn?.opcode === CALL;
  const isLoad = insn?.opcode === LD_IMM64;
  if (insn === undefined || (!isCall && !isLoad)) {
    throw fail(
      `refers to ${describeSymbol(symbol)}, but only ld_imm64 and call can (opcode ${insn === undefined ? 'within a wide instruction' : `0x${insn.opcode.toString(16)}`})`,
    );
  }
  const wanted = isCall ? RelocationType.R_BPF_64_32 : RelocationType.R_BPF_64_64;
  if (type !== wanted && !elf.early) {
    throw fail(
      `${relocationTypeName(type)} against ${describeSymbol(symbol)}, but ${isCall ? 'a call' : 'ld_imm64'} takes ${relocationTypeName(wanted)}`,
    );
  }

  if (!symbol.special && symbol.section === 0) return resolveExtern(symbols, symbol, fail);
  if (symbol.special) {
    throw fail(
      `${describeSymbol(symbol)} is in no section`,
      'A global variable without an initial value needs `= 0` with compilers that put it into the common block.',
    );
  }
  const section = elf.section(symbol.section, where);
  // For a section symbol the offset is in the instruction; for a named one it is the symbol's value.
  const addend = relocation.addend ?? insn.imm;

  if (isCall) {
    if (insn.src !== CallSource.LOCAL) {
      throw fail(
        `calls ${describeSymbol(symbol)}, but its source field is ${insn.src}, not 1 (a local call)`,
      );
    }
    const explicit = relocation.addend;
    const offset = symbol.value + (explicit === undefined ? (insn.imm + 1) * SLOT_BYTES : explicit);
    return { kind: 'call', fn: functionAt(symbols, section, symbol, offset, fail) };
  }
  if (isExecutable(section)) {
    return { kind: 'function', fn: functionAt(symbols, section, symbol, symbol.value + addend, fail) };
  }
  const map = symbols.sectionMap(section.index);
  if (map !== undefined) {
    const offset = symbol.value + addend;
    if (offset < 0 || offset > 0x7fffffff) {
      throw fail(`refers to offset ${offset} of ${describeSection(section)}`);
    }
    return { kind: 'mapValue', map, offset };
  }
  const named = symbols.mapAt(section.index, symbol.value);
  if (named !== undefined) return { kind: 'map', map: named };
  throw fail(
    `refers to ${describeSymbol(symbol)} in ${describeSection(section)}, which holds neither maps nor variables nor functions`,
    section.name === '.jumptables' ? 'Compile with -fno-jump-tables.' : '',
  );
}

function functionAt(
  symbols: ObjectSymbols,
  section: ElfSection,
  symbol: ElfSymbol,
  offset: number,
  fail: (message: string) => SkepError,
): ObjectFunction {
  const fn = offset % SLOT_BYTES === 0 ? symbols.functions.at(section.index, offset / SLOT_BYTES) : undefined;
  if (fn !== undefined && fn.start === offset / SLOT_BYTES) return fn;
  throw fail(
    `refers to ${describeSymbol(symbol)}, offset ${offset} of ${describeSection(section)}, where no function begins`,
  );
}

function resolveExtern(
  symbols: ObjectSymbols,
  symbol: ElfSymbol,
  fail: (message: string, hint?: string) => SkepError,
): Target {
  const extern = symbols.externs.get(symbol.index);
  if (extern !== undefined) return { kind: 'extern', extern };
  throw fail(
    `${describeSymbol(symbol)} is not defined`,
    symbol.type === SymbolType.NoType
      ? 'Define it, or declare it `extern ... __ksym` or `__kconfig` and compile with -g.'
      : '',
  );
}
