// `skep run`: an XDP program on a capture. Packets stream through in blocks, so that memory does not grow with the
// capture; what is kept are counts, the first trace lines, the distinct faults and, at the end, the maps.

import { stat } from 'node:fs/promises';
import { SkepError } from '../base/error.js';
import type { Bpf, TraceEvent } from '../bpf/bpf.js';
import { BpfError } from '../bpf/errno.js';
import type { CollectionSpec } from '../elf/spec.js';
import type { EngineName } from '../kernel/engine.js';
import { useModuleCompiler } from '../kernel/jit/compiler.js';
import { EmulatedKernel } from '../kernel/kernel.js';
import type { LoadedProgram } from '../loader/collection.js';
import { load } from '../loader/load.js';
import { FileSink, openSource } from '../node/capture.js';
import { openObject } from '../node/files.js';
import { tieredCompiler } from '../node/tiers.js';
import type { PacketBlock } from '../pcap/block.js';
import { readPackets } from '../pcap/reader.js';
import { PcapngWriter } from '../pcap/writer.js';
import { chooseProgram, loadedWith, objectName } from './choose.js';
import { fail, UsageError } from './errors.js';
import { Progress } from './progress.js';
import { reportJson } from './run-json.js';
import { MAX_ENTRIES, readMaps } from './run-maps.js';
import { Records } from './run-records.js';
import { type RunReport, Tally } from './run-report.js';
import { printReport } from './run-text.js';
import { applySettings, parseSetting } from './settings.js';

export interface RunCommandOptions {
  pcap: string;
  program?: string;
  engine: EngineName;
  out?: string;
  keepDropped?: boolean;
  /** `NAME=VALUE` each. */
  set?: readonly string[];
  cpus: number;
  budget?: number;
  /** Run what the verifier would refuse too, every access checked. */
  unverified?: boolean;
  json?: boolean;
  limit?: number;
  /** Trace lines to keep; false for none. */
  trace: number | false;
  clock: 'capture' | 'real';
  allEntries?: boolean;
  kernel: 'emulated' | 'linux';
}

/** The kernel that a run is made in. */
interface Opened extends Disposable {
  readonly kernel: Bpf;
  /** `6.18.44` for the real kernel. */
  readonly release?: string;
  /** Which trace lines are this run's; all of them unless it says. */
  isOurs?(event: TraceEvent): boolean;
}

async function openKernel(options: RunCommandOptions): Promise<Opened> {
  const { kernel, engine, cpus, budget, unverified } = options;
  if (kernel === 'linux') return (await import('./kernels.js')).openRealKernel();
  useModuleCompiler(tieredCompiler);
  const emulated = new EmulatedKernel({
    engine,
    cpus,
    safety: unverified ? 'check' : 'verify',
    ...(budget === undefined ? {} : { budget }),
  });
  return { kernel: emulated, [Symbol.dispose]() {} };
}

