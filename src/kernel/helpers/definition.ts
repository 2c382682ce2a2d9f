// A helper is one definition: a row here is all that the checks of a load, the JIT and the runtime know of it.

import type { ProgType } from '../../bpf/types.js';
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
  | 'read-or-null';

/** What a helper that runs in the host sees: arguments as unsigned 64-bit, and the kernel around it. */
export interface HostCall {
  readonly memory: KernelMemory;
  /** Address of the Cpu. */
  readonly cpu: number;
  readonly cpuId: number;
  arg(index: 1 | 2 | 3 | 4 | 5): bigint;
  /** Writes a line to trace_pipe. */
  trace(text: string): void;
}

export interface HelperDefinition {
  /** BPF_FUNC_*. */
  readonly id: number;
  /** Without the `bpf_` prefix. */
  readonly name: string;
  readonly args: readonly ArgType[];
  readonly returns: 'integer' | 'void' | 'map-value-or-null' | 'memory-or-null';
  readonly gplOnly: boolean;
  /** First kernel that has it. */
  readonly since: string;
  /** Program types that may call it. */
  readonly programTypes: 'all' | readonly ProgType[];
  /** It may move the packet's start or end (bpf_helper_changes_pkt_data in Linux). */
  readonly changesPacket?: true;
  /**
   * Where it runs. `runtime`: the runtime exports `bpf_<name>(cpu, r1..r5)`. `engine`: each engine has it
   * built in. A function: in the host; its result is r0.
   */
  readonly runs: 'runtime' | 'engine' | ((call: HostCall) => bigint);
}
