// The helpers that the emulated kernel has, one table.

import { helperName } from '../../bpf/helpers.js';
import { layout } from '../memory/memory.js';
import { cpuHelpers } from './cpu.js';
import type { ArgType, HelperDefinition } from './definition.js';
import { mapHelpers } from './maps.js';
import { redirectHelpers } from './redirect.js';
import { ringbufHelpers } from './ringbuf.js';
import { timeHelpers } from './time.js';
import { traceHelpers } from './trace.js';
import { xdpHelpers } from './xdp.js';

export type { ArgType, HelperDefinition, HostCall } from './definition.js';

/** All helpers, by ascending number. */
export const helpers: readonly HelperDefinition[] = [
  ...mapHelpers,
  ...cpuHelpers,
  ...timeHelpers,
  ...xdpHelpers,
  ...redirectHelpers,
  ...ringbufHelpers,
  ...traceHelpers,
].sort((a, b) => a.id - b.id);

const byId = new Map<number, HelperDefinition>(helpers.map((row) => [row.id, row]));

/** The helper with this number; undefined when the emulated kernel does not have it. */
export const helperById = (id: number): HelperDefinition | undefined => byId.get(id);

/** How the runtime's check_arguments names what an argument must be. */
export const argKinds: Readonly<Record<ArgType, number>> = {
  anything: layout.ARG_ANYTHING,
  ctx: layout.ARG_CTX,
  map: layout.ARG_MAP,
  'map-key': layout.ARG_MAP_KEY,
  'map-value': layout.ARG_MAP_VALUE,
  'map-value-out': layout.ARG_MAP_VALUE_OUT,
  read: layout.ARG_READ,
  write: layout.ARG_WRITE,
  'read-or-null': layout.ARG_READ_OR_NULL,
  'prog-array': layout.ARG_PROG_ARRAY,
  'perf-event-array': layout.ARG_PERF_EVENT_ARRAY,
  ringbuf: layout.ARG_RINGBUF,
  'ringbuf-record': layout.ARG_RINGBUF_RECORD,
  'redirect-map': layout.ARG_REDIRECT_MAP,
};

/** What the arguments must be, for the runtime: 4 bits each (ARG_*), the first in the lowest. */
export const packedArgs = (row: HelperDefinition): number =>
  row.args.reduce((bits, arg, index) => bits | (argKinds[arg] << (4 * index)), 0);

/** Why helper `id` cannot be called: `helper bpf_fib_lookup#69 is not available in this emulated kernel yet`. */
export function missingHelper(id: number): string {
  const name = helperName(id);
  return name
    ? `helper bpf_${name}#${id} is not available in this emulated kernel yet`
    : `there is no helper number ${id}`;
}
