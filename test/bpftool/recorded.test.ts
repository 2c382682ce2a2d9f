// All that was recorded of bpftool, in the order in which it was recorded, against one emulated kernel: standard output,
// standard error and exit status, byte for byte but for what `shape.ts` names.

import { existsSync, readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Bpf } from '../../src/bpf/bpf.js';
import { EmulatedKernel } from '../../src/kernel/kernel.js';
import { differing } from './differing.js';
import { type Outcome, runLine } from './memory-host.js';
import { Ids, shape } from './shape.js';

const folder = new URL('./recordings/', import.meta.url);
const objects = new URL('./objects/', import.meta.url);

interface Recorded {
  file: string;
  argv: string[];
  exit: number;
}

const { entries } = JSON.parse(readFileSync(new URL('manifest.json', folder), 'utf8')) as {
  entries: Recorded[];
};

const nameOf = ({ file }: Recorded): string => file.slice(0, -'.txt'.length);

const recording = (name: string): string => {
  const file = new URL(name, folder);
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
};

/** What the commands read: the objects, a packet, a batch. */
function fileOf(path: string): Uint8Array | undefined {
  if (path === '/dev/null') return new Uint8Array();
  const file = path.startsWith('OUT/') ? new URL(path.slice(4), folder) : new URL(path, objects);
  return existsSync(file) ? new Uint8Array(readFileSync(file)) : undefined;
}

/** Made again by every command of these cases. */
const madeAnew: readonly [RegExp, string][] = [
  [/^hello-prog-load(-debug)?\./, '/sys/fs/bpf/hello'],
  [/^hello-map-pin\./, '/sys/fs/bpf/hello_bss'],
  [/^hello-prog-pin\./, '/sys/fs/bpf/hello2'],
  [/^maps-create\./, '/sys/fs/bpf/made'],
];

const kernel = new EmulatedKernel({ cpus: 2 });
const outcomes = new Map<string, (Outcome & { ids: Ids }) | { error: unknown }>();
let stats: number | undefined;

/** What was done between the recorded commands. */
async function prepare(name: string): Promise<void> {
  for (const [cases, path] of madeAnew) if (cases.test(name)) await kernel.unlink(path).catch(() => {});
  if (name === 'hello-prog-show-stats.plain') {
    stats = await kernel.enableStats(0);
    const prog = await kernel.objGet('/sys/fs/bpf/hello');
    await kernel.progTestRun(prog, { dataIn: fileOf('pkt.bin') ?? new Uint8Array(), repeat: 5 });
    await kernel.close(prog);
  }
  if (name === 'hello-tracelog.plain' && stats !== undefined) await kernel.close(stats);
  if (name === 'maps-dump-nobtf.plain') {
    const map = await kernel.objGet('/sys/fs/bpf/made');
    await kernel.mapUpdateElem(map, new Uint8Array([1, 2, 3, 4]), new Uint8Array([1, 0, 0, 0, 255, 0, 0, 0]));
    await kernel.close(map);
  }
}

/** The kernel, which says when somebody begins to follow what programs print. */
function announcing(started: () => void): Bpf {
  return new Proxy<Bpf>(kernel, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== 'function') return member;
      if (name !== 'trace') return member.bind(target);
      return async (listener: Parameters<Bpf['trace']>[0]) => {
        const following = await target.trace(listener);
        started();
        return following;
      };
    },
  });
}

/** Runs hello three times while the log is followed, then ends that. */
async function follow(argv: readonly string[]): Promise<Outcome> {
  let interrupt = (): void => {};
  const interrupted = new Promise<void>((resolve) => {
    interrupt = resolve;
  });
  let following: Promise<Outcome> | undefined;
  await new Promise<void>((resolve) => {
    following = runLine(argv, { kernel: announcing(resolve), interrupted });
  });
  await runLine(['prog', 'run', 'name', 'hello', 'data_in', 'pkt.bin', 'repeat', '3'], {
    kernel,
    file: fileOf,
  });
  interrupt();
  return following ?? expect.fail('nobody follows');
}

async function outcomeOf(entry: Recorded): Promise<Outcome & { ids: Ids }> {
  await prepare(nameOf(entry));
  const known = await Ids.of(kernel);
  const argv = entry.argv.map((word) => known.word(word));
  const outcome = argv.includes('tracelog')
    ? await follow(argv)
    : await runLine(argv, { kernel, file: fileOf });
  return { ...outcome, ids: await Ids.of(kernel) };
}

beforeAll(async () => {
  // One that fails altogether is the failure of its own test.
  for (const entry of entries) {
    outcomes.set(nameOf(entry), await outcomeOf(entry).catch((error: unknown) => ({ error })));
  }
}, 120_000);

function ran(name: string): Outcome & { ids: Ids } {
  const outcome = outcomes.get(name) ?? expect.fail('it was not run');
  if ('error' in outcome) throw outcome.error;
  return outcome;
}

/** Elements whose values are ids of programs or maps. */
function inValues(ids: Ids, name: string, text: string): string {
  if (name.includes('-jmp')) return ids.inValues('prog', text);
  return name.includes('-aom') ? ids.inValues('map', text) : text;
}

describe('bpftool says the same of the emulated kernel as of Linux', () => {
  for (const entry of entries) {
    const name = nameOf(entry);
    test(name, () => {
      const { status, stdout, stderr, ids } = ran(name);
      const ours = (text: string): string => inValues(ids, name, ids.inText(text));
      const difference = differing.find(({ cases }) => cases.test(name));
      const same = (text: string): string => difference?.shape(shape(text)) ?? shape(text);
      expect.soft(same(ours(stdout))).toBe(same(recording(`${name}.txt`)));
      expect.soft(same(ours(stderr))).toBe(same(recording(`${name}.stderr.txt`)));
      expect.soft(status).toBe(entry.exit);
    });
  }

  test('the packet and the instructions that commands write are those that were recorded', () => {
    const packet = ran('hello-prog-run-dataout-file.plain').written.get('OUT/prog-run-data-out.bin');
    expect(packet).toEqual(new Uint8Array(readFileSync(new URL('prog-run-data-out.bin', folder))));
  });
});
