// What users may do who are not root: no more than Linux lets those do who have no capabilities.

import { BpfError, Errno } from '../bpf/errno.js';
import { MapType, mapTypeName, ProgType, progTypeName } from '../bpf/types.js';
import type { KernelMachine, Task } from './machine.js';

/** BPF_MAXINSNS: instructions of a program of such a user. */
const MAX_INSNS = 4096;

/** Maps that they may make, where they may make any (map_create). */
const mapTypes: ReadonlySet<MapType> = new Set([
  MapType.Array,
  MapType.PercpuArray,
  MapType.ProgArray,
  MapType.PerfEventArray,
  MapType.CgroupArray,
  MapType.ArrayOfMaps,
  MapType.Hash,
  MapType.PercpuHash,
  MapType.HashOfMaps,
  MapType.Ringbuf,
  MapType.UserRingbuf,
  MapType.CgroupStorage,
  MapType.PercpuCgroupStorage,
]);
const progTypes: ReadonlySet<ProgType> = new Set([ProgType.SocketFilter, ProgType.CgroupSkb]);

export const isRoot = ({ uid }: Task): boolean => uid === 0;

/** EPERM for everybody but root. */
export function demandRoot(task: Task, command: string): void {
  if (!isRoot(task)) throw new BpfError(command, Errno.EPERM, `user ${task.uid} is not root`);
}

/** EPERM for users without rights, unless root lets them use BPF at all. */
function demandUse({ settings }: KernelMachine, task: Task, command: string): void {
  const name = 'kernel.unprivileged_bpf_disabled';
  if (isRoot(task) || settings.get(name) === 0) return;
  throw new BpfError(
    command,
    Errno.EPERM,
    `user ${task.uid} is not root, and ${name} is ${settings.get(name)}`,
  );
}

export function demandMap(machine: KernelMachine, task: Task, type: MapType): void {
  const command = 'BPF_MAP_CREATE';
  demandUse(machine, task, command);
  if (isRoot(task) || mapTypes.has(type)) return;
  throw new BpfError(command, Errno.EPERM, `only root makes ${mapTypeName(type) ?? type} maps`);
}

export function demandLoad(machine: KernelMachine, task: Task, type: ProgType, insns: number): void {
  const command = 'BPF_PROG_LOAD';
  demandUse(machine, task, command);
  if (isRoot(task)) return;
  if (insns > MAX_INSNS) {
    const detail = `${insns} instructions are more than the ${MAX_INSNS} of users who are not root`;
    throw new BpfError(command, Errno.E2BIG, detail);
  }
  if (!progTypes.has(type)) {
    throw new BpfError(command, Errno.EPERM, `only root loads ${progTypeName(type) ?? type} programs`);
  }
}
