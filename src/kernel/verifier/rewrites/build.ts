// The program as it was loaded, as a list; and the list as bytes.

import { MapType } from '../../../bpf/types.js';
import { CallSource, JumpOp, PseudoSource } from '../../../isa/opcodes.js';
import { Mark } from '../verifier.js';
import { CALL, Code, type Func, GOTOL, Insn, JA, LD_IMM64 } from './code.js';
import type { RewriteFacts } from './facts.js';
import { isMayGoto, MAY_GOTO_BYTES } from './may-goto.js';
import type { KernelNames } from './names.js';

/** The only helper that is no call, and keeps its number. */
const TAIL_CALL = 'bpf_tail_call';
const TAIL_CALL_ID = 12;

/** Jumps, calls and addresses of functions get what they lead to. */
export function buildCode(facts: RewriteFacts): Code {
  const { code, dst, src, off, imm, marks } = facts;
  const list = new Code();
  const at: (Insn | undefined)[] = [];
  for (let slot = 0; slot < code.length; slot++) {
    const insn = new Insn({
      code: code[slot] as number,
      dst: dst[slot] as number,
      src: src[slot] as number,
      off: off[slot] as number,
      imm: imm[slot] as number,
      ...(code[slot] === LD_IMM64 ? { high: imm[slot + 1] as number } : {}),
    });
    insn.origin = slot;
    insn.seen = ((marks[slot] as number) & Mark.SEEN) !== 0;
    at[slot] = insn;
    list.append(insn);
    if (insn.slots === 2) slot++;
  }
  const target = (slot: number): Insn => {
    const found = at[slot];
    if (!found) throw new Error(`no instruction at ${slot}`);
    return found;
  };
  for (const insn of list) {
    const after = insn.origin + 1;
    if (insn.isBranch) {
      if (insn.op === JumpOp.JA && insn.code !== JA && insn.code !== GOTOL) continue;
      insn.target = target(after + (insn.code === GOTOL ? insn.imm : insn.off));
    } else if (
      (insn.code === CALL && insn.src === CallSource.LOCAL) ||
      (insn.code === LD_IMM64 && insn.src === PseudoSource.FUNC)
    ) {
      insn.target = target(after + insn.imm);
    }
  }
  list.funcs = facts.subprogs.map(({ start, end, stackDepth }, number): Func => {
    // What may_goto counts in was added to the figure that is printed (fastcall.ts).
    const counted = at.slice(start, end).some((insn) => insn?.seen && isMayGoto(insn));
    return { start: target(start), number, stackDepth: counted ? stackDepth - MAY_GOTO_BYTES : stackDepth };
  });
  return list;
}

/** The program after rewriting. */
export interface Rewritten {
  /** 8 bytes a slot: maps as ids, calls of the kernel as distances from `__bpf_call_base`. */
  readonly xlated: Uint8Array;
  /** The functions that are left, by their numbers among those that were verified. */
  readonly functions: readonly { readonly number: number; readonly start: number }[];
  /** Records of line information that are left: number and slot. */
  readonly lines: readonly { readonly record: number; readonly slot: number }[];
}

/** The list as Linux shows it (Linux: bpf_insn_prepare_dump). */
export function encodeCode(list: Code, facts: RewriteFacts, names: KernelNames): Rewritten {
  const slots = new Map<Insn, number>();
  let length = 0;
  for (const insn of list) {
    slots.set(insn, length);
    length += insn.slots;
  }
  const place = (insn: Insn): number => slots.get(insn) as number;
  const numbers = new Map(list.funcs.map(({ start }, i) => [start, i]));
  /** Where an instruction leads, and the function that begins there. */
  const targetOf = (insn: Insn): Target => {
    if (!insn.target) return { distance: 0, callee: 0 };
    const found = list.resolve(insn.target);
    const slot = found ? place(found) : length;
    return { distance: slot - place(insn) - 1, callee: (found && numbers.get(found)) ?? 0 };
  };
  const xlated = new Uint8Array(length * 8);
  const view = new DataView(xlated.buffer);
  const lines: { record: number; slot: number }[] = [];
  const several = list.funcs.length > 1;
  for (const insn of list) {
    const at = place(insn) * 8;
    if (insn.line >= 0) lines.push({ record: insn.line, slot: place(insn) });
    const { src, off, imm, high } = operands(insn, targetOf(insn), several, facts, names);
    view.setUint8(at, insn.code);
    view.setUint8(at + 1, insn.dst | (src << 4));
    view.setInt16(at + 2, off, true);
    view.setInt32(at + 4, imm, true);
    if (insn.slots === 2) view.setInt32(at + 12, high, true);
  }
  const functions = list.funcs.map(({ number, start }) => ({ number, start: place(start) }));
  return { xlated, functions, lines };
}

interface Target {
  /** Slots, from the next one. */
  readonly distance: number;
  /** Number of the function that begins there. */
  readonly callee: number;
}

type Operands = { src: number; off: number; imm: number; high: number };

/** `several`: there are functions beside the main one, which calls then name. */
function operands(
  insn: Insn,
  { distance, callee }: Target,
  several: boolean,
  facts: RewriteFacts,
  names: KernelNames,
): Operands {
  const { code, src, symbol } = insn;
  const same = { src, off: insn.off, imm: insn.imm, high: insn.high ?? 0 };
  if (symbol !== undefined) {
    if (code === CALL) return { ...same, imm: symbol === TAIL_CALL ? TAIL_CALL_ID : names.distance(symbol) };
    const [imm, high] = names.address(symbol);
    return { ...same, imm, high };
  }
  if (code === GOTOL) return { ...same, imm: distance };
  if (insn.isBranch) return insn.target ? { ...same, off: distance } : same;
  if (code === CALL && src === CallSource.LOCAL) {
    return several ? { ...same, off: distance, imm: callee } : { ...same, imm: distance };
  }
  if (code !== LD_IMM64) return same;
  switch (src) {
    case PseudoSource.FUNC:
      return { ...same, imm: distance, high: several ? callee : 0 };
    case PseudoSource.MAP_FD:
    case PseudoSource.MAP_IDX:
      return { ...same, src: PseudoSource.MAP_FD, imm: mapAt(insn, facts)?.id ?? 0 };
    case PseudoSource.MAP_VALUE:
    case PseudoSource.MAP_IDX_VALUE: {
      const map = mapAt(insn, facts);
      if (map?.type !== MapType.Arena) return { ...same, src: PseudoSource.MAP_VALUE, imm: map?.id ?? 0 };
      // Where an arena lies is an address of the user's.
      const [imm, high] = names.address('arena');
      return { ...same, src: PseudoSource.NONE, imm, high };
    }
    case PseudoSource.BTF_ID: {
      const [imm, high] = names.address('variable');
      return { ...same, src: PseudoSource.NONE, imm, high };
    }
    default:
      return same;
  }
}

const mapAt = (insn: Insn, facts: RewriteFacts) => facts.mapUse.get(insn.origin)?.map;
