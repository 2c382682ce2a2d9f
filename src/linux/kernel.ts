// The real kernel behind the waist: every command is bpf(2). It owns the descriptors that it gives out and closes
// those that are left when it is disposed of. Programs are loaded and test-run; nothing is attached.

import type {
  Bpf,
  Fd,
  MapCreateAttr,
  MapInfo,
  PacketBatch,
  PacketBatchResult,
  ProgInfo,
  ProgLoadAttr,
  ProgTestRunAttr,
  ProgTestRunResult,
  TraceEvent,
} from '../bpf/bpf.js';
import { BpfError, Errno } from '../bpf/errno.js';
import { MapType, type ProgType } from '../bpf/types.js';
import { attributes, type Fields, infos, NAME_LENGTH, Struct, type Values } from './attributes.js';
import { fdinfo, possibleCpus, wallClock } from './machine.js';
import { type Command, type Native, native } from './native.js';
import { runBatch, testRun } from './test-run.js';
import { TracePipe } from './trace-pipe.js';
import { loadWithLog } from './verifier-log.js';

/** Map types whose values have a slot for each CPU. */
const perCpu: ReadonlySet<MapType> = new Set([
  MapType.PercpuHash,
  MapType.PercpuArray,
  MapType.LruPercpuHash,
  MapType.PercpuCgroupStorage,
]);

/** Bytes that the system call moves for a key and a value of a map. */
interface Shape {
  readonly key: number;
  readonly value: number;
}

const encoder = new TextEncoder();

/** The kernel that this process runs on (Linux, as root, with the optional package koffi). */
export class LinuxKernel implements Bpf, Disposable {
  readonly #native: Native;
  readonly #cpus = possibleCpus();
  readonly #owned = new Set<Fd>();
  readonly #shapes = new Map<Fd, Shape>();
  readonly #types = new Map<Fd, ProgType>();
  readonly #tracePipe = new TracePipe();

  /** Throws a SkepError that says what is missing: Linux, the package koffi, or the rights. */
  constructor() {
    this.#native = native();
  }

  /** Closes all descriptors that are still open. */
  [Symbol.dispose](): void {
    this.#tracePipe[Symbol.dispose]();
    for (const fd of this.#owned) this.#native.close(fd);
    this.#owned.clear();
    this.#shapes.clear();
    this.#types.clear();
  }

  async close(fd: Fd): Promise<void> {
    if (!this.#owned.delete(fd))
      throw new BpfError('close', Errno.EBADF, `descriptor ${fd} is not of this kernel`);
    this.#shapes.delete(fd);
    this.#types.delete(fd);
    this.#native.close(fd);
  }

  #struct<F extends Fields>(fields: F, values: Values<F>): Struct<F> {
    return new Struct(fields, this.#native.address, values);
  }

  /** Runs a command; its result, 0 or more. */
  #call(command: Command, attr: { bytes: Uint8Array }, detail = ''): number {
    const result = this.#native.bpf(command, attr.bytes);
    if (result < 0) throw new BpfError(command, -result, detail);
    return result;
  }

  /** A descriptor of ours: another one might be a file of the process. */
  #own(command: Command, fd: Fd): Fd {
    if (!this.#owned.has(fd))
      throw new BpfError(command, Errno.EBADF, `descriptor ${fd} is not of this kernel`);
    return fd;
  }

  #opened(fd: Fd): Fd {
    this.#owned.add(fd);
    return fd;
  }

  // ---- maps

