// `skep verify`: what Linux's verifier would say to each program of some objects, and why.

import { SkepError } from '../base/error.js';
import { BpfError, errnoName } from '../bpf/errno.js';
import { ProgType, progTypeName } from '../bpf/types.js';
import { Btf } from '../btf/btf.js';
import { parseSectionName, type SectionDefinition } from '../elf/sections.js';
import type { CollectionSpec, ProgramSpec } from '../elf/spec.js';
import { kernelTypes } from '../kernel/types/index.js';
import { type Explanation, explain } from '../kernel/verifier/explain/index.js';
import { versionNumber } from '../kernel/verifier/tables/since.js';
import { type Judgement, VerifyingKernel, type VerifyingOptions } from '../kernel/verifying.js';
import { load } from '../loader/load.js';
import { possibleTypes } from '../loader/program-types.js';
import { openObject, readBytes } from '../node/files.js';
import { objectName } from './choose.js';
import { describeError, UsageError } from './errors.js';
import { explanationText, lineOf } from './explanation-text.js';
import { applySettings, parseSetting } from './settings.js';
import { colors, counted, printable } from './text.js';

export interface VerifyCommandOptions {
  program?: string;
  /** What the programs are whose section does not say it, as SEC() names it: `tc`. */
  type?: string;
  json?: boolean;
  logLevel?: number;
  kernelVersion?: string;
  /** File with the kernel's BTF. */
  btf?: string;
  /** `NAME=VALUE` each. */
  set?: readonly string[];
  cpus: number;
}

/** What became of a program; `error` when it did not get as far as the verifier. */
interface Result {
  readonly program: ProgramSpec;
  readonly judgement?: Judgement;
  readonly error?: Error;
  /** As what the program was judged, when its section does not say it. */
  readonly assumed?: ProgType;
}

/** An object; `error` when it could not be read. */
interface Report {
  readonly object: string;
  readonly results: Result[];
  readonly error?: Error;
}

/** Runs the command. Exit status 1 when a program was rejected, 2 when an object could not be read. */
export async function verifyCommand(files: readonly string[], options: VerifyCommandOptions): Promise<void> {
  const { kernelVersion = '6.18' } = options;
  if (!/^\d+\.\d+(\.\d+)?$/.test(kernelVersion)) {
    throw new UsageError(`'${kernelVersion}' is no version of Linux`, { hint: 'Write 5.15 or 6.1.30.' });
  }
  if (versionNumber(kernelVersion) > versionNumber('6.18')) {
    throw new UsageError(`Linux ${kernelVersion} is not known here`, { hint: 'The newest is 6.18.' });
  }
  const settings = (options.set ?? []).map(parseSetting);
  const type = options.type === undefined ? undefined : typeNamed(options.type);
  const types = await typesOf(options.btf);
  const reports: Report[] = [];
  for (const file of files) {
    let spec: CollectionSpec;
    try {
      spec = await openObject(file);
    } catch (error) {
      if (!(error instanceof SkepError)) throw error;
      reports.push({ object: file, results: [], error });
      if (!options.json) process.stderr.write(describeError(error));
      continue;
    }
    applySettings(spec, settings);
    const programs = spec.programs.filter(
      ({ name }) => options.program === undefined || name === options.program,
    );
    if (programs.length === 0 && options.program !== undefined) {
      throw new UsageError(`there is no program '${options.program}'`, {
        where: file,
        hint: `Programs: ${spec.programs.map(({ name }) => name).join(', ') || 'none'}.`,
      });
    }
    const results: Result[] = [];
    for (const program of programs) {
      const result = await verifyProgram(file, spec, program, type, types, options);
      results.push(result);
      if (result.judgement?.accepted !== true) process.exitCode = 1;
      if (!options.json) process.stdout.write(resultText(file, result, options.logLevel ?? 0));
    }
    reports.push({ object: file, results });
  }
  const unread = reports.filter(({ error }) => error !== undefined).length;
  if (unread > 0) process.exitCode = 2;
  if (options.json) process.stdout.write(`${JSON.stringify(reports.map(reportJson), null, 2)}\n`);
  else if (unread < files.length) process.stdout.write(summary(reports.flatMap(({ results }) => results)));
}

function typeNamed(name: string): SectionDefinition {
  const definition = parseSectionName(name)?.definition;
  if (definition !== undefined) return definition;
  throw new UsageError(`'${name}' is no type of programs`, {
    hint: 'Write it as SEC() has it: xdp, tc, kprobe.',
  });
}

/** A file that cannot be read is no verdict: exit status 2. */
async function usable<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    if (!(cause instanceof SkepError)) throw cause;
    throw new UsageError(cause.message, { hint: cause.hint, cause });
  }
}

async function typesOf(file: string | undefined): Promise<() => Promise<Btf>> {
  if (file === undefined) return kernelTypes;
  const btf = Btf.parse(await usable(() => readBytes(file)));
  return async () => btf;
}

/** Whether the object refers to the kernel's types before its verification does. */
const refersToKernel = (
  spec: CollectionSpec,
  { coreRelocations, attachTo, structOps }: ProgramSpec,
): boolean =>
  coreRelocations.length > 0 ||
  attachTo !== undefined ||
  structOps !== undefined ||
  spec.externs.some(({ section }) => section === '.ksyms');

