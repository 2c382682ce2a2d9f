// The waist: the bpf(2) contract. Two kernels implement it (the emulated one and the real one);
// everything above is written once. Neither side knows the other.
//
// Every command is asynchronous, so that a kernel may live in another process or in a browser's worker; for the same
// reason everything that crosses here is a plain value, bytes, or a descriptor.
// Keys and values are bytes in the machine's (little-endian) order, as bpf(2) has them: a per-CPU value is
// one 8-byte-aligned slot for each possible CPU, one after the other.

import type { BufferCommands } from './buffers.js';
import type { Fd } from './fd.js';
import type { FileCommands } from './files.js';
import type { Hooks } from './hooks.js';
import type {
  LinkCreateAttr,
  LinkInfo,
  LinkUpdateAttr,
  ProgAttachAttr,
  ProgDetachAttr,
  ProgQueryAttr,
  ProgQueryResult,
} from './links.js';
import type {
  BatchCursor,
  MapBatchOptions,
  MapBatchResult,
  MapCreateAttr,
  MapElements,
  MapInfo,
} from './maps.js';
import type {
  Log,
  PacketBatch,
  PacketBatchResult,
  ProgDump,
  ProgInfo,
  ProgLoadAttr,
  ProgTestRunAttr,
  ProgTestRunResult,
  TaskFdInfo,
} from './programs.js';

export type * from './buffers.js';
export type * from './fd.js';
export type * from './files.js';
export type * from './hooks.js';
export type * from './links.js';
export type * from './maps.js';
export type * from './programs.js';

/** One line of trace_pipe. */
export interface TraceEvent {
  /** Task name and process id of whoever ran the program. */
  task: string;
  pid: number;
  cpu: number;
  /** Nanoseconds since the kernel started. */
  timestamp: bigint;
  /** The printed text, without a trailing newline. */
  text: string;
  /** Lines of this CPU that came after the one before and are lost, because they were not taken in time. */
  lost?: number;
}

export interface BtfLoadOptions {
  /** 1 or 2: what the kernel thinks of each type. */
  logLevel?: number;
  log?: Log;
  tokenFd?: Fd;
}

export interface BtfInfo {
  id: number;
  /** Bytes of the data. */
  size: number;
  /** `vmlinux` or the module's name; empty for what user space loaded. */
  name: string;
  /** The kernel's own, or a module's. */
  kernelBtf: boolean;
}

/** What can be pinned or has an id. */
export type ObjKind = 'map' | 'prog' | 'link' | 'btf';

/** The maps. */
export interface MapCommands {
  mapCreate(attr: MapCreateAttr): Promise<Fd>;
  /**
   * ENOENT when the key is not there. Of a queue or a stack, whose key is empty, the next element, which stays. A Bloom
   * filter has no keys: `key` is the value that is looked for. `flags`: UpdateFlag.Lock.
   */
  mapLookupElem(map: Fd, key: Uint8Array, flags?: number): Promise<Uint8Array>;
  /** `flags`: UpdateFlag. EEXIST, ENOENT, E2BIG (full). */
  mapUpdateElem(map: Fd, key: Uint8Array, value: Uint8Array, flags?: number): Promise<void>;
  mapDeleteElem(map: Fd, key: Uint8Array): Promise<void>;
  /** The value, which is then gone. A queue or a stack has no key (empty): its next element. */
  mapLookupAndDeleteElem(map: Fd, key: Uint8Array, flags?: number): Promise<Uint8Array>;
  /** The key after `key`, the first for null; ENOENT after the last. */
  mapGetNextKey(map: Fd, key: Uint8Array | null): Promise<Uint8Array>;
  /**
   * Up to `count` elements from the cursor on. ENOSPC when a bucket of a hash holds more than `count`: ask for more.
   * Types without batches: EOPNOTSUPP or ENOTSUPP, as Linux has it.
   */
  mapLookupBatch(
    map: Fd,
    cursor: BatchCursor,
    count: number,
    options?: MapBatchOptions,
  ): Promise<MapBatchResult>;
  /** The same, and the elements are gone. */
  mapLookupAndDeleteBatch(
    map: Fd,
    cursor: BatchCursor,
    count: number,
    options?: MapBatchOptions,
  ): Promise<MapBatchResult>;
  /** Fails with a BatchError, which says how many elements were written before. */
  mapUpdateBatch(map: Fd, elements: MapElements, options?: MapBatchOptions): Promise<void>;
  /** Fails with a BatchError, which says how many were deleted before. */
  mapDeleteBatch(
    map: Fd,
    keys: { count: number; keys: Uint8Array },
    options?: MapBatchOptions,
  ): Promise<void>;
  mapFreeze(map: Fd): Promise<void>;
  mapInfo(map: Fd): Promise<MapInfo>;
  /** The id after `id`, the first for 0; ENOENT after the last. */
  mapGetNextId(id: number): Promise<number>;
  /** ENOENT when there is no map of this id. `openFlags`: MapFlag.Rdonly or Wronly. */
  mapGetFdById(id: number, openFlags?: number): Promise<Fd>;
}

