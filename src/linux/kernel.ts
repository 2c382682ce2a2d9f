// The real kernel behind the waist. It owns the descriptors that it gives out and closes those that are left when it is
// disposed of. The commands are in files of their own, a group each.

import type {
  BatchCursor,
  Bpf,
  BtfInfo,
  BtfLoadOptions,
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
  PerfEventAttr,
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
  TaskFdInfo,
  TcFilter,
  TcFilterAttr,
  TcHook,
  TraceEvent,
  XdpAttr,
} from '../bpf/bpf.js';
import { LinuxBtf } from './btf.js';
import { LinuxBuffers } from './buffers.js';
import { LinuxFiles } from './files.js';
import { LinuxLinks } from './links.js';
import { possibleCpus } from './machine.js';
import { LinuxMaps } from './maps.js';
import { LinuxNet } from './net.js';
import { LinuxPerfEvents } from './perf-event.js';
import { LinuxPins } from './pins.js';
import { LinuxPrograms } from './programs.js';
import { Session } from './session.js';
import { TracePipe } from './trace-pipe.js';

/** The kernel that this process runs on (Linux, as root, with the optional package koffi). */
export class LinuxKernel implements Bpf, Disposable {
  readonly #session: Session;
  readonly #cpus: number;
  readonly #maps: LinuxMaps;
  readonly #programs: LinuxPrograms;
  readonly #btf: LinuxBtf;
  readonly #links: LinuxLinks;
  readonly #pins: LinuxPins;
  readonly #files: LinuxFiles;
  readonly #net: LinuxNet;
  readonly #perfEvents: LinuxPerfEvents;
  readonly #buffers: LinuxBuffers;
  readonly #tracePipe = new TracePipe();

  /** Throws a SkepError that says what is missing: Linux, the package koffi, or the rights. */
  constructor() {
    const session = new Session();
    this.#session = session;
    this.#cpus = possibleCpus();
    this.#maps = new LinuxMaps(session, this.#cpus);
    this.#programs = new LinuxPrograms(session);
    this.#btf = new LinuxBtf(session);
    this.#links = new LinuxLinks(session);
    this.#pins = new LinuxPins(session);
    this.#files = new LinuxFiles(this.#pins);
    this.#net = new LinuxNet(session);
    this.#perfEvents = new LinuxPerfEvents(session);
    this.#buffers = new LinuxBuffers(session);
  }

  /** Closes all descriptors that are still open. */
  [Symbol.dispose](): void {
    this.#tracePipe[Symbol.dispose]();
    this.#session[Symbol.dispose]();
  }

  async close(fd: Fd): Promise<void> {
    this.#session.close(fd);
  }

  async possibleCpus(): Promise<number> {
    return this.#cpus;
  }

  async trace(listener: (event: TraceEvent) => void): Promise<Disposable> {
    return this.#tracePipe.listen(listener);
  }

  open(path: string): Promise<Fd> {
    return this.#pins.open(path);
  }

  read(fd: Fd, size: number): Promise<Uint8Array> {
    return this.#pins.read(fd, size);
  }

  // ---- maps

  mapCreate(attr: MapCreateAttr): Promise<Fd> {
    return this.#maps.mapCreate(attr);
  }

  mapLookupElem(map: Fd, key: Uint8Array, flags?: number): Promise<Uint8Array> {
    return this.#maps.mapLookupElem(map, key, flags);
  }

  mapUpdateElem(map: Fd, key: Uint8Array, value: Uint8Array, flags?: number): Promise<void> {
    return this.#maps.mapUpdateElem(map, key, value, flags);
  }

  mapDeleteElem(map: Fd, key: Uint8Array): Promise<void> {
    return this.#maps.mapDeleteElem(map, key);
  }

  mapLookupAndDeleteElem(map: Fd, key: Uint8Array, flags?: number): Promise<Uint8Array> {
    return this.#maps.mapLookupAndDeleteElem(map, key, flags);
  }

  mapGetNextKey(map: Fd, key: Uint8Array | null): Promise<Uint8Array> {
    return this.#maps.mapGetNextKey(map, key);
  }

  mapLookupBatch(
    map: Fd,
    cursor: BatchCursor,
    count: number,
    options?: MapBatchOptions,
  ): Promise<MapBatchResult> {
    return this.#maps.mapLookupBatch(map, cursor, count, options);
  }

