// Many elements in one command (Linux: generic_map_lookup_batch and the like). Which map types know which batches is
// a table; how a walk goes on is the last key, which only this kernel reads.

import type { BatchCursor, MapBatchOptions, MapBatchResult, MapElements } from '../bpf/bpf.js';
import { BatchError, BpfError, Errno } from '../bpf/errno.js';
import { MapType, UpdateFlag } from '../bpf/types.js';
import type { KernelMap, MapCaller } from './maps/index.js';

type Operation = 'lookup' | 'update' | 'delete' | 'lookupAndDelete';

const all: readonly Operation[] = ['lookup', 'update', 'delete', 'lookupAndDelete'];
const inPlace: readonly Operation[] = ['lookup', 'update'];

/** The batches of each map type (map_*_batch in its struct bpf_map_ops); types that are missing have none. */
const batches: ReadonlyMap<MapType, readonly Operation[]> = new Map([
  [MapType.Hash, all],
  [MapType.PercpuHash, all],
  [MapType.LruHash, all],
  [MapType.LruPercpuHash, all],
  [MapType.Array, inPlace],
  [MapType.PercpuArray, inPlace],
  [MapType.LpmTrie, ['lookup', 'update', 'delete']],
  [MapType.ArrayOfMaps, inPlace],
  [MapType.HashOfMaps, all],
]);

const commands: Readonly<Record<Operation, string>> = {
  lookup: 'BPF_MAP_LOOKUP_BATCH',
  update: 'BPF_MAP_UPDATE_BATCH',
  delete: 'BPF_MAP_DELETE_BATCH',
  lookupAndDelete: 'BPF_MAP_LOOKUP_AND_DELETE_BATCH',
};

function check(
  map: KernelMap,
  operation: Operation,
  count: number,
  { elemFlags = 0 }: MapBatchOptions,
): string {
  const command = commands[operation];
  const writes = operation === 'update' || operation === 'delete';
  const refuse = (errno: Errno, detail: string): never => {
    throw writes ? new BatchError(command, errno, 0, detail) : new BpfError(command, errno, detail);
  };
  if (!batches.get(map.type)?.includes(operation)) {
    refuse(Errno.ENOTSUPP, 'maps of this type have no such batch');
  }
  if (elemFlags & ~UpdateFlag.Lock) refuse(Errno.EINVAL, `flags ${elemFlags} mean nothing here`);
  if (!Number.isInteger(count) || count < 0 || count >= 2 ** 32) {
    refuse(Errno.EINVAL, `${count} is no number of elements`);
  }
  return command;
}

const isMissing = (error: unknown): boolean => error instanceof BpfError && error.errno === Errno.ENOENT;

/** The key after `key`; undefined at the end. */
function nextKey(map: KernelMap, key: Uint8Array | null): Uint8Array | undefined {
  try {
    return map.nextKey(key);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** BPF_MAP_LOOKUP_BATCH, or with `take` BPF_MAP_LOOKUP_AND_DELETE_BATCH. */
export function lookupBatch(
  map: KernelMap,
  cursor: BatchCursor,
  count: number,
  options: MapBatchOptions,
  take: boolean,
): MapBatchResult {
  check(map, take ? 'lookupAndDelete' : 'lookup', count, options);
  // No more room than there are elements.
  const room = Math.min(count, Math.max(map.count, 1));
  const keys = new Uint8Array(room * map.keySize);
  const values = new Uint8Array(room * map.transferSize);
  let done = false;
  let found = 0;
  let key: Uint8Array | null = cursor?.length ? cursor : null;
  while (found < room) {
    // What is taken is gone, so that the first key is always the next one.
    const next = nextKey(map, take ? null : key);
    if (next === undefined) {
      done = true;
      break;
    }
    key = next;
    try {
      values.set(map.lookup(next, options.elemFlags ?? 0), found * map.transferSize);
    } catch (error) {
      if (isMissing(error)) continue;
      throw error;
    }
    keys.set(next, found * map.keySize);
    if (take) map.delete(next);
    found++;
  }
  // A hash, walked by buckets, knows at once that it is at its end; other types when there was room for more.
  if (!done && count > 0 && (found < count || batches.get(map.type) === all)) {
    done = nextKey(map, take ? null : key) === undefined;
  }
  return {
    count: found,
    keys: keys.subarray(0, found * map.keySize),
    values: values.subarray(0, found * map.transferSize),
    cursor: key ?? new Uint8Array(),
    done,
  };
}

/** Does one element after the other; the error of one says how many were done. */
function each(command: string, count: number, step: (i: number) => void): void {
  for (let i = 0; i < count; i++) {
    try {
      step(i);
    } catch (error) {
      if (error instanceof BpfError) throw new BatchError(command, error.errno, i);
      throw error;
    }
  }
}

const part = (bytes: Uint8Array, i: number, size: number): Uint8Array =>
  bytes.subarray(i * size, (i + 1) * size);

function checkRoom(command: string, what: string, bytes: Uint8Array, size: number): void {
  if (bytes.length === size) return;
  throw new BpfError(command, Errno.EINVAL, `the ${what} have ${bytes.length} bytes, not ${size}`);
}

/** BPF_MAP_UPDATE_BATCH. */
export function updateBatch(
  map: KernelMap,
  elements: MapElements,
  options: MapBatchOptions,
  by: MapCaller,
): void {
  const { count, keys, values } = elements;
  const command = check(map, 'update', count, options);
  checkRoom(command, 'keys', keys, count * map.keySize);
  checkRoom(command, 'values', values, count * map.transferSize);
  each(command, count, (i) =>
    map.update(part(keys, i, map.keySize), part(values, i, map.transferSize), options.elemFlags ?? 0, by),
  );
}

/** BPF_MAP_DELETE_BATCH. */
export function deleteBatch(
  map: KernelMap,
  { count, keys }: { count: number; keys: Uint8Array },
  options: MapBatchOptions,
): void {
  const command = check(map, 'delete', count, options);
  checkRoom(command, 'keys', keys, count * map.keySize);
  each(command, count, (i) => map.delete(part(keys, i, map.keySize)));
}
