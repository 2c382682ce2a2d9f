// Values that belong to sockets, tasks, inodes and cgroups (Linux: kernel/bpf/bpf_local_storage.c), and those that
// a program has for the cgroup that it is run for (kernel/bpf/local_storage.c). Only programs reach them here: user space
// names the owners by descriptors that the emulated machine does not give out.

import { BpfError, Errno } from '../../bpf/errno.js';
import { MapFlag, MapType } from '../../bpf/types.js';
import { accessFlags, type MapShape, type MapTypeDefinition, type Refusal } from './definition.js';
import type { References } from './references.js';

const invalid = (detail: string): Refusal => ({ errno: Errno.EINVAL, detail });

/** What a value has to share its allocation with; larger ones are refused (BPF_LOCAL_STORAGE_MAX_VALUE_SIZE). */
const MAX_VALUE = 0xffff - 64;
/** PAGE_SIZE. */
const MAX_CGROUP_VALUE = 4096;
/** sizeof(struct bpf_cgroup_storage_key), and the inode number alone. */
const CGROUP_KEYS: readonly number[] = [16, 8];

const nobody = (errno: Errno) => (): References => ({
  lookup() {
    throw new BpfError('BPF_MAP_LOOKUP_ELEM', errno);
  },
  update() {
    throw new BpfError('BPF_MAP_UPDATE_ELEM', errno);
  },
  delete() {
    throw new BpfError('BPF_MAP_DELETE_ELEM', errno);
  },
  nextKey() {
    throw new BpfError('BPF_MAP_GET_NEXT_KEY', Errno.EOPNOTSUPP);
  },
  clear() {},
});

function refuseLocal({ keySize, valueSize, maxEntries, flags }: MapShape): Refusal | undefined {
  if (!(flags & MapFlag.NoPrealloc)) return invalid('BPF_F_NO_PREALLOC must be set');
  if (maxEntries !== 0) return invalid('max_entries must be 0');
  if (keySize !== 4) return invalid('the key is a descriptor of 4 bytes');
  if (valueSize === 0) return invalid('the value has no bytes');
  return valueSize > MAX_VALUE
    ? { errno: Errno.E2BIG, detail: `values have at most ${MAX_VALUE} bytes` }
    : undefined;
}

const local = (type: MapType): MapTypeDefinition => ({
  type,
  flags: MapFlag.NoPrealloc | MapFlag.Clone,
  percpu: false,
  mayBeEmpty: true,
  references: nobody(Errno.EBADF),
  refuse: refuseLocal,
  memlock: () => 2048,
});

export const skStorage = local(MapType.SkStorage);
export const inodeStorage = local(MapType.InodeStorage);
export const taskStorage = local(MapType.TaskStorage);
export const cgrpStorage = local(MapType.CgrpStorage);

function refuseCgroup({ keySize, valueSize, maxEntries }: MapShape): Refusal | undefined {
  if (!CGROUP_KEYS.includes(keySize)) return invalid('the key is a cgroup: 8 or 16 bytes');
  if (valueSize === 0) return invalid('the value has no bytes');
  if (valueSize > MAX_CGROUP_VALUE) {
    return { errno: Errno.E2BIG, detail: `values have at most ${MAX_CGROUP_VALUE} bytes` };
  }
  return maxEntries === 0 ? undefined : invalid('max_entries must be 0');
}

const cgroup = (type: MapType, percpu: boolean): MapTypeDefinition => ({
  type,
  flags: MapFlag.NumaNode | accessFlags,
  percpu,
  mayBeEmpty: true,
  references: nobody(Errno.ENOENT),
  refuse: refuseCgroup,
  memlock: () => 320,
});

export const cgroupStorage = cgroup(MapType.CgroupStorage, false);
export const percpuCgroupStorage = cgroup(MapType.PercpuCgroupStorage, true);
