// Raw instructions on an engine, without a kernel around them: r1 points to the memory, r2 is its length in
// bytes, and r0 comes back whole. The memory is the packet of a frame, so legacy loads reach it too.

import { decode, encode } from '../../src/isa/index.js';
import { InterpretedProgram } from '../../src/kernel/interpreter/engine.js';
import { JitProgram, ProgramTable } from '../../src/kernel/jit/jit.js';
import { KernelMemory, layout } from '../../src/kernel/memory/memory.js';
import { XdpArena } from '../../src/kernel/programs/xdp-run.js';
import { RAW_PROLOGUE, runRaw as runFrame } from '../../src/kernel/raw.js';
import { checkStructure } from '../../src/kernel/verifier/structure.js';

/** The engines that `runRaw` knows. */
export const ENGINES = ['interpreter', 'jit'] as const;

export type Engine = (typeof ENGINES)[number];

/** Instructions that a run may take. */
export const BUDGET = 100_000_000;

const CONTEXT = { size: 24, packetFields: [0, 4, 8] };

/** A machine with one CPU, no maps and no helpers. */
export class Machine {
  readonly memory = new KernelMemory({
    callHost: (_cpu, helper) => {
      throw new Error(`helper ${helper} is not here`);
    },
    now: () => 0,
  });
  readonly cpu = this.alloc(layout.Cpu_size);
  /** Address of a Program, filled in by `load`. */
  readonly program = this.alloc(layout.Program_size);
  readonly arena = new XdpArena(this.memory);
  readonly #table = new ProgramTable();
  #code = 0;
  #codeSize = 0;

  constructor() {
    const stack = this.alloc(layout.STACK_SIZE);
    this.memory.setU32(this.cpu + layout.Cpu_stackStart, stack);
    this.memory.setU32(this.cpu + layout.Cpu_stackEnd, stack + layout.STACK_SIZE);
    this.memory.setU32(this.program + layout.Program_ctxSize, CONTEXT.size);
  }

  alloc(size: number): number {
    const at = this.memory.alloc(size);
    if (at === undefined) throw new RangeError('out of memory');
    return at;
  }

  /** Lays `code` out for the interpreter. */
  load(code: Uint8Array): void {
    if (this.#codeSize < code.length) {
      if (this.#code) this.memory.free(this.#code);
      this.#codeSize = 2 * code.length;
      this.#code = this.alloc(this.#codeSize);
    }
    this.memory.write(this.#code, code);
    this.memory.setU32(this.program + layout.Program_insns, this.#code);
    this.memory.setU32(this.program + layout.Program_insnCount, code.length / 8);
  }

  /** r0 of `code` over `data`. Fails when the program cannot be loaded or does not come to its end. */
  async run(engine: Engine, code: Uint8Array, data: Uint8Array): Promise<bigint> {
    const insns = [...RAW_PROLOGUE, ...decode(code)];
    if (engine === 'interpreter') {
      this.load(encode(insns));
      const program = new InterpretedProgram(this.memory, this.cpu, this.program);
      return await runFrame(this.memory, this.arena, program, data, BUDGET);
    }
    const rules = { packetLoads: true, helpers: () => undefined, refuseHelper: () => 'no helper is here' };
    const program = await JitProgram.load(
      { steps: checkStructure(insns, rules), constants: new Map(), context: CONTEXT },
      { checked: true, helpers: () => undefined },
      this.memory,
      this.#table,
      this.cpu,
      this.program,
    );
    try {
      return await runFrame(this.memory, this.arena, program, data, BUDGET);
    } finally {
      program.dispose();
    }
  }
}

let machine: Machine | undefined;

/** Runs `code` on `engine` with r1 = address and r2 = length of a copy of `memory`; r0, unsigned. */
export function runRaw(engine: Engine, code: Uint8Array, memory: Uint8Array): Promise<bigint> {
  machine ??= new Machine();
  return machine.run(engine, code, memory);
}
