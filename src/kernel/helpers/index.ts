// The helpers that the emulated kernel has, one table.

import { helperName, helperNames } from '../../bpf/helpers.js';
import { layout } from '../memory/memory.js';
import { helperSignature } from '../verifier/tables/helper-signatures.js';
import type { HelperArg, HelperSignature } from '../verifier/tables/types.js';
import { objectHelpers } from './callbacks.js';
import { cpuHelpers } from './cpu.js';
import type { ArgType, HelperBody, HelperDefinition } from './definition.js';
import { hostHelpers } from './host.js';
import { mapHelpers } from './maps.js';
import { redirectHelpers } from './redirect.js';
import { ringbufHelpers } from './ringbuf.js';
import { skbHelpers } from './skb.js';
import { socketHelpers } from './sockets.js';
import { stringHelpers } from './strings.js';
import { timeHelpers } from './time.js';
import { traceHelpers } from './trace.js';
import { xdpHelpers } from './xdp.js';

export type { ArgType, HelperDefinition, HostCall } from './definition.js';

/** Maps of which there are several types that the helper takes: the verifier decides by the helper. */
const mapKinds: Readonly<Record<string, ArgType>> = {
  tail_call: 'prog-array',
  perf_event_output: 'perf-event-array',
  ringbuf_output: 'ringbuf',
  ringbuf_reserve: 'ringbuf',
  ringbuf_query: 'ringbuf',
  redirect_map: 'redirect-map',
};

/** What checked mode asks of an argument. */
function argType(name: string, { kind, nullable, readOnly, write, uninit, size }: HelperArg): ArgType {
  switch (kind) {
    case 'anything':
    case 'const-size':
    case 'const-size-or-zero':
    case 'const-alloc-size-or-zero':
      return 'anything';
    case 'ctx':
      return nullable ? 'verified' : 'ctx';
    case 'const-map-ptr':
      return mapKinds[name] ?? 'map';
    case 'map-key':
      return 'map-key';
    case 'map-value':
      if (nullable) return 'verified';
      return write || uninit ? 'map-value-out' : 'map-value';
    case 'mem':
      if (readOnly) return nullable ? 'read-or-null' : 'read';
      return nullable ? 'write-or-null' : 'write';
    case 'fixed-mem':
      if (write && size === 4) return 'write-4';
      return write && size === 8 ? 'write-8' : 'verified';
    case 'ringbuf-mem':
      return 'ringbuf-record';
    default:
      return 'verified';
  }
}

function returnsOf({ returns }: HelperSignature): HelperDefinition['returns'] {
  switch (returns.kind) {
    case 'integer':
    case 'void':
      return returns.kind;
    case 'map-value':
      return returns.nullable ? 'map-value-or-null' : 'object';
    case 'ringbuf-mem':
    case 'dynptr-mem':
      return 'memory-or-null';
    default:
      return 'object';
  }
}

function define([name, runs]: HelperBody): HelperDefinition {
  const id = helperNames.indexOf(name);
  const signature = helperSignature(id);
  if (!signature) throw new Error(`Linux has no helper ${name}`);
  return {
    id,
    name,
    args: signature.args.map((arg) => argType(name, arg)),
    returns: returnsOf(signature),
    gplOnly: signature.gplOnly ?? false,
    // A program that takes over may move it before it returns to the function that called this one.
    ...(signature.changesPacket ? { changesPacket: true } : {}),
    ...(signature.callback === 'now' ? { callsBack: true } : {}),
    runs,
  };
}

/** All helpers, by ascending number. */
export const helpers: readonly HelperDefinition[] = [
  ...mapHelpers,
  ...objectHelpers,
  ...cpuHelpers,
  ...hostHelpers,
  ...timeHelpers,
  ...xdpHelpers,
  ...skbHelpers,
  ...socketHelpers,
  ...stringHelpers,
  ...redirectHelpers,
  ...ringbufHelpers,
  ...traceHelpers,
]
  .map(define)
  .sort((a, b) => a.id - b.id);

const byId = new Map<number, HelperDefinition>(helpers.map((row) => [row.id, row]));

/** The helper with this number; undefined when the emulated kernel does not have it. */
export const helperById = (id: number): HelperDefinition | undefined => byId.get(id);

/** How the runtime's check_arguments names what an argument must be. */
export const argKinds: Readonly<Record<ArgType, number>> = {
  anything: layout.ARG_ANYTHING,
  verified: layout.ARG_ANYTHING,
  ctx: layout.ARG_CTX,
  map: layout.ARG_MAP,
  'map-key': layout.ARG_MAP_KEY,
  'map-value': layout.ARG_MAP_VALUE,
  'map-value-out': layout.ARG_MAP_VALUE_OUT,
  read: layout.ARG_READ,
  write: layout.ARG_WRITE,
  'read-or-null': layout.ARG_READ_OR_NULL,
  'write-or-null': layout.ARG_WRITE_OR_NULL,
  'write-4': layout.ARG_WRITE_4,
  'write-8': layout.ARG_WRITE_8,
  'prog-array': layout.ARG_PROG_ARRAY,
  'perf-event-array': layout.ARG_PERF_EVENT_ARRAY,
  ringbuf: layout.ARG_RINGBUF,
  'ringbuf-record': layout.ARG_RINGBUF_RECORD,
  'redirect-map': layout.ARG_REDIRECT_MAP,
};

/** Bits of one argument in the packed form. */
export const ARG_BITS = layout.ARG_BITS;

/** What the arguments must be, for the runtime: ARG_BITS bits each (ARG_*), the first in the lowest. */
export const packedArgs = (row: HelperDefinition): number =>
  row.args.reduce((bits, arg, index) => bits | (argKinds[arg] << (ARG_BITS * index)), 0);

/** Why helper `id` cannot be called: `helper bpf_fib_lookup#69 is not available in this emulated kernel yet`. */
export function missingHelper(id: number): string {
  const name = helperName(id);
  return name
    ? `helper bpf_${name}#${id} is not available in this emulated kernel yet`
    : `there is no helper number ${id}`;
}
