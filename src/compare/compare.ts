// Two kernels side by side: one object loaded in both, the same inputs given to both, and everything that can be seen of
// it compared. Both are a `Bpf`; which kernels they are is the caller's business.

import { SkepError } from '../base/error.js';
import type { Bpf, ProgTestRunResult, TraceEvent } from '../bpf/bpf.js';
import { BpfError, errnoName } from '../bpf/errno.js';
import type { Value } from '../btf/value.js';
import type { CollectionSpec, ProgramSpec } from '../elf/spec.js';
import type { Collection, RunOptions } from '../loader/collection.js';
import { type LoadOptions, load } from '../loader/load.js';
import { setVariable } from '../loader/variables.js';
import type {
  Comparison,
  Expected,
  NotRun,
  RunPlace,
  Seen,
  SideName,
  SideOptions,
  Verdict,
} from './comparison.js';
import type { Side } from './contents.js';
import { Findings } from './findings.js';
import { MapComparison } from './maps.js';
import { mayPrint, notesOn } from './notes.js';
import { Records } from './records.js';

/** What is given to a program once. */
export interface RunInput extends RunOptions {
  /** Which program, if not that of the options. */
  program?: string;
  /** Why it is not to be given to either kernel: it is then listed under `notRun`. */
  skip?: string;
}

export interface CompareOptions extends LoadOptions {
  /** The program that runs; the first that is loaded unless told otherwise. */
  program?: string;
  /** What it is given, one after the other; maps and variables go on from what a run has left. */
  inputs?: Iterable<RunInput> | AsyncIterable<RunInput>;
  /** Values of variables before the object is loaded; the spec itself stays as it is. */
  variables?: Readonly<Record<string, Value>>;
  /** Elements that maps have before the first run. */
  maps?: Readonly<Record<string, Iterable<readonly [key: Value, value: Value]>>>;
  /** Compare the maps after each run, not only after the last. */
  mapsAfterEach?: boolean;
  /** Differences that must be: they are counted apart, with their reason. */
  expected?: readonly Expected[];
  /** Compare the logs of what both refuse, line by line (times and addresses left out). */
  logs?: boolean;
  /** Differences to keep; what goes beyond is counted. 10,000 unless told otherwise. */
  limit?: number;
}

/** A kernel, and what the comparison has to know of it. */
export interface Kernel extends SideOptions {
  readonly kernel: Bpf;
}

const LIMIT = 10_000;

/**
 * Loads `spec` into two kernels and compares what they do with it. Differences are the result, not an error; a SkepError
 * is thrown for a request that makes no sense (an unknown program or map), for kernels with unequal numbers of possible
 * CPUs, and for an object that cannot be loaded anywhere (CO-RE without the kernel's BTF).
 */
export async function compare(
  spec: CollectionSpec,
  left: Kernel,
  right: Kernel,
  options: CompareOptions = {},
): Promise<Comparison> {
  const { limit = LIMIT, expected = [], variables = {} } = options;
  const [cpus, others] = [await left.kernel.possibleCpus(), await right.kernel.possibleCpus()];
  if (cpus !== others) {
    throw new SkepError(
      `${left.name} has ${cpus} possible CPUs and ${right.name} ${others}: per-CPU values cannot be compared`,
      { hint: `Make the emulated kernel with cpus: ${Math.max(cpus, others)}.` },
    );
  }
  const findings = new Findings(limit, expected);
  const own = copyOf(spec);
  for (const [name, value] of Object.entries(variables)) setVariable(own, name, value);
  const loaded = selected(spec, options.programs);
  await using both = new Pair(left, right);
  const verdicts = {
    left: await both.load('left', own, options),
    right: await both.load('right', own, options),
  };
  compareVerdicts(
    verdicts,
    loaded.map(({ name }) => name),
    findings,
    options.logs ?? false,
  );
  const result: Comparison = {
    left: left.name,
    right: right.name,
    load: verdicts,
    inputs: 0,
    runs: 0,
    notRun: [],
    maps: [],
    variables: [],
    traceLines: 0,
    notCompared: [],
    notes: notesOn(loaded, own.maps),
    differences: findings.differences,
    total: 0,
    expected: findings.expected,
  };
  const sides = await both.sides(cpus);
  if (sides === undefined) return { ...result, total: findings.total };
  for (const [name, elements] of Object.entries(options.maps ?? {})) {
    for (const [key, value] of elements) {
      await sides.left.collection.map(name).set(key, value);
      await sides.right.collection.map(name).set(key, value);
    }
  }
  const maps = new MapComparison(sides.left, sides.right, findings);
  await using records = await Records.open(sides.left, sides.right, findings);
  const runs = new Runs(sides.left, sides.right, findings, records, mayPrint(loaded));
  const program = options.program ?? loaded[0]?.name;
  for await (const input of options.inputs ?? []) {
    await runs.run(input, program);
    if (options.mapsAfterEach) await maps.compare(runs.inputs - 1);
  }
  await maps.compare(undefined);
  return {
    ...result,
    inputs: runs.inputs,
    runs: runs.both,
    notRun: [...runs.notRun.values()],
    maps: [
      ...[...maps.compared.maps].map(([name, elements]) => ({ name, elements })),
      ...records.channels.map(({ map, count }) => ({ name: map, elements: count })),
    ],
    variables: [...maps.compared.variables],
    traceLines: runs.traceLines,
    notCompared: [
      ...maps.compared.notCompared.values(),
      ...records.notCompared,
      ...(runs.noTrace === undefined ? [] : [{ what: 'trace', reason: runs.noTrace }]),
    ],
    total: findings.total,
  };
}

