// What a shell offers for the next word.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Command, Option } from 'commander';
import { beforeAll, describe, expect, test } from 'vitest';
import { completionScript, completions, SHELLS } from '../../src/cli/completion.js';
import { parseObject } from '../../src/elf/index.js';
import { EmulatedKernel } from '../../src/kernel/kernel.js';
import { load } from '../../src/loader/index.js';
import { missingTool } from '../require.js';

const program = new Command('skep');
program
  .command('run')
  .option('--pcap <file>')
  .addOption(new Option('--engine <engine>').choices(['jit', 'interpreter']));
const stays = program.command('kernel');
for (const name of ['start', 'stop', 'status']) stays.command(name);

const kernel = new EmulatedKernel();
beforeAll(async () => {
  const object = path.join(import.meta.dirname, '../bpftool/objects/hello.bpf.o');
  await load(parseObject(new Uint8Array(readFileSync(object))), kernel, { name: 'hello' });
  await kernel.surroundings.deviceAdd({ name: 'eth0' });
});

/** Of a line whose last word is being typed. */
const offered = (line: string): Promise<string[]> =>
  completions(line.split(' '), { program, kernel: async () => kernel });

test.each([
  ['pro', ['prog']],
  ['ru', ['run']],
  ['--j', ['--json']],
  [
    'prog ',
    [
      'attach',
      'detach',
      'dump',
      'help',
      'list',
      'load',
      'loadall',
      'pin',
      'profile',
      'run',
      'show',
      'tracelog',
    ],
  ],
  ['prog du', ['dump']],
  ['prog dump ', ['jited', 'xlated']],
  ['prog dump xlated ', ['id', 'name', 'pinned', 'tag']],
  ['prog dump xlated name ', ['hello']],
  ['p d x n ', ['hello']],
  ['prog show ', ['id', 'name', 'pinned', 'tag']],
  ['prog show name h', ['hello']],
  ['prog load ', []],
  ['prog load hello.bpf.o ', []],
  ['map dump name hello', ['hello.bss', 'hello.rodata']],
  [
    'map update name hello.bss ',
    ['any', 'exist', 'hex', 'id', 'key', 'name', 'noexist', 'pinned', 'tag', 'value'],
  ],
  ['net attach ', ['tcx_egress', 'tcx_ingress', 'xdp', 'xdpdrv', 'xdpgeneric', 'xdpoffload']],
  ['net attach xdp name hello ', ['dev']],
  ['net attach xdp name hello dev ', ['eth0', 'lo']],
  ['net attach xdp name hello dev eth0 ', ['overwrite', 'prepend']],
  ['net list dev e', ['eth0']],
  ['feature list_builtins m', ['map_types']],
  ['link show ', ['id', 'pinned']],
  ['batch ', ['file']],
  ['--kernel other prog sh', ['show']],
  ['run --engine ', ['interpreter', 'jit']],
  ['run --p', ['--pcap']],
  ['run ', []],
  ['kernel st', ['start', 'status', 'stop']],
  ['nonsense ', []],
  ['prog nonsense ', []],
])('skep %s', async (line, words) => {
  expect(await offered(line)).toEqual(words);
});

test('a kernel that is not running offers no names', async () => {
  const nobody = { program, kernel: async () => undefined };
  expect(await completions(['prog', 'show', 'name', ''], nobody)).toEqual([]);
  expect(await completions(['prog', 'show', ''], nobody)).toEqual(['id', 'name', 'pinned', 'tag']);
});

/** Which shells there are is the user's choice. */
const reason = (shell: string): string => {
  const missing = missingTool(shell);
  return missing === undefined ? '' : ` (skipped: ${missing})`;
};

describe.each(SHELLS.map((shell) => [shell, reason(shell)] as const))('%s%s', (shell, skipped) => {
  test.skipIf(skipped !== '')('reads its script without a complaint', () => {
    const flag = shell === 'fish' ? '--no-execute' : '-n';
    const folder = mkdtempSync(path.join(tmpdir(), 'skep-completion-'));
    try {
      const file = path.join(folder, 'script');
      writeFileSync(file, completionScript(shell));
      const { status, stderr } = spawnSync(shell, [flag, file], { encoding: 'utf8' });
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe.skipIf(missingTool('bash') !== undefined)('in bash', () => {
  test('the words so far are handed over, the one that is being typed last', () => {
    const answers = [
      completionScript('bash'),
      // In place of the command: says what it was asked.
      `skep() { printf '%s\\n' "$@"; }`,
      'COMP_WORDS=(skep prog show "two words" ""); COMP_CWORD=4; _skep_words',
      `printf '[%s]' "\${COMPREPLY[@]}"`,
    ];
    const { stdout } = spawnSync('bash', ['-c', answers.join('\n')], { encoding: 'utf8' });
    expect(stdout).toBe('[completion][words][--][prog][show][two words]');
  });
});
