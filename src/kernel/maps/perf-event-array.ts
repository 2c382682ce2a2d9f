// BPF_MAP_TYPE_PERF_EVENT_ARRAY: perf events that bpf_perf_event_output sends to, one for each CPU usually. A slot in
// linear memory holds the address of a PerfBuffer (runtime/maps/perf.ts).

import { BpfError, Errno } from '../../bpf/errno.js';
import { MapFlag, MapType } from '../../bpf/types.js';
import { arrayMemlock } from './array.js';
import type { MapTypeDefinition } from './definition.js';
import type { MapCaller, ReferringMap } from './references.js';
import { refuseSlots, Slots, slotFlags } from './slots.js';

/** Perf events have no ids: what is in a slot cannot be asked for. They go with the open file by which they were put in. */
class PerfEvents extends Slots {
  readonly #map: ReferringMap;
  /** The open file that was used, by slot. */
  readonly #by = new Map<number, object>();

  constructor(map: ReferringMap) {
    super(map, (fd, command, by) => by.perfEvent(fd, command));
    this.#map = map;
  }

  override lookup(_key: number): Uint8Array {
    throw new BpfError('BPF_MAP_LOOKUP_ELEM', Errno.ENOTSUPP);
  }

  override update(key: number, value: Uint8Array, flags: number, by: MapCaller): void {
    super.update(key, value, flags, by);
    this.#by.set(this.#map.memory.u32(key), by.file);
  }

  closed(file: object): void {
    if (this.#map.flags & MapFlag.PreserveElems) return;
    for (const [index, by] of this.#by) {
      if (by !== file) continue;
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