/** The spec with contents of its own, so that variables can be set. */
const copyOf = (spec: CollectionSpec): CollectionSpec => ({
  ...spec,
  maps: spec.maps.map((map) =>
    map.section ? { ...map, section: { ...map.section, contents: map.section.contents.slice() } } : map,
  ),
});

const selected = (spec: CollectionSpec, names: readonly string[] | undefined): ProgramSpec[] =>
  spec.programs.filter(({ name, autoload }) => names?.includes(name) ?? autoload);

/** The two collections, closed together. */
class Pair implements AsyncDisposable {
  readonly #options: Record<SideName, Kernel>;
  readonly #collections: Partial<Record<SideName, Collection>> = {};

  constructor(left: Kernel, right: Kernel) {
    this.#options = { left, right };
  }

  /** Loads into one kernel. What the kernel refuses is the verdict; what cannot even be asked is thrown. */
  async load(side: SideName, spec: CollectionSpec, options: LoadOptions): Promise<Verdict> {
    try {
      this.#collections[side] = await load(spec, this.#options[side].kernel, options);
      return { accepted: true };
    } catch (error) {
      const cause = error instanceof SkepError ? error.cause : error;
      if (!(error instanceof Error) || !(cause instanceof BpfError)) throw error;
      const { errno, verifierLog: log } = cause;
      return { accepted: false, errno, message: error.message, ...(log === undefined ? {} : { log }) };
    }
  }

