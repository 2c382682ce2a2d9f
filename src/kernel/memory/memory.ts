// The kernel's address space: one linear memory with the runtime inside it.
//
// A kernel pointer is POINTER_BASE | offset. Growing the memory replaces its buffer, so nobody keeps a view
// across a call that may allocate: ask `u8` and `view` again, they are cheap.

import { layout, type RuntimeFunction, runtimeBase64 } from './runtime.generated.js';

export { layout };

/** Upper half of every kernel pointer. */
export const POINTER_BASE = layout.POINTER_BASE;

/** What the runtime asks of its host. */
export interface RuntimeHost {
  /** Runs a helper that lives in the host: arguments and result are in the CPU's arg1..arg5 and result. */
  callHost(cpu: number, helper: number): void;
  /** Nanoseconds of CLOCK_MONOTONIC. */
  now(): number;
}

export type RuntimeExports = Record<RuntimeFunction, (...args: never[]) => unknown> & {
  alloc(size: number): number;
  free(at: number): void;
};

let compiled: WebAssembly.Module | undefined;

/** The runtime's module, compiled once for all kernels. */
function runtimeModule(): WebAssembly.Module {
  if (!compiled) {
    const binary = atob(runtimeBase64);
    const bytes = new Uint8Array(binary.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
    compiled = new WebAssembly.Module(bytes);
  }
  return compiled;
}

/** The runtime's table of functions: its own come first, then one of each compiled program that is called back. */
export class CallbackTable {
  /** More than the runtime has functions of its own in the table. */
  readonly table = new WebAssembly.Table({ element: 'anyfunc', initial: 64 });
  readonly #free: number[] = [];

  /** Index of `fn` from now on. */
  add(fn: CallableFunction): number {
    const index = this.#free.pop() ?? this.table.grow(1);
    this.table.set(index, fn);
    return index;
  }

  replace(index: number, fn: CallableFunction): void {
    this.table.set(index, fn);
  }

  remove(index: number): void {
    this.table.set(index, null);
    this.#free.push(index);
  }
}

export class KernelMemory {
  readonly memory: WebAssembly.Memory;
  readonly runtime: RuntimeExports;
  /** What the runtime calls in compiled programs. */
  readonly callbacks = new CallbackTable();
  #u8: Uint8Array;
  #view: DataView;

  /** `maximum` in bytes bounds the kernel's memory. */
  constructor(host: RuntimeHost, maximum = 2 ** 31) {
    this.memory = new WebAssembly.Memory({ initial: 16, maximum: Math.ceil(maximum / 65536) });
    const instance = new WebAssembly.Instance(runtimeModule(), {
      env: {
        memory: this.memory,
        table: this.callbacks.table,
        abort: () => {
          throw new RangeError('the kernel is out of memory');
        },
      },
      host: { call_host: (cpu: number, helper: number) => host.callHost(cpu, helper), now: () => host.now() },
    });
    this.runtime = instance.exports as unknown as RuntimeExports;
    this.#u8 = new Uint8Array(this.memory.buffer);
    this.#view = new DataView(this.memory.buffer);
  }

  /** All of the memory as bytes, as it is now. */
  get u8(): Uint8Array {
    if (this.#u8.buffer !== this.memory.buffer) this.#u8 = new Uint8Array(this.memory.buffer);
    return this.#u8;
  }

  /** All of the memory as a little-endian view, as it is now. */
  get view(): DataView {
    if (this.#view.buffer !== this.memory.buffer) this.#view = new DataView(this.memory.buffer);
    return this.#view;
  }

  /** Zeroed memory, 16-byte aligned; undefined when there is not enough. */
  alloc(size: number): number | undefined {
    try {
      return this.runtime.alloc(size) >>> 0;
    } catch (error) {
      if (error instanceof WebAssembly.RuntimeError || error instanceof RangeError) return undefined;
      throw error;
    }
  }

  free(at: number): void {
    this.runtime.free(at);
  }

  u32(at: number): number {
    return this.view.getUint32(at, true);
  }

  setU32(at: number, value: number): void {
    this.view.setUint32(at, value, true);
  }

  /** A copy of `size` bytes at `at`. */
  read(at: number, size: number): Uint8Array {
    return this.u8.slice(at, at + size);
  }

  write(at: number, bytes: Uint8Array): void {
    this.u8.set(bytes, at);
  }
}