  mapLookupAndDeleteBatch(
    map: Fd,
    cursor: BatchCursor,
    count: number,
    options?: MapBatchOptions,
  ): Promise<MapBatchResult> {
    return this.#maps.mapLookupAndDeleteBatch(map, cursor, count, options);
  }

  mapUpdateBatch(map: Fd, elements: MapElements, options?: MapBatchOptions): Promise<void> {
    return this.#maps.mapUpdateBatch(map, elements, options);
  }

  mapDeleteBatch(
    map: Fd,
    keys: { count: number; keys: Uint8Array },
    options?: MapBatchOptions,
  ): Promise<void> {
    return this.#maps.mapDeleteBatch(map, keys, options);
  }

  mapFreeze(map: Fd): Promise<void> {
    return this.#maps.mapFreeze(map);
  }

  mapInfo(map: Fd): Promise<MapInfo> {
    return this.#maps.mapInfo(map);
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

  progStreamRead(prog: Fd, stream: 1 | 2, size: number): Promise<Uint8Array> {
    return this.#programs.progStreamRead(prog, stream, size);
  }

  enableStats(type: number): Promise<Fd> {
    return this.#programs.enableStats(type);
  }

  taskFdQuery(pid: number, fd: number): Promise<TaskFdInfo> {
    return this.#programs.taskFdQuery(pid, fd);
  }

  // ---- BTF

  btfLoad(btf: Uint8Array, options?: BtfLoadOptions): Promise<Fd> {
    return this.#btf.btfLoad(btf, options);
  }

  btfInfo(btf: Fd): Promise<BtfInfo> {
    return this.#btf.btfInfo(btf);
  }

  btfData(btf: Fd): Promise<Uint8Array> {
    return this.#btf.btfData(btf);
  }

  btfGetNextId(id: number): Promise<number> {
    return this.#btf.btfGetNextId(id);
  }

  btfGetFdById(id: number): Promise<Fd> {
    return this.#btf.btfGetFdById(id);
  }

  // ---- links

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

  rawTracepointOpen(attr: { prog: Fd; name?: string; cookie?: bigint }): Promise<Fd> {
    return this.#links.rawTracepointOpen(attr);
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

  iterCreate(link: Fd): Promise<Fd> {
    return this.#links.iterCreate(link);
  }

  // ---- pins

  objPin(fd: Fd, path: string): Promise<void> {
    return this.#pins.objPin(fd, path);
  }

  objGet(path: string, fileFlags?: number): Promise<Fd> {
    return this.#pins.objGet(path, fileFlags);
  }

  objKind(fd: Fd): Promise<ObjKind> {
    return this.#pins.objKind(fd);
  }

  tokenCreate(bpffs: string): Promise<Fd> {
    return this.#pins.tokenCreate(bpffs);
  }

  // ---- files

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

  // ---- network devices and perf events

  netDevices(): Promise<NetDevice[]> {
    return this.#net.netDevices();
  }

  xdpSet(attr: XdpAttr): Promise<void> {
    return this.#net.xdpSet(attr);
  }

  tcHookCreate(ifindex: number): Promise<void> {
    return this.#net.tcHookCreate(ifindex);
  }

  tcHookDestroy(ifindex: number): Promise<void> {
    return this.#net.tcHookDestroy(ifindex);
  }

  tcFilterAdd(attr: TcFilterAttr): Promise<TcFilter> {
    return this.#net.tcFilterAdd(attr);
  }

  tcFilterDelete(hook: TcHook & { priority: number; handle: number }): Promise<void> {
    return this.#net.tcFilterDelete(hook);
  }

  tcFilters(hook: TcHook): Promise<TcFilter[]> {
    return this.#net.tcFilters(hook);
  }

  perfEventOpen(attr: PerfEventAttr): Promise<Fd> {
    return this.#perfEvents.perfEventOpen(attr);
  }

  perfEventSetBpf(event: Fd, prog: Fd): Promise<void> {
    return this.#perfEvents.perfEventSetBpf(event, prog);
  }

  perfEventEnable(event: Fd): Promise<void> {
    return this.#perfEvents.perfEventEnable(event);
  }

  perfEventDisable(event: Fd): Promise<void> {
    return this.#perfEvents.perfEventDisable(event);
  }
}
