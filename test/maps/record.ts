// The transcript of a kernel: all creations and all scenarios. test/maps/goldens/linux.txt is Linux's.

import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Bpf } from '../../src/bpf/bpf.js';
import { creationsOf, types } from './creations.js';
import { programScenarios } from './programs.js';
import { scenarios } from './scenarios.js';
import { creations, Recorder } from './transcript.js';

export const goldenFile = path.join(import.meta.dirname, 'goldens/linux.txt');

/** Blocks of lines by heading. */
export async function transcript(kernel: Bpf): Promise<Map<string, string[]>> {
  const blocks = new Map<string, string[]>();
  const innerMapFd = await kernel.mapCreate({ type: 2, keySize: 4, valueSize: 4, maxEntries: 1 });
  for (const type of types) {
    blocks.set(`create ${type}`, await creations(kernel, creationsOf(type, innerMapFd)));
  }
  await kernel.close(innerMapFd);
  for (const { name, run } of [...scenarios, ...programScenarios]) {
    const recorder = new Recorder(kernel);
    try {
      await run(recorder);
    } finally {
      await recorder.close();
    }
    blocks.set(name, recorder.lines);
  }
  return blocks;
}

/** `# heading` and its lines; the first line says who answered, on how many CPUs. */
export const format = (who: string, blocks: ReadonlyMap<string, readonly string[]>): string =>
  [who, ...[...blocks].flatMap(([name, lines]) => [`# ${name}`, ...lines]), ''].join('\n');

/** What Linux answered, and its number of possible CPUs. */
export function golden(): { kernel: string; cpus: number; blocks: Map<string, string[]> } {
  const [head = '', ...lines] = readFileSync(goldenFile, 'utf8').trimEnd().split('\n');
  const [, kernel = '', cpus = ''] = /^(.*), (\d+) CPUs$/.exec(head) ?? [];
  const blocks = new Map<string, string[]>();
  let block: string[] = [];
  for (const line of lines) {
    if (line.startsWith('# ')) {
      block = [];
      blocks.set(line.slice(2), block);
    } else block.push(line);
  }
  return { kernel, cpus: Number(cpus), blocks };
}
