// What is loaded: programs to run, maps and variables to read and write, until all of it is closed.

import { SkepError } from '../base/error.js';
import type {
  Bpf,
  Fd,
  LinkCreateAttr,
  PacketBatch,
  PacketBatchResult,
  PerfEventAttr,
  ProgInfo,
  ProgTestRunAttr,
  ProgTestRunResult,
} from '../bpf/bpf.js';
import type { AttachType } from '../bpf/types.js';
import type { Value } from '../btf/value.js';
import type { CollectionSpec, ProgramSpec, VariableSpec } from '../elf/spec.js';
import {
  attachCgroup,
  attachLink,
  attachPerfEvent,
  attachRawTracepoint,
  attachTc,
  attachTracing,
  attachXdp,
  type TcOptions,
  type XdpOptions,
} from './attach.js';
import { attachBySection } from './auto-attach.js';
import { PerfBuffer, RingBuffer, UserRingBuffer } from './buffers.js';
import type { Link } from './link.js';
import type { LoadedMap } from './map.js';
import { listNames } from './names.js';
import { decodeVariable, encodeVariable, findVariable } from './variables.js';

/** How to run a program once, or `repeat` times. */
export interface RunOptions {
  /** The packet, or what else the program type works on. */
  data?: Uint8Array;
  /** The context, as the program type has it in user space (struct xdp_md). */
  ctx?: Uint8Array;
  repeat?: number;
  flags?: number;
  cpu?: number;
}

/** A program in the kernel. */
export class LoadedProgram {
  readonly spec: ProgramSpec;
  readonly name: string;
  readonly fd: Fd;
  readonly #kernel: Bpf;

  constructor(kernel: Bpf, spec: ProgramSpec, fd: Fd) {
    this.#kernel = kernel;
    this.spec = spec;
    this.name = spec.name;
    this.fd = fd;
  }

  /** Runs the program (BPF_PROG_TEST_RUN). Fails with a BpfError. */
  async run(options: RunOptions = {}): Promise<ProgTestRunResult> {
    const { data, ctx, ...rest } = options;
    const attr: ProgTestRunAttr = { ...rest };
    if (data !== undefined) attr.dataIn = data;
    if (ctx !== undefined) attr.ctxIn = ctx;
    return this.#kernel.progTestRun(this.fd, attr);
  }

  /** Runs the program on many packets in one command. */
  async runBatch(batch: PacketBatch): Promise<PacketBatchResult> {
    return this.#kernel.progRunBatch(this.fd, batch);
  }

  async info(): Promise<ProgInfo> {
    return this.#kernel.progInfo(this.fd);
  }

