// BPF_MAP_TYPE_DEVMAP and BPF_MAP_TYPE_DEVMAP_HASH (Linux: kernel/bpf/devmap.c): network devices to redirect packets to,
// each with a program that may run before. A value is struct bpf_devmap_val: u32 ifindex, then (in values of 8 bytes)
// the program's descriptor, which reads back as its id.

import { BpfError, Errno } from '../../bpf/errno.js';
import { AttachType, MapFlag, MapType } from '../../bpf/types.js';
import { type MapShape, type MapTypeDefinition, type Refusal, roundUpPowerOfTwo } from './definition.js';
import { RedirectElements } from './redirect.js';
import type { ReferringMap } from './references.js';

/** sizeof(struct bpf_dtab), of a pointer (or a bucket), and of struct bpf_dtab_netdev. */
const header = 344;
const pointer = 8;
const element = 64;
const bucketLimit = 2 ** 31;

/** dev_map_alloc_check. */
function refuseDevmap({ type, keySize, valueSize, maxEntries }: MapShape): Refusal | undefined {
  if (keySize !== 4) return { errno: Errno.EINVAL, detail: `keys are 4 bytes long, not ${keySize}` };
  if (valueSize !== 4 && valueSize !== 8) {
    return { errno: Errno.EINVAL, detail: `values are 4 or 8 bytes long, not ${valueSize}` };
  }
  if (type === MapType.DevmapHash && maxEntries > bucketLimit) {
    return { errno: Errno.EINVAL, detail: `${maxEntries} entries are more than ${bucketLimit}` };
  }
  return undefined;
}

const devices = (map: ReferringMap): RedirectElements =>
  new RedirectElements(map, AttachType.XdpDevmap, (_key, ifindex, program, command) => {
    if (ifindex === 0 && (program > 0 || map.type === MapType.DevmapHash)) {
      throw new BpfError(command, Errno.EINVAL, 'there is no device 0');
    }
    if (ifindex !== 0 && !map.surroundings.hasDevice(ifindex)) {
      throw new BpfError(command, Errno.EINVAL, `there is no device ${ifindex}`);
    }
  });

const common = {
  flags: MapFlag.NumaNode | MapFlag.Rdonly | MapFlag.Wronly,
  // A lookup gives programs the device's number as it is used: they must not change it.
  impliedFlags: MapFlag.RdonlyProg,
  percpu: false,
  btf: 'none',
  references: devices,
  refuse: refuseDevmap,
} as const;

export const devmap: MapTypeDefinition = {
  type: MapType.Devmap,
  ...common,
  memlock: ({ maxEntries }, _cpus, count) => header + maxEntries * pointer + count * element,
};

export const devmapHash: MapTypeDefinition = {
  type: MapType.DevmapHash,
  ...common,
  memlock: ({ maxEntries }, _cpus, count) =>
    header + roundUpPowerOfTwo(maxEntries) * pointer + count * element,
};
