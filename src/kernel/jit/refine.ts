// What a branch tells, one way or the other, about what it compared: bounds of numbers, pointers that are not null, and
// how far a packet reaches.

import type { ConditionName } from '../../isa/table.js';
import type { Code } from './code.js';
import { OPPOSITE } from './induction.js';
import { narrow } from './interval.js';
import { constant, type Provenance, rewrite, type State } from './provenance.js';

/** Puts into `state` what the branch at `slot`, taken or not, tells about what it compared. */
export function refine(code: Code, slot: number, taken: boolean, state: State): void {
  const step = code.steps[slot];
  if (step?.does.kind !== 'branch') return;
  const { insn, does } = step;
  const { bits, condition, operand } = does;
  const holds = taken ? condition : OPPOSITE[condition];
  const tested = state.regs[insn.dst];
  if (holds === undefined) return;
  const other = operand === 'reg' ? state.regs[insn.src] : constant(bits === 32 ? insn.imm >>> 0 : insn.imm);
  if (tested?.kind === 'number' && other?.kind === 'number') {
    state.regs[insn.dst] = { ...tested, ...narrow(tested, holds, bits, other) };
    if (operand === 'reg')
      state.regs[insn.src] = { ...other, ...narrow(other, MIRROR[holds] ?? holds, bits, tested) };
    return;
  }
  if (bits !== 64) return;
  if (operand === 'imm') {
    if (insn.imm === 0 && holds === 'ne') notNull(state, insn.dst);
    return;
  }
  if (tested?.kind === 'packet' && other?.kind === 'packet-end') {
    covered(state, tested, AT_OR_BEFORE_END[holds]);
  } else if (tested?.kind === 'packet-end' && other?.kind === 'packet') {
    covered(state, other, AT_OR_BEFORE_END[MIRROR[holds] ?? holds]);
  }
}

/** Whether the branch at `slot` is taken, when it compares with null what a lookup is known to have found. */
export function decidedNull(code: Code, slot: number, state: State): boolean | undefined {
  const step = code.steps[slot];
  if (step?.does.kind !== 'branch') return undefined;
  const { insn, does } = step;
  if (does.bits !== 64 || does.operand !== 'imm' || insn.imm !== 0) return undefined;
  const pointer = state.regs[insn.dst];
  if (pointer?.kind !== 'element' || !pointer.nonNull || pointer.mixed) return undefined;
  if (pointer.offset !== 0 || pointer.slack !== 0) return undefined;
  return does.condition === 'ne' ? true : does.condition === 'eq' ? false : undefined;
}

/** Register `r` was compared with null and is not. What else may be null for reasons of its own stays unknown. */
function notNull(state: State, r: number): void {
  const pointer = state.regs[r];
  if (pointer?.kind === 'element' && pointer.offset === 0 && pointer.slack === 0) {
    state.regs[r] = { ...pointer, nonNull: true, mixed: false };
    rewrite(state, (p) =>
      p?.kind === 'element' && p.site === pointer.site && !p.mixed ? { ...p, nonNull: true } : p,
    );
  } else if (pointer?.kind === 'packet' && pointer.id !== undefined) {
    state.regs[r] = { ...pointer, nullable: false };
  }
}

/** `pointer CONDITION end` being true means: so many bytes more than up to the pointer are inside. */
const AT_OR_BEFORE_END: Partial<Record<ConditionName, number>> = { le: 0, lt: 1 };

/** The condition that holds with the operands exchanged, where it is another. */
const MIRROR: Partial<Record<ConditionName, ConditionName>> = {
  gt: 'lt',
  ge: 'le',
  le: 'ge',
  lt: 'gt',
  sgt: 'slt',
  sge: 'sle',
  sle: 'sge',
  slt: 'sgt',
};

/** The packet reaches to `pointer` and `more` bytes beyond. */
function covered(
  state: State,
  pointer: Extract<Provenance, { kind: 'packet' }>,
  more: number | undefined,
): void {
  if (more === undefined || pointer.id === undefined || pointer.offset === undefined || pointer.nullable)
    return;
  const range = pointer.offset + more;
  rewrite(state, (p) =>
    p?.kind === 'packet' && p.id === pointer.id && p.range < range ? { ...p, range } : p,
  );
}
