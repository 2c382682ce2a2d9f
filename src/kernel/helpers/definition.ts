// A helper is one definition: its signature, which is a row of the verifier's tables, and where its body is. The rows of
// the families here say the latter.

import type { KernelMemory } from '../memory/memory.js';

/** What an argument must be; the packed form for the runtime is ARG_* in runtime/layout.ts. */
export type ArgType =
  | 'anything'
  | 'ctx'
  | 'map'
  | 'prog-array'
  | 'perf-event-array'
  /** A ring buffer that programs write to. */
  | 'ringbuf'
  /** The data of a record of one that is being written. */
  | 'ringbuf-record'
  /** A map that packets are redirected to. */
  | 'redirect-map'
  /** Readable memory of the map's key size. */
  | 'map-key'
  /** Readable memory of the map's value size. */
  | 'map-value'
  /** Writable memory of the map's value size; for a Bloom filter, which only reads it, readable memory. */
  | 'map-value-out'
  /** Memory whose size is the next argument. */
  | 'read'
  | 'write'
  | 'read-or-null'
  | 'write-or-null'
  /** So many bytes that the helper writes. */
  | 'write-4'
  | 'write-8'
  /** An object of the kernel: only the verifier knows that it is one, so that no other program may pass it. */
  | 'verified';

/** What a helper that runs in the host sees: arguments as unsigned 64-bit, and the kernel around it. */
export interface HostCall {
  readonly memory: KernelMemory;
  /** Address of the Cpu. */
  readonly cpu: number;
  readonly cpuId: number;
  arg(index: 1 | 2 | 3 | 4 | 5): bigint;
  /** Whether there is a network device of this number. */
  hasDevice(ifindex: number): boolean;
  /** Who the CPU is with. */
  readonly task: { readonly name: string; readonly pid: number; readonly uid: number };
  /** Writes a line to trace_pipe. */
  trace(text: string): void;
}

/**
 * Where a helper runs. `runtime`: the runtime exports `bpf_<name>(cpu, r1..r5)`. `engine`: each engine has it built in. A
 * function: in the host; its result is r0.
 */
export type Runs = 'runtime' | 'engine' | ((call: HostCall) => bigint);

/** A row: a helper by its name, and where it runs. */
export type HelperBody = readonly [name: string, runs: Runs];

/** Helpers of the runtime. */
export const inRuntime = (...names: readonly string[]): HelperBody[] =>
  names.map((name) => [name, 'runtime']);

export interface HelperDefinition {
  /** BPF_FUNC_*. */
  readonly id: number;
  /** Without the `bpf_` prefix. */
  readonly name: string;
  readonly args: readonly ArgType[];
  readonly returns: 'integer' | 'void' | 'map-value-or-null' | 'memory-or-null' | 'object';
  readonly gplOnly: boolean;
  /** It may move the packet's start or end (bpf_helper_changes_pkt_data in Linux). */
  readonly changesPacket?: true;
  /** It calls a function of the program before it returns. */
  readonly callsBack?: true;
  readonly runs: Runs;
}
