// The kernel that stays: who starts it, how it ends, and what people are told.

import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { MapType } from '../../src/bpf/types.js';
import { Background, ended, finished, main, until } from './background.js';

let background: Background;
beforeEach(() => {
  background = new Background();
});
afterEach(() => background[Symbol.asyncDispose]());

const isRoot = process.getuid?.() === 0;
const unlessRoot = isRoot ? undefined : 'needs root';
/** A test that needs root on Linux, else a skipped one that says so. */
const asRoot = (name: string, body: () => Promise<void>) =>
  unlessRoot ? test.skip(`${name} (skipped: ${unlessRoot})`, body) : test(name, body);

const runDirectory = () => path.join(background.directory, 'skep');

describe('the first command', () => {
  test('starts the kernel and says so; the second does not', async () => {
    const first = await background.skep(['prog', 'list']);
    expect(first).toEqual({ status: 0, stdout: '', stderr: 'The kernel `default` was started.\n' });
    expect(await background.skep(['prog', 'list'])).toEqual({ status: 0, stdout: '', stderr: '' });
  });

  test('of many at once: one kernel is started, and only one of them says so', async () => {
    const outcomes = await Promise.all(Array.from({ length: 10 }, () => background.skep(['map', 'list'])));
    expect(outcomes.map(({ status }) => status)).toEqual(Array(10).fill(0));
    expect(outcomes.map(({ stderr }) => stderr).sort()).toEqual([
      ...Array(9).fill(''),
      'The kernel `default` was started.\n',
    ]);
    expect(JSON.parse(await background.output('kernel', 'list', '--json'))).toHaveLength(1);
    // Those that gave way have left nothing behind.
    expect(readdirSync(runDirectory()).sort()).toEqual(['default.log', 'default.sock']);
  });

  test('after a crash says that everything is gone', async () => {
    const { pid } = await background.start();
    await ended(pid, 'SIGKILL');
    const next = await background.skep(['prog', 'list']);
    expect(next.stderr).toBe(
      'The kernel `default` had stopped; everything in it is gone. It was started again.\n',
    );
    expect(next.status).toBe(0);
    expect((await background.status()).pid).not.toBe(pid);
  });

  test('of many after a crash: one kernel', async () => {
    await ended((await background.start()).pid, 'SIGKILL');
    const outcomes = await Promise.all(Array.from({ length: 6 }, () => background.skep(['map', 'list'])));
    const said = outcomes.map(({ stderr }) => stderr).filter((text) => text !== '');
    expect(said).toEqual([expect.stringContaining('had stopped')]);
    expect(JSON.parse(await background.output('kernel', 'list', '--json'))).toHaveLength(1);
  });

  test('takes the place of a file that is no socket', async () => {
    await background.start();
    await background.output('kernel', 'stop');
    writeFileSync(path.join(runDirectory(), 'default.sock'), 'nonsense');
    expect((await background.skep(['prog', 'list'])).status).toBe(0);
    expect((await background.status()).programs).toBe(0);
  });

  test('clears away what candidates that were killed have left', async () => {
    await background.start();
    await background.output('kernel', 'stop');
    const left = path.join(runDirectory(), 'default.0123456789ab.new');
    const listen = `require('net').createServer().listen(${JSON.stringify(left)}, () => process.kill(process.pid, 'SIGKILL'))`;
    spawnSync(process.execPath, ['-e', listen]);
    expect(statSync(left).isSocket()).toBe(true);
    await background.start();
    expect(readdirSync(runDirectory()).sort()).toEqual(['default.log', 'default.sock']);
  });
});

describe('the directory of the sockets', () => {
  test('is for its user alone, and so are the files in it', async () => {
    await background.start();
    expect(statSync(runDirectory()).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(runDirectory())) {
      expect(statSync(path.join(runDirectory(), name)).mode & 0o777, name).toBe(0o600);
    }
  });

  const refusal = async (): Promise<string> => {
    const { status, stderr } = await background.skep(['prog', 'list']);
    rmSync(runDirectory(), { recursive: true, force: true });
    expect(status).not.toBe(0);
    return stderr;
  };

  test('is refused when others may get into it', async () => {
    mkdirSync(runDirectory());
    chmodSync(runDirectory(), 0o755);
    expect(await refusal()).toContain('other users may get into it (mode 755), and so at the kernels');
  });

  test('is refused when it is a link to elsewhere, or a file', async () => {
    symlinkSync('/tmp', runDirectory());
    expect(await refusal()).toContain('and this is none');
    writeFileSync(runDirectory(), '');
    expect(await refusal()).toContain('and this is none');
  });

  asRoot('is refused when it belongs to another user', async () => {
    mkdirSync(runDirectory(), { mode: 0o700 });
    chownSync(runDirectory(), 4711, 4711);
    expect(await refusal()).toContain('it belongs to another user, who could listen in');
  });

  test('with a path that is too long for sockets is refused', async () => {
    const long = path.join(background.directory, 'x'.repeat(100));
    mkdirSync(long, { mode: 0o700 });
    const { status, stderr } = await background.skep(['prog', 'list'], { XDG_RUNTIME_DIR: long });
    expect(status).not.toBe(0);
    expect(stderr).toContain('the path is too long for a socket');
  });

  asRoot('of another user is not used: that of the temporary files is', async () => {
    const theirs = path.join(background.directory, 'theirs');
    mkdirSync(theirs, { mode: 0o700 });
    chownSync(theirs, 4711, 4711);
    const env = { XDG_RUNTIME_DIR: theirs, TMPDIR: background.directory };
    const started = await background.skep(['kernel', 'start', '--json'], env);
    const { socket, pid } = JSON.parse(started.stdout);
    expect(socket).toBe(path.join(background.directory, 'skep-0', 'default.sock'));
    await ended(pid, 'SIGTERM');
    expect(readdirSync(theirs)).toEqual([]);
  });
});

