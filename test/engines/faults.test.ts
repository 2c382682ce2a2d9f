// Wrong programs end the same way on both engines: with the same answer, or with the same fault at the same
// instruction. What the JIT leaves out because it was proven may never show.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { toAssembly } from '../../src/isa/index.js';
import { BEGIN, CASES, lookup } from './fault-cases.js';
import { wrongProgram } from './faults.js';
import { assembleWithMaps, type Outcome, Pair, type Result } from './pair.js';

const packetOf = (size: number): Uint8Array =>
  Uint8Array.from({ length: size }, (_, i) => (i * 7 + size) & 0xff);

/** Packets that the cases run on. */
const PACKETS = [14, 15, 16, 20, 34, 64, 200].map(packetOf);

/** How many random programs are tried. */
const RUNS = Number(process.env.SKEP_FAULT_RUNS ?? 1_500);

const pair = new Pair();

/** Outcomes on the packets that the engines agree on; fails where they do not. */
async function agreed(text: string, packets: readonly Uint8Array[] = PACKETS): Promise<readonly Outcome[]> {
  const insns = assembleWithMaps(text);
  const { jit, interpreter } = await pair.run(insns, packets);
  expect(jit, toAssembly(insns)).toEqual(interpreter);
  return jit.outcomes;
}

const faultsIn = (outcomes: readonly Outcome[]): number =>
  outcomes.filter((outcome) => 'fault' in outcome).length;

/** What every case begins with: r6 = context, r7 = packet, r8 = its end, r9 = 0. */

describe('wrong programs end alike on both engines', () => {
  for (const [name, { text, faults }] of Object.entries(CASES)) {
    test(name, async () => {
      const outcomes = await agreed(text);
      const found = faultsIn(outcomes);
      if (faults === 'none') expect(found).toBe(0);
      else if (faults === 'all') expect(found).toBe(outcomes.length);
      else if (faults === 'some') expect(found > 0 && found < outcomes.length, `${found} faults`).toBe(true);
      else expect(found).toBe(faults);
    });
  }
});

/** Loops over the 14 bytes that were compared, by how the counter is tested, changed and used. */
function* loops(): Generator<string> {
  const begin = `${BEGIN}
    r1 = r7
    r1 += 14
    if r1 > r8 goto out`;
  for (const op of ['!=', '<', '<=', 's<', 's<=']) {
    for (const limit of [12, 13, 14, 15]) {
      for (const step of [1, 2, 3]) {
        for (const first of [0, 1]) {
          for (const width of ['r', 'w']) {
            const read = 'r4 = r7\nr4 += r2\nr0 = *(u8 *)(r4 + 0)\nr9 += r0';
            const change = `${width}2 += ${step}`;
            const test = `if ${width}2 ${op} ${limit} goto`;
            const shapes = [
              `loop:\n${read}\n${change}\n${test} loop`,
              `loop:\n${change}\n${read}\n${test} loop`,
              `loop:\n${test} go\ngoto out\ngo:\n${read}\n${change}\ngoto loop`,
              `loop:\n${read}\n${test} go\ngoto out\ngo:\n${change}\ngoto loop`,
            ];
            // A pointer that moves along: by as much, by more, before the access, or only in some rounds.
            const along = 'r0 = *(u8 *)(r3 + 0)\nr9 += r0';
            const moving = [
              `${along}\nr3 += ${step}\n${change}\n${test} loop`,
              `r3 += 1\n${change}\n${along}\n${test} loop`,
              `${along}\nif r9 == 7 goto same\nr3 += ${step}\nsame:\n${change}\n${test} loop`,
              `${test} go\ngoto out\ngo:\n${along}\nr3 += 1\n${change}\nr5 = r3\ngoto loop`,
            ];
            shapes.push(...moving.map((shape) => `r3 = r7\nloop:\n${shape}`));
            for (const shape of shapes) yield `${begin}\nr2 = ${first}\n${shape}\nout:\nr0 = r9\nexit`;
          }
        }
      }
    }
  }
}

test('counted loops run up to the end of the packet, and not beyond', async () => {
  const small = new Pair(5_000);
  const seen = { answers: 0, faults: 0 };
  for (const text of loops()) {
    const insns = assembleWithMaps(text);
    const { jit, interpreter } = await small.run(insns, [packetOf(14)]);
    expect(jit, toAssembly(insns)).toEqual(interpreter);
    if (faultsIn(jit.outcomes) > 0) seen.faults++;
    else seen.answers++;
  }
  expect(seen.answers).toBeGreaterThan(200);
  expect(seen.faults).toBeGreaterThan(200);
});

/** Loops that count down over the same bytes, from a constant or from what the packet's first byte says. */
function* loopsDown(): Generator<string> {
  const begin = `${BEGIN}
    r1 = r7
    r1 += 14
    if r1 > r8 goto out
    r1 = *(u8 *)(r7 + 0)`;
  const firsts = ['r2 = 13', 'r2 = r1\nr2 &= 15', 'r2 = r1\nr2 &= 7\nr2 += 1'];
  for (const op of ['!=', '>', '>=', 's>', 's>=']) {
    for (const limit of [-1, 0, 1]) {
      for (const step of [1, 3]) {
        for (const first of firsts) {
          for (const [width, tested] of ['rr', 'ww', 'wr']) {
            const read = 'r4 = r7\nr4 += r2\nr0 = *(u8 *)(r4 + 0)\nr9 += r0';
            const change = `${width}2 += -${step}`;
            const test = `if ${tested}2 ${op} ${limit} goto`;
            const along = `r0 = *(u8 *)(r3 + 0)\nr9 += r0\nr3 += -${step}`;
            for (const shape of [
              `loop:\n${read}\n${change}\n${test} loop`,
              `loop:\n${change}\n${read}\n${test} loop`,
              `loop:\n${test} go\ngoto out\ngo:\n${read}\nif r0 == 7 goto out\n${change}\ngoto loop`,
              `r3 = r7\nr3 += r2\nloop:\n${along}\nif r0 == 7 goto out\n${change}\n${test} loop`,
            ]) {
              yield `${begin}\n${first}\n${shape}\nout:\nr0 = r9\nexit`;
            }
          }
        }
      }
    }
  }
}

