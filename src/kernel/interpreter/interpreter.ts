// The interpreter as TypeScript sees it. The core is runtime/interpreter.ts; this reads and writes its state
// in linear memory, so that a debugger can stop before any instruction, look at the registers and go on.

import { catchFault, type Fault } from '../memory/fault.js';
import { type KernelMemory, layout } from '../memory/memory.js';

/** A function that waits for another to return: the program it belongs to and where it goes on (slot). */
export interface CallFrame {
  readonly program: number;
  readonly slot: number;
}

/** How a run stands: still before an instruction, at its end with r0, or ended early. */
export type RunState =
  | { readonly state: 'running' }
  | { readonly state: 'exited'; readonly r0: bigint }
  | { readonly state: 'faulted'; readonly fault: Fault };

/**
 * The interpreter of one CPU (an address in linear memory). Programs, contexts and CPUs are addresses too. What
 * the CPU gives a run (context, packet, stack, budget, no tail calls yet) must be set up before `begin`.
 */
export class Interpreter {
  readonly #memory: KernelMemory;
  readonly #cpu: number;
  #fault: Fault | undefined;

  constructor(memory: KernelMemory, cpu: number) {
    this.#memory = memory;
    this.#cpu = cpu;
  }

  /** Runs `program` to its end. `ctx` is what r1 holds: an offset, or a pointer with POINTER_BASE. */
  run(program: number, ctx: bigint): RunState {
    const { runtime } = this.#memory;
    this.#fault = catchFault(this.#memory, this.#cpu, () => {
      runtime.interpret(this.#cpu as never, program as never, ctx as never);
    });
    return this.state;
  }

  /** Goes to the first instruction of `program`, with `ctx` in r1 and the end of the stack in r10. */
  begin(program: number, ctx: bigint): void {
    this.#fault = undefined;
    this.#memory.runtime.interpreter_begin(this.#cpu as never, program as never, ctx as never);
  }

  /** Runs `count` instructions more, fewer when the program ends before. `count` is below 2^32. */
  step(count = 1): RunState {
    if (this.#fault) return this.state;
    this.#fault = catchFault(this.#memory, this.#cpu, () => {
      this.#memory.runtime.interpreter_resume(this.#cpu as never, count as never);
    });
    return this.state;
  }

  get state(): RunState {
    if (this.#fault) return { state: 'faulted', fault: this.#fault };
    if (this.#field(layout.Interpreter_status) === layout.INTERPRETER_EXITED) {
      return { state: 'exited', r0: this.register(0) };
    }
    return { state: 'running' };
  }

  /** The next instruction, in slots of `program`; the last one when the run has ended. */
  get slot(): number {
    return this.#fault ? this.#fault.slot : this.#field(layout.Interpreter_slot);
  }

  /** Address of the Program whose instruction is next: after a tail call not the one that was begun with. */
  get program(): number {
    return this.#memory.u32(this.#cpu + layout.Cpu_program);
  }

  /** Instructions executed. After a fault, those of the last completed stretch. */
  get steps(): bigint {
    return this.#memory.view.getBigUint64(this.#at + layout.Interpreter_steps, true);
  }

  /** Register `index` (0 to 10), unsigned. */
  register(index: number): bigint {
    return this.#memory.view.getBigUint64(this.#register(index), true);
  }

  /** Sets register `index` (0 to 10) to the lower 64 bits of `value`. */
  setRegister(index: number, value: bigint): void {
    this.#memory.view.setBigUint64(this.#register(index), BigInt.asUintN(64, value), true);
  }

  /** r0 to r10, unsigned. */
  get registers(): bigint[] {
    return Array.from({ length: 11 }, (_, index) => this.register(index));
  }

  /** The functions that wait for the running one, outermost first. */
  get callers(): CallFrame[] {
    return Array.from({ length: this.#field(layout.Interpreter_depth) }, (_, index) => {
      const at = this.#at + layout.Interpreter_frames + index * layout.InterpreterFrame_size;
      return {
        program: this.#memory.u32(at + layout.InterpreterFrame_program),
        slot: this.#memory.u32(at + layout.InterpreterFrame_slot),
      };
    });
  }

  /** Address of the state; only after `begin` or `run`. */
  get #at(): number {
    return this.#memory.u32(this.#cpu + layout.Cpu_interpreter);
  }

  #field(offset: number): number {
    return this.#memory.u32(this.#at + offset);
  }

  #register(index: number): number {
    if (!Number.isInteger(index) || index < 0 || index > 10) throw new RangeError(`no register r${index}`);
    return this.#at + layout.Interpreter_registers + index * 8;
  }
}
