// The files that people read: of the emulated kernel, and of the one of this machine beside its own cat, ls and sysctl.

import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Background, finished, main, until } from '../remote/background.js';
import { missingKernel, needs } from '../require.js';

let background: Background;
beforeAll(async () => {
  background = new Background();
  await background.start();
});
afterAll(() => background[Symbol.asyncDispose]());

const skep = (...args: string[]) => background.skep(args);
const ok = (stdout: string) => ({ status: 0, stdout, stderr: '' });
const failed = (stderr: string, stdout = '') => ({ status: 1, stdout, stderr });

describe('names in the bpf file system', () => {
  test('are made, shown, moved and removed', async () => {
    expect(await skep('ls')).toEqual(ok(''));
    expect(await skep('mkdir', '/sys/fs/bpf/a', '/sys/fs/bpf/b')).toEqual(ok(''));
    expect(await skep('mkdir', '-p', '-m', '700', '/sys/fs/bpf/a/b/c')).toEqual(ok(''));
    expect(await skep('mkdir', '-p', '/sys/fs/bpf/a/b/c')).toEqual(ok(''));
    const create = ['type', 'array', 'key', '4', 'value', '4', 'entries', '1', 'name', 'm'];
    expect(await skep('map', 'create', '/sys/fs/bpf/m', ...create)).toEqual(ok(''));
    expect(await skep('ls')).toEqual(ok('a\nb\nm\n'));
    expect((await skep('ls', '-l')).stdout).toBe(
      'drwxr-xr-x  0  0  directory  a\ndrwxr-xr-x  0  0  directory  b\n-rw-------  0  0  map        m\n',
    );
    expect(await skep('ls', '-d', '-l', '/sys/fs/bpf/a/b/c')).toEqual(
      ok('drwx------  0  0  directory  /sys/fs/bpf/a/b/c\n'),
    );
    expect(JSON.parse((await skep('ls', '--json', '/sys/fs/bpf')).stdout)).toEqual([
      {
        path: '/sys/fs/bpf',
        entries: [
          { name: 'a', kind: 'directory', mode: 'drwxr-xr-x', uid: 0, size: 0 },
          { name: 'b', kind: 'directory', mode: 'drwxr-xr-x', uid: 0, size: 0 },
          { name: 'm', kind: 'map', mode: '-rw-------', uid: 0, size: 0 },
        ],
      },
    ]);
    expect(await skep('mv', '/sys/fs/bpf/m', '/sys/fs/bpf/n')).toEqual(ok(''));
    expect(await skep('mv', '/sys/fs/bpf/n', '/sys/fs/bpf/b', '/sys/fs/bpf/a')).toEqual(
      failed('skep: cannot move /sys/fs/bpf/b: Directory not empty\n'),
    );
    expect(await skep('ls', '/sys/fs/bpf', '/sys/fs/bpf/a')).toEqual(
      ok('/sys/fs/bpf:\na\nb\n/sys/fs/bpf/a:\nb\nn\n'),
    );
    expect(await skep('rm', '-r', '/sys/fs/bpf/a', '/sys/fs/bpf/b')).toEqual(ok(''));
    expect(await skep('ls')).toEqual(ok(''));
    expect((await background.status()).maps).toBe(0);
  });

  test('that are wrong are told as the commands of the shell tell them, and the others are done', async () => {
    await skep('mkdir', '/sys/fs/bpf/full', '/sys/fs/bpf/full/x');
    expect(await skep('rmdir', '/sys/fs/bpf/full', '/sys/fs/bpf/full/x', '/sys/fs/bpf/none')).toEqual(
      failed(
        'skep: failed to remove /sys/fs/bpf/full: Directory not empty\n' +
          'skep: failed to remove /sys/fs/bpf/none: No such file or directory\n',
      ),
    );
    expect(await skep('rm', '/sys/fs/bpf/full')).toEqual(
      failed('skep: cannot remove /sys/fs/bpf/full: Is a directory\n'),
    );
    expect(await skep('rm', '-f', '/sys/fs/bpf/none')).toEqual(ok(''));
    expect(await skep('mkdir', '/sys/fs/bpf/full')).toEqual(
      failed('skep: cannot create directory /sys/fs/bpf/full: File exists\n'),
    );
    expect((await skep('mkdir', '/proc/x')).stderr).toContain('cannot create directory /proc/x: ');
    expect(await skep('ls', '/sys/fs/bpf/none')).toEqual(
      failed('skep: cannot access /sys/fs/bpf/none: No such file or directory\n'),
    );
    expect(await skep('cat', '/sys/fs/bpf/full')).toEqual(failed('skep: /sys/fs/bpf/full: Is a directory\n'));
    await skep('rm', '-r', '/sys/fs/bpf/full');
  });

  test.each([
    [['cat'], 'missing required argument'],
    [['mv', '/sys/fs/bpf/a'], 'missing argument: the new name, or the directory'],
    [['mkdir', '-m', '999', '/sys/fs/bpf/a'], 'It must be permission bits in octal'],
    [['sysctl'], 'missing argument: the name of a setting, or --all'],
  ])('%j is not understood', async (args, said) => {
    const { status, stderr } = await skep(...args);
    expect(status).toBe(2);
    expect(stderr).toContain(said);
    expect(stderr).toContain(`Try: skep ${args[0]} --help`);
  });
});

