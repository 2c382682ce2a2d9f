// CO-RE relocations applied: the numbers in a program's instructions that depend on the layout of a kernel's types are
// computed for one kernel. The kinds are those of enum bpf_core_relo_kind (linux/bpf.h); what cannot be found
// there and has no answer is made an invalid call, which only a program that can reach it is refused for.

import { SkepError } from '../base/error.js';
import { accessSizeOf, CALL, classOf, isLoadImm64, slotsOf, usesSourceRegister } from '../isa/classify.js';
import type { Instruction } from '../isa/instruction.js';
import { InsnClass, Size } from '../isa/opcodes.js';
import type { Btf } from './btf.js';
import {
  type AccessSpec,
  candidatesOf,
  enumerator,
  enumeratorByName,
  matchFieldAccess,
  parseFieldAccess,
  typesCompatible,
  typesMatch,
} from './core-match.js';
import type { CoreRelocation } from './ext.js';
import { IntEncoding } from './types.js';

/** enum bpf_core_relo_kind. */
export const CoreKind = {
  FieldByteOffset: 0,
  FieldByteSize: 1,
  FieldExists: 2,
  FieldSigned: 3,
  FieldLShiftU64: 4,
  FieldRShiftU64: 5,
  TypeIdLocal: 6,
  TypeIdTarget: 7,
  TypeExists: 8,
  TypeSize: 9,
  EnumvalExists: 10,
  EnumvalValue: 11,
  TypeMatches: 12,
} as const;

/** The helper number of the invalid call (0xbad2310, "bad relo"). */
const POISON = 195_896_080;

/** What an instruction should hold. */
interface Outcome {
  value: bigint;
  /** Bytes that a load or store moves, where that may change with the field. */
  size?: number;
  /** The field's type, for deciding whether the size may change. */
  typeId?: number;
  /** A bit field's place is the compiler's choice, so that the number in the instruction says nothing. */
  ambiguous?: boolean;
}

/**
 * The instructions of a program with its CO-RE relocations applied for `target`. Slots stay what they are. Throws a
 * SkepError that names the instruction for a relocation that makes no sense or has several answers.
 */
export function relocateCore(
  instructions: readonly Instruction[],
  relocations: readonly (CoreRelocation & { slot: number })[],
  local: Btf,
  target: Btf,
): Instruction[] {
  const bySlot = new Map(relocations.map((relocation) => [relocation.slot, relocation]));
  const result: Instruction[] = [];
  let slot = 0;
  for (const insn of instructions) {
    const relocation = bySlot.get(slot);
    if (relocation === undefined) result.push(insn);
    else result.push(...relocate(insn, relocation, slot, local, target));
    slot += slotsOf(insn);
  }
  return result;
}

function relocate(
  insn: Instruction,
  relocation: CoreRelocation,
  slot: number,
  local: Btf,
  target: Btf,
): Instruction[] {
  try {
    const before = localOutcome(relocation, local);
    const after = resolve(relocation, local, target);
    if (after === undefined) return poison(insn);
    return patch(insn, before, after, local, target);
  } catch (cause) {
    if (!(cause instanceof SkepError)) throw cause;
    throw new SkepError(`CO-RE relocation: ${cause.message}`, { where: `instruction ${slot}`, cause });
  }
}

const poison = (insn: Instruction): Instruction[] =>
  Array.from({ length: slotsOf(insn) }, () => ({ opcode: CALL, dst: 0, src: 0, offset: 0, imm: POISON }));

const isField = (kind: number): boolean => kind <= CoreKind.FieldRShiftU64;
const isEnumerator = (kind: number): boolean =>
  kind === CoreKind.EnumvalExists || kind === CoreKind.EnumvalValue;

/** What the compiler has put into the instruction. */
function localOutcome({ typeId, kind, access }: CoreRelocation, btf: Btf): Outcome {
  if (isField(kind)) return fieldOutcome(kind, parseFieldAccess(btf, typeId, access));
  if (isEnumerator(kind)) {
    const found = /^\d+$/.test(access) ? enumerator(btf, typeId, Number(access)) : undefined;
    if (found === undefined) {
      throw new SkepError(`'${access}' is no enumerator of ${btf.describe(typeId)}`);
    }
    return { value: kind === CoreKind.EnumvalExists ? 1n : found.value };
  }
  if (access !== '0') throw new SkepError(`a relocation of a whole type has the access '${access}', not '0'`);
  return typeOutcome(kind, btf, typeId);
}

