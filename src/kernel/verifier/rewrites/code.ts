// A program that is being rewritten: instructions in a list, where jumps and calls hold what they lead to, so that
// instructions can come and go without a number being wrong.
//
//     replace(b, [x, y])      a -> b -> c     becomes     a -> x -> y -> c
//
// Whoever jumped to b then jumps to x. What was found out about b holds for y, the last of them, as in Linux; b's source
// line begins at x.

import { InsnClass, JumpOp } from '../../../isa/opcodes.js';

export const LD_IMM64 = 0x18;
export const CALL = InsnClass.JMP | JumpOp.CALL;
export const JA = InsnClass.JMP | JumpOp.JA;
export const GOTOL = InsnClass.JMP32 | JumpOp.JA;

/** Where a jump of a replacement leads: so many instructions on, counted from the next one. */
export type Skip = number;

export interface InsnFields {
  code: number;
  dst: number;
  src: number;
  off: number;
  imm: number;
  /** Upper half of an `ld_imm64`. */
  high?: number | undefined;
  /** The kernel's function that is called, or the object whose address is loaded. */
  symbol?: string | undefined;
  /** In a replacement: where a jump leads. `target` instead when it is not in the replacement. */
  skip?: Skip;
  target?: Insn | undefined;
}

export class Insn implements InsnFields {
  code: number;
  dst: number;
  src: number;
  off: number;
  imm: number;
  high: number | undefined;
  symbol: string | undefined;
  /** What a jump, a local call or an address of a function leads to. */
  target: Insn | undefined;
  /** Slot of the verified program whose facts hold for this instruction; -1: none. */
  origin = -1;
  /** The verifier came to it, or to what it stands for. */
  seen = true;
  /** Number of the record of line information that begins here; -1: none. */
  line = -1;
  previous: Insn | undefined;
  next: Insn | undefined;
  /** Where those who led here are led now that it is gone; null: beyond the end. */
  moved: Insn | null | undefined;

  constructor(fields: InsnFields) {
    this.code = fields.code;
    this.dst = fields.dst;
    this.src = fields.src;
    this.off = fields.off;
    this.imm = fields.imm;
    this.high = fields.high;
    this.symbol = fields.symbol;
    this.target = fields.target;
  }

  get slots(): 1 | 2 {
    return this.code === LD_IMM64 ? 2 : 1;
  }
  get class(): number {
    return this.code & 7;
  }
  get op(): number {
    return this.code & 0xf0;
  }
  get isJump(): boolean {
    return this.class === InsnClass.JMP || this.class === InsnClass.JMP32;
  }
  /** Whether its target is where it may go on (jumps), not what it calls. */
  get isBranch(): boolean {
    return this.isJump && this.op !== JumpOp.CALL && this.op !== JumpOp.EXIT;
  }
  get isCall(): boolean {
    return this.code === CALL;
  }

  /** The fields, for a replacement that holds this instruction or one like it. */
  copy(changes: Partial<InsnFields> = {}): InsnFields {
    const { code, dst, src, off, imm, high, symbol, target } = this;
    return {
      code,
      dst,
      src,
      off,
      imm,
      ...(high === undefined ? {} : { high }),
      ...(symbol === undefined ? {} : { symbol }),
      ...(target === undefined ? {} : { target }),
      ...changes,
    };
  }
}

/** A function of the program. */
export interface Func {
  start: Insn;
  /** Its number among the functions that were verified. */
  readonly number: number;
  /** Bytes of stack, with what rewriting needs. */
  stackDepth: number;
}

export class Code {
  first: Insn | undefined;
  last: Insn | undefined;
  funcs: Func[] = [];

  append(insn: Insn): void {
    insn.previous = this.last;
    if (this.last) this.last.next = insn;
    else this.first = insn;
    this.last = insn;
  }

  /** All instructions; those that are put in or taken out meanwhile do not disturb. */
  *[Symbol.iterator](): Generator<Insn> {
    for (let insn = this.first; insn; ) {
      const { next } = insn;
      yield insn;
      insn = next;
    }
  }

  /** What stands now where `insn` stood; undefined: nothing, it was the end. */
  resolve(insn: Insn): Insn | undefined {
    let at: Insn | null = insn;
    while (at?.moved !== undefined) at = at.moved;
    return at ?? undefined;
  }

  /** Puts other instructions in the place of one, and gives them back. */
  replace(old: Insn, fields: readonly InsnFields[]): Insn[] {
    const insns = fields.map((one) => new Insn(one));
    fields.forEach(({ skip }, i) => {
      if (skip === undefined) return;
      const to = i + 1 + skip;
      if (to < 0 || to > insns.length) throw new RangeError('a jump of a replacement leads out of it');
      // One after the last leads to what follows.
      const target = to === insns.length ? old.next : insns[to];
      if (target) (insns[i] as Insn).target = target;
    });
    insns.forEach((insn, i) => {
      insn.seen = old.seen;
      insn.previous = insns[i - 1] ?? old.previous;
      insn.next = insns[i + 1] ?? old.next;
    });
    const [head, tail] = [insns[0] as Insn, insns[insns.length - 1] as Insn];
    if (old.previous) old.previous.next = head;
    else this.first = head;
    if (old.next) old.next.previous = tail;
    else this.last = tail;
    head.line = old.line;
    tail.origin = old.origin;
    old.moved = head;
    for (const func of this.funcs) if (func.start === old) func.start = head;
    return insns;
  }

  /** Jumps to an instruction that was replaced lead to `to`; calls still lead to the replacement's beginning. */
  redirect(old: Insn, to: Insn): void {
    const head = this.resolve(old);
    for (const insn of this) {
      if (insn.isBranch && insn.target && insn !== to && this.resolve(insn.target) === head) insn.target = to;
    }
  }

  /** Takes instructions out, `from` to `to`. The last of their source lines holds for what follows, unless that has its own. */
  remove(from: Insn, to: Insn): void {
    const { next } = to;
    const { previous } = from;
    const starts = new Set(this.funcs.map(({ start }) => start));
    let line = -1;
    for (let insn: Insn | undefined = from; insn && insn !== next; insn = insn.next) {
      if (insn.line >= 0) line = insn.line;
      insn.moved = next ?? null;
      if (starts.has(insn)) this.#moveFunction(insn, next, starts);
    }
    if (next && next.line < 0) next.line = line;
    if (next) next.previous = previous;
    else this.last = previous;
    if (previous) previous.next = next;
    else this.first = next;
  }

  /** A function whose first instruction goes begins with the next, or goes with it. */
  #moveFunction(old: Insn, next: Insn | undefined, starts: ReadonlySet<Insn>): void {
    const gone = next === undefined || starts.has(next);
    if (gone) this.funcs = this.funcs.filter(({ start }) => start !== old);
    else for (const func of this.funcs) if (func.start === old) func.start = next;
  }
}
