// The programs of the live kernel, as our tool shows, loads, dumps and runs them and as the machine's bpftool does: the same
// text, the same errors, the same exit status. What bpftool 7.1 says otherwise than 7.8 is in `older`.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { release, tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { LinuxKernel } from '../../src/linux/index.js';
import { Mounts } from '../live/mounts.js';
import { missingKernel, missingTool, needs } from '../require.js';
import { runLine } from './memory-host.js';

/** The kernel that the recordings were made on. */
const RECORDED_RELEASE = '6.18.44';

interface Answer {
  status: number | null;
  stdout: string;
  stderr: string;
}

const objects = fileURLToPath(new URL('./objects/', import.meta.url));
const object = (name: string): string => path.join(objects, name);

/** Our words as 7.1 would say them. */
const older = (text: string): string =>
  text
    // It does not tell of programs whose device is gone.
    .replace(/"orphaned": ?false,\s*/g, '')
    // Nor does it know moves into the memory of a CPU.
    .replace(/= &\(void __percpu \*\)\((r\d)\)/g, '= $1');

/**
 * What is no part of the comparison: usage texts, which grow from version to version, libbpf's own words, what we add of the
 * kernel's, and what 7.1 says of its strictness.
 */
const leftOut = (stderr: string): string =>
  stderr
    .replace(/^(libbpf|Kernel error message): .*\n/gm, '')
    .replace(/^Warning: bpftool is now running in libbpf strict mode.*\n.*--legacy.*\n\n/m, '')
    .replace(/Usage: .*$/s, 'Usage');

/** No two runs take the same time. */
const timeless = (text: string): string =>
  text.replace(/(?<=duration(?: \(average\))?: )\d+/g, 'NS').replace(/(?<="duration": ?)\d+/g, 'NS');