/** What it should be for the target; undefined when there is no answer. */
function resolve(relocation: CoreRelocation, local: Btf, target: Btf): Outcome | undefined {
  const { typeId, kind } = relocation;
  if (kind === CoreKind.TypeIdLocal) return { value: BigInt(typeId), ambiguous: true };
  const answer = counterpart(relocation, local, target);
  if (answer !== undefined) return answer.outcome;
  // Questions have an answer for what is not there; offsets and values have none.
  return kind === CoreKind.FieldExists || (kind >= CoreKind.TypeIdTarget && kind !== CoreKind.EnumvalValue)
    ? { value: 0n }
    : undefined;
}

/** What a relocation means in the target. */
export interface CoreCounterpart {
  /** The root type there. */
  typeId: number;
  /** The field, of relocations that are about one. */
  access?: AccessSpec;
}

/** The type, and the field, that a relocation refers to in the target; undefined when that has none. Throws as relocateCore. */
export const coreCounterpart = (
  relocation: CoreRelocation,
  local: Btf,
  target: Btf,
): CoreCounterpart | undefined => counterpart(relocation, local, target);

interface Answer extends CoreCounterpart {
  outcome: Outcome;
  bitOffset: number;
}

function counterpart({ typeId, kind, access }: CoreRelocation, local: Btf, target: Btf): Answer | undefined {
  if (local.nameOf(typeId) === '') throw new SkepError(`${local.describe(typeId)} has no name to look for`);
  let answer: Answer | undefined;
  for (const candidate of candidatesOf(local, typeId, target)) {
    const found = candidateOutcome(kind, typeId, access, local, target, candidate);
    if (found === undefined) continue;
    if (
      answer !== undefined &&
      (found.outcome.value !== answer.outcome.value || found.bitOffset !== answer.bitOffset)
    ) {
      throw new SkepError(
        `${local.describe(typeId)} has several counterparts, which differ: ${answer.outcome.value} and ${found.outcome.value}`,
      );
    }
    answer ??= found;
  }
  return answer;
}

function candidateOutcome(
  kind: number,
  typeId: number,
  access: string,
  local: Btf,
  target: Btf,
  candidate: number,
): Answer | undefined {
  if (isField(kind)) {
    const spec = matchFieldAccess(parseFieldAccess(local, typeId, access), target, candidate);
    if (spec === undefined) return undefined;
    const { bitOffset } = spec;
    return { typeId: candidate, access: spec, outcome: fieldOutcome(kind, spec), bitOffset };
  }
  if (isEnumerator(kind)) {
    const name = enumerator(local, typeId, Number(access))?.name ?? '';
    const value = enumeratorByName(target, candidate, name);
    if (value === undefined) return undefined;
    const outcome = { value: kind === CoreKind.EnumvalExists ? 1n : value };
    return { typeId: candidate, outcome, bitOffset: 0 };
  }
  const fits =
    kind === CoreKind.TypeMatches
      ? typesMatch(local, typeId, target, candidate)
      : typesCompatible(local, typeId, target, candidate);
  return fits
    ? { typeId: candidate, outcome: typeOutcome(kind, target, candidate), bitOffset: 0 }
    : undefined;
}

function typeOutcome(kind: number, btf: Btf, id: number): Outcome {
  switch (kind) {
    case CoreKind.TypeIdLocal:
    case CoreKind.TypeIdTarget:
      return { value: BigInt(id), ambiguous: true };
    case CoreKind.TypeExists:
    case CoreKind.TypeMatches:
      return { value: 1n };
    case CoreKind.TypeSize:
      return { value: BigInt(btf.sizeOf(id)) };
    default:
      throw new SkepError(`kind ${kind} is not known`);
  }
}

/** Size of what a load or store moves: of an array, an element. */
function elementSize(btf: Btf, id: number): number {
  let at = btf.skipModifiers(id);
  for (let type = btf.type(at); type.kind === 'ARRAY'; type = btf.type(at)) at = btf.skipModifiers(type.type);
  return btf.sizeOf(at);
}

