// BPF_MAP_TYPE_PERF_EVENT_ARRAY: perf events that bpf_perf_event_output sends to, one for each CPU usually. A slot in
// linear memory holds the address of a PerfBuffer (runtime/maps/perf.ts).

import type { Fd } from '../../bpf/bpf.js';
import { BpfError, Errno } from '../../bpf/errno.js';
import { MapFlag, MapType } from '../../bpf/types.js';
import { arrayMemlock } from './array.js';
import type { MapTypeDefinition } from './definition.js';
import type { ReferringMap } from './references.js';
import { refuseSlots, Slots, slotFlags } from './slots.js';

/** Perf events have no ids: what is in a slot cannot be asked for. They go with the descriptor that put them in. */
class PerfEvents extends Slots {
  readonly #map: ReferringMap;
  /** The descriptor that was used, by slot. */
  readonly #by = new Map<number, Fd>();

  constructor(map: ReferringMap) {
    super(map, (fd, command) => map.surroundings.perfEvent(fd, command));
    this.#map = map;
  }

  override lookup(_key: number): Uint8Array {
    throw new BpfError('BPF_MAP_LOOKUP_ELEM', Errno.ENOTSUPP);
  }

  override update(key: number, value: Uint8Array, flags: number, by: Fd): void {
    super.update(key, value, flags, by);
    this.#by.set(this.#map.memory.u32(key), by);
  }

  released(fd: Fd): void {
    if (this.#map.flags & MapFlag.PreserveElems) return;
    for (const [index, by] of this.#by) {
      if (by !== fd) continue;
      this.#by.delete(index);
      this.drop(index);
    }
  }
}

export const perfEventArray: MapTypeDefinition = {
  type: MapType.PerfEventArray,
  flags: slotFlags | MapFlag.PreserveElems,
  percpu: false,
  btf: 'none',
  references: (map) => new PerfEvents(map),
  refuse: (shape) => refuseSlots(shape, 'a perf event array'),
  memlock: (shape) => arrayMemlock(shape, 0),
};