/** Runs the command; problems with the capture are told after the report on what was read. */
export async function run(object: string, options: RunCommandOptions): Promise<void> {
  const settings = (options.set ?? []).map(parseSetting);
  await refuseToOverwrite(options, object);
  const spec = await openObject(object);
  applySettings(spec, settings);
  const program = chooseProgram(spec, options.program, object);
  await using source = await openSource(options.pcap);
  if (options.pcap === '-' && process.stdin.isTTY) {
    throw new UsageError('standard input is a terminal', {
      hint: 'Pipe a capture into the command: tcpdump -c 100 -w - | skep run ... --pcap -',
    });
  }

  using opened = await openKernel(options);
  const { kernel, release } = opened;
  const tally = new Tally(options.trace === false ? 0 : options.trace);
  await using collection = await load(spec, kernel, {
    name: objectName(object),
    programs: loadedWith(spec, program),
  });

  const limit = options.allEntries || options.json ? Number.POSITIVE_INFINITY : MAX_ENTRIES;
  await using records = await Records.open(collection, limit);
  const output =
    options.out === undefined ? undefined : await Output.create(options.out, options.keepDropped);
  const progress = new Progress(source);
  let problem: unknown;
  try {
    const runner = new Runner(
      collection.program(program.name),
      tally,
      release === undefined && options.clock === 'capture',
      output,
      options.trace === false ? undefined : opened,
      records,
    );
    for await (const whole of readPackets(source)) {
      const block = limited(whole, (options.limit ?? Number.POSITIVE_INFINITY) - tally.packets);
      if (block.count > 0) await runner.run(block);
      await progress.update(tally.packets);
      if (tally.packets >= (options.limit ?? Number.POSITIVE_INFINITY)) break;
    }
  } catch (error) {
    if (!(error instanceof SkepError)) throw error;
    problem = named(error, options.pcap);
  } finally {
    progress.stop();
    await output?.close();
  }

  // Of what is no capture at all there is nothing to report.
  if (problem !== undefined && tally.packets === 0) throw problem;

  const report: RunReport = {
    object,
    capture: options.pcap,
    program: program.name,
    section: program.section,
    ...(release === undefined
      ? { kernel: 'emulated', engine: options.engine }
      : { kernel: `linux ${release}`, engine: await engineOf(collection.program(program.name)) }),
    ...withSourceText(spec, tally.result()),
    ...(output === undefined ? {} : { output: { file: output.path, packets: output.packets } }),
    ...(await readMaps(collection, limit, records)),
    ...(problem === undefined ? {} : { error: (problem as Error).message }),
  };
  process.stdout.write(options.json ? reportJson(report) : printReport(report));
  if (problem !== undefined) fail(problem);
}

/** How the real kernel runs a program. */
async function engineOf(program: LoadedProgram): Promise<string> {
  return (await program.info()).bytesJited > 0 ? 'jit' : 'interpreter';
}

/** Faults with the text of their source lines as it was written: the kernel's has lost its indentation. */
function withSourceText<T extends Pick<RunReport, 'faults'>>(spec: CollectionSpec, report: T): T {
  const lines = spec.programs.flatMap((program) => program.lines);
  const faults = report.faults.map((fault) => {
    const { source } = fault;
    const written = lines.find(({ file, line }) => file === source?.file && line === source.line);
    return source && written ? { ...fault, source: { ...source, text: written.text } } : fault;
  });
  return { ...report, faults };
}

/** An error of the capture's reader, with the file's name. */
function named(error: SkepError, path: string): SkepError {
  const file = path === '-' ? 'standard input' : path;
  return error.message.startsWith(file)
    ? error
    : new SkepError(error.message, { where: file, hint: error.hint, cause: error });
}

/** Writing into what is being read would destroy it. */
async function refuseToOverwrite({ out, pcap }: RunCommandOptions, object: string): Promise<void> {
  if (out === undefined) return;
  if (out === '-') {
    throw new UsageError('--out needs a file: standard output has the report', {
      hint: 'Write --out out.pcapng.',
    });
  }
  const target = await stat(out).catch(() => undefined);
  if (target === undefined || !target.isFile()) return;
  for (const input of [pcap, object]) {
    const source = input === '-' ? undefined : await stat(input).catch(() => undefined);
    if (source !== undefined && source.ino === target.ino && source.dev === target.dev) {
      throw new UsageError(`--out ${out} is the file that is read`, { hint: 'Choose another name.' });
    }
  }
}

/** The first `count` packets of a block. */
function limited(block: PacketBlock, count: number): PacketBlock {
  return count >= block.count ? block : { ...block, count };
}

/** Runs blocks of packets through a program. */
class Runner {
  readonly #program: LoadedProgram;
  readonly #tally: Tally;
  readonly #captureClock: boolean;
  readonly #output: Output | undefined;
  /** Where to listen to what programs print; undefined when nobody wants to know or nothing can be heard. */
  #traced: Opened | undefined;
  readonly #records: Records;
  #first: bigint | undefined;

