// What must hold of a program before anything else is asked: every instruction is one that exists, every jump lands
// on an instruction of its own function, every function ends, calls go to functions and to helpers that the
// program may call. Linux's verifier asks the same first (check_subprogs, check_cfg, check_attach).
// The engines rely on it.

import { BpfError, Errno } from '../../bpf/errno.js';
import type { Instruction } from '../../isa/instruction.js';
import { rowOf } from '../../isa/table.js';
import type { HelperDefinition } from '../helpers/definition.js';
import { type Constant, type Step, target, width } from '../jit/code.js';

/** Frames that a chain of calls may have (MAX_CALL_FRAMES). */
const MAX_CALL_FRAMES = 8;

export interface StructureRules {
  /** LD_ABS and LD_IND may be used. */
  readonly packetLoads: boolean;
  /** It uses an arena. */
  readonly arena?: boolean;
  /** Why a helper may not be called, or undefined when it may. */
  refuseHelper(id: number): string | undefined;
  /** The same of a kernel function. */
  refuseKfunc(slot: number, id: number): string | undefined;
  readonly helpers: (id: number) => HelperDefinition | undefined;
}

const refuse = (message: string, errno: Errno = Errno.EINVAL): never => {
  throw new BpfError('BPF_PROG_LOAD', errno, message, `${message}\n`);
};

/** The program by slot; `constants` are what its `ld_imm64`s stand for. Throws a BpfError (EINVAL, E2BIG) that says which instruction is wrong and why. */
export function checkStructure(
  insns: readonly Instruction[],
  constants: ReadonlyMap<number, Constant>,
  rules: StructureRules,
): (Step | undefined)[] {
  const steps: (Step | undefined)[] = [];
  for (const insn of insns) {
    const row = rowOf(insn);
    if (!row)
      return refuse(`unknown opcode ${insn.opcode.toString(16).padStart(2, '0')} insn ${steps.length}`);
    steps.push({ insn, does: row.semantics });
    if (row.semantics.kind === 'loadImm64') steps.push(undefined);
  }
  const starts = functionStarts(steps, constants);
  const callsOf = new Map<number, number[]>();
  starts.forEach((start, i) => {
    callsOf.set(start, checkFunction(steps, start, starts[i + 1] ?? steps.length, rules));
  });
  checkCallDepth(callsOf);
  return steps;
}

/** Where functions begin: at 0 and where local calls and function addresses lead. */
function functionStarts(
  steps: readonly (Step | undefined)[],
  constants: ReadonlyMap<number, Constant>,
): number[] {
  const starts = new Set<number>([0]);
  const begin = (slot: number, to: number) => {
    if (!steps[to]) refuse(`call to invalid destination: insn ${slot} goes to ${to}`);
    starts.add(to);
  };
  steps.forEach((step, slot) => {
    if (step?.does.kind === 'call' && step.does.target === 'local') begin(slot, target(slot, step));
  });
  for (const [slot, constant] of constants) if (constant.kind === 'function') begin(slot, constant.entry);
  return [...starts].sort((a, b) => a - b);
}

/** Checks the function [start, end) and returns the functions that it calls. */
function checkFunction(
  steps: readonly (Step | undefined)[],
  start: number,
  end: number,
  rules: StructureRules,
): number[] {
  const calls: number[] = [];
  const jumpTo = (slot: number, to: number) => {
    if (to < start || to >= end) refuse(`jump out of range from insn ${slot} to ${to}`);
    if (!steps[to]) refuse(`jump into the middle of ldimm64 insn ${to - 1} from insn ${slot}`);
  };
  const reached = new Set<number>();
  const work = [start];
  for (let from = work.pop(); from !== undefined; from = work.pop()) {
    for (let slot = from; !reached.has(slot); ) {
      reached.add(slot);
      const step = steps[slot];
      if (!step) return refuse(`no instruction at ${slot}`);
      const { does, insn } = step;
      const next = slot + width(step);
      if (insn.dst === 10 && writesDst(step))
        refuse(`frame pointer is read only: insn ${slot}`, Errno.EACCES);
      switch (does.kind) {
        case 'jumpIndirect':
          refuse(`insn ${slot}: gotox (indirect jump) is not supported by the emulated kernel yet`);
          break;
        case 'packetLoad':
          if (!rules.packetLoads)
            refuse(`insn ${slot}: BPF_LD_[ABS|IND] instructions not allowed for this program type`);
          break;
        case 'addrSpaceCast':
          if (!rules.arena) {
            refuse(
              `insn ${slot}: addr_space_cast insn can only be used in a program that has an associated arena`,
            );
          }
          break;
        case 'call':
          if (does.target === 'local') calls.push(target(slot, step));
          else if (does.target === 'helper') {
            const why = rules.refuseHelper(insn.imm);
            if (why) refuse(`insn ${slot}: ${why}`);
          } else if (does.target === 'kfunc') {
            const why = rules.refuseKfunc(slot, insn.imm);
            if (why) refuse(`insn ${slot}: ${why}`);
          } else refuse(`insn ${slot}: callx (indirect call) is not supported by the emulated kernel yet`);
      }
      if (does.kind === 'exit') break;
      if (does.kind === 'jump' || does.kind === 'branch' || does.kind === 'mayGoto') {
        const to = target(slot, step);
        jumpTo(slot, to);
        work.push(to);
        if (does.kind === 'jump') break;
      }
      if (next >= end)
        refuse(`last insn is not an exit or jmp: the function at insn ${start} runs past insn ${slot}`);
      slot = next;
    }
  }
  // Linux refuses unreachable code; so that jumps of it cannot be wrong, neither do we let it through. In what the verifier
  // has accepted there is none, but for exits in the place of what no path comes to.
  for (let slot = start; slot < end; slot++) {
    if (!reached.has(slot) && steps[slot] && steps[slot]?.does.kind !== 'exit')
      refuse(`unreachable insn ${slot}`);
  }
  return calls;
}

function writesDst({ does }: Step): boolean {
  switch (does.kind) {
    case 'alu':
    case 'neg':
    case 'movsx':
    case 'byteOrder':
    case 'addrSpaceCast':
    case 'loadImm64':
    case 'load':
    case 'loadAcquire':
      return true;
    default:
      return false;
  }
}

function checkCallDepth(callsOf: ReadonlyMap<number, readonly number[]>): void {
  const depth = new Map<number, number>();
  const active = new Set<number>();
  const visit = (fn: number): number => {
    const known = depth.get(fn);
    if (known !== undefined) return known;
    if (active.has(fn)) {
      // Linux goes down until there are too many frames.
      refuse(`recursive call: the function at insn ${fn} calls itself`, Errno.E2BIG);
    }
    if (active.size >= MAX_CALL_FRAMES) {
      refuse(`the call stack of ${active.size + 1} frames is too deep`, Errno.E2BIG);
    }
    active.add(fn);
    let deepest = 0;
    for (const callee of callsOf.get(fn) ?? []) deepest = Math.max(deepest, visit(callee));
    active.delete(fn);
    depth.set(fn, deepest + 1);
    return deepest + 1;
  };
  if (visit(0) > MAX_CALL_FRAMES) refuse(`the call stack of ${visit(0)} frames is too deep`, Errno.E2BIG);
}
