// What all processes of an emulated kernel share: the memory, the CPU, the objects, the programs that run, the trace
// output, the settings.

import { SkepError } from '../base/error.js';
import type { Fd } from '../bpf/bpf.js';
import { BpfError, Errno } from '../bpf/errno.js';
import { makeTree } from './fs/layout.js';
import type { FileTree } from './fs/tree.js';
import { type HostCall, helperById, helpers, packedArgs } from './helpers/index.js';
import { Installer } from './install.js';
import { KernelLog, LogLevel } from './kernel-log.js';
import { LOAD } from './load-checks.js';
import type { MapSurroundings } from './maps/index.js';
import { KernelMemory, layout } from './memory/memory.js';
import { Devices } from './net/devices.js';
import { Objects } from './objects.js';
import type { EmulatedKernelOptions, Safety } from './options.js';
import type { KernelProgram } from './program.js';
import { FrameArena } from './programs/frames.js';
import { KernelSettings } from './settings.js';
import { TraceBuffer } from './trace-buffer.js';
import { VmlinuxBtf } from './vmlinux.js';

const DEFAULT_BUDGET = 100_000_000;
const JIT_WARNING = 'bpf_jit_enable = 2 was set! NEVER use this in production, only for JIT debugging!';

/** Who runs a program or gives a command. */
export interface Task {
  /** At most 15 bytes in Linux (TASK_COMM_LEN). */
  readonly name: string;
  readonly pid: number;
  /** 0 may do everything; others what Linux lets users do who have no capabilities. */
  readonly uid: number;
}

/** Whoever waits for records, told after each run of a program. */
export interface Waiter {
  /** Looks whether what it waits for has come. */
  look(): void;
  /** Nobody waits for what is gone. */
  closed(fd: Fd): void;
  end(): void;
}

export class KernelMachine {
  readonly memory: KernelMemory;
  /** Possible CPUs. */
  readonly cpus: number;
  /** Address of the Cpu that programs run on. */
  readonly cpu: number;
  /** Instructions that one run may take, where the engine counts them. */
  readonly budget: number;
  readonly safety: Safety;
  readonly objects = new Objects();
  readonly installer: Installer;
  readonly arena: FrameArena;
  readonly settings: KernelSettings;
  readonly files: FileTree;
  /** By address. */
  readonly programs = new Map<number, KernelProgram>();
  readonly waiters = new Set<Waiter>();
  readonly devices = new Devices();
  readonly surroundings: MapSurroundings = {
    hasDevice: (ifindex) => this.devices.byIndex(ifindex) !== undefined,
  };
  /** What programs print. */
  readonly tracing = new TraceBuffer();
  readonly log: KernelLog;
  readonly #now: () => number;
  #clock: ((frame: number) => number) | undefined;
  #current: Task = { name: 'swapper/0', pid: 0, uid: 0 };
  /** Open descriptors of BPF_ENABLE_STATS. */
  #statsOpen = 0;

  constructor(options: EmulatedKernelOptions) {
    const { cpus = 1, budget = DEFAULT_BUDGET, engine = 'jit' } = options;
    if (!Number.isInteger(cpus) || cpus < 1 || cpus > 1024)
      throw new SkepError(`cpus is ${cpus}, not 1 to 1024`);
    if (!Number.isInteger(budget) || budget < 1 || budget > 0x7fffffff) {
      throw new SkepError(`budget is ${budget}, not 1 to ${0x7fffffff}`);
    }
    if (engine !== 'jit' && engine !== 'interpreter') throw new SkepError(`there is no engine ${engine}`);
    this.cpus = cpus;
    this.budget = budget;
    this.safety = options.safety ?? 'verify';
    const started = performance.now();
    this.#now = options.now ?? (() => Math.floor((performance.now() - started) * 1e6));
    const host = {
      callHost: (cpu: number, helper: number) => this.#callHost(cpu, helper),
      now: () => this.time(),
    };
    this.memory =
      options.memory === undefined ? new KernelMemory(host) : new KernelMemory(host, options.memory);
    this.arena = new FrameArena(this.memory);
    this.cpu = this.#makeCpu(options.seed ?? 0x9e3779b97f4a7c15n);
    this.#fillHelperTable();
    this.installer = new Installer(this.memory, engine, this.cpu);
    this.log = new KernelLog(this.#now);
    this.settings = new KernelSettings(
      { 'net.core.bpf_jit_enable': engine === 'jit' ? 1 : 0 },
      (name, value) => {
        if (name !== 'net.core.bpf_jit_enable') return;
        this.installer.engine = value === 0 ? 'interpreter' : 'jit';
        if (value === 2) this.log.print(LogLevel.Warning, JIT_WARNING);
      },
    );
    this.files = makeTree(this);
    const vmlinux = new VmlinuxBtf();
    this.objects.add('btf', vmlinux, () => {});
    this.objects.hold(vmlinux);
  }

  #alloc(size: number, what: string): number {
    const at = this.memory.alloc(size);
    if (at === undefined) throw new BpfError(LOAD, Errno.ENOMEM, `no room for ${what}`);
    return at;
  }