  /** The two sides, once both are loaded. */
  async sides(cpus: number): Promise<Record<SideName, Side> | undefined> {
    const { left, right } = this.#collections;
    if (left === undefined || right === undefined) return undefined;
    return { left: await this.#side('left', left, cpus), right: await this.#side('right', right, cpus) };
  }

  async #side(side: SideName, collection: Collection, cpus: number): Promise<Side> {
    const programs = new Map<number, string>();
    for (const program of collection.programs.values()) programs.set((await program.info()).id, program.name);
    const maps = new Map<number, string>();
    for (const map of collection.maps.values()) maps.set((await map.info()).id, map.name);
    return { cpu: 0, ...this.#options[side], side, collection, cpus, names: { programs, maps } };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#collections.left?.close();
    await this.#collections.right?.close();
  }
}

function compareVerdicts(
  { left, right }: Record<SideName, Verdict>,
  programs: readonly string[],
  findings: Findings,
  logs: boolean,
): void {
  if (left.accepted !== right.accepted || left.errno !== right.errno) {
    const say = ({ accepted, message = '' }: Verdict): string => (accepted ? 'accepted' : message);
    findings.add({ what: 'load', programs, left: say(left), right: say(right) });
  } else if (logs && !left.accepted) {
    const here = logLines(left);
    const there = logLines(right);
    const line = firstDifference(here, there);
    if (line !== undefined)
      findings.add({ what: 'log', line: line + 1, left: here[line], right: there[line] });
  }
}

/** A log without what a clock has measured and where the kernel has put its maps. */
const logLines = ({ log = '' }: Verdict): string[] =>
  log
    .replace(/\b0xffff[0-9a-f]{12}\b/g, '(address)')
    .split('\n')
    .filter((line) => line !== '' && !/^verification time \d+ usec/.test(line));

/** The index of the first element that differs, or undefined. */
function firstDifference<T>(a: ArrayLike<T>, b: ArrayLike<T>): number | undefined {
  const length = Math.max(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return i;
  return undefined;
}

/** What a run was seen to do. */
interface Outcome {
  readonly result?: ProgTestRunResult;
  /** Why there is no result. */
  readonly error?: BpfError;
  readonly trace: readonly string[];
}

/** Runs inputs in both kernels and compares what comes out. */
class Runs {
  inputs = 0;
  both = 0;
  traceLines = 0;
  /** Why what programs print is not compared. */
  noTrace: string | undefined;
  readonly notRun = new Map<string, NotRun>();
  readonly #left: Side;
  readonly #right: Side;
  readonly #findings: Findings;
  readonly #records: Records;
  readonly #listens: boolean;

  constructor(left: Side, right: Side, findings: Findings, records: Records, listens: boolean) {
    this.#left = left;
    this.#right = right;
    this.#findings = findings;
    this.#records = records;
    this.#listens = listens;
  }

  async run({ program: name, skip, ...options }: RunInput, usual: string | undefined): Promise<void> {
    const run = this.inputs++;
    const program = name ?? usual;
    if (program === undefined) throw new SkepError('there is no program to run');
    if (skip !== undefined) {
      this.#leaveOut(skip, run);
      return;
    }
    const left = await this.#once(this.#left, program, options);
    const right = await this.#once(this.#right, program, options);
    this.#compare({ run, program }, left, right);
    await this.#records.compare({ run, program });
  }

  #leaveOut(reason: string, run: number): void {
    const { count, first } = this.notRun.get(reason) ?? { count: 0, first: run };
    this.notRun.set(reason, { reason, count: count + 1, first });
  }

  async #once(side: Side, name: string, options: RunOptions): Promise<Outcome> {
    const program = side.collection.program(name);
    const trace: string[] = [];
    const listening = await this.#listen(side, trace);
    try {
      return { result: await program.run(options), trace };
    } catch (error) {
      if (error instanceof BpfError) return { error, trace };
      throw error;
    } finally {
      listening?.[Symbol.dispose]();
    }
  }

  async #listen(
    { kernel, name, isOurs = () => true }: Side,
    into: string[],
  ): Promise<Disposable | undefined> {
    if (!this.#listens || this.noTrace !== undefined) return undefined;
    try {
      return await kernel.trace((event: TraceEvent) => {
        if (isOurs(event)) into.push(event.text);
      });
    } catch (error) {
      if (!(error instanceof BpfError)) throw error;
      this.noTrace = `${name}: ${error.message}`;
      return undefined;
    }
  }

  #compare(place: RunPlace, left: Outcome, right: Outcome): void {
    const findings = this.#findings;
    if (left.result && right.result) {
      this.both++;
      this.#results(place, left.result, right.result);
    } else if (left.error?.errno === right.error?.errno) {
      this.#leaveOut(`both kernels refuse it: ${errnoName(left.error?.errno ?? 0)}`, place.run);
    } else {
      findings.add({ what: 'run', ...place, left: sayOutcome(left), right: sayOutcome(right) });
    }
    if (!this.#listens || this.noTrace !== undefined) return;
    this.traceLines += left.trace.length;
    for (let i = 0; i < Math.max(left.trace.length, right.trace.length); i++) {
      if (left.trace[i] === right.trace[i]) continue;
      findings.add({ what: 'trace', ...place, line: i + 1, left: left.trace[i], right: right.trace[i] });
    }
  }

  #results(place: RunPlace, left: ProgTestRunResult, right: ProgTestRunResult): void {
    if (left.retval !== right.retval) {
      this.#findings.add({ what: 'retval', ...place, left: left.retval, right: right.retval });
    }
    this.#bytes('packet', place, { left: left.dataOut, right: right.dataOut });
    this.#bytes('context', place, { left: left.ctxOut, right: right.ctxOut });
  }

  #bytes(what: 'packet' | 'context', place: RunPlace, seen: Seen & Record<SideName, Uint8Array>): void {
    const offset = firstDifference(seen.left, seen.right);
    if (offset !== undefined) this.#findings.add({ what, ...place, offset, ...seen });
  }
}

const sayOutcome = ({ result, error }: Outcome): string =>
  error ? error.message : `returned ${result?.retval ?? 0}`;
