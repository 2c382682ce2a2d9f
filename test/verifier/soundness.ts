// Runs programs one instruction at a time and looks whether what the interpreter has in registers and on the stack is in
// what the verifier claimed of that instruction, on some path with the same callers.
//
// The verifier follows every path to its end for it (observer.ts): where it leaves a path because an earlier one covers it,
// numbers that do not matter may be others.

import type { RunnableProgram, RunOutcome } from '../../src/kernel/engine.js';
import { Interpreter } from '../../src/kernel/interpreter/interpreter.js';
import { EmulatedKernel } from '../../src/kernel/kernel.js';
import { layout, POINTER_BASE } from '../../src/kernel/memory/memory.js';
import { type Address, layout as L } from '../../src/kernel/verifier/domain.js';
import { observe } from '../../src/kernel/verifier/observer.js';
import type { Verifier } from '../../src/kernel/verifier/verifier.js';

/** Paths may be many: beyond so many instructions a program is left out. */
const MOST_STEPS = 20_000;
/** Instructions of one run that are looked at. */
const MOST_RUN = 500;

export class TooManyPaths extends Error {}

/** What is claimed of a number, as words: tnum and bounds. */
interface Claim {
  readonly value: bigint;
  readonly mask: bigint;
  readonly umin: bigint;
  readonly umax: bigint;
  readonly smin: bigint;
  readonly smax: bigint;
  readonly low: readonly [umin: number, umax: number, smin: number, smax: number];
}

/** What a register or eight bytes of the stack are claimed to be; undefined: nothing that could be wrong. */
type Cell = Claim | 'not null' | 'zero' | undefined;

interface State {
  readonly registers: readonly Cell[];
  /** By slot below the frame pointer of the running function. */
  readonly stack: readonly Cell[];
}

const within = (cell: Cell, x: bigint): boolean => {
  if (cell === undefined) return true;
  if (cell === 'not null') return x !== 0n;
  if (cell === 'zero') return x === 0n;
  const signed = BigInt.asIntN(64, x);
  const low = Number(x & 0xffff_ffffn);
  const [umin, umax, smin, smax] = cell.low;
  return (
    (x & ~cell.mask) === cell.value &&
    cell.umin <= x &&
    x <= cell.umax &&
    cell.smin <= signed &&
    signed <= cell.smax &&
    umin <= low &&
    low <= umax &&
    smin <= (low | 0) &&
    (low | 0) <= smax
  );
};

function claimOf({ d }: Verifier, r: Address): Cell {
  const type = d.type(r);
  if (type !== L.SCALAR) {
    // A pointer; what may be null, and what was never written, is not looked at.
    return type === L.NOT_INIT || type & L.MAYBE_NULL ? undefined : 'not null';
  }
  const big = (field: number) => BigInt.asUintN(64, d.big(r, field));
  return {
    value: big(L.Reg_value),
    mask: big(L.Reg_mask),
    umin: big(L.Reg_umin),
    umax: big(L.Reg_umax),
    smin: d.big(r, L.Reg_smin),
    smax: d.big(r, L.Reg_smax),
    low: [d.u32min(r), d.u32max(r), d.s32min(r), d.s32max(r)],
  };
}

function stateOf(v: Verifier): State {
  const { d, frame } = v;
  const registers = Array.from({ length: 10 }, (_, i) => claimOf(v, d.reg(frame, i)));
  const stack = Array.from({ length: d.slots(frame) }, (_, slot): Cell => {
    const bytes = Array.from({ length: 8 }, (_, i) => d.slotByte(frame, slot, i));
    if (bytes.every((byte) => byte === L.SLOT_SPILL)) return claimOf(v, d.slotReg(frame, slot));
    return bytes.every((byte) => byte === L.SLOT_ZERO) ? 'zero' : undefined;
  });
  return { registers, stack };
}

/** The claims of one program: states by the slots of the calls that lead to an instruction, and its own. */
class Claims {
  readonly #states = new Map<string, State[]>();
  #verifier: Verifier | undefined;
  #steps = 0;

