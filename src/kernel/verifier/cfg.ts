// The control-flow graph, walked once before anything is simulated: all instructions are reached, jumps land on
// instructions, and where states are compared and steps remembered is marked (Linux: check_cfg).

import { Errno } from '../../bpf/errno.js';
import { CallSource, InsnClass, JumpOp } from '../../isa/opcodes.js';
import {
  callTarget,
  isFunctionAddress,
  isHelperCall,
  isKfuncCall,
  isLdImm64,
  isMayGoto,
  jumpTarget,
} from './functions.js';
import { kfuncAt } from './kfuncs.js';
import { helperSignature } from './tables/helper-signatures.js';
import { Mark, type Verifier } from './verifier.js';

const DISCOVERED = 0x10;
const EXPLORED = 0x20;
const FALLTHROUGH = 1;
const BRANCH = 2;

/** Which instructions may follow slot `i` in the same function; calls come back to the next. Reuses `out`. */
export function successors(v: Verifier, i: number, out: number[]): number[] {
  out.length = 0;
  const code = v.code[i] as number;
  const cls = code & 7;
  if (cls !== InsnClass.JMP && cls !== InsnClass.JMP32) {
    out.push(i + (isLdImm64(v, i) ? 2 : 1));
    return out;
  }
  const op = code & 0xf0;
  if (op === JumpOp.EXIT) return out;
  if (op === JumpOp.CALL) {
    out.push(i + 1);
    return out;
  }
  if (op !== JumpOp.JA) out.push(i + 1);
  out.push(jumpTarget(v, i));
  return out;
}

function mark(v: Verifier, slot: number, bits: number): void {
  v.marks[slot] = (v.marks[slot] as number) | bits;
}

class Walk {
  readonly #v: Verifier;
  readonly #state: Uint8Array;
  readonly #stack: Int32Array;
  #depth = 0;

  constructor(v: Verifier) {
    this.#v = v;
    this.#state = new Uint8Array(v.length);
    this.#stack = new Int32Array(v.length + 1);
  }

  from(start: number): void {
    this.#state[start] = DISCOVERED;
    this.#stack[0] = start;
    this.#depth = 1;
    while (this.#depth > 0) {
      const at = this.#stack[this.#depth - 1] as number;
      if (!this.#visit(at)) {
        this.#state[at] = EXPLORED;
        this.#depth--;
      }
    }
  }

