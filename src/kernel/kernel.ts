// The emulated kernel: bpf(2) without Linux. Objects behind descriptors, with ids and reference counts; programs
// checked, compiled and run; everything that a program touches in one linear memory.

import { SkepError } from '../base/error.js';
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
import { type AttachType, progTypeName } from '../bpf/types.js';
import { Btf } from '../btf/index.js';
import { decode } from '../isa/decode.js';
import { encodeUnchecked } from '../isa/encode.js';
import type { Instruction } from '../isa/instruction.js';
import { programTag } from '../isa/tag.js';
import type { EngineName, RunnableProgram } from './engine.js';
import { type HostCall, helperById, helpers, missingHelper, packedArgs } from './helpers/index.js';
import { InterpretedProgram } from './interpreter/engine.js';
import { JitProgram, ProgramTable } from './jit/jit.js';
import { isGplCompatible } from './licenses.js';
import { checkLineInfo } from './line-info.js';
import { KernelMap } from './maps/index.js';
import type { Fault } from './memory/fault.js';
import { KernelMemory, layout } from './memory/memory.js';
import { type KernelObject, ObjectTable } from './objects.js';
import { type KernelBtf, KernelProgram } from './program.js';
import { runBatch } from './programs/batch.js';
import type { ProgramTypeDefinition } from './programs/definition.js';
import { FrameArena } from './programs/frames.js';
import { programTypeDefinition } from './programs/index.js';
import type { ProgramRun } from './programs/run.js';
import { testRun } from './programs/test-run.js';
import { xdp } from './programs/xdp.js';
import { RAW_PROLOGUE, runRaw } from './raw.js';
import { type Resolved, resolve } from './resolve.js';
import { checkStructure } from './verifier/structure.js';

export interface EmulatedKernelOptions {
  /** How programs run; `jit` unless told otherwise. */
  engine?: EngineName;
  /** Possible CPUs: slots in a per-CPU value. Programs run on CPU 0. */
  cpus?: number;
  /**
   * Instructions that one run may take (checked mode). The JIT counts only functions with loops, at the loops: what has
   * none comes to its end anyway.
   */
  budget?: number;
  /** Bounds the kernel's memory, in bytes. */
  memory?: number;
  /** CLOCK_MONOTONIC in nanoseconds; the time since the kernel was made unless told otherwise. */
  now?: () => number;
  /** Seed of bpf_get_prandom_u32, so that a run can be repeated. */
  seed?: bigint;
  /**
   * Run without checks of memory accesses and without a budget, as Linux runs what its verifier has accepted. Only for
   * programs that are known to be right (benchmarks): a wrong one can spoil this kernel's memory.
   */
  trusted?: boolean;
}

const DEFAULT_BUDGET = 100_000_000;
/** BPF_COMPLEXITY_LIMIT_INSNS: instructions that a privileged user may load. */
const MAX_INSNS = 1_000_000;
/** Letters, digits, `_` and `.`, at most 15 (bpf_obj_name_cpy). */
const VALID_NAME = /^[A-Za-z0-9_.]{0,15}$/;

const LOAD = 'BPF_PROG_LOAD';

const refuseLoad = (message: string, errno: Errno = Errno.EINVAL): never => {
  throw new BpfError(LOAD, errno, message, `${message}\n`);
};

/**
 * A kernel of its own in this process: its maps and programs are nobody else's and end with it. It has the map types of
 * `kernel/maps`, the helpers of `kernel/helpers` and XDP programs; anything else is refused with Linux's errno.
 */
export class EmulatedKernel implements Bpf {
  readonly #memory: KernelMemory;
  readonly #engine: EngineName;
  readonly #cpus: number;
  readonly #budget: number;
  readonly #trusted: boolean;
  readonly #now: () => number;
  readonly #cpu: number;
  readonly #objects = new ObjectTable();
  readonly #table = new ProgramTable();
  readonly #arena: FrameArena;
  readonly #programs = new Map<number, KernelProgram>();
  readonly #listeners = new Set<(event: TraceEvent) => void>();
  #clock: ((frame: number) => number) | undefined;
  #nextMapId = 1;
  #nextProgId = 1;
  #nextBtfId = 1;

