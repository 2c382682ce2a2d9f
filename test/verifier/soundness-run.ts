// Programs for the soundness run: random ones of both generators, and the XDP programs of an object.

import fc from 'fast-check';
import { SkepError } from '../../src/base/error.js';
import { BpfError } from '../../src/bpf/errno.js';
import { ProgType } from '../../src/bpf/types.js';
import type { CollectionSpec } from '../../src/elf/index.js';
import { type Instruction, toAssembly } from '../../src/isa/index.js';
import { load } from '../../src/loader/index.js';
import { Machine } from '../engines/machine.js';
import { seededRandom } from '../fuzz/mutate.js';
import { verifierProgram } from '../generate/verifier/program.js';
import { KINDS, MAPS } from '../generate/verifier/world.js';
import { MAPS as XDP_MAPS } from '../generate/xdp/frame.js';
import { xdpProgram } from '../generate/xdp/program.js';
import { TooManyPaths, WatchedKernel } from './soundness.js';

export interface Tally {
  /** Accepted and run. */
  run: number;
  /** Rejected, of a type or with a helper that the emulated kernel lacks, or with too many paths. */
  left: number;
  /** Instructions that were looked at. */
  steps: number;
  violations: string[];
}

const noTally = (): Tally => ({ run: 0, left: 0, steps: 0, violations: [] });

/** Maps that the emulated kernel's machine of the tests can fill. */
const SIMPLE = Object.fromEntries(
  Object.entries(MAPS).map(([name, spec]) => [
    name,
    // Where a map cannot be filled, an array stands in: its number is what counts.
    ['events', 'ring', 'queue'].includes(name) ? { ...MAPS.one } : spec,
  ]),
);

const xdp = KINDS.filter(({ type }) => type === ProgType.Xdp);

const packetOf = (seed: number, size: number): Uint8Array =>
  Uint8Array.from({ length: size }, (_, i) => (Math.imul(seed + i, 0x9e3779b1) >>> (i % 24)) & 0xff);

async function runOne(
  kernel: WatchedKernel,
  machine: Machine,
  insns: readonly Instruction[],
  packets: readonly Uint8Array[],
  tally: Tally,
): Promise<void> {
  let program: number;
  try {
    program = await machine.load(insns);
  } catch (error) {
    if (!(error instanceof BpfError || error instanceof TooManyPaths || error instanceof SkepError))
      throw error;
    tally.left++;
    return;
  }
  kernel.observed.violations.length = 0;
  const before = kernel.observed.steps;
  await machine.outcomes(program, packets);
  await kernel.close(program);
  tally.run++;
  tally.steps += kernel.observed.steps - before;
  if (kernel.observed.violations.length > 0) {
    tally.violations.push(`${kernel.observed.violations.join('\n')}\n${toAssembly(insns)}`);
  }
}

/** `count` programs of the generator for verifiers, those that are accepted run on three packets. */
export async function randomSoundness(first: number, count: number): Promise<Tally> {
  const tally = noTally();
  const kernel = new WatchedKernel();
  const machine = new Machine(kernel, SIMPLE);
  await machine.start();
  for (let seed = first; seed < first + count && tally.violations.length < 5; seed++) {
    const { insns } = verifierProgram(seededRandom(seed), { altered: false, kinds: xdp });
    const packets = [64, 20, 200].map((size) => packetOf(seed, size));
    await runOne(kernel, machine, insns, packets, tally);
  }
  return tally;
}

/** `count` programs that are accepted by construction. */
export async function xdpSoundness(seed: number, count: number): Promise<Tally> {
  const tally = noTally();
  const kernel = new WatchedKernel();
  const machine = new Machine(kernel, XDP_MAPS);
  await machine.start();
  for (const { insns, packets } of fc.sample(xdpProgram, { numRuns: count, seed })) {
    await runOne(kernel, machine, insns, packets, tally);
    if (tally.violations.length >= 5) break;
  }
  return tally;
}

/** The XDP programs of an object, on packets. */
export async function objectSoundness(
  spec: CollectionSpec,
  packets: { count: number; data: Uint8Array; offsets: Uint32Array },
): Promise<Tally> {
  const tally = noTally();
  for (const program of spec.programs) {
    if (program.type !== ProgType.Xdp) continue;
    const kernel = new WatchedKernel();
    try {
      const collection = await load(spec, kernel, { programs: [program.name] });
      await kernel.progRunBatch(collection.program(program.name).fd, { ...packets, wantData: false });
      await collection.close();
    } catch (error) {
      const cause = error instanceof SkepError ? (error.cause ?? error) : error;
      if (!(cause instanceof BpfError || cause instanceof TooManyPaths || cause instanceof SkepError))
        throw error;
      tally.left++;
      continue;
    }
    tally.run++;
    tally.steps += kernel.observed.steps;
    tally.violations.push(...kernel.observed.violations.map((one) => `${program.name}: ${one}`));
  }
  return tally;
}
