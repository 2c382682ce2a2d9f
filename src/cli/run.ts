// `skep run`: an XDP program on a capture. Packets stream through in blocks, so that memory does not grow with the
// capture; what is kept are counts, the first trace lines, the distinct faults and, at the end, the maps.

import { stat } from 'node:fs/promises';
import { SkepError } from '../base/error.js';
import { ProgType, progTypeName } from '../bpf/types.js';
import type { CollectionSpec, ProgramSpec } from '../elf/spec.js';
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
import { fail, UsageError } from './errors.js';
import { Progress } from './progress.js';
import { reportJson } from './run-json.js';
import { readMaps } from './run-maps.js';
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
  json?: boolean;
  limit?: number;
  /** Trace lines to keep; false for none. */
  trace: number | false;
  clock: 'capture' | 'real';
  allEntries?: boolean;
}

/** Runs the command; problems with the capture are told after the report on what was read. */
export async function run(object: string, options: RunCommandOptions): Promise<void> {
  const settings = (options.set ?? []).map(parseSetting);
  await refuseToOverwrite(options, object);
  const spec = await openObject(object);
  applySettings(spec, settings);
  const program = chooseProgram(spec, options.program, object);
  const source = await openSource(options.pcap);
  if (options.pcap === '-' && process.stdin.isTTY) {
    throw new UsageError('standard input is a terminal', {
      hint: 'Pipe a capture into the command: tcpdump -c 100 -w - | skep run ... --pcap -',
    });
  }

  useModuleCompiler(tieredCompiler);
  const kernel = new EmulatedKernel({
    engine: options.engine,
    cpus: options.cpus,
    ...(options.budget === undefined ? {} : { budget: options.budget }),
  });
  const tally = new Tally(options.trace === false ? 0 : options.trace);
  if (options.trace !== false) await kernel.trace((event) => tally.trace(event));
  const programs = spec.programs.filter(
    (candidate) => candidate === program || (candidate.autoload && candidate.type === ProgType.Xdp),
  );
  await using collection = await load(spec, kernel, {
    name: objectName(object),
    programs: programs.map(({ name }) => name),
  });

  const output =
    options.out === undefined ? undefined : await Output.create(options.out, options.keepDropped);
  const progress = new Progress(source);
  let problem: unknown;
  try {
    const runner = new Runner(collection.program(program.name), tally, options.clock === 'capture', output);
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
    engine: options.engine,
    ...withSourceText(spec, tally.result()),
    ...(output === undefined ? {} : { output: { file: output.path, packets: output.packets } }),
    ...(await readMaps(
      collection,
      options.allEntries || options.json ? Number.POSITIVE_INFINITY : undefined,
    )),
    ...(problem === undefined ? {} : { error: (problem as Error).message }),
  };
  process.stdout.write(options.json ? reportJson(report) : printReport(report));
  if (problem !== undefined) fail(problem);
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

/** `firewall` for `examples/firewall.bpf.o`. */
const objectName = (path: string): string =>
  (path.split(/[\\/]/).at(-1) ?? path).replace(/\.o$/, '').replace(/\.bpf$/, '');

/** The program that was asked for, or the only one that can run on packets. */
function chooseProgram(spec: CollectionSpec, name: string | undefined, object: string): ProgramSpec {
  const candidates = spec.programs.filter(({ type }) => type === ProgType.Xdp);
  const list = candidates.map((program) => program.name).join(', ');
  if (name !== undefined) {
    const program = spec.programs.find((candidate) => candidate.name === name);
    if (program === undefined) {
      throw new UsageError(`there is no program '${name}'`, {
        where: object,
        hint: `Programs: ${spec.programs.map((known) => known.name).join(', ') || 'none'}.`,
      });
    }
    if (program.type === ProgType.Xdp) return program;
    const type = progTypeName(program.type) ?? String(program.type);
    throw new UsageError(`program '${name}' (SEC("${program.section}")) is of type ${type}, not xdp`, {
      where: object,
      hint: list ? `XDP programs here: ${list}.` : 'Only XDP programs run on captures so far.',
    });
  }
  const automatic = candidates.filter(({ autoload }) => autoload);
  const [program, second] = automatic.length > 0 ? automatic : candidates;
  if (program === undefined) {
    const others = spec.programs.map((other) => `${other.name} (SEC("${other.section}"))`).join(', ');
    throw new SkepError('there is no XDP program in it', {
      where: object,
      hint: others ? `It has ${others}; only XDP programs run on captures so far.` : 'It has no programs.',
    });
  }
  if (second !== undefined) {
    throw new UsageError(`there are ${candidates.length} XDP programs in it: ${list}`, {
      where: object,
      hint: `Choose one: --program ${program.name}`,
    });
  }
  return program;
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
  #first: bigint | undefined;

  constructor(program: LoadedProgram, tally: Tally, captureClock: boolean, output: Output | undefined) {
    this.#program = program;
    this.#tally = tally;
    this.#captureClock = captureClock;
    this.#output = output;
  }

  async run(block: PacketBlock): Promise<void> {
    const { count, data, offsets } = block;
    const result = await this.#program.runBatch({
      count,
      data,
      offsets,
      ...(this.#captureClock ? { times: this.#times(block) } : {}),
      ...(this.#output ? { wantData: true } : {}),
    });
    this.#tally.add(block, result);
    await this.#output?.write(block, result);
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
