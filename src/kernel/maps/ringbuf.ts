// BPF_MAP_TYPE_RINGBUF and BPF_MAP_TYPE_USER_RINGBUF (Linux: kernel/bpf/ringbuf.c). They have no elements: records are
// written and read in linear memory (runtime/maps/ringbuf.ts), and here for user space.

import { BpfError, Errno } from '../../bpf/errno.js';
import { MapFlag, MapType } from '../../bpf/types.js';
import type { KernelMemory } from '../memory/memory.js';
import type { MapShape, MapTypeDefinition, Refusal } from './definition.js';
import type { References } from './references.js';

/** sizeof(struct bpf_ringbuf_map), of a page, of a pointer to one. */
const header = 304;
const page = 4096;
const pointer = 8;
/** Pages of struct bpf_ringbuf before the data. */
const pagesBefore = 3;

/** ringbuf_map_alloc. */
function refuseRing({ keySize, valueSize, maxEntries }: MapShape): Refusal | undefined {
  if (keySize || valueSize) {
    return { errno: Errno.EINVAL, detail: 'a ring buffer has neither keys nor values: their sizes are 0' };
  }
  if (maxEntries % page === 0 && Number.isInteger(Math.log2(maxEntries))) return undefined;
  const detail = `max_entries is the size, a power of two of whole pages of ${page} bytes, not ${maxEntries}`;
  return { errno: Errno.EINVAL, detail };
}

/** ringbuf_map_mem_usage: data pages are mapped twice. */
function ringMemlock({ maxEntries }: MapShape): number {
  const pages = maxEntries / page;
  return header + (pagesBefore + pages) * page + (pagesBefore + 2 * pages) * pointer;
}

function none(command: string): never {
  throw new BpfError(command, Errno.ENOTSUPP, 'a ring buffer has no elements');
}

const noElements: References = {
  lookup: () => none('BPF_MAP_LOOKUP_ELEM'),
  update: () => none('BPF_MAP_UPDATE_ELEM'),
  delete: () => none('BPF_MAP_DELETE_ELEM'),
  nextKey: () => none('BPF_MAP_GET_NEXT_KEY'),
  clear() {},
};

const common = {
  flags: MapFlag.NumaNode,
  percpu: false,
  references: () => noElements,
  refuse: refuseRing,
  memlock: ringMemlock,
} as const;

export const ringbuf: MapTypeDefinition = { type: MapType.Ringbuf, ...common };
export const userRingbuf: MapTypeDefinition = { type: MapType.UserRingbuf, ...common };

/** The runtime's functions for user space's side of a ring. */
interface RingRuntime {
  ringbuf_peek(map: number): number;
  ringbuf_length(record: number): number;
  ringbuf_release(map: number): void;
  ringbuf_query(map: number, what: bigint): bigint;
  ringbuf_wakeups(map: number): number;
  user_ringbuf_put(map: number, size: number): number;
}

const runtimeOf = (memory: KernelMemory): RingRuntime => memory.runtime as unknown as RingRuntime;

/** Takes all records that are complete out of the ring buffer at `address`, the oldest first. */
export function takeRecords(memory: KernelMemory, address: number): Uint8Array[] {
  const runtime = runtimeOf(memory);
  const records: Uint8Array[] = [];
  for (let at = runtime.ringbuf_peek(address); at; at = runtime.ringbuf_peek(address)) {
    records.push(memory.read(at >>> 0, runtime.ringbuf_length(at)));
    runtime.ringbuf_release(address);
  }
  return records;
}

/** Puts a record into the user ring buffer at `address`: 0 or a negative errno (-E2BIG, -ENOSPC). */
export function putRecord(memory: KernelMemory, address: number, record: Uint8Array): number {
  const at = runtimeOf(memory).user_ringbuf_put(address, record.length);
  if (at < 0) return at;
  memory.write(at, record);
  return 0;
}

/** Whether a ring buffer has anything that was not taken: also records that are being written or were discarded. */
export const hasRecords = (memory: KernelMemory, address: number): boolean =>
  BigInt.asUintN(64, runtimeOf(memory).ringbuf_query(address, 0n)) !== 0n;

/** How often readers of the ring buffer at `address` were woken. */
export const wakeups = (memory: KernelMemory, address: number): number =>
  runtimeOf(memory).ringbuf_wakeups(address);
