// The emulated kernel: bpf(2) without Linux. Objects behind descriptors, with ids and reference counts; programs
// checked, compiled and run; everything that a program touches in one linear memory.

import { SkepError } from '../base/error.js';
import type {
  BatchCursor,
  Bpf,
  BtfInfo,
  Fd,
  MapBatchOptions,
  MapBatchResult,
  MapCreateAttr,
  MapElements,
  MapInfo,
  ObjKind,
  PacketBatch,
  PacketBatchResult,
  PerfRecord,
  ProgDump,
  ProgInfo,
  ProgLoadAttr,
  ProgTestRunAttr,
  ProgTestRunResult,
  TraceEvent,
} from '../bpf/bpf.js';
import { BpfError, Errno } from '../bpf/errno.js';
import { Btf } from '../btf/index.js';
import { decode } from '../isa/decode.js';
import { programTag } from '../isa/tag.js';
import { KernelBuffers } from './buffers.js';
import { type HostCall, helperById, helpers, packedArgs } from './helpers/index.js';
import { Installer } from './install.js';
import { isGplCompatible } from './licenses.js';
import { checkLineInfo } from './line-info.js';
import { checkLoad, decodeAttr, LOAD, refuseLoad } from './load-checks.js';
import { KernelMaps } from './map-commands.js';
import type { KernelMap } from './maps/index.js';
import type { Fault } from './memory/fault.js';
import { KernelMemory, layout } from './memory/memory.js';
import { type KernelMapObject, type KernelObject, ObjectTable } from './objects.js';
import type { EmulatedKernelOptions, Safety } from './options.js';
import { dumpInstructions, KernelProgram } from './program.js';
import { runBatch } from './programs/batch.js';
import type { ProgramTypeDefinition } from './programs/definition.js';
import { FrameArena } from './programs/frames.js';
import type { ProgramRun } from './programs/run.js';
import { testRun } from './programs/test-run.js';
import { xdp } from './programs/xdp.js';
import { RAW_PROLOGUE, runRaw } from './raw.js';
import { resolve } from './resolve.js';
import { Unhooked } from './unhooked.js';
import { verifyLoad } from './verification.js';

export type { EmulatedKernelOptions, Safety } from './options.js';

const DEFAULT_BUDGET = 100_000_000;

/**
 * A kernel of its own in this process: its maps and programs are nobody else's and end with it. It has the map types of
 * `kernel/maps`, the helpers of `kernel/helpers` and XDP programs; anything else is refused with Linux's errno.
 */
export class EmulatedKernel extends Unhooked implements Bpf {
  readonly #memory: KernelMemory;
  readonly #cpus: number;
  readonly #budget: number;
  readonly #safety: Safety;
  readonly #now: () => number;
  readonly #cpu: number;
  readonly #objects = new ObjectTable();
  readonly #installer: Installer;
  readonly #maps: KernelMaps;
  readonly #buffers: KernelBuffers;
  readonly #arena: FrameArena;
  readonly #programs = new Map<number, KernelProgram>();
  readonly #listeners = new Set<(event: TraceEvent) => void>();
  #clock: ((frame: number) => number) | undefined;
  /** Open descriptors of BPF_ENABLE_STATS. */
  #statsOpen = 0;

  constructor(options: EmulatedKernelOptions = {}) {
    super();
    const { cpus = 1, budget = DEFAULT_BUDGET, engine = 'jit' } = options;
    if (!Number.isInteger(cpus) || cpus < 1 || cpus > 1024)
      throw new SkepError(`cpus is ${cpus}, not 1 to 1024`);
    if (!Number.isInteger(budget) || budget < 1 || budget > 0x7fffffff) {
      throw new SkepError(`budget is ${budget}, not 1 to ${0x7fffffff}`);
    }
    if (engine !== 'jit' && engine !== 'interpreter') throw new SkepError(`there is no engine ${engine}`);
    this.#cpus = cpus;
    this.#budget = budget;
    this.#safety = options.safety ?? 'verify';
    const started = performance.now();
    this.#now = options.now ?? (() => Math.floor((performance.now() - started) * 1e6));
    const host = {
      callHost: (cpu: number, helper: number) => this.#callHost(cpu, helper),
      now: () => this.#time(),
    };
    this.#memory =
      options.memory === undefined ? new KernelMemory(host) : new KernelMemory(host, options.memory);
    this.#arena = new FrameArena(this.#memory);
    this.#cpu = this.#makeCpu(options.seed ?? 0x9e3779b97f4a7c15n);
    this.#fillHelperTable();
    this.#installer = new Installer(this.#memory, engine, this.#cpu);
    this.#maps = new KernelMaps(this.#memory, this.#objects, cpus, engine === 'jit');
    this.#buffers = new KernelBuffers(this.#memory, this.#objects, cpus);
  }

