// What a run found out, as plain data: printed as text or as JSON.

import type { PacketBatchResult, RunFault, TraceEvent } from '../bpf/bpf.js';
import { XdpAction } from '../bpf/types.js';
import type { Value } from '../btf/value.js';
import type { PacketBlock } from '../pcap/block.js';

/** Packets with the same answer. */
export interface VerdictCount {
  /** `XDP_PASS`; `error` for runs that a fault ended; `unknown` for a number that is no action. */
  name: string;
  /** The answer; missing for `error`, and for the sum of all further unknown answers. */
  value?: number;
  packets: number;
  bytes: number;
}

/** Faults at the same instruction of the same program. */
export interface FaultCount extends RunFault {
  count: number;
  /** Number of the first packet, from 1. */
  firstPacket: number;
}

export interface MapEntryReport {
  key: Value;
  /** One value, or with `perCpu` one for each possible CPU. */
  value: Value;
}

export interface MapReport {
  name: string;
  type: string;
  maxEntries: number;
  keySize: number;
  valueSize: number;
  perCpu: boolean;
  /** Entries in all; `entries` may hold fewer. */
  count: number;
  /** Entries of an array that are left out because they are all zero. */
  zeros: number;
  entries: MapEntryReport[];
  /** What came out of it is no entries but records, numbered in the order of their sending. */
  records?: true;
  /** Samples of perf events that found no room. */
  lost?: number;
  /** Why it was not read, if it was not. */
  error?: string;
}

export interface VariableReport {
  name: string;
  section: string;
  /** In C; missing without BTF. */
  type?: string;
  value: Value;
}

export interface RunReport {
  object: string;
  capture: string;
  program: string;
  section: string;
  /** `emulated`, or `linux 6.18.44`. */
  kernel: string;
  engine: string;
  packets: number;
  bytes: number;
  /** Nanoseconds in the program, all packets together. */
  nanoseconds: number;
  /** Nanoseconds of a packet after the first block of them, during which code is compiled; missing for short captures. */
  warmNanosecondsPerPacket?: number;
  verdicts: VerdictCount[];
  faults: FaultCount[];
  /** Runs that a fault ended. */
  faulted: number;
  trace: {
    total: number;
    events: TraceEvent[];
    /** Why what programs print was not read, if it was not. */
    error?: string;
  };
  output?: { file: string; packets: number };
  maps: MapReport[];
  variables: VariableReport[];
  /** What ended the run before the end of the capture. */
  error?: string;
}

const actions = new Map<number, string>(
  Object.entries(XdpAction).map(([name, value]) => [value, `XDP_${name.toUpperCase()}`]),
);
/** `XDP_PASS` for 2; undefined for a number that is no action. */
export const actionName = (value: number): string | undefined => actions.get(value);

/** In the order in which they are of interest. */
const ORDER: readonly number[] = [
  XdpAction.Pass,
  XdpAction.Drop,
  XdpAction.Tx,
  XdpAction.Redirect,
  XdpAction.Aborted,
];

/** More distinct unknown answers are counted together. */
const MAX_UNKNOWN = 16;
/** More distinct faults are only counted. */
const MAX_FAULTS = 64;

/** Counts while packets go by. */
export class Tally {
  packets = 0;
  /** Why what programs print was not read. */
  noTrace: string | undefined;
  #bytes = 0;
  #nanoseconds = 0;
  #cold: { packets: number; nanoseconds: number } | undefined;
  #faulted = { packets: 0, bytes: 0 };
  readonly #verdicts = new Map<number, { packets: number; bytes: number }>();
  #otherVerdicts = { packets: 0, bytes: 0 };
  readonly #faults = new Map<string, FaultCount>();
  readonly #traceLimit: number;
  #traceTotal = 0;
  readonly #events: TraceEvent[] = [];

  constructor(traceLimit: number) {
    this.#traceLimit = traceLimit;
  }

  trace(event: TraceEvent): void {
    this.#traceTotal++;
    if (this.#events.length < this.#traceLimit) this.#events.push(event);
  }

  add({ count, offsets }: PacketBlock, { retvals, duration, faults }: PacketBatchResult): void {
    this.#nanoseconds += duration;
    this.#cold ??= { packets: count, nanoseconds: duration };
    let next = 0;
    for (let i = 0; i < count; i++) {
      const bytes = (offsets[i + 1] ?? 0) - (offsets[i] ?? 0);
      const fault = faults[next];
      let sum: { packets: number; bytes: number };
      if (fault?.index === i) {
        next++;
        sum = this.#faulted;
        this.#fault(fault.fault, this.packets + i + 1);
      } else {
        sum = this.#verdict(retvals[i] ?? 0);
      }
      sum.packets++;
      sum.bytes += bytes;
      this.#bytes += bytes;
    }
    this.packets += count;
  }

  #verdict(value: number): { packets: number; bytes: number } {
    let sum = this.#verdicts.get(value);
    if (sum === undefined) {
      if (!actions.has(value) && this.#verdicts.size >= MAX_UNKNOWN + actions.size)
        return this.#otherVerdicts;
      sum = { packets: 0, bytes: 0 };
      this.#verdicts.set(value, sum);
    }
    return sum;
  }

  #fault(fault: RunFault, packet: number): void {
    const key = `${fault.progId}:${fault.slot}:${fault.kind}`;
    const known = this.#faults.get(key);
    if (known !== undefined) known.count++;
    else if (this.#faults.size < MAX_FAULTS) {
      this.#faults.set(key, { ...fault, count: 1, firstPacket: packet });
    }
  }

  result(): Pick<
    RunReport,
    | 'packets'
    | 'bytes'
    | 'nanoseconds'
    | 'warmNanosecondsPerPacket'
    | 'verdicts'
    | 'faults'
    | 'faulted'
    | 'trace'
  > {
    const verdicts: VerdictCount[] = [];
    const rank = (value: number): number =>
      ORDER.includes(value) ? ORDER.indexOf(value) : ORDER.length + value;
    for (const [value, sum] of [...this.#verdicts].sort(([a], [b]) => rank(a) - rank(b))) {
      verdicts.push({ name: actions.get(value) ?? 'unknown', value, ...sum });
    }
    if (this.#otherVerdicts.packets > 0) verdicts.push({ name: 'unknown', ...this.#otherVerdicts });
    if (this.#faulted.packets > 0) verdicts.push({ name: 'error', ...this.#faulted });
    const cold = this.#cold ?? { packets: 0, nanoseconds: 0 };
    const warm = this.packets - cold.packets;
    return {
      packets: this.packets,
      bytes: this.#bytes,
      nanoseconds: Math.round(this.#nanoseconds),
      ...(warm > 0 ? { warmNanosecondsPerPacket: (this.#nanoseconds - cold.nanoseconds) / warm } : {}),
      verdicts,
      faults: [...this.#faults.values()].sort((a, b) => b.count - a.count),
      faulted: this.#faulted.packets,
      trace: {
        total: this.#traceTotal,
        events: this.#events,
        ...(this.noTrace === undefined ? {} : { error: this.noTrace }),
      },
    };
  }
}
