// `skep compare`: an object in the emulated kernel and in that of this machine, packet by packet, and every difference.

import { SkepError } from '../base/error.js';
import { type CompareOptions, compare, type RunInput } from '../compare/compare.js';
import type { Comparison, Expected } from '../compare/comparison.js';
import { memberBytes } from '../compare/member.js';
import type { CollectionSpec } from '../elf/spec.js';
import type { EngineName } from '../kernel/engine.js';
import { useModuleCompiler } from '../kernel/jit/compiler.js';
import { EmulatedKernel } from '../kernel/kernel.js';
import { layout } from '../kernel/memory/memory.js';
import { openSource } from '../node/capture.js';
import { openObject } from '../node/files.js';
import { tieredCompiler } from '../node/tiers.js';
import { readPackets } from '../pcap/reader.js';
import { chooseProgram, loadedWith, objectName } from './choose.js';
import { comparisonText } from './compare-text.js';
import { fail, UsageError } from './errors.js';
import { openRealKernel } from './kernels.js';
import { Progress } from './progress.js';
import { applySettings, parseSetting } from './settings.js';
import { toJson } from './values.js';

export interface CompareCommandOptions {
  pcap: string;
  program?: string;
  engine: EngineName;
  /** `NAME=VALUE` each. */
  set?: readonly string[];
  count?: number;
  each?: boolean;
  mayDiffer?: readonly string[];
  log?: boolean;
  json?: boolean;
}

/** What was compared, with what it was found to be. */
export interface ComparisonReport extends Comparison {
  object: string;
  capture: string;
  program: string;
  section: string;
  engine: EngineName;
  /** `6.18.44` */
  release: string;
  /** What ended the comparison before the end of the capture. */
  error?: string;
}

/** Bytes of a packet that lie in one piece; Linux keeps what is longer in fragments. */
const LINEAR = layout.PAGE - layout.XDP_HEADROOM - layout.XDP_TAILROOM;

/** Runs the command. Exit status 1 says that there is a difference, so whatever else goes wrong is 2. */
export async function compareCommand(object: string, options: CompareCommandOptions): Promise<void> {
  try {
    await compareObject(object, options);
  } catch (error) {
    fail(error, 2);
  }
}

async function compareObject(object: string, options: CompareCommandOptions): Promise<void> {
  const settings = (options.set ?? []).map(parseSetting);
  const spec = await openObject(object);
  applySettings(spec, settings);
  const program = chooseProgram(spec, options.program, object);
  const expected = (options.mayDiffer ?? []).map((what) => parseExpected(spec, what));
  using real = openRealKernel();
  useModuleCompiler(tieredCompiler);
  const emulated = new EmulatedKernel({ engine: options.engine, cpus: await real.kernel.possibleCpus() });
  const capture = new Capture(options.pcap, options.count ?? Number.POSITIVE_INFINITY);
  const settled: CompareOptions = {
    name: objectName(object),
    programs: loadedWith(spec, program),
    program: program.name,
    inputs: capture.packets(),
    mapsAfterEach: options.each ?? false,
    expected,
    logs: options.log ?? false,
  };
  const result = await compare(
    spec,
    { name: 'emulated', kernel: emulated },
    { name: 'linux', kernel: real.kernel, cpu: real.cpu, isOurs: real.isOurs },
    settled,
  );
  const { problem } = capture;
  if (problem !== undefined && result.inputs === 0) throw problem;
  const report: ComparisonReport = {
    object,
    capture: options.pcap,
    program: program.name,
    section: program.section,
    engine: options.engine,
    release: real.release,
    ...result,
    ...(problem === undefined ? {} : { error: problem.message }),
  };
  process.stdout.write(options.json ? reportJson(report) : comparisonText(report));
  if (problem !== undefined) fail(problem, 2);
  if (report.total > 0) process.exitCode = 1;
}

const whole: ReadonlySet<string> = new Set(['retval', 'packet', 'context', 'trace', 'run']);

/** `--may-differ` taken apart. Throws a UsageError for what there is not. */
function parseExpected(spec: CollectionSpec, text: string): Expected {
  const reason = `--may-differ ${text}`;
  if (whole.has(text)) return { what: text as 'retval' | 'packet' | 'context' | 'trace' | 'run', reason };
  const dot = text.indexOf('.', 1);
  const name = dot < 0 ? text : text.slice(0, dot);
  const map = spec.maps.find((candidate) => candidate.name === name && candidate.section === undefined);
  if (map !== undefined) {
    if (dot < 0) return { what: 'map', map: name, reason };
    if (spec.btf === undefined || map.valueTypeId === 0) {
      throw new UsageError(`the members of map '${name}' are not known: it has no BTF`);
    }
    try {
      return {
        what: 'map',
        map: name,
        bytes: memberBytes(spec.btf, map.valueTypeId, text.slice(dot + 1)),
        reason,
      };
    } catch (cause) {
      if (!(cause instanceof SkepError)) throw cause;
      throw new UsageError(cause.message, { where: `--may-differ ${text}`, cause });
    }
  }
  if (spec.variables.some((variable) => variable.name === text)) {
    return { what: 'variable', variable: text, reason };
  }
  const maps = spec.maps.filter(({ section }) => section === undefined).map((known) => known.name);
  throw new UsageError(`--may-differ ${text}: there is no map or variable '${name}'`, {
    hint: `It may be ${[...whole, ...maps].join(', ')}, MAP.member or a variable.`,
  });
}

/** The packets of a capture as inputs, as they are read. */
class Capture {
  /** What is wrong with the capture; the packets before it are compared. */
  problem: SkepError | undefined;
  readonly #path: string;
  readonly #count: number;

  constructor(path: string, count: number) {
    this.#path = path;
    this.#count = count;
  }

  async *packets(): AsyncGenerator<RunInput> {
    if (this.#path === '-' && process.stdin.isTTY) {
      throw new UsageError('standard input is a terminal', {
        hint: 'Pipe a capture into the command: tcpdump -c 100 -w - | skep compare ... --pcap -',
      });
    }
    await using source = await openSource(this.#path);
    const progress = new Progress(source);
    let done = 0;
    try {
      for await (const { count, data, offsets } of readPackets(source)) {
        for (let i = 0; i < count && done < this.#count; i++, done++) {
          yield xdpInput(data.slice(offsets[i], offsets[i + 1]));
        }
        await progress.update(done);
        if (done >= this.#count) return;
      }
    } catch (error) {
      if (!(error instanceof SkepError)) throw error;
      const file = this.#path === '-' ? 'standard input' : this.#path;
      this.problem = error.message.startsWith(file)
        ? error
        : new SkepError(error.message, { where: file, hint: error.hint, cause: error });
    } finally {
      progress.stop();
    }
  }
}

/** A packet with its struct xdp_md (data, data_end), so that the context that comes back is compared too. */
function xdpInput(data: Uint8Array): RunInput {
  if (data.length > LINEAR) {
    const skip = `longer than ${LINEAR} bytes: Linux keeps the rest in fragments, which the emulated kernel does not have`;
    return { skip };
  }
  const ctx = new Uint8Array(24);
  new DataView(ctx.buffer).setUint32(4, data.length, true);
  return { data, ctx };
}

/** Ends with a line end. What was not there is null. */
function reportJson(report: ComparisonReport): string {
  const differences = report.differences.map((difference) => ({
    ...difference,
    left: difference.left ?? null,
    right: difference.right ?? null,
  }));
  return `${JSON.stringify(toJson({ ...report, differences }), null, 2)}\n`;
}
