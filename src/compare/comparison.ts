// What a comparison of two kernels has found, as plain values. `left` and `right` are what the two had; undefined is
// what was not there.

import type { TraceEvent } from '../bpf/bpf.js';
import type { Value } from '../btf/value.js';

/** The two kernels of a comparison. */
export type SideName = 'left' | 'right';

/** What the two kernels had at the same place. */
export interface Seen {
  readonly left: Value | undefined;
  readonly right: Value | undefined;
}

/** Where a run is: its number from 0 in the order of the inputs, and the program. */
export interface RunPlace {
  readonly run: number;
  readonly program: string;
}

/** One kernel loads it, the other does not; or both refuse it, but with another errno. */
export interface LoadDifference extends Seen {
  readonly what: 'load';
  /** The programs that were to be loaded. */
  readonly programs: readonly string[];
}

/** Both refuse it with the same errno, but the verifiers' logs differ: here is the first line that does. */
export interface LogDifference extends Seen {
  readonly what: 'log';
  /** From 1. */
  readonly line: number;
}

/** A run that one kernel made and the other refused or ended (`left` or `right` is the error), or another error. */
export interface RunDifference extends Seen, RunPlace {
  readonly what: 'run';
}

export interface RetvalDifference extends Seen, RunPlace {
  readonly what: 'retval';
}

/** The packet or the context afterwards, as bytes; `offset` is the first byte that differs. */
export interface BytesDifference extends Seen, RunPlace {
  readonly what: 'packet' | 'context';
  readonly offset: number;
}

/** A line of trace_pipe (its text) that a run printed. */
export interface TraceDifference extends Seen, RunPlace {
  readonly what: 'trace';
  /** From 1, in this run. */
  readonly line: number;
}

/** A record that a run has sent through a ring buffer or a perf event array. */
export interface RecordDifference extends Seen, RunPlace {
  readonly what: 'record';
  readonly map: string;
  /** From 1, in this run. */
  readonly record: number;
}

/** An element of a map. */
export interface MapDifference extends Seen {
  readonly what: 'map';
  readonly map: string;
  /** Of a queue or a stack the number of the element, the next one to be popped first; missing for the whole map. */
  readonly key?: Value;
  /** Of a per-CPU value the CPU, in the left kernel's numbering; the right kernel's slot is that of the same role. */
  readonly cpu?: number;
  /** The run after which it was first seen; missing when it was seen after all of them. */
  readonly run?: number;
}

/** A global variable. */
export interface VariableDifference extends Seen {
  readonly what: 'variable';
  readonly variable: string;
  readonly section: string;
  readonly run?: number;
}

export type Difference =
  | LoadDifference
  | LogDifference
  | RunDifference
  | RetvalDifference
  | BytesDifference
  | TraceDifference
  | RecordDifference
  | MapDifference
  | VariableDifference;

/** A difference that the caller has named beforehand, with the reason for it. */
export type Expected = { readonly reason: string } & (
  | { readonly what: Exclude<Difference['what'], 'map' | 'variable' | 'record'> }
  /** A map, its records too; with `bytes` only these bytes of its values (of each CPU's), from the first up to the last exclusively. */
  | { readonly what: 'map'; readonly map: string; readonly bytes?: readonly [from: number, to: number] }
  | { readonly what: 'variable'; readonly variable: string }
);

/** How a kernel answered to the load. */
export interface Verdict {
  readonly accepted: boolean;
  /** Positive; missing when the kernel was not even asked. */
  readonly errno?: number;
  /** For a person: what was refused, where and why. */
  readonly message?: string;
  /** The verifier's log. */
  readonly log?: string;
}

/** Something that was not compared, and why. */
export interface NotCompared {
  /** `map 'events'`, `trace`. */
  readonly what: string;
  readonly reason: string;
}

/** What in the object depends on the kernel that it runs in; a difference may come from there. */
export interface Note {
  /** `bpf_ktime_get_ns`, `map 'recent' (lru_hash)`. */
  readonly what: string;
  readonly why: string;
}

/** Inputs that neither kernel ran. */
export interface NotRun {
  /** The errno that both answered, or the caller's reason for leaving it out. */
  readonly reason: string;
  readonly count: number;
  /** Number of the first of them, from 0. */
  readonly first: number;
}

/** Everything that a comparison has found. The two kernels agree when `total` is 0. */
export interface Comparison {
  /** Names of the two kernels. */
  readonly left: string;
  readonly right: string;
  readonly load: { readonly left: Verdict; readonly right: Verdict };
  /** Inputs, and how many of them both kernels ran. */
  readonly inputs: number;
  readonly runs: number;
  readonly notRun: readonly NotRun[];
  /** Maps whose contents or records were compared, and how many of them the left kernel's had. */
  readonly maps: readonly { readonly name: string; readonly elements: number }[];
  /** Names of the variables that were compared. */
  readonly variables: readonly string[];
  /** Lines of trace_pipe that were compared (the left kernel's). */
  readonly traceLines: number;
  readonly notCompared: readonly NotCompared[];
  readonly notes: readonly Note[];
  /** In the order in which they were found, at most as many as were asked for. */
  readonly differences: readonly Difference[];
  /** How many there are in all. */
  readonly total: number;
  /** Differences that the caller expected: how often each was seen, and its first. */
  readonly expected: readonly {
    readonly expected: Expected;
    readonly count: number;
    readonly first?: Difference;
  }[];
}

/** One of the two kernels. */
export interface SideOptions {
  /** What to call it: `emulated`, `linux`. */
  readonly name: string;
  /** The CPU that its programs run on: the slot of a per-CPU value that is compared with the other's. 0 unless told. */
  readonly cpu?: number;
  /** Which of the lines that the kernel prints are this comparison's, where others print too. */
  readonly isOurs?: (event: TraceEvent) => boolean;
}
