// BPF_MAP_TYPE_PROG_ARRAY: programs that bpf_tail_call jumps to. A slot in linear memory holds the address
// of a Program (runtime/layout.ts), 0 when it is empty; programs cannot read it.

import { BpfError, Errno } from '../../bpf/errno.js';
import { MapType, type ProgType } from '../../bpf/types.js';
import { arrayMemlock } from './array.js';
import type { MapTypeDefinition } from './definition.js';
import type { References, ReferringMap } from './references.js';
import { refuseSlots, Slots, slotFlags } from './slots.js';

function programs(map: ReferringMap): References {
  let owner: ProgType | undefined;
  const claim = (type: ProgType): boolean => {
    owner ??= type;
    return type === owner;
  };
  const slots = new Slots(map, (fd, command, by) => {
    const program = by.program(fd, command);
    if (claim(program.type)) return program;
    throw new BpfError(
      command,
      Errno.EINVAL,
      'the array holds programs of another type, and a tail call stays within one type',
    );
  });
  // Programs that reach each other through the array also hold it: without a user it lets them go.
  return Object.assign(slots, { claim, owner: () => owner, unused: () => slots.clear() });
}

export const progArray: MapTypeDefinition = {
  type: MapType.ProgArray,
  flags: slotFlags,
  percpu: false,
  references: programs,
  refuse: (shape) => refuseSlots(shape, 'a program array'),
  memlock: (shape) => arrayMemlock(shape, 0),
};
