// A process of the emulated kernel: the bpf(2) commands with descriptors of its own, over objects that all processes share.
// The commands are in files of their own, a group each.

import type {
  BatchCursor,
  Bpf,
  BtfInfo,
  Fd,
  FileEntry,
  FileStat,
  LinkCreateAttr,
  LinkInfo,
  LinkUpdateAttr,
  MapBatchOptions,
  MapBatchResult,
  MapCreateAttr,
  MapElements,
  MapInfo,
  NetDevice,
  ObjKind,
  PacketBatch,
  PacketBatchResult,
  PerfBufferOptions,
  PerfRecord,
  ProgAttachAttr,
  ProgDetachAttr,
  ProgDump,
  ProgInfo,
  ProgLoadAttr,
  ProgQueryAttr,
  ProgQueryResult,
  ProgTestRunAttr,
  ProgTestRunResult,
  TraceEvent,
  XdpAttr,
} from '../bpf/bpf.js';
import { BpfError, Errno } from '../bpf/errno.js';
import { KernelBtfs } from './btf-commands.js';
import { KernelBuffers } from './buffers.js';
import { Descriptors } from './descriptors.js';
import { KernelFiles } from './fs/file-commands.js';
import { KernelLinks } from './link-commands.js';
import type { KernelMachine, Task } from './machine.js';
import { KernelMaps } from './map-commands.js';
import { isNumbered } from './objects.js';
import { KernelPrograms } from './program-commands.js';
import { Unhooked } from './unhooked.js';

export class KernelProcess extends Unhooked implements Bpf {
  /** What the process is known as in what its programs print. */
  readonly task: Task;
  protected readonly machine: KernelMachine;
  readonly #descriptors: Descriptors;
  readonly #maps: KernelMaps;
  readonly #buffers: KernelBuffers;
  readonly #btfs: KernelBtfs;
  readonly #programs: KernelPrograms;
  readonly #files: KernelFiles;
  readonly #links: KernelLinks;
  /** Ends each of its listeners to the trace output. */
  readonly #listening = new Set<() => void>();

  constructor(machine: KernelMachine, task: Task) {
    super();
    const descriptors = new Descriptors(machine.objects);
    this.task = task;
    this.machine = machine;
    this.#descriptors = descriptors;
    this.#maps = new KernelMaps(machine, descriptors, task);
    this.#buffers = new KernelBuffers(machine, descriptors);
    this.#btfs = new KernelBtfs(descriptors, task);
    this.#programs = new KernelPrograms(machine, descriptors, task);
    this.#files = new KernelFiles(machine, descriptors, task);
    this.#links = new KernelLinks(machine, descriptors, task);
  }

