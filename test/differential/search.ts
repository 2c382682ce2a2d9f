// Looks for programs that Linux and the engines disagree on, and for the smallest such program.

import fc from 'fast-check';
import { xdpProgram } from '../generate/xdp/program.js';
import { describe, type Kernels } from './kernels.js';

/** What has been tried. */
export interface Counts {
  programs: number;
  accepted: number;
  /** Linux's reasons with how often it gave them; numbers in them are N. */
  readonly refusals: Map<string, number>;
}

export const noCounts = (): Counts => ({ programs: 0, accepted: 0, refusals: new Map() });

/** A difference: the smallest program that shows it, and what leads to it again. */
export interface Finding {
  readonly seed: number;
  /** fast-check's way through the shrinking. */
  readonly path: string;
  readonly report: string;
}

export interface Search {
  readonly seed: number;
  readonly programs: number;
  /** Only the program of a finding. */
  readonly path?: string;
  /** Milliseconds until a shrinking that goes on is content with what it has. */
  readonly limit?: number;
}

/** Tries programs until there is a difference, which is then shrunk. */
export async function search(
  kernels: Kernels,
  counts: Counts,
  options: Search,
): Promise<Finding | undefined> {
  const { seed, programs, path, limit } = options;
  const reports = new Map<string, string>();
  const property = fc.asyncProperty(xdpProgram, async (program) => {
    const verdict = await kernels.compare(program);
    counts.programs++;
    if (verdict.kind === 'refused') {
      const reason = verdict.reason.replace(/0x[0-9a-f]+|\d+/g, 'N');
      counts.refusals.set(reason, (counts.refusals.get(reason) ?? 0) + 1);
      return;
    }
    counts.accepted++;
    if (verdict.kind === 'different') {
      const text = describe(program);
      reports.set(text, `${verdict.engine} and Linux differ\n${verdict.report}`);
      throw new Error(text);
    }
  });
  const result = await fc.check(property, {
    seed,
    numRuns: programs,
    ...(path === undefined ? {} : { path, endOnFailure: true }),
    ...(limit === undefined ? {} : { interruptAfterTimeLimit: limit }),
  });
  if (!result.failed) return undefined;
  const program = result.counterexample?.[0];
  const text = program ? describe(program) : '';
  const report = reports.get(text) ?? String(result.errorInstance);
  return { seed, path: result.counterexamplePath ?? '', report: `${report}\n\n${text}` };
}