describe('settings', () => {
  test('are shown and set as sysctl does', async () => {
    expect(await skep('sysctl', 'kernel.ostype', 'net/core/bpf_jit_enable')).toEqual(
      ok('kernel.ostype = Linux\nnet.core.bpf_jit_enable = 1\n'),
    );
    expect(await skep('sysctl', '-n', 'kernel.ostype')).toEqual(ok('Linux\n'));
    expect(await skep('sysctl', '-N', 'net.core.bpf_jit_enable')).toEqual(ok('net.core.bpf_jit_enable\n'));
    expect(await skep('sysctl', 'net.core.bpf_jit_enable=0')).toEqual(ok('net.core.bpf_jit_enable = 0\n'));
    expect(await skep('cat', '/proc/sys/net/core/bpf_jit_enable')).toEqual(ok('0\n'));
    expect(await skep('sysctl', '-q', '-w', 'net.core.bpf_jit_enable = 1')).toEqual(ok(''));
    expect((await skep('sysctl', 'net')).stdout).toContain('net.core.bpf_jit_enable = 1\n');
    expect((await skep('sysctl', '-a')).stdout).toContain('kernel.bpf_stats_enabled = 0\n');
  });

  test('that are wrong are told as sysctl tells them, and the others are done', async () => {
    expect(await skep('sysctl', 'no.such', 'kernel.ostype')).toEqual(
      failed('skep: cannot stat /proc/sys/no/such: No such file or directory\n', 'kernel.ostype = Linux\n'),
    );
    expect(await skep('sysctl', '-e', 'no.such')).toEqual(ok(''));
    expect(await skep('sysctl', 'net.core.bpf_jit_enable=17')).toEqual(
      failed('skep: setting key "net.core.bpf_jit_enable": Invalid argument\n'),
    );
    expect(await skep('sysctl', '-w', 'kernel.ostype')).toEqual(
      failed('skep: "kernel.ostype" must be of the form name=value\n'),
    );
    expect((await skep('sysctl', 'kernel.ostype=Windows')).status).toBe(1);
  });
});

describe('trace_pipe', () => {
  test('is followed', async () => {
    const pinned = '/sys/fs/bpf/hello';
    await skep('prog', 'load', 'examples/hello.bpf.o', pinned);
    const child = background.spawn([main, 'cat', '/sys/kernel/debug/tracing/trace_pipe']);
    const outcome = finished(child);
    let text = '';
    child.stdout?.on('data', (chunk) => {
      text += chunk;
    });
    await until(async () => (await background.status()).clients === 2);
    // However often it takes until it has been heard.
    await until(async () => {
      const kernel = await background.connect();
      const prog = await kernel.bpf.objGet(pinned);
      await kernel.bpf.progTestRun(prog, { dataIn: new Uint8Array(64) });
      kernel.close();
      return text.includes('\n');
    });
    child.kill('SIGINT');
    const { stdout } = await outcome;
    expect(stdout).toMatch(
      /^ +test-\d+ +\[000\] \S+ +\d+\.\d{6}: bpf_trace_printk: Hello, packet \d+ of 64 bytes\n/,
    );
    await skep('rm', pinned);
  });
});

needs('the files of this machine', missingKernel(), 'SKEP_REQUIRE_KERNEL', () => {
  const here = (...args: string[]) => skep(...args, '--kernel', 'linux');
  const shell = (command: string, ...args: string[]) => spawnSync(command, args, { encoding: 'utf8' });

  test.each([
    ['kernel.ostype', 'net.core.bpf_jit_enable', 'kernel.printk', 'kernel/osrelease'],
    ['-n', 'kernel.ostype', 'kernel.printk'],
    ['-N', 'kernel.ostype'],
    ['net.core'],
    ['kernel.random.poolsize', 'no.such.setting', 'kernel.ostype'],
  ])('settings are shown as sysctl shows them: %s %s', async (...args) => {
    const theirs = shell('sysctl', ...args);
    if (theirs.error) return expect(theirs.error.message).toContain('ENOENT');
    const ours = await here('sysctl', ...args);
    expect(ours.stdout).toBe(theirs.stdout);
    expect(ours.status).toBe(theirs.status);
    expect(ours.stderr).toBe(theirs.stderr.replaceAll('sysctl:', 'skep:'));
  });

  test('are printed as cat prints them', async () => {
    const file = '/proc/sys/kernel/osrelease';
    expect(await here('cat', file)).toEqual(ok(shell('cat', file).stdout));
    const btf = await here('cat', '/sys/kernel/btf/vmlinux');
    expect(btf.stdout.length).toBeGreaterThan(100_000);
    expect(await here('cat', '/proc/none')).toEqual(failed('skep: /proc/none: No such file or directory\n'));
  });

  test('are changed in bpf file systems alone', async () => {
    const { status, stderr } = await here('rm', '-r', '/tmp/whatever');
    expect(status).toBe(2);
    expect(stderr).toContain('/tmp/whatever is not in a bpf file system');
  });

  test('pins are made and removed in a mount of its own', () => {
    const commands = [
      'mount -t bpf bpf /sys/fs/bpf || exit 99',
      `s="${process.execPath} ${main} --kernel linux"`,
      '$s mkdir -p /sys/fs/bpf/a/b',
      '$s map create /sys/fs/bpf/a/m type array key 4 value 4 entries 1 name m',
      '$s ls -l /sys/fs/bpf/a',
      '$s mv /sys/fs/bpf/a/m /sys/fs/bpf/a/b; ls /sys/fs/bpf/a/b',
      '$s rmdir /sys/fs/bpf/a',
      '$s rm -r /sys/fs/bpf/a; test -e /sys/fs/bpf/a && echo still there',
    ];
    const { stdout, stderr } = shell('unshare', '-m', 'sh', '-c', commands.join('\n'));
    expect(stdout).toBe('drwxr-xr-x  0  0  directory  b\n-rw-------  0  0  map        m\nm\n');
    expect(stderr).toBe('skep: failed to remove /sys/fs/bpf/a: Directory not empty\n');
  });
});
