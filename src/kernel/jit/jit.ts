// The JIT as an engine: a program's module, its instance, and the change to optimised code when it gets hot.

import type { RunnableProgram, RunOutcome } from '../engine.js';
import { catchFault } from '../memory/fault.js';
import { type KernelMemory, layout } from '../memory/memory.js';
import type { Code } from './code.js';
import { marked, moduleCompiler } from './compiler.js';
import { type CompiledProgram, compileProgram, type JitOptions } from './module.js';

/** Runs after which a program counts as hot; optimising costs about as much as this many short runs save. */
const HOT = 1000;

/**
 * The entries of all compiled programs, for tail calls. Entry 0 stays empty: "not compiled". V8 (that of Node 20 and 22)
 * keeps every instance that has imported a table as long as the table, so that there is a new one whenever no program is
 * left.
 */
export class ProgramTable {
  #table = newTable();
  #free: number[] = [];
  #next = 1;
  #live = 0;

  get table(): WebAssembly.Table {
    return this.#table;
  }

  add(entry: CallableFunction): number {
    const index = this.#free.pop() ?? this.#next++;
    if (index >= this.#table.length) this.#table.grow(this.#table.length);
    this.#table.set(index, entry);
    this.#live++;
    return index;
  }

  replace(index: number, entry: CallableFunction): void {
    this.#table.set(index, entry);
  }

  remove(index: number): void {
    this.#table.set(index, null);
    this.#free.push(index);
    if (--this.#live > 0) return;
    this.#table = newTable();
    this.#free = [];
    this.#next = 1;
  }
}

const newTable = (): WebAssembly.Table => new WebAssembly.Table({ element: 'anyfunc', initial: 64 });

interface ModuleExports {
  main: CallableFunction;
  /** Only when the program takes addresses of its functions. */
  callback?: CallableFunction;
  run(program: number, frames: number, count: number, stride: number, budget: number, stack: number): void;
}

export class JitProgram implements RunnableProgram {
  readonly #bytes: Uint8Array;
  /** Functions of the module, with what is where in them. */
  readonly functions: CompiledProgram['functions'];
  readonly #mayRunLong: boolean;
  readonly #memory: KernelMemory;
  readonly #table: ProgramTable;
  readonly #cpu: number;
  readonly #program: number;
  #exports: ModuleExports;
  #runs = 0;
  #optimized = false;
  #disposed = false;

  private constructor(
    { bytes, functions, mayRunLong }: CompiledProgram,
    module: WebAssembly.Module,
    memory: KernelMemory,
    table: ProgramTable,
    cpu: number,
    program: number,
  ) {
    this.#bytes = bytes;
    this.functions = functions;
    this.#mayRunLong = mayRunLong;
    this.#memory = memory;
    this.#table = table;
    this.#cpu = cpu;
    this.#program = program;
    this.#exports = this.#instantiate(module);
    memory.setU32(program + layout.Program_entry, table.add(this.#exports.main));
    const { callback } = this.#exports;
    if (callback) memory.setU32(program + layout.Program_callback, memory.callbacks.add(callback));
  }

  /** Compiles `code`. `cpu` and `program` are addresses of a Cpu and a Program. */
  static async load(
    code: Code,
    options: JitOptions,
    memory: KernelMemory,
    table: ProgramTable,
    cpu: number,
    program: number,
  ): Promise<JitProgram> {
    const compiled = compileProgram(code, options);
    const module = await moduleCompiler().baseline(compiled.bytes);
    return new JitProgram(compiled, module, memory, table, cpu, program);
  }

  get #callbackIndex(): number {
    return this.#memory.u32(this.#program + layout.Program_callback);
  }

  get codeSize(): number {
    return this.#bytes.length;
  }

  /** The WebAssembly binary, as it was made. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  #instantiate(module: WebAssembly.Module): ModuleExports {
    const instance = new WebAssembly.Instance(module, {
      env: {
        memory: this.#memory.memory,
        cpu: new WebAssembly.Global({ value: 'i32', mutable: false }, this.#cpu),
        programs: this.#table.table,
      },
      runtime: this.#memory.runtime as unknown as WebAssembly.ModuleImports,
    });
    return instance.exports as unknown as ModuleExports;
  }

  async prepare(runs: number): Promise<void> {
    this.#runs += runs;
    // V8 replaces no function that is running, so what may run long must be good from the first run on.
    if (this.#optimized || (this.#runs < HOT && !this.#mayRunLong)) return;
    this.#optimized = true;
    const module = await moduleCompiler().optimized(marked(this.#bytes));
    if (this.#disposed) return;
    this.#exports = this.#instantiate(module);
    this.#table.replace(this.#memory.u32(this.#program + layout.Program_entry), this.#exports.main);
    const { callback } = this.#exports;
    if (callback) this.#memory.callbacks.replace(this.#callbackIndex, callback);
  }

  run(frames: number, from: number, count: number, stride: number, budget: number): RunOutcome {
    const cpu = this.#cpu;
    this.#memory.setU32(cpu + layout.Cpu_frameIndex, from);
    const stack = this.#memory.u32(cpu + layout.Cpu_stackEnd) - layout.STACK_FRAME;
    const fault = catchFault(this.#memory, cpu, () => {
      this.#exports.run(this.#program, frames, count, stride, budget, stack);
    });
    return { index: fault ? this.#memory.u32(cpu + layout.Cpu_frameIndex) : count, fault };
  }

  dispose(): void {
    this.#disposed = true;
    this.#table.remove(this.#memory.u32(this.#program + layout.Program_entry));
    this.#memory.setU32(this.#program + layout.Program_entry, 0);
    if (this.#callbackIndex) this.#memory.callbacks.remove(this.#callbackIndex);
    this.#memory.setU32(this.#program + layout.Program_callback, 0);
  }
}