describe('another user', () => {
  /** What becomes of a connection that another user tries. */
  const attempt = (): string => {
    const socket = JSON.stringify(path.join(runDirectory(), 'default.sock'));
    const dial = `require('net').connect(${socket}, () => console.log('in')).on('error', (e) => console.log(e.code)).unref()`;
    const { stdout } = spawnSync(process.execPath, ['-e', dial], {
      uid: 4711,
      gid: 4711,
      encoding: 'utf8',
      cwd: '/',
    });
    return stdout.trim();
  };

  asRoot('does not get in: by the directory, and by the socket itself', async () => {
    await background.start();
    expect(attempt()).toBe('EACCES');
    for (const directory of [background.directory, runDirectory()]) chmodSync(directory, 0o755);
    expect(attempt()).toBe('EACCES');
    expect((await background.skep(['prog', 'list'])).stderr).toContain('other users may get into it');
    chmodSync(runDirectory(), 0o700);
    expect((await background.status()).clients).toBe(1);
  });
});

/** Runs `skep kernel start` with a runtime directory in a tmpfs of its own, and gives back what it and `after` printed. */
function onTinyDisk(options: string, fill: string, after: string) {
  const place = `${background.directory}/disk`;
  const script = `mkdir ${place} && mount -t tmpfs -o mode=700,${options} none ${place} || exit 99
    ${fill}
    export XDG_RUNTIME_DIR=${place}
    ${process.execPath} ${main} kernel start
    echo "status $?"
    ${after}`;
  return spawnSync('unshare', ['-m', 'sh', '-c', script], {
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1' },
  });
}

describe('a full disk', () => {
  asRoot('without room for a socket is told', async () => {
    // One directory and no name more: of the file system itself, and of what it holds.
    const { stdout, stderr } = onTinyDisk('nr_inodes=2', 'mkdir "$place" 2>/dev/null', 'true');
    expect(stdout).toContain('status 1');
    expect(stderr).toContain('the disk is full');
    expect(stderr).toContain('/disk/skep');
  });

  asRoot('without room for notes is no hindrance', async () => {
    const fill = `dd if=/dev/zero of=${background.directory}/disk/fill bs=4096 2>/dev/null`;
    const skep = `${process.execPath} ${main}`;
    const after = `${skep} map create /sys/fs/bpf/m type array key 4 value 8 entries 1 name m; ${skep} map list
      ${skep} kernel stop`;
    const { stdout, stderr } = onTinyDisk('size=64k', fill, after);
    expect(stderr).toBe('The kernel `default` was started.\n');
    expect(stdout).toContain('status 0');
    expect(stdout).toContain('array  name m');
    expect(stdout).toContain('was stopped');
  });
});

