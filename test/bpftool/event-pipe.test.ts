// `map event_pipe` follows what programs send: on the emulated kernel, on the live one, and beside the machine's bpftool.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import type { Bpf, Fd } from '../../src/bpf/bpf.js';
import { MapType, ProgType } from '../../src/bpf/types.js';
import { assemble, encode, loadPseudo, PseudoSource } from '../../src/isa/index.js';
import { EmulatedKernel } from '../../src/kernel/kernel.js';
import { LinuxKernel } from '../../src/linux/index.js';
import { onFirstCpu } from '../live/live.js';
import { missingKernel, missingTool, needs } from '../require.js';
import { type Outcome, runLine } from './memory-host.js';

/** What stands for the map in the text below. */
const MAP = 0x6d6170;

/** Sends 20 bytes to the buffer of its CPU; returns what the helper returns. */
const program = (map: Fd): Uint8Array =>
  encode(
    assemble(
      [
        '*(u64 *)(r10 - 24) = 0x01020304',
        '*(u64 *)(r10 - 16) = 0x05060708',
        '*(u64 *)(r10 - 8) = -2',
        `r2 = ${MAP} ll`,
        'r3 = 0xffffffff ll',
        'r4 = r10',
        'r4 += -24',
        'r5 = 20',
        'call 25',
        'exit',
      ].join('\n'),
    ).map((insn) =>
      insn.opcode === 0x18 && insn.imm === MAP ? loadPseudo(insn.dst, PseudoSource.MAP_FD, map) : insn,
    ),
  );

interface Following {
  end(): Promise<Outcome>;
}

const followOurs =
  (kernel: Bpf) =>
  (argv: readonly string[]): Following => {
    let interrupt = (): void => {};
    const interrupted = new Promise<void>((resolve) => {
      interrupt = resolve;
    });
    const outcome = runLine(argv, { kernel, interrupted });
    return {
      end: () => {
        interrupt();
        return outcome;
      },
    };
  };

function followTheirs(argv: readonly string[]): Following {
  const child = spawn('bpftool', argv);
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data: Buffer) => {
    stdout += data;
  });
  child.stderr.on('data', (data: Buffer) => {
    stderr += data;
  });
  const closed = once(child, 'close');
  return {
    async end() {
      child.kill('SIGINT');
      await closed;
      return { status: child.exitCode ?? -1, stdout, stderr, written: new Map() };
    },
  };
}

/** What the tool says while a program sends three samples. */
async function followed(
  kernel: Bpf,
  follow: (argv: readonly string[]) => Following,
  options: string[],
  place: string[],
): Promise<{ status: number; stdout: string; stderr: string }> {
  const map = await kernel.mapCreate({
    type: MapType.PerfEventArray,
    keySize: 4,
    valueSize: 4,
    maxEntries: 2,
  });
  const prog = await kernel.progLoad({ type: ProgType.Xdp, instructions: program(map), license: 'GPL' });
  const { id } = await kernel.mapInfo(map);
  const following = follow([...options, 'map', 'event_pipe', 'id', `${id}`, ...place]);
  let sent = 0;
  for (let attempt = 0; sent < 3 && attempt < 500; attempt++) {
    const { retval } = await kernel.progTestRun(prog, { dataIn: new Uint8Array(64) });
    if (retval === 0) sent++;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  // Those of bpftool are taken when it is told of them or when it looks again.
  await new Promise((resolve) => setTimeout(resolve, 50));
  const { status, stdout, stderr } = await following.end();
  await kernel.close(prog);
  await kernel.close(map);
  const timeless = stdout.replaceAll(/@\d+\.\d{9} /g, '@TIME ').replaceAll(/("timestamp": ?)\d+/g, '$1TIME');
  return { status, stdout: timeless, stderr };
}

const sample = `== @TIME CPU: 0 index: 0 =====
04 03 02 01 00 00 00 00  08 07 06 05 00 00 00 00
fe ff ff ff`;

const forms = [
  { options: [], place: [] },
  { options: [], place: ['cpu', '0', 'index', '0'] },
  { options: ['-j'], place: [] },
  { options: ['-p'], place: ['index', '0', 'cpu', '0'] },
];

test.each(forms)('samples of the emulated kernel, $options $place', async ({ options, place }) => {
  const kernel = new EmulatedKernel({ cpus: 2 });
  const { status, stdout, stderr } = await followed(kernel, followOurs(kernel), options, place);
  expect([status, stderr]).toEqual([0, 'Stopping...\n']);
  if (options.length === 0) {
    expect(stdout).toBe(`${sample}\n`.repeat(3));
    return;
  }
  const text = stdout.replaceAll('TIME', '1');
  const data = [4, 3, 2, 1, 0, 0, 0, 0, 8, 7, 6, 5, 0, 0, 0, 0, 254, 255, 255, 255];
  const record = { type: 9, cpu: 0, index: 0, timestamp: 1, data };
  expect(JSON.parse(text)).toEqual([record, record, record]);
});

test('samples that found no room are counted', async () => {
  const kernel = new EmulatedKernel({ cpus: 1 });
  const map = await kernel.mapCreate({
    type: MapType.PerfEventArray,
    keySize: 4,
    valueSize: 4,
    maxEntries: 1,
  });
  const prog = await kernel.progLoad({ type: ProgType.Xdp, instructions: program(map), license: 'GPL' });
  const { id } = await kernel.mapInfo(map);
  const following = followOurs(kernel)(['map', 'event_pipe', 'id', `${id}`]);
  while ((await kernel.progTestRun(prog, { dataIn: new Uint8Array(64) })).retval !== 0) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await kernel.progTestRun(prog, { dataIn: new Uint8Array(64), repeat: 5000 });
  await new Promise((resolve) => setTimeout(resolve, 50));
  await kernel.progTestRun(prog, { dataIn: new Uint8Array(64) });
  await new Promise((resolve) => setTimeout(resolve, 50));
  const { stdout } = await following.end();
  const lost = [...stdout.matchAll(/^lost (\d+) events$/gm)].reduce(
    (sum, [, count]) => sum + Number(count),
    0,
  );
  const samples = stdout.match(/^==/gm)?.length ?? 0;
  expect(lost).toBeGreaterThan(0);
  expect(lost + samples).toBe(5002);
});

needs('on this kernel', missingKernel() ?? missingTool('bpftool'), 'SKEP_REQUIRE_KERNEL', () => {
  test.each(forms)('samples as bpftool shows them, $options $place', async ({ options, place }) => {
    using _ = onFirstCpu();
    const kernel = new LinuxKernel();
    const ours = await followed(kernel, followOurs(kernel), options, place);
    const theirs = await followed(kernel, followTheirs, options, place);
    expect(ours).toEqual(theirs);
    expect(ours.stdout.match(/TIME/g)).toHaveLength(3);
  });
});