  #makeCpu(seed: bigint): number {
    const cpu = this.#alloc(layout.Cpu_size, 'a CPU');
    const stack = this.#alloc(layout.STACK_SIZE, 'a stack');
    const { view } = this.memory;
    view.setUint32(cpu + layout.Cpu_stackStart, stack, true);
    view.setUint32(cpu + layout.Cpu_stackEnd, stack + layout.STACK_SIZE, true);
    view.setBigUint64(cpu + layout.Cpu_random, BigInt.asUintN(64, seed) || 1n, true);
    return cpu;
  }

  #fillHelperTable(): void {
    const table = (this.memory.runtime.helper_table as () => number)();
    for (const helper of helpers) this.memory.setU32(table + helper.id * 4, packedArgs(helper));
  }

  // ---- what the runtime asks of us

  /** CLOCK_MONOTONIC in nanoseconds, or what a batch shows its programs instead. */
  time(): number {
    return this.#clock ? this.#clock(this.memory.u32(this.cpu + layout.Cpu_frameIndex)) : this.#now();
  }

  /** Runs `body` while programs see `clock` (of the frame they run on) as the time. */
  withClock<T>(clock: ((frame: number) => number) | undefined, body: () => T): T {
    this.#clock = clock;
    try {
      return body();
    } finally {
      this.#clock = undefined;
    }
  }

  /** Runs `body` as something that this task does: what programs print is said to be its. */
  as<T>(task: Task, body: () => T): T {
    const before = this.#current;
    this.#current = task;
    try {
      return body();
    } finally {
      this.#current = before;
    }
  }

  /** The task that the CPU is with. */
  get current(): Task {
    return this.#current;
  }

  #callHost(cpu: number, id: number): void {
    const helper = helperById(id);
    if (typeof helper?.runs !== 'function') throw new Error(`helper ${id} does not run in the host`);
    const { memory } = this;
    const cpuId = memory.u32(cpu + layout.Cpu_id);
    const call: HostCall = {
      memory,
      cpu,
      cpuId,
      arg: (index) => memory.view.getBigUint64(cpu + layout.Cpu_arg1 + (index - 1) * 8, true),
      hasDevice: (ifindex) => this.devices.byIndex(ifindex) !== undefined,
      task: this.#current,
      trace: (text) => this.#trace(cpuId, text),
    };
    const result = helper.runs(call);
    memory.view.setBigUint64(cpu + layout.Cpu_result, BigInt.asUintN(64, result), true);
  }

  #trace(cpu: number, text: string): void {
    const { name, pid } = this.#current;
    const timestamp = BigInt(Math.floor(this.time()));
    this.tracing.add({
      task: name,
      pid,
      cpu,
      timestamp,
      text: text.endsWith('\n') ? text.slice(0, -1) : text,
    });
  }

  /** Programs have run: whoever waits for what they sent looks. */
  wake(): void {
    for (const waiter of this.waiters) waiter.look();
  }

  /** Whether the numbers of programs that this task loads are hidden in compiled code. */
  blinds({ uid }: Task): boolean {
    const harden = this.settings.get('net.core.bpf_jit_harden');
    return harden === 2 || (harden === 1 && uid !== 0);
  }

  // ---- statistics

  /** Counts runs from now on; what is returned ends that. */
  keepStats(): () => void {
    this.#statsOpen++;
    return () => {
      this.#statsOpen--;
    };
  }

  /** Whether runs are counted. */
  get counting(): boolean {
    return this.#statsOpen > 0 || this.settings.get('kernel.bpf_stats_enabled') === 1;
  }

  /** Adds to a program's statistics, while somebody wants them. */
  count(program: KernelProgram, runs: number, nanoseconds: number): void {
    if (this.counting) program.count(runs, nanoseconds);
  }
}
