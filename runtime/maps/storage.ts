// Values that belong to an object of the kernel (BPF_MAP_TYPE_SK_STORAGE and its kind), and those that a program has for
// itself (BPF_MAP_TYPE_CGROUP_STORAGE). The former are a list, which starts in the map's state:
//
//   | next | owner | value ... |

import { ACCESS_READ, ACCESS_WRITE, BpfMap } from '../layout';
import { BPF_EXIST, BPF_NOEXIST, EEXIST, EINVAL, ENOENT } from './errno';
import { place, round8 } from './place';

const OWNER: usize = 4;
const VALUE: usize = 8;

/** A map without values so far: a header alone. */
export function storage_create(draft: BpfMap): usize {
  draft.access = ACCESS_READ | ACCESS_WRITE;
  return place(draft, 0, 1, 8, true);
}

/** A map of sockets: the emulated machine has none to put in. */
export function sockets_create(draft: BpfMap): usize {
  draft.access = 0;
  return place(draft, 0, 1, 8, true);
}

/** One value for each CPU, or one, of whatever program runs. */
export function cgroup_storage_create(draft: BpfMap, percpu: bool): usize {
  const size = round8(draft.valueSize);
  if (percpu) draft.cpuStride = size as u32;
  return place(draft, 0, percpu ? draft.cpus : 1, size, true);
}

/** The value of `owner`, or 0. */
export function storage_find(map: usize, owner: usize): usize {
  let at = changetype<BpfMap>(map).state;
  while (at && load<usize>(at, OWNER) != owner) at = load<usize>(at);
  return at ? at + VALUE : 0;
}

/** The same, made of the `initial` bytes (0: of zeros) when there is none. */
export function storage_make(map: usize, owner: usize, initial: usize): usize {
  const found = storage_find(map, owner);
  if (found) return found;
  const header = changetype<BpfMap>(map);
  const size = VALUE + (round8(header.valueSize) as usize);
  const at = heap.alloc(size);
  memory.fill(at, 0, size);
  store<usize>(at, header.state);
  store<usize>(at, owner, OWNER);
  if (initial) memory.copy(at + VALUE, initial, header.valueSize);
  header.state = at;
  header.count++;
  return at + VALUE;
}

/** Whether flags of an update allow for what is there. */
export function storage_update(map: usize, owner: usize, value: usize, flags: u64): i32 {
  const found = storage_find(map, owner);
  if (flags > BPF_EXIST) return -EINVAL;
  if (found && flags & BPF_NOEXIST) return -EEXIST;
  if (!found && flags & BPF_EXIST) return -ENOENT;
  memory.copy(found ? found : storage_make(map, owner, 0), value, changetype<BpfMap>(map).valueSize);
  return 0;
}

/** 0, or -ENOENT. */
export function storage_delete(map: usize, owner: usize): i32 {
  const header = changetype<BpfMap>(map);
  let before: usize = 0;
  let at = header.state;
  while (at && load<usize>(at, OWNER) != owner) {
    before = at;
    at = load<usize>(at);
  }
  if (!at) return -ENOENT;
  if (before) store<usize>(before, load<usize>(at));
  else header.state = load<usize>(at);
  header.count--;
  heap.free(at);
  return 0;
}

/** The map goes: so do its values. */
export function storage_clear(map: usize): void {
  const header = changetype<BpfMap>(map);
  while (header.state) {
    const next = load<usize>(header.state);
    heap.free(header.state);
    header.state = next;
  }
}
