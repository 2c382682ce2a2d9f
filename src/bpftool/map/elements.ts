// All elements of a map, a batch at a time where its type has batches, so that neither a large map nor a kernel far away
// makes a dump slow. In the order in which keys follow each other.

import type { BatchCursor, Bpf, Fd, MapBatchResult, MapInfo } from '../../bpf/bpf.js';
import { BpfError, Errno } from '../../bpf/errno.js';
import { isPerCpu, slotSize } from './kinds.js';

/** What is found of an element: its value, or the errno of the look-up. */
export interface Element {
  key: Uint8Array;
  value: Uint8Array | number;
}

/** Bytes and elements of one batch. Text of more elements at once outlives the young generation of the heap. */
const BATCH_BYTES = 1 << 20;
const BATCH_ELEMENTS = 512;

/** Elements, some at a time. Fails with the BpfError that stopped the walk. */
export async function* elements(bpf: Bpf, map: Fd, info: MapInfo): AsyncGenerator<Element[]> {
  const valueSize = isPerCpu(info) ? slotSize(info) * (await bpf.possibleCpus()) : info.valueSize;
  const size = Math.max(info.keySize + valueSize, 1);
  let count = Math.max(1, Math.min(BATCH_ELEMENTS, info.maxEntries, Math.floor(BATCH_BYTES / size)));
  let cursor: BatchCursor = null;
  for (;;) {
    let batch: MapBatchResult;
    try {
      batch = await bpf.mapLookupBatch(map, cursor, count);
    } catch (error) {
      if (!(error instanceof BpfError)) throw error;
      if (error.errno === Errno.ENOSPC && count < info.maxEntries) {
        // A bucket holds more elements than a batch.
        count = Math.min(count * 2, info.maxEntries);
        continue;
      }
      if (cursor !== null) throw error;
      yield* elementByElement(bpf, map);
      return;
    }
    const found: Element[] = [];
    for (let i = 0; i < batch.count; i++) {
      found.push({
        key: batch.keys.subarray(i * info.keySize, (i + 1) * info.keySize),
        value: batch.values.subarray(i * valueSize, (i + 1) * valueSize),
      });
    }
    yield found;
    if (batch.done) return;
    cursor = batch.cursor;
  }
}

async function* elementByElement(bpf: Bpf, map: Fd): AsyncGenerator<Element[]> {
  let found: Element[] = [];
  for (let key: Uint8Array | null = null; ; ) {
    try {
      key = await bpf.mapGetNextKey(map, key);
    } catch (error) {
      yield found;
      if (error instanceof BpfError && error.errno === Errno.ENOENT) return;
      throw error;
    }
    let value: Uint8Array | number;
    try {
      value = await bpf.mapLookupElem(map, key);
    } catch (error) {
      if (!(error instanceof BpfError)) throw error;
      value = error.errno;
    }
    if (found.push({ key, value }) < BATCH_ELEMENTS) continue;
    yield found;
    found = [];
  }
}
