// Checked mode: which memory and which maps a program reaches through one of its maps. The maps inside a map are
// reached as well; what is being written to a ring buffer is, what was handed over is not.

import { BpfMap } from '../layout';
import { ARRAY_OF_MAPS, HASH_OF_MAPS, RINGBUF } from './types';
import { ringbuf_holds, ringbuf_is_record } from './ringbuf';

/** What is looked for. */
const MEMORY: u32 = 0;
const MAP: u32 = 1;
const RECORD: u32 = 2;

/** Whether [at, at + size) lies in one value of a map. */
function inValue(map: BpfMap, at: usize, size: u32): bool {
  const offset = at - map.values;
  if (offset >= map.length) return false;
  let inside = (offset as u32) % map.elementSize - map.valueOffset;
  if (inside >= map.elementSize) return false;
  if (map.cpuStride && map.valueOffset) {
    if (inside >= map.cpus * map.cpuStride) return false;
    inside %= map.cpuStride;
  }
  return inside + size <= map.valueSize;
}

function isIt(map: usize, what: u32, at: usize, size: u32): bool {
  if (what == MAP) return map == at;
  const header = changetype<BpfMap>(map);
  if (header.type != RINGBUF) return what == MEMORY && inValue(header, at, size);
  return what == MEMORY ? ringbuf_holds(map, at, size) : ringbuf_is_record(map, at);
}

/** `map`, or the map in it, that is or has what is looked for; 0 when none is. */
function find(map: usize, what: u32, at: usize, size: u32): usize {
  if (isIt(map, what, at, size)) return map;
  const header = changetype<BpfMap>(map);
  if (header.type == ARRAY_OF_MAPS) {
    for (let slot = header.values; slot < header.values + header.length; slot += 4) {
      const inner = load<usize>(slot);
      if (inner && isIt(inner, what, at, size)) return inner;
    }
  } else if (header.type == HASH_OF_MAPS) {
    for (let bucket: u32 = 0; bucket <= header.bucketMask; bucket++) {
      let element = load<usize>(header.buckets + (bucket << 2));
      while (element) {
        const inner = load<usize>(element + header.valueOffset);
        if (isIt(inner, what, at, size)) return inner;
        element = load<usize>(element);
      }
    }
  }
  return 0;
}

/** The map with a value, or a record being written, of which [at, at + size) is a part; 0 when it is none. */
export function mapAround(map: usize, at: usize, size: u32): usize {
  return find(map, MEMORY, at, size);
}

/** Whether `at` is `map`, or a map in it. */
export function reachesMap(map: usize, at: usize): bool {
  return find(map, MAP, at, 0) != 0;
}

/** Whether `at` is the data of a record that is being written to `map`, or to a map in it. */
export function reachesRecord(map: usize, at: usize): bool {
  return find(map, RECORD, at, 0) != 0;
}