/** The programs. */
export interface ProgCommands {
  progLoad(attr: ProgLoadAttr): Promise<Fd>;
  progTestRun(prog: Fd, attr: ProgTestRunAttr): Promise<ProgTestRunResult>;
  /** The one command that bpf(2) does not have: many packets at once. */
  progRunBatch(prog: Fd, batch: PacketBatch): Promise<PacketBatchResult>;
  /** The program keeps the map from now on, as if an instruction used it; once is enough. */
  progBindMap(prog: Fd, map: Fd): Promise<void>;
  progInfo(prog: Fd): Promise<ProgInfo>;
  /** Instructions, machine code, and what belongs to them. */
  progDump(prog: Fd): Promise<ProgDump>;
  progGetNextId(id: number): Promise<number>;
  progGetFdById(id: number): Promise<Fd>;
  /** What the program wrote to its standard output (1) or error (2), at most `size` bytes; empty when there is nothing (Linux 6.17). */
  progStreamRead(prog: Fd, stream: 1 | 2, size: number): Promise<Uint8Array>;
  /** Counts runs and their time (`type` 0, BPF_STATS_RUN_TIME) of every program until the descriptor is closed. */
  enableStats(type: number): Promise<Fd>;
  /** The program behind a descriptor of a perf event in another process. */
  taskFdQuery(pid: number, fd: number): Promise<TaskFdInfo>;
}

/** BTF. */
export interface BtfCommands {
  btfLoad(btf: Uint8Array, options?: BtfLoadOptions): Promise<Fd>;
  btfInfo(btf: Fd): Promise<BtfInfo>;
  /** The data itself. */
  btfData(btf: Fd): Promise<Uint8Array>;
  btfGetNextId(id: number): Promise<number>;
  btfGetFdById(id: number): Promise<Fd>;
}

/** Links, attachment and iterators. */
export interface LinkCommands {
  /** The program stays attached as long as the link has a descriptor or a pin. */
  linkCreate(attr: LinkCreateAttr): Promise<Fd>;
  linkUpdate(link: Fd, attr: LinkUpdateAttr): Promise<void>;
  /** Ends the attachment; the link stays, without effect. EOPNOTSUPP for types that cannot. */
  linkDetach(link: Fd): Promise<void>;
  linkInfo(link: Fd): Promise<LinkInfo>;
  linkGetNextId(id: number): Promise<number>;
  linkGetFdById(id: number): Promise<Fd>;
  /** A link on a raw tracepoint; without a name, on what the program was loaded for (tp_btf, fentry, fexit, lsm). */
  rawTracepointOpen(attr: { prog: Fd; name?: string; cookie?: bigint }): Promise<Fd>;
  /** Attaches without a link: what is attached stays until progDetach, or as long as the target. */
  progAttach(attr: ProgAttachAttr): Promise<void>;
  progDetach(attr: ProgDetachAttr): Promise<void>;
  progQuery(attr: ProgQueryAttr): Promise<ProgQueryResult>;
  /** A new run of an iterator link; read it with `read`. */
  iterCreate(link: Fd): Promise<Fd>;
}

/** Names in the bpf file system. */
export interface PinCommands {
  /** EEXIST when the name is taken, EPERM when the path is not in a bpf file system. */
  objPin(fd: Fd, path: string): Promise<void>;
  /** ENOENT; `fileFlags`: MapFlag.Rdonly or Wronly. */
  objGet(path: string, fileFlags?: number): Promise<Fd>;
  /** What is behind a descriptor of this kernel; EINVAL for anything else. */
  objKind(fd: Fd): Promise<ObjKind>;
  /** Delegates rights over a bpf file system (a path of its mount) to a user namespace. */
  tokenCreate(bpffs: string): Promise<Fd>;
}

/** The bpf(2) commands and what belongs to them. Every method fails with a BpfError that has Linux's errno. */
export interface Bpf
  extends MapCommands,
    BufferCommands,
    ProgCommands,
    BtfCommands,
    LinkCommands,
    PinCommands,
    FileCommands,
    Hooks {
  /** Number of possible CPUs: the number of slots in a per-CPU value. */
  possibleCpus(): Promise<number>;
  /**
   * Calls `listener` for each event from now on; disposing ends that. A kernel that is elsewhere waits for a promise that the
   * listener gives back, and keeps what happens meanwhile as long as there is room.
   */
  trace(listener: (event: TraceEvent) => void): Promise<Disposable>;
  /** A descriptor of a cgroup, network namespace or pinned iterator by its path, for the commands that take one. */
  open(path: string): Promise<Fd>;
  /** At most `size` bytes of an iterator or of what `open` gave; empty at the end. */
  read(fd: Fd, size: number): Promise<Uint8Array>;
  /** Gives the descriptor back; the object goes with its last reference. */
  close(fd: Fd): Promise<void>;
}
