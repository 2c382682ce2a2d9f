// A program's instructions for the kernel at hand: references to maps become descriptors, externs become ids or
// addresses, and the rest is as the object has it.

import { SkepError } from '../base/error.js';
import type { Fd } from '../bpf/bpf.js';
import type { CollectionSpec, ProgramSpec, Reference } from '../elf/spec.js';
import { CALL, slotsOf } from '../isa/classify.js';
import { encodeUnchecked } from '../isa/encode.js';
import type { Instruction } from '../isa/instruction.js';
import { CallSource, PseudoSource } from '../isa/opcodes.js';
import { type KernelFacts, type ResolvedExtern, resolveSymbol } from './externs.js';

/** The helper number of a call to a kernel function that is not there; the verifier names it (libbpf's number). */
const MISSING_FUNCTION = 2_002_000_000;

/** The bytes to load. Throws a SkepError that names program, instruction and symbol. */
export function resolveInstructions(
  spec: CollectionSpec,
  program: ProgramSpec,
  instructions: readonly Instruction[],
  maps: ReadonlyMap<string, Fd>,
  facts: KernelFacts,
): Uint8Array {
  const references = new Map(program.references.map((reference) => [reference.slot, reference]));
  const externs = new Map(spec.externs.map((extern, index) => [extern.name, { extern, index }]));
  const mapFd = (name: string, where: string): Fd => {
    const fd = maps.get(name);
    if (fd !== undefined) return fd;
    throw new SkepError(`refers to map '${name}', which there is not`, { where });
  };
  const resolve = (insn: Instruction, reference: Reference): Instruction => {
    const where = `program '${program.name}', instruction ${reference.slot}`;
    if (reference.kind === 'function') return insn;
    if (reference.kind === 'map') {
      return { ...insn, src: PseudoSource.MAP_FD, imm: mapFd(reference.map, where), immHigh: 0 };
    }
    if (reference.kind === 'mapValue') {
      const { offset } = reference;
      return { ...insn, src: PseudoSource.MAP_VALUE, imm: mapFd(reference.map, where), immHigh: offset };
    }
    const found = externs.get(reference.name);
    if (found === undefined) {
      throw new SkepError(`refers to extern '${reference.name}', which there is not`, { where });
    }
    const { extern, index } = found;
    if (extern.section === '.kconfig') {
      const { offset } = extern;
      return { ...insn, src: PseudoSource.MAP_VALUE, imm: mapFd('.kconfig', where), immHigh: offset };
    }
    return withSymbol(insn, resolveSymbol(spec, extern, facts), index);
  };
  let slot = 0;
  const resolved: Instruction[] = [];
  for (const insn of instructions) {
    const reference = references.get(slot);
    resolved.push(reference === undefined ? insn : resolve(insn, reference));
    slot += slotsOf(insn);
  }
  // What is valid is for the kernel to say.
  return encodeUnchecked(resolved);
}

/** An instruction that refers to a kernel symbol; `index` tells missing functions apart in the verifier's log. */
function withSymbol(insn: Instruction, symbol: ResolvedExtern, index: number): Instruction {
  if (insn.opcode === CALL) {
    return 'btfId' in symbol
      ? { ...insn, src: CallSource.KFUNC, imm: symbol.btfId }
      : { ...insn, dst: 0, src: CallSource.HELPER, offset: 0, imm: MISSING_FUNCTION + index };
  }
  if ('btfId' in symbol) return { ...insn, src: PseudoSource.BTF_ID, imm: symbol.btfId, immHigh: 0 };
  return {
    ...insn,
    src: PseudoSource.NONE,
    imm: Number(BigInt.asIntN(32, symbol.address)),
    immHigh: Number(BigInt.asIntN(32, symbol.address >> 32n)),
  };
}

/** struct bpf_func_info[], or undefined when a function has no BTF. */
export function functionInfo(program: ProgramSpec): Uint8Array | undefined {
  if (program.functions.some(({ typeId }) => typeId === 0)) return undefined;
  const words = program.functions.flatMap(({ slot, typeId }) => [slot, typeId]);
  return bytesOf(words);
}

/** struct bpf_line_info[], or undefined when a function has no line of its own: the kernel takes all or none. */
export function lineInfo(program: ProgramSpec): Uint8Array | undefined {
  const slots = new Set(program.lines.map(({ slot }) => slot));
  if (program.functions.some(({ slot }) => !slots.has(slot))) return undefined;
  return bytesOf(
    program.lines.flatMap(({ slot, fileNameOff, lineOff, line, column }) => [
      slot,
      fileNameOff,
      lineOff,
      ((line << 10) | (column & 0x3ff)) >>> 0,
    ]),
  );
}

function bytesOf(words: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(words.length * 4);
  const view = new DataView(bytes.buffer);
  for (const [i, value] of words.entries()) view.setUint32(i * 4, value, true);
  return bytes;
}