needs('programs of this kernel', missingKernel() ?? missingTool('bpftool'), 'SKEP_REQUIRE_KERNEL', () => {
  let kernel: LinuxKernel;
  let mounts: Mounts;
  const folder = mkdtempSync(path.join(tmpdir(), 'skep-bpftool-'));
  const file = (name: string): string => path.join(folder, name);

  const theirs = (argv: readonly string[]): Answer => {
    const { status, stdout, stderr } = spawnSync('bpftool', argv, {
      encoding: 'utf8',
      maxBuffer: 1 << 28,
      timeout: 60_000,
    });
    return { status, stdout: timeless(stdout), stderr: leftOut(stderr) };
  };
  const is71 = theirs(['version']).stdout.includes('v7.1.');

  const ours = async (argv: readonly string[]): Promise<Answer> => {
    const read = (name: string): Uint8Array | undefined => {
      try {
        return new Uint8Array(readFileSync(name));
      } catch {
        return undefined;
      }
    };
    const { status, stdout, stderr } = await runLine(argv, { kernel, file: read });
    const said = timeless(stdout);
    return { status, stdout: is71 ? older(said) : said, stderr: leftOut(stderr) };
  };

  /** The same line to both tools. Others may load and unload meanwhile: what lists programs is asked again when they differ. */
  const same = async (...argv: string[]): Promise<void> => {
    const lists = argv.includes('list') || argv.includes('name') || argv.at(-1) === 'prog';
    for (let tries = lists ? 20 : 1; ; tries--) {
      const answer = await ours(argv);
      const expected = theirs(argv);
      if (tries > 1 && JSON.stringify(answer) !== JSON.stringify(expected)) continue;
      expect(answer, argv.join(' ')).toEqual(expected);
      return;
    }
  };
  const inAllForms = async (line: string): Promise<void> => {
    for (const option of [[], ['-j'], ['-p']]) await same(...option, ...line.split(' '));
  };

  beforeAll(async () => {
    mounts = new Mounts();
    kernel = new LinuxKernel();
    writeFileSync(file('packet'), readFileSync(object('pkt.bin')));
    writeFileSync(file('empty'), '');
    for (const line of [
      `prog load ${object('hello.bpf.o')} /sys/fs/bpf/hello`,
      `prog loadall ${object('maps.bpf.o')} /sys/fs/bpf/maps pinmaps /sys/fs/bpf/mapsm`,
    ]) {
      expect(await ours(line.split(' ')), line).toEqual({ status: 0, stdout: '', stderr: '' });
    }
  });
  afterAll(() => {
    kernel[Symbol.dispose]();
    mounts[Symbol.dispose]();
    rmSync(folder, { recursive: true });
  });

  const PINS = ['/sys/fs/bpf/hello', '/sys/fs/bpf/maps/touch', '/sys/fs/bpf/maps/callee'];

  test('are listed and shown in the same words', async () => {
    await inAllForms('prog list');
    await inAllForms('-f prog list');
    await inAllForms('prog');
    await inAllForms('prog show name hello');
    for (const pin of PINS) await inAllForms(`prog show pinned ${pin}`);
    const [hello] = JSON.parse(
      (await ours(['-j', 'prog', 'show', 'name', 'hello'])).stdout.replace(/^(.*)$/s, '[$1]'),
    );
    await inAllForms(`-f prog show id ${hello.id}`);
    await inAllForms(`prog show id 0x${hello.id.toString(16)}`);
    await inAllForms(`prog show tag ${hello.tag}`);
  });

  test('are shown with all their pins', async () => {
    const paths = ['a', 'b', 'dir/c', 'dir/d', 'e', 'f'].map((name) => `/sys/fs/bpf/${name}`);
    await kernel.mkdir('/sys/fs/bpf/dir');
    for (const [at, pin] of paths.entries()) {
      const kind = at % 2 === 0 ? `prog pin pinned ${PINS[0]}` : 'map pin pinned /sys/fs/bpf/mapsm/arr';
      expect(await ours(`${kind} ${pin}`.split(' '))).toEqual({ status: 0, stdout: '', stderr: '' });
      await inAllForms('-f prog list');
      await inAllForms('-f map show pinned /sys/fs/bpf/mapsm/arr');
    }
    for (const pin of paths) await kernel.unlink(pin);
  });

  test('are shown with what they cost, once that is counted', async () => {
    const stats = await kernel.enableStats(0);
    await ours(['prog', 'run', 'pinned', PINS[0] ?? '', 'data_in', file('packet'), 'repeat', '5']);
    await kernel.close(stats);
    await inAllForms('prog show name hello');
  });

  test('are dumped in the same words', async () => {
    for (const pin of PINS) {
      // 7.1 does not take the two together.
      for (const how of ['', ' opcodes', ' linum', ...(is71 ? [] : [' opcodes linum'])])
        await inAllForms(`prog dump xlated pinned ${pin}${how}`);
    }
    await same('prog', 'dump', 'xlated', 'pinned', PINS[0] ?? '', 'file', file('theirs'));
    const { written } = await runLine(['prog', 'dump', 'xlated', 'pinned', PINS[0] ?? '', 'file', 'ours'], {
      kernel,
    });
    expect(written.get('ours')).toEqual(new Uint8Array(readFileSync(file('theirs'))));
  });

  test('run with the same results', async () => {
    for (const pin of PINS) {
      await inAllForms(`prog run pinned ${pin} data_in ${file('packet')}`);
      await inAllForms(`prog run pinned ${pin} data_in ${file('packet')} data_out - repeat 7`);
      await inAllForms(`prog run pinned ${pin} data_in ${file('packet')} data_out - data_size_out 64`);
    }
  });

  test('of several with one name all are shown and dumped', async () => {
    for (const name of ['one', 'two']) {
      await ours(['prog', 'load', object('hello.bpf.o'), `/sys/fs/bpf/${name}`]);
    }
    await inAllForms('prog show name hello');
    await inAllForms('prog dump xlated name hello');
    await same('prog', 'dump', 'xlated', 'name', 'hello', 'file', file('theirs'));
    await same('prog', 'pin', 'name', 'hello', '/sys/fs/bpf/three');
    for (const name of ['one', 'two']) await kernel.unlink(`/sys/fs/bpf/${name}`);
  });

  test('what cannot be done is told in the same words', async () => {
    const differ: { line: string; ours: Answer; theirs: Answer }[] = [];
    const run = `prog run pinned ${PINS[0]} data_in ${file('packet')}`;
    const load = `prog load ${object('hello.bpf.o')} /sys/fs/bpf/other`;
    for (const line of [
      'prog show id',
      'prog show id abc',
      'prog show id 4000000000',
      'prog show id 1 2 3',
      'prog show tag zz',
      `prog show name ${'x'.repeat(200)}`,
      'prog show pinned /sys/fs/bpf/none',
      'prog show pinned /sys/fs/bpf/mapsm/arr',
      'prog show pinned /tmp/none',
      'prog show what 1',
      'prog nonsense',
      'prog dump',
      'prog dump what id 1',
      'prog dump xlated id',
      `prog dump xlated pinned ${PINS[0]} nonsense`,
      `prog dump xlated pinned ${PINS[0]} file`,
      ...(is71 ? [] : [`prog dump xlated pinned ${PINS[0]} opcodes file ${file('x')}`]),
      `prog pin pinned ${PINS[0]}`,
      // 7.1 leaves it to the kernel to find out.
      ...(is71 ? [] : [`prog pin pinned ${PINS[0]} ${PINS[0]}`]),
      ...(is71 ? [] : [`prog pin pinned ${PINS[0]} /no/such/folder/x`]),
      `-n prog pin pinned ${PINS[0]} /tmp/skep-no-such-pin`,
      'prog run',
      `prog run pinned ${PINS[0]}`,
      `prog run pinned ${PINS[0]} data_in`,
      `prog run pinned ${PINS[0]} data_in ${file('none')}`,
      `prog run pinned ${PINS[0]} data_in ${file('empty')}`,
      `${run} repeat abc`,
      `${run} data_size_out x`,
      `${run} data_out - data_size_out 3`,
      `${run} data_ x`,
      `${run} ctx x`,
      `${run} bogus`,
      'prog load',
      'prog load x',
      `prog load ${file('none')} /sys/fs/bpf/other`,
      `prog load ${file('packet')} /sys/fs/bpf/other`,
      `prog load ${object('bad.bpf.o')} /sys/fs/bpf/other`,
      ...(is71
        ? []
        : [
            `prog load ${object('hello.bpf.o')} ${PINS[0]}`,
            `prog load ${object('hello.bpf.o')} /no/such/folder/x`,
            `prog loadall ${object('hello.bpf.o')} /no/such/folder/x`,
          ]),
      `${load} type`,
      `${load} map`,
      `${load} map idx x id 1`,
      `${load} map what 1 id 1`,
      `${load} map idx 9 pinned /sys/fs/bpf/mapsm/arr`,
      `${load} map name none pinned /sys/fs/bpf/mapsm/arr`,
      `${load} pinmaps`,
      `prog attach pinned ${PINS[0]}`,
      `prog attach pinned ${PINS[0]} nonsense`,
      `prog attach pinned ${PINS[0]} msg_verdict pinned /sys/fs/bpf/mapsm/arr`,
      `prog detach pinned ${PINS[0]} msg_verdict pinned /sys/fs/bpf/mapsm/arr`,
      'batch',
      'batch file',
      'batch file a b',
      'batch what x',
      `batch file ${file('none')}`,
      'feature list_builtins',
      'feature list_builtins nonsense',
      'feature probe nonsense',
      'feature probe prefix X',
      'feature probe dev none',
      'feature probe kernel kernel',
      '-x prog',
      '--nonsense prog',
      'nonsense',
    ]) {
      for (const option of [[], ['-j']]) {
        const argv = [...option, ...line.split(' ')];
        const answers = { line: argv.join(' '), ours: await ours(argv), theirs: theirs(argv) };
        if (JSON.stringify(answers.ours) !== JSON.stringify(answers.theirs)) differ.push(answers);
      }
    }
    expect(differ).toEqual([]);
  });

  test('a batch runs as far as it goes', async () => {
    const batches = [
      '# nothing\n\n',
      'prog help\nprog nonsense\nprog help\n',
      'prog dump xlated pinned \\\n /sys/fs/bpf/hello # and no more\n',
      'prog show \'pinned\' "/sys/fs/bpf/none"\n',
      "prog 'show\n",
    ];
    for (const [at, text] of batches.entries()) {
      writeFileSync(file(`batch${at}`), text);
      await inAllForms(`batch file ${file(`batch${at}`)}`);
    }
  });

  test('what the kernel can do is found out as they find it out', async () => {
    const { stdout, status } = await ours(['feature', 'probe', 'kernel']);
    expect(status).toBe(0);
    if (release().startsWith(RECORDED_RELEASE)) {
      const recorded = new URL('./recordings/feature-probe-kernel.plain.txt', import.meta.url);
      expect(stdout).toBe(readFileSync(recorded, 'utf8'));
    }
    // 7.1 does not understand how Linux says now that a program may not call a helper; 7.8 knows more types.
    const HELPERS = 'Scanning eBPF helper functions...';
    const [said = ''] = stdout.split(HELPERS);
    for (const line of theirs(['feature', 'probe', 'kernel']).stdout.split(HELPERS)[0]?.split('\n') ?? []) {
      if (!line.startsWith('CONFIG_BPFILTER')) expect(said.split('\n')).toContain(line);
    }
  });
});