  async mapCreate(attr: MapCreateAttr): Promise<Fd> {
    const command = 'BPF_MAP_CREATE';
    const bytes = this.#struct(attributes.mapCreate, {
      map_type: attr.type,
      key_size: attr.keySize,
      value_size: attr.valueSize,
      max_entries: attr.maxEntries,
      map_flags: attr.flags,
      map_name: checkName(command, attr.name),
      inner_map_fd: attr.innerMapFd,
      numa_node: attr.numaNode,
      btf_fd: attr.btfFd,
      btf_key_type_id: attr.btfKeyTypeId,
      btf_value_type_id: attr.btfValueTypeId,
      map_extra: attr.mapExtra,
    });
    return this.#opened(this.#call(command, bytes));
  }

  #shape(command: Command, fd: Fd): Shape {
    this.#own(command, fd);
    let shape = this.#shapes.get(fd);
    if (!shape) {
      const info = this.#info(infos.bpf_map_info, fd);
      const value = info.u32('value_size');
      const slots = perCpu.has(info.u32('type') as MapType) ? this.#cpus : 0;
      shape = { key: info.u32('key_size'), value: slots ? ((value + 7) & ~7) * slots : value };
      this.#shapes.set(fd, shape);
    }
    return shape;
  }

  /** BPF_MAP_*_ELEM. The kernel takes the sizes of key and value from the map, so they must be right. */
  #elem(command: Command, fd: Fd, shape: Shape, key: Uint8Array | null, value?: Uint8Array, flags = 0): void {
    const check = (what: string, bytes: Uint8Array, size: number) => {
      if (bytes.length === size) return;
      throw new BpfError(
        command,
        Errno.EINVAL,
        `the ${what} has ${bytes.length} bytes, the map's have ${size}`,
      );
    };
    if (key) check('key', key, shape.key);
    if (value && command !== 'BPF_MAP_GET_NEXT_KEY') check('value', value, shape.value);
    const attr = this.#struct(attributes.mapElem, {
      map_fd: fd,
      key: key ?? undefined,
      value,
      flags: BigInt(flags),
    });
    this.#call(command, attr);
  }

  async mapLookupElem(fd: Fd, key: Uint8Array, flags = 0): Promise<Uint8Array> {
    const shape = this.#shape('BPF_MAP_LOOKUP_ELEM', fd);
    const value = new Uint8Array(shape.value);
    this.#elem('BPF_MAP_LOOKUP_ELEM', fd, shape, key, value, flags);
    return value;
  }

  async mapUpdateElem(fd: Fd, key: Uint8Array, value: Uint8Array, flags = 0): Promise<void> {
    this.#elem('BPF_MAP_UPDATE_ELEM', fd, this.#shape('BPF_MAP_UPDATE_ELEM', fd), key, value, flags);
  }

  async mapDeleteElem(fd: Fd, key: Uint8Array): Promise<void> {
    this.#elem('BPF_MAP_DELETE_ELEM', fd, this.#shape('BPF_MAP_DELETE_ELEM', fd), key);
  }

  async mapGetNextKey(fd: Fd, key: Uint8Array | null): Promise<Uint8Array> {
    const shape = this.#shape('BPF_MAP_GET_NEXT_KEY', fd);
    const next = new Uint8Array(shape.key);
    this.#elem('BPF_MAP_GET_NEXT_KEY', fd, shape, key, next);
    return next;
  }

  async mapFreeze(fd: Fd): Promise<void> {
    this.#own('BPF_MAP_FREEZE', fd);
    this.#call('BPF_MAP_FREEZE', this.#struct(attributes.mapElem, { map_fd: fd }));
  }

  #info<F extends Fields>(fields: F, fd: Fd, values: Values<F> = {}): Struct<F> {
    const command = 'BPF_OBJ_GET_INFO_BY_FD';
    this.#own(command, fd);
    const info = this.#struct(fields, values);
    const attr = this.#struct(attributes.infoByFd, {
      bpf_fd: fd,
      info_len: info.bytes.length,
      info: info.bytes,
    });
    this.#call(command, attr);
    return info;
  }

  async mapInfo(fd: Fd): Promise<MapInfo> {
    const info = this.#info(infos.bpf_map_info, fd);
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
      memlock: fdinfo(fd, 'memlock') ?? 0,
      frozen: fdinfo(fd, 'frozen') === 1,
    };
  }

  // ---- BTF

  async btfLoad(btf: Uint8Array): Promise<Fd> {
    const attr = this.#struct(attributes.btfLoad, { btf, btf_size: btf.length });
    const load = (log: Uint8Array | undefined, level: number) => {
      attr.set({
        btf_log_level: level,
        btf_log_size: log?.length ?? 0,
        btf_log_buf: log ?? new Uint8Array(),
      });
      return this.#native.bpf('BPF_BTF_LOAD', attr.bytes);
    };
    return this.#opened(loadWithLog('BPF_BTF_LOAD', 0, load, () => attr.u32('btf_log_true_size')));
  }

  // ---- programs

  async progLoad(attr: ProgLoadAttr): Promise<Fd> {
    const command = 'BPF_PROG_LOAD';
    if (attr.instructions.length % 8 !== 0) {
      throw new BpfError(
        command,
        Errno.EINVAL,
        `${attr.instructions.length} bytes are no whole instructions`,
      );
    }
    const { funcInfo, lineInfo } = attr;
    const bytes = this.#struct(attributes.progLoad, {
      prog_type: attr.type,
      insn_cnt: attr.instructions.length / 8,
      insns: attr.instructions,
      license: encoder.encode(`${attr.license}\0`),
      kern_version: attr.kernelVersion,
      prog_flags: attr.flags,
      prog_name: checkName(command, attr.name),
      expected_attach_type: attr.expectedAttachType,
      prog_btf_fd: attr.progBtfFd,
      attach_btf_id: attr.attachBtfId,
      ...(funcInfo?.length
        ? { func_info_rec_size: 8, func_info: funcInfo, func_info_cnt: funcInfo.length / 8 }
        : {}),
      ...(lineInfo?.length
        ? { line_info_rec_size: 16, line_info: lineInfo, line_info_cnt: lineInfo.length / 16 }
        : {}),
    });
    const load = (log: Uint8Array | undefined, level: number) => {
      bytes.set({ log_level: level, log_size: log?.length ?? 0, log_buf: log ?? new Uint8Array() });
      return this.#native.bpf(command, bytes.bytes);
    };
    const fd = this.#opened(loadWithLog(command, attr.logLevel ?? 0, load, () => bytes.u32('log_true_size')));
    this.#types.set(fd, attr.type);
    return fd;
  }

  #program(fd: Fd): { fd: Fd; type: ProgType } {
    const type = this.#types.get(this.#own('BPF_PROG_TEST_RUN', fd));
    if (type === undefined)
      throw new BpfError('BPF_PROG_TEST_RUN', Errno.EINVAL, `descriptor ${fd} is no program`);
    return { fd, type };
  }

  async progTestRun(fd: Fd, attr: ProgTestRunAttr): Promise<ProgTestRunResult> {
    return testRun(this.#native, this.#program(fd), attr);
  }

  async progRunBatch(fd: Fd, batch: PacketBatch): Promise<PacketBatchResult> {
    return runBatch(this.#native, { ...this.#program(fd), info: () => this.progInfo(fd) }, batch);
  }

  async progInfo(fd: Fd): Promise<ProgInfo> {
    const count = this.#info(infos.bpf_prog_info, fd).u32('nr_map_ids');
    const ids = new Uint32Array(count);
    const info = this.#info(infos.bpf_prog_info, fd, {
      nr_map_ids: count,
      map_ids: new Uint8Array(ids.buffer),
    });
    return {
      id: info.u32('id'),
      type: info.u32('type') as ProgType,
      name: info.name('name'),
      tag: info.tag('tag'),
      gplCompatible: (info.u32('gpl_compatible') & 1) === 1,
      bytesXlated: info.u32('xlated_prog_len'),
      bytesJited: info.u32('jited_prog_len'),
      mapIds: [...ids],
      btfId: info.u32('btf_id'),
      loadedAt: wallClock(info.u64('load_time')),
      uid: info.u32('created_by_uid'),
    };
  }

  async possibleCpus(): Promise<number> {
    return this.#cpus;
  }

  async trace(listener: (event: TraceEvent) => void): Promise<Disposable> {
    return this.#tracePipe.listen(listener);
  }
}

/** The kernel has 16 bytes for a name, the last one NUL: a longer one cannot even be asked for. */
function checkName(command: Command, name = ''): string {
  if (encoder.encode(name).length >= NAME_LENGTH) {
    throw new BpfError(command, Errno.EINVAL, `the name ${JSON.stringify(name)} has more than 15 bytes`);
  }
  return name;
}