test('loops that count down do not run out of the packet at its beginning', async () => {
  const small = new Pair(5_000);
  const packets = [0, 4, 5, 13, 15].map((first) => packetOf(14).with(0, first));
  const seen = { answers: 0, faults: 0 };
  for (const text of loopsDown()) {
    const insns = assembleWithMaps(text);
    const { jit, interpreter } = await small.run(insns, packets);
    expect(jit, toAssembly(insns)).toEqual(interpreter);
    const faults = faultsIn(jit.outcomes);
    seen.faults += faults;
    seen.answers += packets.length - faults;
  }
  expect(seen.answers).toBeGreaterThan(1000);
  expect(seen.faults).toBeGreaterThan(1000);
});

test('a program that was refused an update of a read-only map leaves it as it was', async () => {
  const outcomes = await agreed(CASES['an update of maps that may only be read']?.text ?? '');
  expect(outcomes).toEqual(PACKETS.map(() => expect.objectContaining({ retval: 0 })));
});

/** Counts its runs in a map and gives their number; the packet gets it too. */
const GOOD = `${BEGIN}
  ${lookup('array', 2)}
  if r0 == 0 goto out
  r1 = *(u32 *)(r0 + 0)
  r1 += 1
  *(u32 *)(r0 + 0) = r1
  r2 = r7
  r2 += 14
  if r2 > r8 goto out
  *(u32 *)(r7 + 0) = r1
  r0 = r1
out:
  exit`;

describe('a fault harms nothing else', () => {
  test.each(['jit', 'interpreter'] as const)(
    'neither another program nor other maps (%s)',
    async (engine) => {
      const machine = new Pair()[engine];
      await machine.start();
      const good = await machine.load(assembleWithMaps(GOOD));
      const packets = [packetOf(64)];
      const [first] = await machine.outcomes(good, packets);
      if (!first || 'fault' in first) throw new Error('the good program faults');
      let runs = first.retval;
      for (const [name, { text, faults }] of Object.entries(CASES)) {
        if (faults !== 'all') continue;
        const bystander = (await machine.contents()).split('\n').find((line) => line.startsWith('bystander'));
        const wrong = await machine.load(assembleWithMaps(text));
        const before = await machine.outcomes(wrong, packets);
        const [after] = await machine.outcomes(good, packets);
        runs++;
        expect(after, name).toMatchObject({ retval: runs });
        // And the wrong one faults where it did.
        expect(await machine.outcomes(wrong, packets), name).toEqual(before);
        expect((await machine.contents()).split('\n'), name).toContain(bystander);
        await machine.kernel.close(wrong);
      }
    },
  );

  test('nor the packets before and after, also when the program is hot', async () => {
    const text = `${BEGIN}
      r1 = *(u8 *)(r7 + 0)
      r7 += r1
      r0 = *(u8 *)(r7 + 0)
      r0 += 1
      exit`;
    const packets = Array.from({ length: 3000 }, (_, i) => {
      const packet = new Uint8Array(20);
      packet[0] = i % 41;
      return packet;
    });
    const outcomes = await agreed(text, packets);
    outcomes.forEach((outcome, i) => {
      const at = i % 41;
      if (at < 20) expect(outcome).toMatchObject({ retval: 1 });
      else expect(outcome).toEqual({ fault: 'out-of-bounds', slot: 6 });
    });
  });
});

/** A pair for random programs: a new one after a budget fault, which the engines do not find at the same instruction. */
let fresh = new Pair();

const isBudget = (outcome: Outcome | undefined): boolean =>
  outcome !== undefined && 'fault' in outcome && outcome.fault === 'budget';

/** What can be compared: up to a budget fault, after which stack and maps differ. */
function comparable(result: Result): unknown {
  const last = result.outcomes.findIndex(isBudget);
  return last < 0 ? result : { outcomes: result.outcomes.slice(0, last), ended: 'budget' };
}

const RANDOM_PACKETS = [14, 17, 24, 60].map(packetOf);

test(`${RUNS} random wrong programs end alike on both engines`, { timeout: 600_000 }, async () => {
  const seen = { answers: 0, faults: 0, budget: 0 };
  await fc.assert(
    fc.asyncProperty(wrongProgram(), async (text) => {
      const insns = assembleWithMaps(text);
      const { jit, interpreter } = await fresh.run(insns, RANDOM_PACKETS).catch((error) => {
        fresh = new Pair();
        throw new Error(`${error}\n${toAssembly(insns)}`, { cause: error });
      });
      if ([...jit.outcomes, ...interpreter.outcomes].some(isBudget)) fresh = new Pair();
      for (const outcome of jit.outcomes) {
        if (isBudget(outcome)) seen.budget++;
        else if ('fault' in outcome) seen.faults++;
        else seen.answers++;
      }
      expect(comparable(jit), toAssembly(insns)).toEqual(comparable(interpreter));
    }),
    { numRuns: RUNS },
  );
  // Both ways out are common.
  expect(seen.answers).toBeGreaterThan(RUNS / 4);
  expect(seen.faults).toBeGreaterThan(RUNS / 4);
  if (process.env.SKEP_FAULT_RUNS) console.log(seen);
});
