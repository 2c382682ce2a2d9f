// The map commands of the real kernel. It takes the sizes of keys and values from the map, so what is handed to it must
// be as long: every length is checked here first.

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
import { BatchError, BpfError, Errno } from '../bpf/errno.js';
import { MapType } from '../bpf/types.js';
import { attributes, infos } from './attributes.js';
import { fdinfo } from './machine.js';
import type { Command } from './native.js';
import { checkName, type Session } from './session.js';

/** Map types whose values have a slot for each CPU. */
const perCpu: ReadonlySet<MapType> = new Set([
  MapType.PercpuHash,
  MapType.PercpuArray,
  MapType.LruPercpuHash,
  MapType.PercpuCgroupStorage,
]);

/** Bytes that one batch brings at most; whoever asks for more goes on with the cursor. */
const BATCH_ROOM = 1 << 26;

/** Bytes that the system call moves for a key and a value of a map. */
interface Shape {
  readonly type: MapType;
  readonly key: number;
  readonly value: number;
  readonly maxEntries: number;
}

export class LinuxMaps implements MapCommands {
  readonly #session: Session;
  readonly #cpus: number;
  readonly #shapes = new Map<Fd, Shape>();

  constructor(session: Session, cpus: number) {
    this.#session = session;
    this.#cpus = cpus;
    session.onClose((fd) => this.#shapes.delete(fd));
  }

  async mapCreate(attr: MapCreateAttr): Promise<Fd> {
    const command = 'BPF_MAP_CREATE';
    const session = this.#session;
    const own = (fd: Fd | undefined) => session.ownIfGiven(command, fd);
    const create = session.struct(attributes.mapCreate, {
      map_type: attr.type,
      key_size: attr.keySize,
      value_size: attr.valueSize,
      max_entries: attr.maxEntries,
      map_flags: attr.flags,
      map_name: checkName(command, attr.name),
      map_ifindex: attr.ifindex,
      inner_map_fd: own(attr.innerMapFd),
      numa_node: attr.numaNode,
      btf_fd: own(attr.btfFd),
      btf_key_type_id: attr.btfKeyTypeId,
      btf_value_type_id: attr.btfValueTypeId,
      btf_vmlinux_value_type_id: attr.btfVmlinuxValueTypeId,
      value_type_btf_obj_fd: own(attr.valueTypeBtfObjFd),
      map_extra: attr.mapExtra,
      map_token_fd: own(attr.tokenFd),
    });
    return session.open(command, create);
  }

  #shape(command: Command, fd: Fd): Shape {
    this.#session.own(command, fd);
    let shape = this.#shapes.get(fd);
    if (!shape) {
      const info = this.#session.info(infos.bpf_map_info, fd);
      const type = info.u32('type') as MapType;
      const value = info.u32('value_size');
      shape = {
        type,
        key: info.u32('key_size'),
        value: perCpu.has(type) ? ((value + 7) & ~7) * this.#cpus : value,
        maxEntries: info.u32('max_entries'),
      };
      this.#shapes.set(fd, shape);
    }
    return shape;
  }

