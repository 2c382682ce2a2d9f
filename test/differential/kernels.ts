// One program on the live kernel and on every engine of the emulated one: return values, packets and maps must be
// the same.

import { BpfError } from '../../src/bpf/errno.js';
import { toAssembly } from '../../src/isa/index.js';
import { EmulatedKernel } from '../../src/kernel/kernel.js';
import { LinuxKernel } from '../../src/linux/index.js';
import { Machine, type Result } from '../engines/machine.js';
import { MAPS } from '../generate/xdp/frame.js';
import type { XdpProgram } from '../generate/xdp/program.js';
import { TARGETS } from '../generate/xdp/targets.js';
import { onFirstCpu } from '../live/live.js';

/** What became of a program: Linux refused it, or how an engine differs from Linux, if any does. */
export type Verdict =
  | { readonly kind: 'refused'; readonly reason: string; readonly log: string }
  | { readonly kind: 'same' }
  | { readonly kind: 'different'; readonly engine: string; readonly report: string };

const ENGINES = {
  'trusted JIT': { engine: 'jit', safety: 'trust' },
  JIT: { engine: 'jit' },
  interpreter: { engine: 'interpreter' },
} as const;

/** Far more than any generated program takes. */
const BUDGET = 10_000_000;

/** The lines of what two machines say that are not the same. */
function differences(linux: Result, other: Result): string {
  const lines: string[] = [];
  for (const [i, expected] of linux.outcomes.entries()) {
    const [a, b] = [JSON.stringify(expected), JSON.stringify(other.outcomes[i])];
    if (a !== b) lines.push(`packet ${i}\n  Linux ${a}\n  here  ${b}`);
  }
  const maps = other.maps.split('\n');
  for (const [i, expected] of linux.maps.split('\n').entries()) {
    if (expected !== maps[i]) lines.push(`map\n  Linux ${expected}\n  here  ${maps[i]}`);
  }
  return lines.join('\n');
}

/** The live kernel beside the engines. This thread stays on the first CPU until it is disposed of. */
export class Kernels implements Disposable {
  readonly #pinned = onFirstCpu();
  readonly #linux = new Machine(new LinuxKernel(), MAPS);
  readonly #engines: [name: string, machine: Machine][] = [];

  async start(): Promise<void> {
    const cpus = await this.#linux.kernel.possibleCpus();
    for (const [name, options] of Object.entries(ENGINES)) {
      const kernel = new EmulatedKernel({
        ...options,
        cpus,
        ...('safety' in options ? {} : { budget: BUDGET }),
      });
      this.#engines.push([name, new Machine(kernel, MAPS)]);
    }
    for (const machine of [this.#linux, ...this.#engines.map(([, machine]) => machine)]) {
      await machine.start();
      for (const [i, target] of TARGETS.entries()) {
        await machine.setProgram('programs', i, await machine.load(target));
      }
    }
  }

  [Symbol.dispose](): void {
    this.#linux.kernel[Symbol.dispose]();
    this.#pinned[Symbol.dispose]();
  }

  async compare({ insns, packets, repeat }: XdpProgram): Promise<Verdict> {
    const on = (machine: Machine): Promise<Result> =>
      machine.run(insns, packets, (prog) => machine.testRuns(prog, packets, repeat));
    let expected: Result;
    try {
      expected = await on(this.#linux);
    } catch (error) {
      if (!(error instanceof BpfError) || error.command !== 'BPF_PROG_LOAD') throw error;
      return { kind: 'refused', reason: error.message, log: error.verifierLog ?? '' };
    }
    for (const [engine, machine] of this.#engines) {
      let report: string;
      try {
        report = differences(expected, await on(machine));
      } catch (error) {
        report = error instanceof Error ? (error.stack ?? error.message) : String(error);
      }
      if (report !== '') return { kind: 'different', engine, report };
    }
    return { kind: 'same' };
  }
}

/** A program with its packets, for a person. */
export const describe = ({ insns, packets, repeat }: XdpProgram): string =>
  [
    toAssembly(insns),
    ...(repeat > 1 ? [`each packet ${repeat} times`] : []),
    ...packets.map((packet, i) => `packet ${i}: ${Buffer.from(packet).toString('hex')}`),
  ].join('\n');