  add(v: Verifier): void {
    if (this.#verifier !== v) {
      // Begun again: the kernel's types were missing, or a log is wanted.
      this.#verifier = v;
      this.#states.clear();
      this.#steps = 0;
    }
    if (++this.#steps > MOST_STEPS) throw new TooManyPaths();
    const callers: number[] = [];
    for (let i = 1; i <= v.frameNumber; i++) callers.push(v.d.get(v.d.frame(v.state, i), L.Frame_callsite));
    const key = [...callers, v.insn].join();
    const states = this.#states.get(key);
    if (states) states.push(stateOf(v));
    else this.#states.set(key, [stateOf(v)]);
  }

  /** What is wrong with the interpreter's state; undefined when a claim holds it. */
  violation(key: string, registers: readonly bigint[], stack: (slot: number) => bigint): string | undefined {
    const states = this.#states.get(key);
    if (states === undefined) return `the verifier never came to ${key}`;
    const wrong = new Set<string>();
    for (const state of states) {
      const why = whatIsWrong(state, registers, stack);
      if (why === undefined) return undefined;
      wrong.add(why);
    }
    return `at ${key}: ${[...wrong].slice(0, 4).join('; ')}`;
  }
}

function whatIsWrong(
  state: State,
  registers: readonly bigint[],
  stack: (slot: number) => bigint,
): string | undefined {
  for (const [i, cell] of state.registers.entries()) {
    const x = registers[i] as bigint;
    if (!within(cell, x)) return `r${i} = 0x${x.toString(16)}: ${text(cell)}`;
  }
  for (const [i, cell] of state.stack.entries()) {
    if (cell !== undefined && !within(cell, stack(i))) {
      return `fp-${8 * (i + 1)} = 0x${stack(i).toString(16)}: ${text(cell)}`;
    }
  }
  return undefined;
}

const text = (cell: Cell): string =>
  JSON.stringify(cell, (_, value) => (typeof value === 'bigint' ? `0x${value.toString(16)}` : value));

export interface Observed {
  /** Instructions that were looked at while a program ran. */
  steps: number;
  violations: string[];
}

/** An emulated kernel whose programs are watched. */
export class WatchedKernel extends EmulatedKernel {
  readonly observed: Observed = { steps: 0, violations: [] };
  #claims = new Claims();

  constructor() {
    super({ engine: 'interpreter', cpus: 1 });
    const { installer } = this.machine;
    const install = installer.install.bind(installer);
    installer.install = async (resolved, definition, gplCompatible, _checked, ...rest) => {
      // Accesses are looked at too: one that is refused was accepted wrongly.
      const installed = await install(resolved, definition, gplCompatible, true, ...rest);
      const runnable = new Watched(this, installed.address, this.#claims);
      return { ...installed, runnable };
    };
  }

  get parts() {
    return this.machine;
  }

  override async progLoad(
    ...args: Parameters<EmulatedKernel['progLoad']>
  ): ReturnType<EmulatedKernel['progLoad']> {
    const claims = new Claims();
    this.#claims = claims;
    observe({ exhaustive: true, instruction: (v) => claims.add(v) });
    try {
      return await super.progLoad(...args);
    } finally {
      observe(undefined);
    }
  }
}

/** As the interpreter's engine, instruction by instruction (runtime/frames.ts). */
class Watched implements RunnableProgram {
  readonly codeSize = 0;
  readonly #kernel: WatchedKernel;
  readonly #address: number;
  readonly #claims: Claims;

  constructor(kernel: WatchedKernel, address: number, claims: Claims) {
    this.#kernel = kernel;
    this.#address = address;
    this.#claims = claims;
  }

  run(frames: number, from: number, count: number, stride: number, budget: number): RunOutcome {
    const { memory, cpu } = this.#kernel.parts;
    const interpreter = new Interpreter(memory, cpu);
    const field = (offset: number): number => memory.u32(this.#address + offset);
    for (let index = from; index < count; index++) {
      const at = frames + index * stride;
      memory.setU32(cpu + layout.Cpu_frameIndex, index);
      memory.setU32(cpu + layout.Cpu_ctx, at);
      memory.setU32(cpu + layout.Cpu_packetStart, memory.u32(at + field(layout.Program_startField)));
      memory.setU32(cpu + layout.Cpu_packetEnd, memory.u32(at + field(layout.Program_endField)));
      memory.setU32(cpu + layout.Cpu_tailCalls, 0);
      memory.setU32(cpu + layout.Cpu_budget, budget);
      memory.setU32(cpu + layout.Cpu_redirectIfindex, 0);
      interpreter.begin(this.#address, POINTER_BASE | BigInt(at));
      for (let steps = 0; interpreter.state.state === 'running'; steps++) {
        // A program that was jumped to by a tail call has claims of its own.
        if (steps < MOST_RUN && interpreter.program === this.#address) this.#look(interpreter);
        interpreter.step();
      }
      const end = interpreter.state;
      if (end.state === 'faulted') {
        this.#kernel.observed.violations.push(`fault ${end.fault.kind} at ${end.fault.slot}`);
        return { index, fault: end.fault };
      }
      if (end.state !== 'exited') throw new Error('it goes on running');
      memory.view.setBigUint64(at + field(layout.Program_resultField), end.r0, true);
      memory.setU32(at + field(layout.Program_redirectField), memory.u32(cpu + layout.Cpu_redirectIfindex));
    }
    memory.setU32(cpu + layout.Cpu_frameIndex, count);
    return { index: count, fault: undefined };
  }

  #look(interpreter: Interpreter): void {
    const { observed } = this.#kernel;
    const { memory } = this.#kernel.parts;
    const { registers } = interpreter;
    const key = [...interpreter.callers.map(({ slot }) => slot - 1), interpreter.slot].join();
    const frame = Number((registers[10] as bigint) & 0xffff_ffffn);
    const stack = (slot: number) => memory.view.getBigUint64(frame - 8 * (slot + 1), true);
    observed.steps++;
    const wrong = this.#claims.violation(key, registers, stack);
    if (wrong !== undefined && observed.violations.length < 20) observed.violations.push(wrong);
  }

  async prepare(): Promise<void> {}

  dispose(): void {}
}
