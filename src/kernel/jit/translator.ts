// What all parts of a function's translation share: the body being written, where the registers live, and the
// runtime's functions.

import type { HelperDefinition } from '../helpers/definition.js';
import { layout, POINTER_BASE } from '../memory/memory.js';
import type { Provenances } from './analysis.js';
import type { Callees } from './callees.js';
import type { Code, Step } from './code.js';
import type { Provenance } from './provenance.js';
import { FunctionBody, type FunctionType, I32, I64, Op, type ValueType } from './wasm.js';

/** A program's entry: the context, and the lower end of its stack frame. */
export const MAIN_TYPE: FunctionType = { params: [I64, I32], results: [I64] };
/** The registers that a program gets. */
export const MAIN_PARAMETERS: readonly number[] = [1];

/** A subprogram: those of r1 to r5 that it reads, and the lower end of its stack frame. */
export const subprogramType = (parameters: readonly number[]): FunctionType => ({
  params: [...parameters.map(() => I64 as typeof I64), I32],
  results: [I64],
});

/** Where a function of the program is written: its body, and the locals that it finds its arguments in. */
export interface Home {
  readonly body: FunctionBody;
  /** By register. */
  readonly arguments: ReadonlyMap<number, number>;
  /** The lower end of the stack frame (i32). */
  readonly frame: number;
  /** Goes back to the caller with r0, which is in this local. */
  leave(r0: number): void;
}

/** A WebAssembly function of its own. */
export function ownHome(parameters: readonly number[]): Home {
  const body = new FunctionBody(subprogramType(parameters));
  return {
    body,
    arguments: new Map(parameters.map((r, i) => [r, i])),
    frame: parameters.length,
    leave: (r0) => body.get(r0).op(Op.return),
  };
}

/** Bytes of one stack frame. */
export const FRAME = layout.STACK_FRAME;

export interface TranslationOptions {
  /** Check every access and keep to a budget, for programs that no verifier has accepted. */
  readonly checked: boolean;
  /** Hide the numbers that the program brought. */
  readonly blinded?: boolean;
  readonly helpers: (id: number) => HelperDefinition | undefined;
  /** Whether any helper that the program calls can move the packet. */
  readonly movesPacket: boolean;
  /** Whether it makes tail calls. */
  readonly tailCalls: boolean;
}

export class Translator {
  readonly code: Code;
  readonly callees: Callees;
  readonly options: TranslationOptions;
  readonly provenances: Provenances;
  readonly body: FunctionBody;
  /** The local that holds the lower end of the stack frame (i32). */
  readonly frame: number;
  readonly #home: Home;
  readonly #registers: number[] = [];
  #budget: number | undefined;
  readonly #scratch = new Map<string, number>();

  constructor(
    code: Code,
    callees: Callees,
    options: TranslationOptions,
    provenances: Provenances,
    home: Home,
  ) {
    this.code = code;
    this.callees = callees;
    this.options = options;
    this.provenances = provenances;
    this.#home = home;
    this.body = home.body;
    this.body.blinded = options.blinded ?? false;
    this.frame = home.frame;
    for (let r = 0; r <= 9; r++) this.#registers.push(home.arguments.get(r) ?? this.body.local(I64));
  }

  /** Leaves the function; r0 is its result. */
  leave(): void {
    this.#home.leave(this.#local(0));
  }

  step(slot: number): Step {
    const step = this.code.steps[slot];
    if (!step) throw new Error(`no instruction at ${slot}`);
    return step;
  }

  /** Where register `r` points before the instruction at `slot`. */
  provenance(slot: number, r: number): Provenance {
    return this.provenances.get(slot)?.[r];
  }

  /** Pushes register `r` (i64). */
  push(r: number): void {
    if (r < 10) {
      this.body.get(this.#local(r));
      return;
    }
    this.body.get(this.frame).i32(FRAME).op(Op.i32_add).op(Op.i64_extend_i32_u);
    this.body.i64big(POINTER_BASE).op(Op.i64_or);
  }

  /** Pushes the lower half of register `r` (i32). */
  push32(r: number): void {
    if (r < 10) this.body.get(this.#local(r)).op(Op.i32_wrap_i64);
    else this.body.get(this.frame).i32(FRAME).op(Op.i32_add);
  }

  /** Pops an i64 into register `r`. */
  pop(r: number): void {
    this.body.set(this.#local(r));
  }

  /** Pops an i32 into register `r`, whose upper half becomes zero. */
  pop32(r: number): void {
    this.body.op(Op.i64_extend_i32_u).set(this.#local(r));
  }

  #local(r: number): number {
    const local = this.#registers[r];
    if (local === undefined) throw new Error(`register r${r} cannot be written`);
    return local;
  }

  /** A local for a value that is used at once; `which` tells those apart that are needed together. */
  scratch(type: ValueType, which = 0): number {
    const key = `${type}:${which}`;
    const known = this.#scratch.get(key);
    if (known !== undefined) return known;
    const local = this.body.local(type);
    this.#scratch.set(key, local);
    return local;
  }

  /**
   * Keeps the instruction budget in a local from here on. It goes back to the CPU wherever another function
   * may use it: calls, tail calls and the return.
   */
  useBudget(): void {
    this.#budget = this.body.local(I32);
    this.loadBudget();
  }

  loadBudget(): void {
    if (this.#budget === undefined) return;
    this.loadCpu(layout.Cpu_budget);
    this.body.set(this.#budget);
  }

  storeBudget(): void {
    if (this.#budget === undefined) return;
    this.pushCpu();
    this.body.get(this.#budget).memory(Op.i32_store, layout.Cpu_budget);
  }

  /** Takes the pushed number of instructions (i32) from the budget and pushes whether it is overdrawn (i32). */
  pushOverdrawn(pushWeight: () => void): void {
    if (this.#budget === undefined) throw new Error('this function keeps no budget');
    this.body.get(this.#budget);
    pushWeight();
    this.body.op(Op.i32_sub).tee(this.#budget).i32(0).op(Op.i32_lt_s);
  }

  /** Pushes the CPU's address. */
  pushCpu(): void {
    this.body.op(Op.global_get).unsigned(0);
  }

  loadCpu(field: number): void {
    this.pushCpu();
    this.body.memory(Op.i32_load, field);
  }
}