  constructor(options: EmulatedKernelOptions = {}) {
    const { cpus = 1, budget = DEFAULT_BUDGET, engine = 'jit' } = options;
    if (!Number.isInteger(cpus) || cpus < 1 || cpus > 1024)
      throw new SkepError(`cpus is ${cpus}, not 1 to 1024`);
    if (!Number.isInteger(budget) || budget < 1 || budget > 0x7fffffff) {
      throw new SkepError(`budget is ${budget}, not 1 to ${0x7fffffff}`);
    }
    if (engine !== 'jit' && engine !== 'interpreter') throw new SkepError(`there is no engine ${engine}`);
    this.#engine = engine;
    this.#cpus = cpus;
    this.#budget = budget;
    this.#trusted = options.trusted ?? false;
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

  async mapCreate(attr: MapCreateAttr): Promise<Fd> {
    const btf = attr.btfFd === undefined ? undefined : this.#objects.get(attr.btfFd, 'btf', 'BPF_MAP_CREATE');
    const map = new KernelMap(this.#memory, this.#nextMapId, attr, this.#cpus, (fd) =>
      this.#programReference(fd),
    );
    this.#nextMapId++;
    const held = btf && this.#objects.hold(btf);
    return this.#objects.add('map', { map, attr, btf }, () => {
      map.destroy();
      if (held) this.#objects.drop(held);
    });
  }

  #map(fd: Fd, command: string): KernelMap {
    return this.#objects.get(fd, 'map', command).map;
  }

  async mapLookupElem(fd: Fd, key: Uint8Array, flags = 0): Promise<Uint8Array> {
    return this.#map(fd, 'BPF_MAP_LOOKUP_ELEM').lookup(key, flags);
  }

  async mapUpdateElem(fd: Fd, key: Uint8Array, value: Uint8Array, flags = 0): Promise<void> {
    this.#map(fd, 'BPF_MAP_UPDATE_ELEM').update(key, value, flags);
  }

  async mapDeleteElem(fd: Fd, key: Uint8Array): Promise<void> {
    this.#map(fd, 'BPF_MAP_DELETE_ELEM').delete(key);
  }

  async mapGetNextKey(fd: Fd, key: Uint8Array | null): Promise<Uint8Array> {
    return this.#map(fd, 'BPF_MAP_GET_NEXT_KEY').nextKey(key);
  }

  async mapFreeze(fd: Fd): Promise<void> {
    this.#map(fd, 'BPF_MAP_FREEZE').freeze();
  }

  async mapInfo(fd: Fd): Promise<MapInfo> {
    const { map, attr, btf } = this.#objects.get(fd, 'map', 'BPF_OBJ_GET_INFO_BY_FD');
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
      memlock: map.memlock,
      frozen: map.frozen,
    };
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
    const kernelBtf: KernelBtf = { id: this.#nextBtfId++, btf };
    return this.#objects.add('btf', kernelBtf, () => {});
  }

  // ---- programs

  async progLoad(attr: ProgLoadAttr): Promise<Fd> {
    const definition = this.#checkLoad(attr);
    const insns = decodeAttr(attr);
    const gplCompatible = isGplCompatible(attr.license);
    const tag = programTag(insns, 'sha256');
    const maps = new Map<KernelMap, Fd>();
    const resolved = resolve(insns, this.#memory, (fd) => {
      const map = this.#objects.find(fd, 'map')?.map;
      if (map) maps.set(map, fd);
      return map;
    });
    const btf = attr.progBtfFd === undefined ? undefined : this.#objects.get(attr.progBtfFd, 'btf', LOAD);
    const lineInfo = attr.lineInfo
      ? checkLineInfo(attr.lineInfo, attr.instructions.length / 8, btf?.btf)
      : undefined;
    const id = this.#nextProgId;
    const slots = attr.instructions.length / 8;
    const { address, runnable } = await this.#install(id, resolved, definition, gplCompatible);
    this.#nextProgId++;
    const held: KernelObject[] = [...maps.values()].map((fd) =>
      this.#objects.hold(this.#objects.get(fd, 'map', LOAD)),
    );
    if (btf) held.push(this.#objects.hold(btf));
    const program = new KernelProgram({
      id,
      type: definition.type,
      name: attr.name ?? '',
      tag,
      gplCompatible,
      insns: resolved.insns,
      maps: resolved.maps,
      btf,
      lineInfo,
      address,
      runnable,
      slots,
      loadedAt: Math.floor(Date.now() / 1000),
    });
    this.#programs.set(address, program);
    return this.#objects.add('program', program, () => {
      this.#programs.delete(address);
      this.#uninstall(address, runnable);
      for (const reference of held) this.#objects.drop(reference);
    });
  }

  #checkLoad(attr: ProgLoadAttr): ProgramTypeDefinition {
    const definition = programTypeDefinition(attr.type);
    if (!definition) {
      const word = progTypeName(attr.type);
      return refuseLoad(
        word
          ? `program type ${word} is not available in the emulated kernel yet`
          : `there is no program type ${attr.type}`,
      );
    }
    const expected = attr.expectedAttachType ?? 0;
    if (expected !== 0 && !definition.attachTypes.includes(expected as AttachType)) {
      refuseLoad(`expected attach type ${expected} does not fit program type ${progTypeName(attr.type)}`);
    }
    if (!VALID_NAME.test(attr.name ?? '')) {
      refuseLoad(
        `program name ${JSON.stringify(attr.name)}: letters, digits, _ and ., at most 15 characters`,
      );
    }
    const slots = attr.instructions.length / 8;
    if (slots === 0 || slots > MAX_INSNS) {
      refuseLoad(`a program has 1 to ${MAX_INSNS} instructions, this one has ${slots}`, Errno.E2BIG);
    }
    return definition;
  }

  /** Lays the program out in linear memory and hands it to the engine. Leaves nothing behind when it fails. */
  async #install(
    id: number,
    resolved: Resolved,
    definition: ProgramTypeDefinition,
    gplCompatible: boolean,
  ): Promise<{ address: number; runnable: RunnableProgram }> {
    const steps = checkStructure(resolved.insns, resolved.constants, {
      packetLoads: definition.packetLoads,
      helpers: helperById,
      refuseHelper: (helper) => refuseHelper(helper, definition, gplCompatible),
    });
    const memory = this.#memory;
    const code = encodeUnchecked(resolved.insns);
    const address = this.#alloc(layout.Program_size, 'a program');
    const allocated = (field: number, size: number, what: string): number => {
      const at = this.#alloc(size, what);
      memory.setU32(address + field, at);
      return at;
    };
    try {
      memory.write(allocated(layout.Program_insns, code.length, 'instructions'), code);
      const maps = allocated(layout.Program_maps, Math.max(resolved.maps.length, 1) * 4, 'map references');
      resolved.maps.forEach((map, i) => {
        memory.setU32(maps + i * 4, map.address);
      });
      memory.setU32(address + layout.Program_id, id);
      memory.setU32(address + layout.Program_insnCount, code.length / 8);
      memory.setU32(address + layout.Program_mapCount, resolved.maps.length);
      memory.setU32(address + layout.Program_ctxSize, definition.context.size);
      if (this.#engine === 'interpreter') {
        return { address, runnable: new InterpretedProgram(memory, this.#cpu, address) };
      }
      const runnable = await JitProgram.load(
        { steps, constants: resolved.constants, context: definition.context },
        { checked: !this.#trusted, helpers: helperById },
        memory,
        this.#table,
        this.#cpu,
        address,
      );
      return { address, runnable };
    } catch (error) {
      this.#freeProgram(address);
      throw error;
    }
  }

  #uninstall(address: number, runnable: RunnableProgram): void {
    runnable.dispose();
    this.#freeProgram(address);
  }

  /** What was never allocated is 0, and freeing that does nothing. */
  #freeProgram(address: number): void {
    this.#memory.free(this.#memory.u32(address + layout.Program_insns));
    this.#memory.free(this.#memory.u32(address + layout.Program_maps));
    this.#memory.free(address);
  }

  #programReference(fd: Fd) {
    const program = this.#objects.find(fd, 'program');
    if (!program) return undefined;
    const { id, type, address } = program.parts;
    const object = program;
    return {
      id,
      type,
      address,
      retain: () => {
        this.#objects.hold(object);
      },
      release: () => this.#objects.drop(object),
    };
  }

  async progInfo(fd: Fd): Promise<ProgInfo> {
    return this.#objects.get(fd, 'program', 'BPF_OBJ_GET_INFO_BY_FD').info;
  }

  #run(fd: Fd): ProgramRun {
    const program = this.#objects.get(fd, 'program', 'BPF_PROG_TEST_RUN');
    return {
      memory: this.#memory,
      arena: this.#arena,
      program: program.parts.runnable,
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
    return testRun(this.#run(fd), attr);
  }

  async progRunBatch(fd: Fd, batch: PacketBatch): Promise<PacketBatchResult> {
    return runBatch(this.#run(fd), batch);
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
    const { address, runnable } = await this.#install(0, resolved, definition, true);
    try {
      return runRaw(this.#memory, this.#arena, runnable, data, this.#budget);
    } finally {
      this.#uninstall(address, runnable);
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

  async close(fd: Fd): Promise<void> {
    this.#objects.close(fd);
  }
}

function decodeAttr(attr: ProgLoadAttr): Instruction[] {
  try {
    return decode(attr.instructions);
  } catch (error) {
    if (error instanceof SkepError) return refuseLoad(error.message);
    throw error;
  }
}

/** Why a program of this type may not call helper `id` (Linux: check_helper_call). */
function refuseHelper(
  id: number,
  definition: ProgramTypeDefinition,
  gplCompatible: boolean,
): string | undefined {
  const helper = helperById(id);
  if (!helper) return missingHelper(id);
  if (helper.programTypes !== 'all' && !helper.programTypes.includes(definition.type)) {
    return `program of this type cannot use helper bpf_${helper.name}#${id}`;
  }
  if (helper.gplOnly && !gplCompatible) {
    return `cannot call GPL-restricted function bpf_${helper.name}#${id} from non-GPL compatible program`;
  }
  return undefined;
}
