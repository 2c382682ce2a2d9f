// The map commands of the emulated kernel: from descriptors to maps.

import type {
  BatchCursor,
  Fd,
  MapBatchOptions,
  MapBatchResult,
  MapCommands,
  MapCreateAttr,
  MapElements,
  MapInfo,
} from '../bpf/bpf.js';
import { BpfError, Errno } from '../bpf/errno.js';
import { MapFlag, MapType } from '../bpf/types.js';
import type { Descriptors } from './descriptors.js';
import type { KernelMachine, Task } from './machine.js';
import { deleteBatch, lookupBatch, updateBatch } from './map-batch.js';
import { mapCaller } from './map-caller.js';
import { checkTypes, KernelMap, type MapCaller } from './maps/index.js';
import type { KernelBtf } from './program.js';
import { demandMap, demandRoot } from './rights.js';
import { VmlinuxBtf } from './vmlinux.js';

export class KernelMaps implements MapCommands {
  readonly #machine: KernelMachine;
  readonly #descriptors: Descriptors;
  readonly #task: Task;

  constructor(machine: KernelMachine, descriptors: Descriptors, task: Task) {
    this.#machine = machine;
    this.#descriptors = descriptors;
    this.#task = task;
  }

  async mapCreate(attr: MapCreateAttr): Promise<Fd> {
    demandMap(this.#machine, this.#task, attr.type);
    const { objects, memory, cpus, surroundings } = this.#machine;
    const descriptors = this.#descriptors;
    const typed = attr.btfKeyTypeId || attr.btfValueTypeId;
    const id = objects.newId('map');
    const map = new KernelMap(memory, id, attr, cpus, mapCaller(descriptors, {}), surroundings);
    let btf: KernelBtf | undefined;
    try {
      btf = typed ? descriptors.get(attr.btfFd ?? 0, 'btf', 'BPF_MAP_CREATE') : undefined;
      if (btf instanceof VmlinuxBtf) {
        throw new BpfError('BPF_MAP_CREATE', Errno.EACCES, "the types of maps are not the kernel's own");
      }
      if (btf) checkTypes(btf.btf, attr);
    } catch (error) {
      map.destroy();
      throw error;
    }
    const held = btf && objects.hold(btf);
    return descriptors.create('map', { id, map, attr, btf }, () => {
      map.destroy();
      if (held) objects.drop(held);
    });
  }

  /** The map behind a descriptor that may do what is asked: `read`, `write` or both. */
  #map(fd: Fd, command: string, ...asked: readonly ('read' | 'write')[]): KernelMap {
    const { map } = this.#descriptors.get(fd, 'map', command);
    const { mode } = this.#descriptors.file(fd, command);
    if (asked.includes('read') && mode & MapFlag.Wronly) {
      throw new BpfError(command, Errno.EPERM, `descriptor ${fd} was opened to write only`);
    }
    if (asked.includes('write') && mode & MapFlag.Rdonly) {
      throw new BpfError(command, Errno.EPERM, `descriptor ${fd} was opened to read only`);
    }
    return map;
  }

  #caller(fd: Fd): MapCaller {
    return mapCaller(this.#descriptors, this.#descriptors.file(fd, 'BPF_MAP_UPDATE_ELEM'));
  }

  async mapLookupElem(fd: Fd, key: Uint8Array, flags = 0): Promise<Uint8Array> {
    const map = this.#map(fd, 'BPF_MAP_LOOKUP_ELEM', 'read');
    // A Bloom filter has no keys: what is looked for is the value.
    return map.type === MapType.BloomFilter
      ? map.lookup(new Uint8Array(), flags, key)
      : map.lookup(key, flags);
  }

  async mapUpdateElem(fd: Fd, key: Uint8Array, value: Uint8Array, flags = 0): Promise<void> {
    this.#map(fd, 'BPF_MAP_UPDATE_ELEM', 'write').update(key, value, flags, this.#caller(fd));
  }