describe('skep kernel', () => {
  test('shows what a kernel holds, and ends everything in it', async () => {
    expect(await background.skep(['kernel', 'status'])).toMatchObject({
      status: 1,
      stdout: 'The kernel `default` is not running.\n',
    });
    const { pid } = await background.start();
    const kernel = await background.connect();
    const map = await kernel.bpf.mapCreate({ type: MapType.Array, keySize: 4, valueSize: 4, maxEntries: 1 });
    await kernel.bpf.objPin(map, '/sys/fs/bpf/m');
    expect(JSON.parse(await background.output('kernel', 'status', '--json'))).toEqual({
      running: true,
      name: 'default',
      pid,
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      uptime: expect.any(Number),
      cpus: 1,
      engine: 'jit',
      safety: 'verify',
      programs: 0,
      maps: 1,
      links: 0,
      btf: 0,
      clients: 2,
      descriptors: 1,
      memory: expect.any(Number),
      socket: path.join(runDirectory(), 'default.sock'),
      log: path.join(runDirectory(), 'default.log'),
    });
    expect(await background.output('kernel', 'status')).toContain(
      '0 programs, 1 map, 0 links, 0 BTF objects',
    );
    expect(await background.output('kernel', 'reset')).toBe('The kernel `default` was reset.\n');
    await kernel.ended;
    await until(async () => (await background.status()).clients === 1);
    expect(await background.status()).toMatchObject({ pid, maps: 0, clients: 1, descriptors: 0 });
    expect(await background.output('ls')).toBe('');
    expect(await background.output('kernel', 'stop')).toBe('The kernel `default` was stopped.\n');
    await ended(pid);
    const again = await background.skep(['kernel', 'stop', '--json']);
    expect([again.status, JSON.parse(again.stdout)]).toEqual([1, { name: 'default', running: false }]);
    // A stop is no crash.
    expect((await background.skep(['prog', 'list'])).stderr).toBe('The kernel `default` was started.\n');
  });

  test('keeps several side by side, each with its own', async () => {
    await background.start('one');
    const started = await background.skep(['kernel', 'start', '--kernel', 'two', '--cpus', '4', '--json']);
    expect(JSON.parse(started.stdout)).toMatchObject({ name: 'two', cpus: 4, started: true });
    const two = await background.connect('two');
    await two.bpf.mapCreate({ type: MapType.Array, keySize: 4, valueSize: 4, maxEntries: 1, name: 'm' });
    expect(await background.output('--kernel', 'one', 'map', 'list')).toBe('');
    expect((await background.skep(['map', 'list'], { SKEP_KERNEL: 'two' })).stdout).toContain('name m');
    const list = JSON.parse(await background.output('kernel', 'list', '--json'));
    expect(list.map(({ name, maps }: { name: string; maps: number }) => [name, maps])).toEqual([
      ['one', 0],
      ['two', 1],
    ]);
    await background.output('kernel', 'stop', '--kernel', 'two');
    expect(await background.output('kernel', 'list')).toMatch(/^one {2}process \d+ .*\n$/);
    two.close();
  });

  test('leaves one that runs as it is, and says what cannot be had of it', async () => {
    const { pid } = await background.start();
    expect(await background.output('kernel', 'start')).toBe(
      `The kernel \`default\` is running already (process ${pid}).\n`,
    );
    const other = await background.skep(['kernel', 'start', '--engine', 'interpreter']);
    expect(other.status).toBe(2);
    expect(other.stderr).toContain('the kernel `default` runs with engine jit, not interpreter');
  });

  test.each([
    [['kernel', 'stop', '--kernel', 'linux'], 'the kernel of this machine is not kept by Skep'],
    [['kernel', 'start', '--kernel', '../x'], 'a kernel cannot be called `../x`'],
    [['kernel', 'start', '--cpus', '0'], 'It must be a whole number from 1 to 1024'],
    [['--kernel', 'a/b', 'prog', 'list'], 'a kernel cannot be called `a/b`'],
  ])('%j is refused', async (args, said) => {
    const { status, stderr } = await background.skep(args);
    expect(status).not.toBe(0);
    expect(stderr).toContain(said);
  });

  test('ends in order when it is told by a signal', async () => {
    const { pid } = await background.start();
    await ended(pid, 'SIGTERM');
    expect(readdirSync(runDirectory())).toEqual(['default.log']);
  });

  test('ends for those who are connected, and they hear of it', async () => {
    const { pid } = await background.start();
    const following = background.spawn([main, 'prog', 'tracelog']);
    const outcome = finished(following);
    // It follows when it tells what is printed.
    const heard = new Promise((resolve) => following.stdout?.once('data', resolve));
    await background.output('prog', 'load', 'examples/hello.bpf.o', '/sys/fs/bpf/hello');
    let follows = false;
    void heard.then(() => {
      follows = true;
    });
    await until(async () => {
      await background.output('prog', 'run', 'name', 'hello', 'data_in', 'package.json');
      return follows;
    });
    await ended(pid, 'SIGKILL');
    const { status, stderr } = await outcome;
    expect(status).toBe(1);
    expect(stderr).toBe('skep: the kernel `default` has ended\n');
  });

  test('that does not answer as one is told apart', async () => {
    await background.start();
    await background.output('kernel', 'stop');
    const socket = path.join(runDirectory(), 'default.sock');
    const echo = `require('net').createServer((s) => s.pipe(s)).listen(${JSON.stringify(socket)}, () => console.log())`;
    const server = background.spawn(['-e', echo]);
    await new Promise((resolve) => server.stdout?.once('data', resolve));
    const { status, stderr } = await background.skep(['kernel', 'status']);
    expect(status).toBe(1);
    expect(stderr).toContain('the kernel `default` cannot be used');
    server.kill();
  });
});