/**
 * Judges a program as what its section says that it is. Where it does not say, the program is tried as one type after the
 * other: accepted as soon as one fits, and otherwise judged as that type with which the verifier came furthest.
 */
async function verifyProgram(
  file: string,
  spec: CollectionSpec,
  program: ProgramSpec,
  type: SectionDefinition | undefined,
  types: () => Promise<Btf>,
  options: VerifyCommandOptions,
): Promise<Result> {
  const open = program.type === ProgType.Unspec;
  let furthest: Result | undefined;
  for (const one of open && type ? [type] : possibleTypes(program)) {
    const attach = one.attachType === undefined ? {} : { attachType: one.attachType };
    const typed = { ...program, type: one.type, flags: one.flags, ...attach };
    const result = await verifyAs(file, spec, typed, types, options);
    const further = (result.judgement?.processed ?? 0) > (furthest?.judgement?.processed ?? 0);
    if (!furthest || further || result.judgement?.accepted) {
      furthest = open ? { ...result, assumed: one.type } : result;
    }
    if (result.judgement?.accepted !== false) break;
  }
  return furthest ?? { program };
}

async function verifyAs(
  file: string,
  spec: CollectionSpec,
  program: ProgramSpec,
  types: () => Promise<Btf>,
  options: VerifyCommandOptions,
): Promise<Result> {
  const { kernelVersion, logLevel = 0, cpus } = options;
  const how: VerifyingOptions = {
    kernelTypes: types,
    logLevel,
    cpus,
    ...(kernelVersion === undefined ? {} : { profile: { version: kernelVersion } }),
  };
  const kernel = new VerifyingKernel(how);
  // Slots that wait for other programs say nothing of this one.
  const maps = spec.maps.map((map) =>
    map.initialSlots ? { ...map, initialSlots: map.initialSlots.filter(({ kind }) => kind === 'map') } : map,
  );
  try {
    const collection = await load({ ...spec, maps, programs: [program] }, kernel, {
      name: objectName(file),
      programs: [program.name],
      ...(kernelVersion === undefined
        ? {}
        : { kernelVersion: /\.\d+\./.test(kernelVersion) ? kernelVersion : `${kernelVersion}.0` }),
      ...(refersToKernel(spec, program) ? { kernelBtf: await types() } : {}),
    });
    await collection.close();
  } catch (error) {
    if (!(error instanceof SkepError || error instanceof BpfError)) throw error;
    return { program, error };
  }
  const judgement = kernel.verdicts[0];
  return judgement ? { program, judgement } : { program, error: new SkepError('it was not verified') };
}

const whyNot = (program: ProgramSpec, { log }: Judgement): Explanation => explain(log, lineOf(program));

function resultText(file: string, { program, judgement, error, assumed }: Result, logLevel: number): string {
  const type = assumed === undefined ? '' : `, as ${progTypeName(assumed)}`;
  const section = colors.dim(`(${printable(program.section)}${type})`);
  const name = `${printable(file)}: ${colors.bold(printable(program.name))} ${section}`;
  if (!judgement)
    return `${name} ${colors.red('cannot be loaded')}\n  ${printable(error?.message ?? '')}\n\n`;
  const log = logLevel > 0 ? judgement.log : '';
  const { accepted, processed, totalStates, stackDepths, milliseconds } = judgement;
  const figures =
    `${counted(processed, 'instruction')} processed, ${counted(totalStates, 'state')}, ` +
    `stack ${stackDepths.join('+') || '0'}, ${milliseconds.toFixed(1)} ms`;
  const verdict = accepted
    ? colors.green('accepted')
    : colors.red(`rejected (${errnoName(judgement.errno)})`);
  const why = accepted ? '' : `\n${explanationText(whyNot(program, judgement))}\n`;
  return `${log}${name} ${verdict}: ${figures}\n${why}`;
}

function summary(results: readonly Result[]): string {
  if (results.length === 0) return 'There are no programs.\n';
  const accepted = results.filter(({ judgement }) => judgement?.accepted).length;
  return results.length === 1 ? '' : `${accepted} of ${counted(results.length, 'program')} accepted\n`;
}

const reportJson = ({ object, results, error }: Report) => ({
  object,
  programs: results.map(resultJson),
  ...(error === undefined ? {} : { error: error.message }),
});

function resultJson({ program, judgement, error, assumed }: Result) {
  const { name, section } = program;
  const type = assumed === undefined ? {} : { type: progTypeName(assumed) };
  if (!judgement) {
    const errno = error?.cause instanceof BpfError ? error.cause.errno : 0;
    return {
      ...{ name, section, accepted: false, errno, log: '', processed: 0, totalStates: 0, peakStates: 0 },
      ...{ stackDepth: 0, milliseconds: 0, ...type, error: error?.message ?? '' },
    };
  }
  const { accepted, errno, log, processed, totalStates, peakStates, stackDepths, milliseconds } = judgement;
  const stackDepth = stackDepths.reduce((sum, depth) => sum + depth, 0);
  return {
    ...{ name, section, accepted, errno, log, processed, totalStates, peakStates, stackDepth },
    milliseconds: Math.round(milliseconds * 1000) / 1000,
    ...type,
    ...(accepted ? {} : { explanation: whyNot(program, judgement) }),
  };
}
