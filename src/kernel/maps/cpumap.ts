// BPF_MAP_TYPE_CPUMAP (Linux: kernel/bpf/cpumap.c): CPUs to redirect packets to. A value is struct bpf_cpumap_val: u32
// length of the CPU's queue (0: none), then (in values of 8 bytes) a program's descriptor, which reads back as its id.

import { BpfError, Errno } from '../../bpf/errno.js';
import { AttachType, MapFlag, MapType } from '../../bpf/types.js';
import type { MapShape, MapTypeDefinition, Refusal } from './definition.js';
import { RedirectElements } from './redirect.js';
import type { ReferringMap } from './references.js';

/** sizeof(struct bpf_cpu_map), of a pointer. */
const header = 304;
const pointer = 8;
/** NR_CPUS of the kernel that goldens are recorded from. */
const cpuLimit = 256;
const queueLimit = 16384;

/** cpu_map_alloc. */
function refuseCpumap({ keySize, valueSize, maxEntries }: MapShape): Refusal | undefined {
  if (keySize !== 4) return { errno: Errno.EINVAL, detail: `keys are 4 bytes long, not ${keySize}` };
  if (valueSize !== 4 && valueSize !== 8) {
    return { errno: Errno.EINVAL, detail: `values are 4 or 8 bytes long, not ${valueSize}` };
  }
  if (maxEntries <= cpuLimit) return undefined;
  return { errno: Errno.E2BIG, detail: `${maxEntries} entries are more than ${cpuLimit} CPUs` };
}

/** A CPU whose program is wrong is answered as one for whose queue there is no memory. */
function cpus(map: ReferringMap): RedirectElements {
  const check = (cpu: number, queue: number, _program: number, command: string): void => {
    if (queue > queueLimit) {
      throw new BpfError(command, Errno.EOVERFLOW, `a queue of ${queue} is longer than ${queueLimit}`);
    }
    if (cpu >= map.cpus) throw new BpfError(command, Errno.ENODEV, `there is no CPU ${cpu}`);
  };
  return new RedirectElements(map, AttachType.XdpCpumap, check, Errno.ENOMEM);
}

export const cpumap: MapTypeDefinition = {
  type: MapType.Cpumap,
  flags: MapFlag.NumaNode,
  percpu: false,
  btf: 'none',
  references: cpus,
  refuse: refuseCpumap,
  memlock: ({ maxEntries }) => header + maxEntries * pointer,
};
