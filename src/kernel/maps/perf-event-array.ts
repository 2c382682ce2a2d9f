// BPF_MAP_TYPE_PERF_EVENT_ARRAY: perf events that bpf_perf_event_output sends to, one for each CPU usually. A slot in
// linear memory holds the address of a PerfBuffer (runtime/maps/perf.ts).

import { BpfError, Errno } from '../../bpf/errno.js';
import { MapFlag, MapType } from '../../bpf/types.js';
import { arrayMemlock } from './array.js';
import type { MapTypeDefinition } from './definition.js';
import type { References, ReferringMap } from './references.js';
import { refuseSlots, Slots, slotFlags } from './slots.js';

/** Perf events have no ids: what is in a slot cannot be asked for. */
class PerfEvents extends Slots {
  override lookup(_key: number): Uint8Array {
    throw new BpfError('BPF_MAP_LOOKUP_ELEM', Errno.ENOTSUPP);
  }
}

const perfEvents = (map: ReferringMap): References =>
  new PerfEvents(map, (fd, command) => map.surroundings.perfEvent(fd, command));

export const perfEventArray: MapTypeDefinition = {
  type: MapType.PerfEventArray,
  flags: slotFlags | MapFlag.PreserveElems,
  percpu: false,
  btf: 'none',
  references: perfEvents,
  refuse: (shape) => refuseSlots(shape, 'a perf event array'),
  memlock: (shape) => arrayMemlock(shape, 0),
};