  /** BPF_MAP_*_ELEM. */
  #elem(
    command: Command,
    fd: Fd,
    { key, value }: { key?: Uint8Array | undefined; value?: Uint8Array },
    flags = 0,
  ): void {
    const attr = this.#session.struct(attributes.mapElem, { map_fd: fd, key, value, flags: BigInt(flags) });
    this.#session.call(command, attr);
  }

  #checkKey(command: Command, shape: Shape, key: Uint8Array): void {
    checkLength(command, 'key', key, shape.key);
  }

  async mapLookupElem(fd: Fd, key: Uint8Array, flags = 0): Promise<Uint8Array> {
    const command = 'BPF_MAP_LOOKUP_ELEM';
    const shape = this.#shape(command, fd);
    if (shape.type === MapType.BloomFilter) {
      // It has no keys: what is looked for is the value.
      checkLength(command, 'value', key, shape.value);
      this.#elem(command, fd, { value: key.slice() }, flags);
      return key.slice();
    }
    this.#checkKey(command, shape, key);
    const value = new Uint8Array(shape.value);
    this.#elem(command, fd, { key, value }, flags);
    return value;
  }

  async mapUpdateElem(fd: Fd, key: Uint8Array, value: Uint8Array, flags = 0): Promise<void> {
    const command = 'BPF_MAP_UPDATE_ELEM';
    const shape = this.#shape(command, fd);
    this.#checkKey(command, shape, key);
    checkLength(command, 'value', value, shape.value);
    this.#elem(command, fd, { key, value }, flags);
  }

  async mapDeleteElem(fd: Fd, key: Uint8Array): Promise<void> {
    const command = 'BPF_MAP_DELETE_ELEM';
    this.#checkKey(command, this.#shape(command, fd), key);
    this.#elem(command, fd, { key });
  }

  async mapLookupAndDeleteElem(fd: Fd, key: Uint8Array, flags = 0): Promise<Uint8Array> {
    const command = 'BPF_MAP_LOOKUP_AND_DELETE_ELEM';
    const shape = this.#shape(command, fd);
    this.#checkKey(command, shape, key);
    const value = new Uint8Array(shape.value);
    this.#elem(command, fd, { key, value }, flags);
    return value;
  }

  async mapGetNextKey(fd: Fd, key: Uint8Array | null): Promise<Uint8Array> {
    const command = 'BPF_MAP_GET_NEXT_KEY';
    const shape = this.#shape(command, fd);
    if (key) this.#checkKey(command, shape, key);
    const next = new Uint8Array(shape.key);
    this.#elem(command, fd, { key: key ?? undefined, value: next });
    return next;
  }

  async mapLookupBatch(
    fd: Fd,
    cursor: BatchCursor,
    count: number,
    options: MapBatchOptions = {},
  ): Promise<MapBatchResult> {
    return this.#lookupBatch('BPF_MAP_LOOKUP_BATCH', fd, cursor, count, options);
  }

  async mapLookupAndDeleteBatch(
    fd: Fd,
    cursor: BatchCursor,
    count: number,
    options: MapBatchOptions = {},
  ): Promise<MapBatchResult> {
    return this.#lookupBatch('BPF_MAP_LOOKUP_AND_DELETE_BATCH', fd, cursor, count, options);
  }

  #lookupBatch(
    command: Command,
    fd: Fd,
    cursor: BatchCursor,
    count: number,
    { elemFlags = 0 }: MapBatchOptions,
  ): MapBatchResult {
    const shape = this.#shape(command, fd);
    // A cursor is the number of a bucket, or a key.
    const size = Math.max(shape.key, 4);
    if (cursor) checkLength(command, 'cursor', cursor, size);
    if (!Number.isInteger(count) || count < 0) {
      throw new BpfError(command, Errno.EINVAL, `${count} is no number of elements`);
    }
    // No more room than there can be elements (one more, to see the end), nor than one call should move.
    const each = Math.max(shape.key + shape.value, 1);
    const room = Math.min(count, shape.maxEntries + 1, Math.ceil(BATCH_ROOM / each));
    const keys = new Uint8Array(room * shape.key);
    const values = new Uint8Array(room * shape.value);
    const next = new Uint8Array(size);
    const attr = this.#session.struct(attributes.mapBatch, {
      'batch.in_batch': cursor ?? undefined,
      'batch.out_batch': next,
      'batch.keys': keys,
      'batch.values': values,
      'batch.count': room,
      'batch.map_fd': fd,
      'batch.elem_flags': BigInt(elemFlags),
    });
    const result = this.#session.native.bpf(command, attr.bytes);
    if (result < 0 && result !== -Errno.ENOENT) throw new BpfError(command, -result);
    const found = attr.u32('batch.count');
    return {
      count: found,
      keys: keys.subarray(0, found * shape.key),
      values: values.subarray(0, found * shape.value),
      cursor: next,
      done: result === -Errno.ENOENT,
    };
  }

  async mapUpdateBatch(fd: Fd, elements: MapElements, options: MapBatchOptions = {}): Promise<void> {
    this.#writeBatch('BPF_MAP_UPDATE_BATCH', fd, elements, options);
  }

  async mapDeleteBatch(
    fd: Fd,
    keys: { count: number; keys: Uint8Array },
    options: MapBatchOptions = {},
  ): Promise<void> {
    this.#writeBatch('BPF_MAP_DELETE_BATCH', fd, keys, options);
  }

  #writeBatch(
    command: Command,
    fd: Fd,
    { count, keys, values }: { count: number; keys: Uint8Array; values?: Uint8Array },
    { elemFlags = 0 }: MapBatchOptions,
  ): void {
    const shape = this.#shape(command, fd);
    checkLength(command, 'keys', keys, count * shape.key);
    if (values) checkLength(command, 'values', values, count * shape.value);
    const attr = this.#session.struct(attributes.mapBatch, {
      'batch.keys': keys,
      'batch.values': values,
      'batch.count': count,
      'batch.map_fd': fd,
      'batch.elem_flags': BigInt(elemFlags),
    });
    const result = this.#session.native.bpf(command, attr.bytes);
    if (result >= 0) return;
    // A command that was refused as a whole leaves the count as it was.
    const done = attr.u32('batch.count');
    throw new BatchError(command, -result, done < count ? done : 0);
  }

  async mapFreeze(fd: Fd): Promise<void> {
    this.#session.own('BPF_MAP_FREEZE', fd);
    this.#session.call('BPF_MAP_FREEZE', this.#session.struct(attributes.mapElem, { map_fd: fd }));
  }

  async mapInfo(fd: Fd): Promise<MapInfo> {
    const info = this.#session.info(infos.bpf_map_info, fd);
    const ownerProgType = fdinfo(fd, 'owner_prog_type');
    const ownerJited = fdinfo(fd, 'owner_jited');
    return {
      id: info.u32('id'),
      type: info.u32('type') as MapType,
      keySize: info.u32('key_size'),
      valueSize: info.u32('value_size'),
      maxEntries: info.u32('max_entries'),
      flags: info.u32('map_flags'),
      name: info.name('name'),
      btfId: info.u32('btf_id'),
      btfKeyTypeId: info.u32('btf_key_type_id'),
      btfValueTypeId: info.u32('btf_value_type_id'),
      btfVmlinuxValueTypeId: info.u32('btf_vmlinux_value_type_id'),
      mapExtra: info.u64('map_extra'),
      ifindex: info.u32('ifindex'),
      memlock: fdinfo(fd, 'memlock') ?? 0,
      frozen: fdinfo(fd, 'frozen') === 1,
      ...(ownerProgType === undefined ? {} : { ownerProgType }),
      ...(ownerJited === undefined ? {} : { ownerJited: ownerJited === 1 }),
    };
  }

  async mapGetNextId(id: number): Promise<number> {
    return this.#session.nextId('BPF_MAP_GET_NEXT_ID', id);
  }

  async mapGetFdById(id: number, openFlags = 0): Promise<Fd> {
    return this.#session.fdById('BPF_MAP_GET_FD_BY_ID', id, openFlags);
  }
}

function checkLength(command: Command, what: string, bytes: Uint8Array, size: number): void {
  if (bytes.length === size) return;
  throw new BpfError(command, Errno.EINVAL, `the ${what} has ${bytes.length} bytes, the map's have ${size}`);
}