  /** All instructions were reached, and none inside an `ld_imm64`. */
  finish(): void {
    const v = this.#v;
    for (let i = 0; i < v.length; i++) {
      if (this.#state[i] !== EXPLORED) v.reject(Errno.EINVAL, `unreachable insn ${i}`);
      if (!isLdImm64(v, i)) continue;
      if (this.#state[i + 1]) v.reject(Errno.EINVAL, `jump into the middle of ldimm64 insn ${i}`);
      i++;
    }
  }

  /** Follows an edge; true when there is something new at its end. */
  #edge(from: number, to: number, kind: number): boolean {
    const v = this.#v;
    const state = this.#state;
    if ((state[from] as number) >= (DISCOVERED | kind)) return false;
    if (to < 0 || to >= v.length) {
      this.#line(from, from);
      v.reject(Errno.EINVAL, `jump out of range from insn ${from} to ${to}`);
    }
    if (kind === BRANCH) mark(v, to, Mark.PRUNE | Mark.JUMP | Mark.TARGET);
    const there = state[to] as number;
    if (there === 0) {
      state[from] = DISCOVERED | kind;
      state[to] = DISCOVERED;
      if (this.#depth >= v.length) v.reject(Errno.E2BIG);
      this.#stack[this.#depth++] = to;
      return true;
    }
    if ((there & 0xf0) === DISCOVERED) {
      if (v.bpfCapable) return false;
      this.#line(from, from);
      this.#line(to, to);
      v.reject(Errno.EINVAL, `back-edge from insn ${from} to ${to}`);
    }
    state[from] = DISCOVERED | kind;
    return false;
  }

  #line(slot: number, shown: number): void {
    const text = this.#v.lines?.next(slot);
    if (text !== undefined) this.#v.log.write(`${shown}: ${text}\n`);
  }

  /** Visits the next edge of an instruction; false when there is no new one. */
  #visit(at: number): boolean {
    const v = this.#v;
    if (isFunctionAddress(v, at)) return this.#call(at, true);
    const code = v.code[at] as number;
    const cls = code & 7;
    if (cls !== InsnClass.JMP && cls !== InsnClass.JMP32) {
      return this.#edge(at, at + (isLdImm64(v, at) ? 2 : 1), FALLTHROUGH);
    }
    switch (code & 0xf0) {
      case JumpOp.EXIT:
        return false;
      case JumpOp.CALL:
        this.#markCall(at);
        return this.#call(at, v.src[at] === CallSource.LOCAL);
      case JumpOp.JA: {
        if (code & 8) return v.reject(Errno.EINVAL);
        const target = jumpTarget(v, at);
        if (this.#edge(at, target, FALLTHROUGH)) return true;
        mark(v, target, Mark.PRUNE | Mark.JUMP | Mark.TARGET);
        return false;
      }
      default:
        mark(v, at, isMayGoto(v, at) ? Mark.PRUNE | Mark.CHECKPOINT : Mark.PRUNE);
        return this.#edge(at, at + 1, FALLTHROUGH) || this.#edge(at, jumpTarget(v, at), BRANCH);
    }
  }

  #call(at: number, local: boolean): boolean {
    const v = this.#v;
    const next = at + (isLdImm64(v, at) ? 2 : 1);
    if (this.#edge(at, next, FALLTHROUGH)) return true;
    if (next < v.length) mark(v, next, Mark.PRUNE | Mark.JUMP);
    if (!local) return false;
    const target = callTarget(v, at);
    mark(v, at, Mark.PRUNE);
    const caller = v.subprogs[v.subprogAt(at)];
    const callee = v.subprogs[v.subprogAt(target)];
    if (caller && callee) {
      caller.changesPacket ||= callee.changesPacket;
      caller.mightSleep ||= callee.mightSleep;
    }
    return this.#edge(at, target, BRANCH);
  }

  #markCall(at: number): void {
    const v = this.#v;
    const subprog = v.subprogs[v.subprogAt(at)];
    let callback: 'now' | 'later' | undefined;
    if (isHelperCall(v, at)) {
      const signature = helperSignature(v.imm[at] as number);
      callback = signature?.callback;
      if (signature?.changesPacket && subprog) subprog.changesPacket = true;
      if (signature?.mightSleep === true && subprog) subprog.mightSleep = true;
    } else if (isKfuncCall(v, at)) {
      const kfunc = kfuncAt(v, at);
      callback = kfunc?.callback;
      if (kfunc?.flags.iterator === 'next') mark(v, at, Mark.PRUNE | Mark.CHECKPOINT | Mark.ITER_NEXT);
      if (kfunc?.flags.sleepable && subprog) subprog.mightSleep = true;
      if (kfunc?.changesPacket && subprog) subprog.changesPacket = true;
    }
    if (callback === 'later') mark(v, at, Mark.PRUNE);
    if (callback === 'now') mark(v, at, Mark.CALLBACK | Mark.CHECKPOINT | Mark.PRUNE | Mark.JUMP);
  }
}

/** Walks the graph from the main function, and from the exception callback. */
export function checkCfg(v: Verifier): void {
  const walk = new Walk(v);
  walk.from(0);
  const exception = v.subprogs.find(({ isExceptionCallback }) => isExceptionCallback);
  if (exception) walk.from(exception.start);
  walk.finish();
}

/**
 * Numbers the strongly connected components of each function's graph (Tarjan), from 1; an instruction that is in no
 * loop has 0.
 */
export function findComponents(v: Verifier): void {
  const n = v.length;
  const index = new Int32Array(n);
  const low = new Int32Array(n);
  const onStack = new Uint8Array(n);
  const stack: number[] = [];
  const work: number[] = [];
  const next: number[] = [];
  const cursor = new Uint8Array(n);
  let counter = 1;
  let component = 0;
  for (let root = 0; root < n; root++) {
    if (index[root] || (root > 0 && isLdImm64(v, root - 1))) continue;
    work.push(root);
    while (work.length > 0) {
      const at = work[work.length - 1] as number;
      if (!index[at]) {
        index[at] = low[at] = counter++;
        stack.push(at);
        onStack[at] = 1;
      }
      successors(v, at, next);
      let pushed = false;
      for (let c = cursor[at] as number; c < next.length; c++) {
        const to = next[c] as number;
        if (!index[to]) {
          cursor[at] = c;
          work.push(to);
          pushed = true;
          break;
        }
        if (onStack[to]) low[at] = Math.min(low[at] as number, low[to] as number);
      }
      if (pushed) continue;
      work.pop();
      if (low[at] !== index[at]) continue;
      const members: number[] = [];
      for (let member = stack.pop(); member !== undefined; member = stack.pop()) {
        onStack[member] = 0;
        members.push(member);
        if (member === at) break;
      }
      const loops = members.length > 1 || successors(v, at, next).includes(at);
      if (!loops) continue;
      component++;
      for (const member of members) v.component[member] = component;
    }
  }
}