  /** The end of the process: its descriptors are closed, and what nobody else holds is gone. */
  async exit(): Promise<void> {
    for (const end of this.#listening) end();
    this.#listening.clear();
    this.#buffers.end();
    this.#descriptors.end();
  }

  async close(fd: Fd): Promise<void> {
    this.#descriptors.close(fd);
    this.#buffers.closed(fd);
  }

  async possibleCpus(): Promise<number> {
    return this.machine.cpus;
  }

  async trace(listener: (event: TraceEvent) => void): Promise<Disposable> {
    const end = this.machine.tracing.listen(listener);
    this.#listening.add(end);
    return {
      [Symbol.dispose]: () => {
        end();
        this.#listening.delete(end);
      },
    };
  }

  protected hasDevice(ifindex: number): boolean {
    return this.machine.devices.byIndex(ifindex) !== undefined;
  }

  protected checkOpen(command: string, fd: Fd): void {
    this.#descriptors.file(fd, command);
  }

  async objKind(fd: Fd): Promise<ObjKind> {
    const command = 'BPF_OBJ_GET_INFO_BY_FD';
    const { kind } = this.#descriptors.file(fd, command);
    if (!isNumbered(kind)) {
      throw new BpfError(command, Errno.EINVAL, `descriptor ${fd} is no object`);
    }
    return kind === 'program' ? 'prog' : kind;
  }

  // ---- maps

  mapCreate(attr: MapCreateAttr): Promise<Fd> {
    return this.#maps.mapCreate(attr);
  }

  mapLookupElem(fd: Fd, key: Uint8Array, flags?: number): Promise<Uint8Array> {
    return this.#maps.mapLookupElem(fd, key, flags);
  }

  mapUpdateElem(fd: Fd, key: Uint8Array, value: Uint8Array, flags?: number): Promise<void> {
    return this.#maps.mapUpdateElem(fd, key, value, flags);
  }

  mapDeleteElem(fd: Fd, key: Uint8Array): Promise<void> {
    return this.#maps.mapDeleteElem(fd, key);
  }

  mapLookupAndDeleteElem(fd: Fd, key: Uint8Array, flags?: number): Promise<Uint8Array> {
    return this.#maps.mapLookupAndDeleteElem(fd, key, flags);
  }

  mapGetNextKey(fd: Fd, key: Uint8Array | null): Promise<Uint8Array> {
    return this.#maps.mapGetNextKey(fd, key);
  }

  mapLookupBatch(
    fd: Fd,
    cursor: BatchCursor,
    count: number,
    options?: MapBatchOptions,
  ): Promise<MapBatchResult> {
    return this.#maps.mapLookupBatch(fd, cursor, count, options);
  }

  mapLookupAndDeleteBatch(
    fd: Fd,
    cursor: BatchCursor,
    count: number,
    options?: MapBatchOptions,
  ): Promise<MapBatchResult> {
    return this.#maps.mapLookupAndDeleteBatch(fd, cursor, count, options);
  }

  mapUpdateBatch(fd: Fd, elements: MapElements, options?: MapBatchOptions): Promise<void> {
    return this.#maps.mapUpdateBatch(fd, elements, options);
  }

  mapDeleteBatch(
    fd: Fd,
    keys: { count: number; keys: Uint8Array },
    options?: MapBatchOptions,
  ): Promise<void> {
    return this.#maps.mapDeleteBatch(fd, keys, options);
  }

  mapFreeze(fd: Fd): Promise<void> {
    return this.#maps.mapFreeze(fd);
  }

  mapInfo(fd: Fd): Promise<MapInfo> {
    return this.#maps.mapInfo(fd);
  }

  mapGetNextId(id: number): Promise<number> {
    return this.#maps.mapGetNextId(id);
  }

  mapGetFdById(id: number, openFlags?: number): Promise<Fd> {
    return this.#maps.mapGetFdById(id, openFlags);
  }

  // ---- what programs send and get

  ringbufConsume(map: Fd): Promise<Uint8Array[]> {
    return this.#buffers.ringbufConsume(map);
  }

  ringbufProduce(map: Fd, record: Uint8Array): Promise<void> {
    return this.#buffers.ringbufProduce(map, record);
  }

  perfBufferOpen(cpu: number, size: number, options?: PerfBufferOptions): Promise<Fd> {
    return this.#buffers.perfBufferOpen(cpu, size, options);
  }

  perfBufferConsume(buffer: Fd): Promise<PerfRecord[]> {
    return this.#buffers.perfBufferConsume(buffer);
  }

  poll(fds: readonly Fd[], timeout: number): Promise<Fd[]> {
    return this.#buffers.poll(fds, timeout);
  }

  // ---- BTF

  btfLoad(bytes: Uint8Array): Promise<Fd> {
    return this.#btfs.btfLoad(bytes);
  }

  btfInfo(fd: Fd): Promise<BtfInfo> {
    return this.#btfs.btfInfo(fd);
  }

  btfData(fd: Fd): Promise<Uint8Array> {
    return this.#btfs.btfData(fd);
  }

  btfGetNextId(id: number): Promise<number> {
    return this.#btfs.btfGetNextId(id);
  }

  btfGetFdById(id: number): Promise<Fd> {
    return this.#btfs.btfGetFdById(id);
  }

  // ---- programs

  progLoad(attr: ProgLoadAttr): Promise<Fd> {
    return this.#programs.progLoad(attr);
  }

  progTestRun(prog: Fd, attr: ProgTestRunAttr): Promise<ProgTestRunResult> {
    return this.#programs.progTestRun(prog, attr);
  }

  progRunBatch(prog: Fd, batch: PacketBatch): Promise<PacketBatchResult> {
    return this.#programs.progRunBatch(prog, batch);
  }

  progBindMap(prog: Fd, map: Fd): Promise<void> {
    return this.#programs.progBindMap(prog, map);
  }

  progInfo(prog: Fd): Promise<ProgInfo> {
    return this.#programs.progInfo(prog);
  }

  progDump(prog: Fd): Promise<ProgDump> {
    return this.#programs.progDump(prog);
  }

  progGetNextId(id: number): Promise<number> {
    return this.#programs.progGetNextId(id);
  }

  progGetFdById(id: number): Promise<Fd> {
    return this.#programs.progGetFdById(id);
  }

  enableStats(type: number): Promise<Fd> {
    return this.#programs.enableStats(type);
  }

  // ---- names and files

  objPin(fd: Fd, path: string): Promise<void> {
    return this.#files.objPin(fd, path);
  }

  objGet(path: string, fileFlags?: number): Promise<Fd> {
    return this.#files.objGet(path, fileFlags);
  }

  tokenCreate(bpffs: string): Promise<Fd> {
    return this.#files.tokenCreate(bpffs);
  }

  bpfMounts(): Promise<string[]> {
    return this.#files.bpfMounts();
  }

  fileList(path: string): Promise<FileEntry[]> {
    return this.#files.fileList(path);
  }

  fileStat(path: string): Promise<FileStat> {
    return this.#files.fileStat(path);
  }

  mkdir(path: string, mode?: number): Promise<void> {
    return this.#files.mkdir(path, mode);
  }

  rmdir(path: string): Promise<void> {
    return this.#files.rmdir(path);
  }

  rename(from: string, to: string): Promise<void> {
    return this.#files.rename(from, to);
  }

  hardLink(from: string, to: string): Promise<void> {
    return this.#files.hardLink(from, to);
  }

  unlink(path: string): Promise<void> {
    return this.#files.unlink(path);
  }

  chmod(path: string, mode: number): Promise<void> {
    return this.#files.chmod(path, mode);
  }

  readFile(path: string): Promise<Uint8Array> {
    return this.#files.readFile(path);
  }

  writeFile(path: string, content: Uint8Array): Promise<void> {
    return this.#files.writeFile(path, content);
  }

  open(path: string): Promise<Fd> {
    return this.#files.open(path);
  }

  read(fd: Fd, size: number): Promise<Uint8Array> {
    return this.#files.read(fd, size);
  }

  // ---- links and attachment

  linkCreate(attr: LinkCreateAttr): Promise<Fd> {
    return this.#links.linkCreate(attr);
  }

  linkUpdate(link: Fd, attr: LinkUpdateAttr): Promise<void> {
    return this.#links.linkUpdate(link, attr);
  }

  linkDetach(link: Fd): Promise<void> {
    return this.#links.linkDetach(link);
  }

  linkInfo(link: Fd): Promise<LinkInfo> {
    return this.#links.linkInfo(link);
  }

  linkGetNextId(id: number): Promise<number> {
    return this.#links.linkGetNextId(id);
  }

  linkGetFdById(id: number): Promise<Fd> {
    return this.#links.linkGetFdById(id);
  }

  progAttach(attr: ProgAttachAttr): Promise<void> {
    return this.#links.progAttach(attr);
  }

  progDetach(attr: ProgDetachAttr): Promise<void> {
    return this.#links.progDetach(attr);
  }

  progQuery(attr: ProgQueryAttr): Promise<ProgQueryResult> {
    return this.#links.progQuery(attr);
  }

  netDevices(): Promise<NetDevice[]> {
    return this.#links.netDevices();
  }

  xdpSet(attr: XdpAttr): Promise<void> {
    return this.#links.xdpSet(attr);
  }
}