  #alloc(size: number, what: string): number {
    const at = this.#memory.alloc(size);
    if (at === undefined) throw new BpfError(LOAD, Errno.ENOMEM, `no room for ${what}`);
    return at;
  }

  #makeCpu(seed: bigint): number {
    const cpu = this.#alloc(layout.Cpu_size, 'a CPU');
    const stack = this.#alloc(layout.STACK_SIZE, 'a stack');
    const { view } = this.#memory;
    view.setUint32(cpu + layout.Cpu_stackStart, stack, true);
    view.setUint32(cpu + layout.Cpu_stackEnd, stack + layout.STACK_SIZE, true);
    view.setBigUint64(cpu + layout.Cpu_random, BigInt.asUintN(64, seed) || 1n, true);
    return cpu;
  }

  #fillHelperTable(): void {
    const table = (this.#memory.runtime.helper_table as () => number)();
    for (const helper of helpers) this.#memory.setU32(table + helper.id * 4, packedArgs(helper));
  }

  // ---- what the runtime asks of us

  #time(): number {
    return this.#clock ? this.#clock(this.#memory.u32(this.#cpu + layout.Cpu_frameIndex)) : this.#now();
  }

  #callHost(cpu: number, id: number): void {
    const helper = helperById(id);
    if (typeof helper?.runs !== 'function') throw new Error(`helper ${id} does not run in the host`);
    const memory = this.#memory;
    const cpuId = memory.u32(cpu + layout.Cpu_id);
    const call: HostCall = {
      memory,
      cpu,
      cpuId,
      arg: (index) => memory.view.getBigUint64(cpu + layout.Cpu_arg1 + (index - 1) * 8, true),
      trace: (text) => this.#trace(cpuId, text),
    };
    const result = helper.runs(call);
    memory.view.setBigUint64(cpu + layout.Cpu_result, BigInt.asUintN(64, result), true);
  }

  #trace(cpu: number, text: string): void {
    if (this.#listeners.size === 0) return;
    const event: TraceEvent = {
      task: 'skep',
      pid: 1,
      cpu,
      timestamp: BigInt(Math.floor(this.#time())),
      text: text.endsWith('\n') ? text.slice(0, -1) : text,
    };
    for (const listener of this.#listeners) listener(event);
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

  perfBufferOpen(cpu: number, size: number): Promise<Fd> {
    return this.#buffers.perfBufferOpen(cpu, size);
  }

  perfBufferConsume(buffer: Fd): Promise<PerfRecord[]> {
    return this.#buffers.perfBufferConsume(buffer);
  }

  poll(fds: readonly Fd[], timeout: number): Promise<Fd[]> {
    return this.#buffers.poll(fds, timeout);
  }

  // ---- BTF

  async btfLoad(bytes: Uint8Array): Promise<Fd> {
    let btf: Btf;
    try {
      btf = Btf.parse(bytes.slice());
    } catch (error) {
      if (error instanceof SkepError) throw new BpfError('BPF_BTF_LOAD', Errno.EINVAL, error.message);
      throw error;
    }
    return this.#objects.add('btf', { id: this.#objects.newId('btf'), btf }, () => {});
  }

  async btfInfo(fd: Fd): Promise<BtfInfo> {
    const { id, btf } = this.#objects.get(fd, 'btf', 'BPF_OBJ_GET_INFO_BY_FD');
    return { id, size: btf.bytes.length, name: '', kernelBtf: false };
  }

  async btfData(fd: Fd): Promise<Uint8Array> {
    return this.#objects.get(fd, 'btf', 'BPF_OBJ_GET_INFO_BY_FD').btf.bytes.slice();
  }

  async btfGetNextId(id: number): Promise<number> {
    return this.#objects.nextId('btf', id, 'BPF_BTF_GET_NEXT_ID');
  }

  async btfGetFdById(id: number): Promise<Fd> {
    return this.#objects.openId('btf', id, 'BPF_BTF_GET_FD_BY_ID');
  }

  // ---- programs

  async progLoad(attr: ProgLoadAttr): Promise<Fd> {
    const definition = checkLoad(attr);
    const verdict = this.#safety === 'verify' ? await verifyLoad(attr, this.#objects, this.#cpus) : undefined;
    const insns = decodeAttr(attr);
    const gplCompatible = isGplCompatible(attr.license);
    const tag = programTag(insns, 'sha256');
    const maps = new Map<KernelMap, KernelMapObject>();
    const resolved = resolve(insns, this.#memory, (fd) => {
      const object = this.#objects.find(fd, 'map');
      if (object) maps.set(object.map, object);
      return object?.map;
    });
    const btf = attr.progBtfFd === undefined ? undefined : this.#objects.get(attr.progBtfFd, 'btf', LOAD);
    const slots = attr.instructions.length / 8;
    const lineInfo = attr.lineInfo ? checkLineInfo(attr.lineInfo, slots, btf?.btf) : undefined;
    const xlated = dumpInstructions(insns, (fd) => this.#objects.find(fd, 'map')?.id ?? 0);
    // Held before the engine begins: whoever loads may close its descriptors meanwhile.
    const held: KernelObject[] = [...maps.values(), ...(btf ? [btf] : [])].map((object) =>
      this.#objects.hold(object),
    );
    const dropAll = () => {
      for (const object of held) this.#objects.drop(object);
    };
    const installed = await this.#installer
      .install(resolved, definition, gplCompatible, this.#safety === 'check')
      .catch((error) => {
        dropAll();
        throw error;
      });
    const { address, runnable } = installed;
    if (!resolved.maps.every((map) => map.claim(definition.type))) {
      this.#installer.uninstall(installed);
      dropAll();
      return refuseLoad('a program array holds programs of another type');
    }
    const id = this.#objects.newId('program');
    this.#installer.setId(address, id);
    const program = new KernelProgram({
      id,
      type: definition.type,
      expectedAttachType: attr.expectedAttachType ?? 0,
      name: attr.name ?? '',
      tag,
      gplCompatible,
      insns: resolved.insns,
      xlated,
      maps: resolved.maps,
      held,
      btf,
      funcInfo: attr.funcInfo?.slice(),
      lineInfo,
      address,
      runnable,
      loadedAt: Math.floor(Date.now() / 1000),
    });
    this.#programs.set(address, program);
    if (attr.log) attr.log.text = verdict?.log ?? '';
    return this.#objects.add('program', program, () => {
      this.#programs.delete(address);
      this.#installer.uninstall(installed);
      dropAll();
    });
  }

  async progBindMap(prog: Fd, map: Fd): Promise<void> {
    const command = 'BPF_PROG_BIND_MAP';
    const program = this.#objects.get(prog, 'program', command);
    const object = this.#objects.get(map, 'map', command);
    if (program.bind(object.map)) program.parts.held.push(this.#objects.hold(object));
  }

  async progInfo(fd: Fd): Promise<ProgInfo> {
    return this.#objects.get(fd, 'program', 'BPF_OBJ_GET_INFO_BY_FD').info;
  }

  async progDump(fd: Fd): Promise<ProgDump> {
    return this.#objects.get(fd, 'program', 'BPF_OBJ_GET_INFO_BY_FD').dump;
  }

  async progGetNextId(id: number): Promise<number> {
    return this.#objects.nextId('program', id, 'BPF_PROG_GET_NEXT_ID');
  }

  async progGetFdById(id: number): Promise<Fd> {
    return this.#objects.openId('program', id, 'BPF_PROG_GET_FD_BY_ID');
  }

  async enableStats(type: number): Promise<Fd> {
    if (type !== 0) {
      throw new BpfError('BPF_ENABLE_STATS', Errno.EINVAL, `there are no statistics of type ${type}`);
    }
    this.#statsOpen++;
    return this.#objects.add('stats', { id: 0, stats: true }, () => {
      this.#statsOpen--;
    });
  }

  #run(fd: Fd): ProgramRun {
    const program = this.#objects.get(fd, 'program', 'BPF_PROG_TEST_RUN');
    return {
      memory: this.#memory,
      arena: this.#arena,
      program: program.parts.runnable,
      expectedAttachType: program.parts.expectedAttachType,
      budget: this.#budget,
      now: () => performance.now() * 1e6,
      withClock: (clock, body) => {
        this.#clock = clock;
        try {
          return body();
        } finally {
          this.#clock = undefined;
        }
      },
      explain: (fault) => this.#explain(fault, program),
    };
  }

  /** The fault may be in a program that was tail-called. */
  #explain(fault: Fault, started: KernelProgram) {
    return (this.#programs.get(fault.program) ?? started).explain(fault);
  }

  async progTestRun(fd: Fd, attr: ProgTestRunAttr): Promise<ProgTestRunResult> {
    const result = await this.#waking(testRun(this.#run(fd), attr));
    const runs = attr.repeat || 1;
    this.#count(fd, runs, result.duration * runs);
    return result;
  }

  async progRunBatch(fd: Fd, batch: PacketBatch): Promise<PacketBatchResult> {
    const result = await this.#waking(runBatch(this.#run(fd), batch));
    this.#count(fd, batch.count - result.faults.length, result.duration);
    return result;
  }

  /** Wakes those who wait for records, when a run has ended. */
  async #waking<T>(run: Promise<T>): Promise<T> {
    try {
      return await run;
    } finally {
      this.#buffers.wake();
    }
  }

  /** Statistics of the program that was started; those that it tail-called are part of its run. */
  #count(fd: Fd, runs: number, nanoseconds: number): void {
    if (this.#statsOpen > 0) this.#objects.find(fd, 'program')?.count(runs, nanoseconds);
  }

  /**
   * Runs bare instructions over `data` with r1 = its address and r2 = its length in bytes: what the conformance suite
   * of the instruction set asks for. No program type's rules hold. The result is r0, unsigned 64 bits; a fault
   * throws a SkepError.
   */
  async runRaw(instructions: Uint8Array, data: Uint8Array): Promise<bigint> {
    const insns = [...RAW_PROLOGUE, ...decode(instructions)];
    const definition: ProgramTypeDefinition = { ...xdp, packetLoads: true };
    const resolved = resolve(insns, this.#memory, () => undefined);
    const installed = await this.#installer.install(resolved, definition, true, this.#safety !== 'trust');
    try {
      return runRaw(this.#memory, this.#arena, installed.runnable, data, this.#budget);
    } finally {
      this.#installer.uninstall(installed);
    }
  }

  // ---- the rest

  async possibleCpus(): Promise<number> {
    return this.#cpus;
  }

  async trace(listener: (event: TraceEvent) => void): Promise<Disposable> {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) };
  }

  protected checkOpen(command: string, fd: Fd): void {
    this.#objects.kind(fd, command);
  }

  async objKind(fd: Fd): Promise<ObjKind> {
    const kind = this.#objects.kind(fd, 'BPF_OBJ_GET_INFO_BY_FD');
    if (kind === 'stats' || kind === 'perf buffer') {
      throw new BpfError('BPF_OBJ_GET_INFO_BY_FD', Errno.EINVAL, `descriptor ${fd} is no object`);
    }
    return kind === 'program' ? 'prog' : kind;
  }

  async close(fd: Fd): Promise<void> {
    this.#objects.close(fd);
    this.#buffers.closed(fd);
  }
}
