// Raw instructions on an engine, without a kernel around them: r1 points to the memory, r2 is its length in
// bytes, and r0 comes back whole. The memory is the program's packet, so legacy loads reach it too.

import { Interpreter } from '../../src/kernel/interpreter/interpreter.js';
import { KernelMemory, layout } from '../../src/kernel/memory/memory.js';

/** The engines that `runRaw` knows. */
export const ENGINES = ['interpreter'] as const;

export type Engine = (typeof ENGINES)[number];

/** Instructions that a run may take. */
export const BUDGET = 100_000_000;

/** A machine with one CPU and room for one program. */
export class Machine {
  readonly memory: KernelMemory;
  readonly cpu: number;
  readonly program: number;
  readonly interpreter: Interpreter;
  #code = 0;
  #codeSize = 0;
  #packet = 0;
  #packetSize = 0;

  constructor() {
    this.memory = new KernelMemory({
      callHost: (_cpu, helper) => {
        throw new Error(`helper ${helper} is not here`);
      },
      now: () => 0,
    });
    this.cpu = this.#alloc(layout.Cpu_size);
    this.program = this.#alloc(layout.Program_size);
    const stack = this.#alloc(layout.STACK_SIZE);
    this.memory.setU32(this.cpu + layout.Cpu_stackStart, stack);
    this.memory.setU32(this.cpu + layout.Cpu_stackEnd, stack + layout.STACK_SIZE);
    this.interpreter = new Interpreter(this.memory, this.cpu);
  }

  #alloc(size: number): number {
    const at = this.memory.alloc(size);
    if (at === undefined) throw new RangeError('out of memory');
    return at;
  }

  /** Lays out the program and its memory; r2 is set by an instruction before the program's first. */
  load(code: Uint8Array, packet: Uint8Array): void {
    const { memory, cpu, program } = this;
    if (this.#codeSize < code.length + 8) {
      if (this.#code) memory.free(this.#code);
      this.#codeSize = 2 * (code.length + 8);
      this.#code = this.#alloc(this.#codeSize);
    }
    if (!this.#packet || this.#packetSize < packet.length) {
      if (this.#packet) memory.free(this.#packet);
      this.#packetSize = 2 * packet.length + 16;
      this.#packet = this.#alloc(this.#packetSize);
    }
    memory.write(this.#code, Uint8Array.of(0xb7, 2, 0, 0, 0, 0, 0, 0));
    memory.setU32(this.#code + 4, packet.length);
    memory.write(this.#code + 8, code);
    memory.setU32(program + layout.Program_insns, this.#code);
    memory.setU32(program + layout.Program_insnCount, code.length / 8 + 1);
    memory.write(this.#packet, packet);
    memory.setU32(cpu + layout.Cpu_packetStart, this.#packet);
    memory.setU32(cpu + layout.Cpu_packetEnd, this.#packet + packet.length);
    memory.setU32(cpu + layout.Cpu_tailCalls, 0);
    memory.setU32(cpu + layout.Cpu_budget, BUDGET);
  }

  /** What r1 holds: the address of the memory. */
  get ctx(): bigint {
    return BigInt(this.#packet);
  }
}

let machine: Machine | undefined;

/** Runs `code` on `engine` with `memory`; r0, unsigned. Fails when the run does not come to its end. */
export function runRaw(engine: Engine, code: Uint8Array, memory: Uint8Array): bigint {
  machine ??= new Machine();
  machine.load(code, memory);
  switch (engine) {
    case 'interpreter': {
      const end = machine.interpreter.run(machine.program, machine.ctx);
      if (end.state === 'exited') return BigInt.asUintN(64, end.r0);
      if (end.state === 'running') throw new Error('the interpreter stopped before the end');
      const { kind, slot, address } = end.fault;
      throw new Error(`fault ${kind} at slot ${slot - 1}, address 0x${address.toString(16)}`);
    }
  }
}