  /** Attaches to what the program's section names; a SkepError when it does not say it all. */
  async attach(): Promise<Link> {
    return attachBySection(this.#kernel, this, this.spec);
  }

  /** Puts an XDP program on a network device. Throws a SkepError: the hook is taken, there is no such device ... */
  async attachXdp(options: XdpOptions): Promise<Link> {
    return attachXdp(this.#kernel, this, options);
  }

  /** Adds a traffic control program to a network device. Throws a SkepError. */
  async attachTc(options: TcOptions): Promise<Link> {
    return attachTc(this.#kernel, this, options);
  }

  /** Has a raw tracepoint of the kernel run the program; it reads `cookie` with bpf_get_attach_cookie. Throws a SkepError. */
  async attachRawTracepoint(name: string, cookie?: bigint): Promise<Link> {
    return attachRawTracepoint(this.#kernel, this, name, cookie);
  }

  /** Attaches a tp_btf, fentry, fexit, fmod_ret or lsm program to what its section names. Throws a SkepError. */
  async attachTracing(): Promise<Link> {
    return attachTracing(this.#kernel, this);
  }

  /** Has a counter, tracepoint, kprobe or uprobe run the program. Throws a SkepError. */
  async attachPerfEvent(event: PerfEventAttr, cookie?: bigint): Promise<Link> {
    return attachPerfEvent(this.#kernel, this, event, cookie);
  }

  /** Attaches to a cgroup, named by its folder; as what, the section's name says unless told. Throws a SkepError. */
  async attachCgroup(path: string, attachType?: AttachType): Promise<Link> {
    const type = attachType ?? this.spec.attachType;
    if (type !== undefined) return attachCgroup(this.#kernel, this, path, type);
    throw new SkepError(`section '${this.spec.section}' does not say what to attach to in a cgroup`, {
      where: `program '${this.name}'`,
      hint: 'Name the attach type.',
    });
  }

  /** Attaches by any link that the kernel knows. Throws a SkepError. */
  async attachLink(attr: Omit<LinkCreateAttr, 'prog'>): Promise<Link> {
    return attachLink(this.#kernel, this, attr);
  }
}

/** The global variables of a loaded collection. Their memory is the value of their section's map. */
export class LoadedVariables {
  readonly #spec: CollectionSpec;
  readonly #maps: ReadonlyMap<string, LoadedMap>;

  constructor(spec: CollectionSpec, maps: ReadonlyMap<string, LoadedMap>) {
    this.#spec = spec;
    this.#maps = maps;
  }

  names(): string[] {
    return this.#spec.variables.map(({ name }) => name);
  }

  /** What a variable holds now. Throws a SkepError for an unknown name. */
  async get(name: string): Promise<Value> {
    const variable = findVariable(this.#spec, name);
    return decodeVariable(this.#spec.btf, variable, await this.#section(variable));
  }

  /**
   * Sets a variable. The whole section is read and written back, so that what a program writes to its other variables
   * at that moment can be lost. Constants (`.rodata`) are fixed when they are loaded: use setVariable before.
   */
  async set(name: string, value: Value): Promise<void> {
    const variable = findVariable(this.#spec, name);
    const bytes = encodeVariable(this.#spec.btf, variable, value);
    const map = this.#map(variable);
    if (map.spec.section?.kind === 'rodata') {
      throw new SkepError('is a constant: its value is fixed when the object is loaded', {
        where: `variable '${name}'`,
        hint: 'Use setVariable on the spec before load.',
      });
    }
    const contents = (await this.#section(variable)).slice();
    contents.set(bytes, variable.offset);
    await map.setBytes(new Uint8Array(4), contents);
  }

  #map(variable: VariableSpec): LoadedMap {
    const map = this.#maps.get(variable.map);
    if (map !== undefined) return map;
    throw new SkepError(`its section ${variable.map} is not loaded`, {
      where: `variable '${variable.name}'`,
    });
  }

  async #section(variable: VariableSpec): Promise<Uint8Array> {
    const contents = await this.#map(variable).getBytes(new Uint8Array(4));
    if (contents !== undefined && contents.length >= variable.offset + variable.size) return contents;
    throw new SkepError(`is not in the contents of ${variable.map}`, {
      where: `variable '${variable.name}'`,
    });
  }
}

/** A CollectionSpec in a kernel. Give it back with `close`, or by `await using`. */
export class Collection {
  readonly spec: CollectionSpec;
  /** By name; those whose automatic loading is off are missing. */
  readonly programs: ReadonlyMap<string, LoadedProgram>;
  /** By name; sections of variables by the section's name. */
  readonly maps: ReadonlyMap<string, LoadedMap>;
  readonly variables: LoadedVariables;
  readonly #kernel: Bpf;
  #fds: Fd[];

  constructor(
    kernel: Bpf,
    spec: CollectionSpec,
    programs: ReadonlyMap<string, LoadedProgram>,
    maps: ReadonlyMap<string, LoadedMap>,
    fds: Fd[],
  ) {
    this.#kernel = kernel;
    this.spec = spec;
    this.programs = programs;
    this.maps = maps;
    this.variables = new LoadedVariables(spec, maps);
    this.#fds = fds;
  }

  /** The program of this name; throws a SkepError that lists those that there are. */
  program(name: string): LoadedProgram {
    return known('program', this.programs, name);
  }

  /** The map of this name; throws a SkepError that lists those that there are. */
  map(name: string): LoadedMap {
    return known('map', this.maps, name);
  }

  /** What programs write to the ring buffer of this name. Throws a SkepError when there is none. */
  ringbuf(name: string): RingBuffer {
    return new RingBuffer(this.#kernel, this.map(name));
  }

  /** The other side of the user ring buffer of this name. */
  userRingbuf(name: string): UserRingBuffer {
    return new UserRingBuffer(this.#kernel, this.map(name));
  }

  /** What programs send to the perf event array of this name; `size` bytes for each CPU, a power of two of pages. */
  async perfBuffer(name: string, size?: number): Promise<PerfBuffer> {
    return PerfBuffer.open(this.#kernel, this.map(name), size);
  }

  /** Gives every descriptor back; once is enough. */
  async close(): Promise<void> {
    const fds = this.#fds;
    this.#fds = [];
    await closeAll(this.#kernel, fds);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function known<T>(what: string, all: ReadonlyMap<string, T>, name: string): T {
  const found = all.get(name);
  if (found !== undefined) return found;
  throw new SkepError(`there is no such ${what}`, {
    where: `${what} '${name}'`,
    hint: `Known: ${listNames([...all.keys()])}.`,
  });
}

/** Closes all of them, the last first, even when one cannot be; that one's error is then thrown. */
export async function closeAll(kernel: Bpf, fds: readonly Fd[]): Promise<void> {
  const errors: unknown[] = [];
  for (const fd of fds.toReversed()) {
    try {
      await kernel.close(fd);
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
}