  async mapDeleteElem(fd: Fd, key: Uint8Array): Promise<void> {
    this.#map(fd, 'BPF_MAP_DELETE_ELEM', 'write').delete(key);
  }

  async mapLookupAndDeleteElem(fd: Fd, key: Uint8Array, flags = 0): Promise<Uint8Array> {
    return this.#map(fd, 'BPF_MAP_LOOKUP_AND_DELETE_ELEM', 'read', 'write').lookupAndDelete(key, flags);
  }

  async mapGetNextKey(fd: Fd, key: Uint8Array | null): Promise<Uint8Array> {
    return this.#map(fd, 'BPF_MAP_GET_NEXT_KEY', 'read').nextKey(key);
  }

  async mapLookupBatch(
    fd: Fd,
    cursor: BatchCursor,
    count: number,
    options: MapBatchOptions = {},
  ): Promise<MapBatchResult> {
    return lookupBatch(this.#map(fd, 'BPF_MAP_LOOKUP_BATCH', 'read'), cursor, count, options, false);
  }

  async mapLookupAndDeleteBatch(
    fd: Fd,
    cursor: BatchCursor,
    count: number,
    options: MapBatchOptions = {},
  ): Promise<MapBatchResult> {
    return lookupBatch(
      this.#map(fd, 'BPF_MAP_LOOKUP_AND_DELETE_BATCH', 'read', 'write'),
      cursor,
      count,
      options,
      true,
    );
  }

  async mapUpdateBatch(fd: Fd, elements: MapElements, options: MapBatchOptions = {}): Promise<void> {
    const map = this.#map(fd, 'BPF_MAP_UPDATE_BATCH', 'write');
    updateBatch(map, elements, options, this.#caller(fd));
  }

  async mapDeleteBatch(
    fd: Fd,
    keys: { count: number; keys: Uint8Array },
    options: MapBatchOptions = {},
  ): Promise<void> {
    deleteBatch(this.#map(fd, 'BPF_MAP_DELETE_BATCH', 'write'), keys, options);
  }

  async mapFreeze(fd: Fd): Promise<void> {
    this.#map(fd, 'BPF_MAP_FREEZE', 'write').freeze();
  }

  async mapInfo(fd: Fd): Promise<MapInfo> {
    const { map, attr, btf } = this.#descriptors.get(fd, 'map', 'BPF_OBJ_GET_INFO_BY_FD');
    return {
      id: map.id,
      type: map.type,
      keySize: map.keySize,
      valueSize: map.valueSize,
      maxEntries: map.maxEntries,
      flags: map.flags,
      name: map.name,
      btfId: btf?.id ?? 0,
      btfKeyTypeId: attr.btfKeyTypeId ?? 0,
      btfValueTypeId: attr.btfValueTypeId ?? 0,
      btfVmlinuxValueTypeId: 0,
      mapExtra: map.mapExtra,
      ifindex: 0,
      memlock: map.memlock,
      frozen: map.frozen,
      ...(map.owner === undefined ? {} : { ownerProgType: map.owner.type, ownerJited: map.owner.jited }),
    };
  }

  async mapGetNextId(id: number): Promise<number> {
    const command = 'BPF_MAP_GET_NEXT_ID';
    demandRoot(this.#task, command);
    return this.#machine.objects.nextId('map', id, command);
  }

  async mapGetFdById(id: number, openFlags = 0): Promise<Fd> {
    const command = 'BPF_MAP_GET_FD_BY_ID';
    const modes = MapFlag.Rdonly | MapFlag.Wronly;
    if (openFlags & ~modes || (openFlags & modes) === modes) {
      throw new BpfError(command, Errno.EINVAL, `flags ${openFlags} mean nothing here`);
    }
    demandRoot(this.#task, command);
    return this.#descriptors.open(this.#machine.objects.byId('map', id, command), openFlags);
  }
}
