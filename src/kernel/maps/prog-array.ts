// BPF_MAP_TYPE_PROG_ARRAY: programs that bpf_tail_call jumps to. A slot in linear memory holds the address
// of a Program (runtime/layout.ts), 0 when it is empty; programs cannot read it.

import { BpfError, Errno } from '../../bpf/errno.js';
import { MapType } from '../../bpf/types.js';
import { arrayMemlock } from './array.js';
import type { MapTypeDefinition } from './definition.js';
import { Owner } from './owner.js';
import type { ReferringMap } from './references.js';
import { refuseSlots, Slots, slotFlags } from './slots.js';

/** Programs that reach each other through the array also hold it: without a user it lets them go. */
class Programs extends Slots {
  readonly owner: Owner;

  constructor(map: ReferringMap) {
    const owner = new Owner(map.type);
    super(map, (fd, command, by) => {
      const program = by.program(fd, command);
      const refusal = owner.refuse(program.traits);
      if (refusal) throw new BpfError(command, Errno.EINVAL, refusal);
      return program;
    });
    this.owner = owner;
  }

  unused(): void {
    this.clear();
  }
}

export const progArray: MapTypeDefinition = {
  type: MapType.ProgArray,
  flags: slotFlags,
  percpu: false,
  references: (map) => new Programs(map),
  refuse: (shape) => refuseSlots(shape, 'a program array'),
  memlock: (shape) => arrayMemlock(shape, 0),
};