  constructor(
    program: LoadedProgram,
    tally: Tally,
    captureClock: boolean,
    output: Output | undefined,
    traced: Opened | undefined,
    records: Records,
  ) {
    this.#records = records;
    this.#program = program;
    this.#tally = tally;
    this.#captureClock = captureClock;
    this.#output = output;
    this.#traced = traced;
  }

  async run(block: PacketBlock): Promise<void> {
    const { count, data, offsets } = block;
    // Block by block: when the listener goes, all that was printed has been heard.
    using _ = await this.#listen();
    const result = await this.#program.runBatch({
      count,
      data,
      offsets,
      ...(this.#captureClock ? { times: this.#times(block) } : {}),
      ...(this.#output ? { wantData: true } : {}),
    });
    this.#tally.add(block, result);
    await this.#records.take();
    await this.#output?.write(block, result);
  }

  async #listen(): Promise<Disposable | undefined> {
    const traced = this.#traced;
    if (traced === undefined) return undefined;
    try {
      return await traced.kernel.trace((event) => {
        if (traced.isOurs?.(event) ?? true) this.#tally.trace(event);
      });
    } catch (error) {
      if (!(error instanceof BpfError)) throw error;
      this.#tally.noTrace = error.message;
      this.#traced = undefined;
      return undefined;
    }
  }

  /** Nanoseconds since the first packet; a packet that goes back in time arrives with the first. */
  #times({ count, timestamps }: PacketBlock): Float64Array {
    const times = new Float64Array(count);
    this.#first ??= timestamps[0] ?? 0n;
    const first = this.#first;
    for (let i = 0; i < count; i++) times[i] = Math.max(0, Number((timestamps[i] ?? 0n) - first));
    return times;
  }
}

/** XDP_PASS, XDP_TX and XDP_REDIRECT let a packet live; for any other answer Linux drops it. */
const survives = (verdict: number): boolean => verdict >= 2 && verdict <= 4;

/** The packets as the program left them, as pcapng with the verdict of each. */
class Output {
  readonly path: string;
  packets = 0;
  readonly #sink: FileSink;
  readonly #writer: PcapngWriter;
  readonly #keepDropped: boolean;
  #interfaces = 0;

  private constructor(sink: FileSink, keepDropped: boolean) {
    this.path = sink.path;
    this.#sink = sink;
    this.#writer = new PcapngWriter(sink.write, { application: 'skep run' });
    this.#keepDropped = keepDropped;
  }

  static async create(path: string, keepDropped = false): Promise<Output> {
    return new Output(await FileSink.create(path), keepDropped);
  }

  async write(
    block: PacketBlock,
    result: { retvals: Uint32Array; data?: Uint8Array; offsets?: Uint32Array; faults: { index: number }[] },
  ): Promise<void> {
    const { data, offsets } = result;
    if (!data || !offsets) throw new Error('the batch came back without its packets');
    for (; this.#interfaces < block.interfaces.length; this.#interfaces++) {
      this.#writer.addInterface(block.interfaces[this.#interfaces]);
    }
    // A run that a fault ended has no answer; Linux counts such a packet as aborted.
    const faulted = new Set(result.faults.map(({ index }) => index));
    for (let i = 0; i < block.count; i++) {
      const verdict = faulted.has(i) ? 0 : (result.retvals[i] ?? 0);
      if (!this.#keepDropped && !survives(verdict)) continue;
      const packet = data.subarray(offsets[i], offsets[i + 1]);
      const before = (block.offsets[i + 1] ?? 0) - (block.offsets[i] ?? 0);
      const notCaptured = Math.max(0, (block.originalLengths[i] ?? before) - before);
      this.#writer.write(packet, {
        timestamp: block.timestamps[i] ?? 0n,
        originalLength: packet.length + notCaptured,
        interfaceId: block.interfaceIds[i] ?? 0,
        verdict,
      });
      this.packets++;
    }
    await this.#sink.drain();
  }

  async close(): Promise<void> {
    this.#writer.flush();
    await this.#sink.close();
  }
}