function fieldOutcome(kind: number, spec: AccessSpec): Outcome {
  if (kind === CoreKind.FieldExists) return { value: 1n };
  const { btf } = spec;
  const last = spec.accessors.at(-1);
  if (last === undefined) throw new SkepError('the access is empty');
  if (last.name === undefined) {
    if (kind === CoreKind.FieldByteSize) return { value: BigInt(btf.sizeOf(last.typeId)) };
    if (kind !== CoreKind.FieldByteOffset)
      throw new SkepError(`kind ${kind} cannot be asked of an array element`);
    const value = BigInt(Math.floor(spec.bitOffset / 8));
    return { value, size: elementSize(btf, last.typeId), typeId: last.typeId };
  }
  const struct = btf.type(last.typeId);
  const member = struct.kind === 'STRUCT' || struct.kind === 'UNION' ? struct.members[last.index] : undefined;
  if (member === undefined) throw new SkepError(`${btf.describe(last.typeId)} has no member ${last.index}`);
  const typeId = btf.skipModifiers(member.type);
  const type = btf.type(typeId);
  const bitField = member.bitSize > 0;
  let size = btf.sizeOf(typeId);
  let offset = Math.floor(spec.bitOffset / 8);
  const bits = bitField ? member.bitSize : size * 8;
  if (bitField) {
    // The smallest aligned integer that has the whole bit field.
    offset = Math.floor(offset / size) * size;
    while (spec.bitOffset + bits - offset * 8 > size * 8) {
      if (size >= 8) throw new SkepError(`bit field '${member.name}' does not lie within 8 aligned bytes`);
      size *= 2;
      offset = Math.floor(spec.bitOffset / 8 / size) * size;
    }
  }
  const ambiguous = bitField;
  switch (kind) {
    case CoreKind.FieldByteOffset:
      if (bitField) return { value: BigInt(offset), ambiguous };
      return { value: BigInt(offset), size: elementSize(btf, typeId), typeId };
    case CoreKind.FieldByteSize:
      return { value: BigInt(size), ambiguous };
    case CoreKind.FieldSigned: {
      const signed =
        type.kind === 'INT' ? (type.encoding & IntEncoding.Signed) !== 0 : 'signed' in type && type.signed;
      return { value: signed ? 1n : 0n };
    }
    case CoreKind.FieldLShiftU64: {
      const value = btf.littleEndian
        ? 64 - (spec.bitOffset + bits - offset * 8)
        : (8 - size) * 8 + (spec.bitOffset - offset * 8);
      return { value: BigInt.asUintN(64, BigInt(value)), ambiguous };
    }
    case CoreKind.FieldRShiftU64:
      return { value: BigInt(64 - bits) };
    default:
      throw new SkepError(`kind ${kind} is not known`);
  }
}

/** Whether a load or store may move another number of bytes: pointers and unsigned integers extend by zeros. */
function mayResize(before: Outcome, after: Outcome, local: Btf, target: Btf): boolean {
  if (before.typeId === undefined || after.typeId === undefined) return false;
  const x = local.type(local.skipModifiers(before.typeId));
  const y = target.type(target.skipModifiers(after.typeId));
  if (x.kind === 'PTR' && y.kind === 'PTR') return true;
  return (
    x.kind === 'INT' &&
    y.kind === 'INT' &&
    x.encoding !== IntEncoding.Signed &&
    y.encoding !== IntEncoding.Signed
  );
}

const sizeBits = new Map<number, number>([
  [1, Size.B],
  [2, Size.H],
  [4, Size.W],
  [8, Size.DW],
]);

function patch(insn: Instruction, before: Outcome, after: Outcome, local: Btf, target: Btf): Instruction[] {
  const check = (held: bigint): void => {
    if (before.ambiguous || BigInt.asUintN(64, held) === BigInt.asUintN(64, before.value)) return;
    throw new SkepError(`the instruction holds ${held}, but the type says ${before.value}`);
  };
  const low = Number(BigInt.asIntN(32, after.value));
  switch (classOf(insn.opcode)) {
    case InsnClass.ALU:
    case InsnClass.ALU64:
      if (usesSourceRegister(insn.opcode)) break;
      check(BigInt(insn.imm));
      return [{ ...insn, imm: low }];
    case InsnClass.LDX:
    case InsnClass.ST:
    case InsnClass.STX: {
      check(BigInt(insn.offset));
      if (after.value > 0x7fffn) throw new SkepError(`offset ${after.value} does not fit in an instruction`);
      const offset = Number(after.value);
      if (before.size === after.size || before.size === undefined || after.size === undefined) {
        return [{ ...insn, offset }];
      }
      if (!mayResize(before, after, local, target)) return poison(insn);
      const bits = sizeBits.get(after.size);
      if (accessSizeOf(insn.opcode) !== before.size || bits === undefined) {
        throw new SkepError(
          `an access of ${accessSizeOf(insn.opcode)} bytes cannot become one of ${after.size}`,
        );
      }
      return [{ ...insn, offset, opcode: (insn.opcode & ~0x18) | bits }];
    }
    default:
      if (!isLoadImm64(insn) || insn.src !== 0) break;
      check((BigInt(insn.immHigh ?? 0) << 32n) | BigInt(insn.imm >>> 0));
      return [{ ...insn, imm: low, immHigh: Number(BigInt.asIntN(32, after.value >> 32n)) }];
  }
  throw new SkepError(`opcode 0x${insn.opcode.toString(16)} cannot be relocated`);
}
