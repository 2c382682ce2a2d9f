// What the commands say when something is wrong: one clear line with what and where, what to do, and the status.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { root, skep } from './skep.js';

const capture = 'examples/traffic.pcapng';
const hello = 'examples/hello.bpf.o';
const scratch = mkdtempSync(path.join(tmpdir(), 'skep-cli-errors-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
const empty = path.join(scratch, 'empty.pcap');
writeFileSync(empty, '');
const header = path.join(scratch, 'header.pcap');
writeFileSync(header, Buffer.from('d4c3b2a1020004000000000000000000ffff000001000000', 'hex'));

const wrong: [args: string[], status: number, says: RegExp][] = [
  [['bogus'], 2, /unknown command 'bogus'[\s\S]*Try: skep --help/],
  [['run', hello, '--pcap', capture, '--frob'], 2, /unknown option '--frob'[\s\S]*Try: skep run --help/],
  [['run', hello], 2, /--pcap <file>/],
  [['run', '--pcap', capture], 2, /missing required argument 'object'/],
  [['run', hello, 'extra', '--pcap', capture], 2, /too many arguments/],
  [['run', hello, '--pcap', capture, '--engine', 'turbo'], 2, /turbo.*jit, interpreter/],
  [['run', hello, '--pcap', capture, '--cpus', '0'], 2, /whole number from 1 to 1024/],
  [['run', hello, '--pcap', capture, '--budget', '9'], 2, /--budget.*not verified[\s\S]*--unverified/],
  [['run', hello, '--pcap', capture, '--limit', 'ten'], 2, /'ten' is invalid/],
  [['run', hello, '--pcap', capture, '--set', 'counter'], 2, /no setting[\s\S]*--set blocked_port=443/],
  [
    ['run', hello, '--pcap', capture, '--set', 'nothing=1'],
    2,
    /'nothing'.*no such variable[\s\S]*Known: counter/,
  ],
  [['run', hello, '--pcap', capture, '--set', 'counter=-1'], 2, /'counter'.*-1 does not fit/],
  [['run', hello, '--pcap', capture, '--set', 'counter.x=1'], 2, /no struct/],
  [['run', hello, '--pcap', capture, '--set', 'counter[0]=1'], 2, /no array/],
  [['run', hello, '--pcap', capture, '--program', 'x'], 2, /no program 'x'[\s\S]*Programs: hello/],
  [
    ['run', 'examples/loadbalancer.bpf.o', '--pcap', capture],
    2,
    /4 XDP programs.*loadbalancer_udp[\s\S]*--program/,
  ],
  [['run', hello, '--pcap', capture, '--out', '-'], 2, /--out needs a file/],
  [['run', hello, '--pcap', capture, '--out', hello], 2, /is the file that is read/],
  [['run', hello, '--pcap', capture, '--out', path.join(scratch, 'no/such/folder')], 1, /no such folder/],
  [['run', 'nope.bpf.o', '--pcap', capture], 1, /nope\.bpf\.o: there is no such file/],
  [['run', hello, '--pcap', 'nope.pcap'], 1, /nope\.pcap: there is no such file/],
  [['run', hello, '--pcap', 'examples'], 1, /examples: it is a folder/],
  [['run', hello, '--pcap', empty], 1, /empty\.pcap.*is empty/],
  [['run', hello, '--pcap', 'package.json'], 1, /package\.json.*no pcap or pcapng/],
  [['run', hello, '--pcap', 'test/pcap/captures/rawip.pcapng'], 1, /raw IP.*Ethernet/],
  [['run', 'package.json', '--pcap', capture], 1, /package\.json: this is no ELF file/],
  [
    ['run', 'test/elf/objects/subprograms.eb.bpf.o', '--program', 'alpha', '--pcap', capture],
    1,
    /big-endian/,
  ],
  [['inspect', 'nope.bpf.o'], 1, /no such file/],
  [['inspect', 'package.json'], 1, /no ELF file/],
  [['inspect'], 2, /missing required argument/],
  [['objdump', 'package.json'], 1, /no ELF file/],
  [['objdump', hello, '-j', 'nope'], 2, /no section 'nope'[\s\S]*xdp/],
];

describe('a wrong command', () => {
  test.each(
    wrong.map(
      ([args, status, says]) => [args.join(' ').replaceAll(scratch, ''), args, status, says] as const,
    ),
  )('%s', (_name, args, status, says) => {
    const outcome = skep(args);
    expect(outcome.stderr).toMatch(says);
    expect(outcome.stderr).toMatch(/^skep: /);
    // No stack of ours.
    expect(outcome.stderr).not.toMatch(/\n\s+at /);
    expect(outcome.stdout).toBe('');
    expect(outcome.status).toBe(status);
  });
});

test('a capture without packets is no error', () => {
  const { status, stdout, stderr } = skep(['run', hello, '--pcap', header]);
  expect(stdout).toContain('The capture has no packets.');
  expect(stderr).toBe('');
  expect(status).toBe(0);
});

test('help and version', () => {
  for (const command of ['run', 'verify', 'compare', 'inspect', 'objdump', 'doctor', 'conformance']) {
    const { status, stdout } = skep([command, '--help']);
    expect(status).toBe(0);
    expect(stdout).toMatch(/Usage: skep [\s\S]*Examples?:\n {2}\$ /);
  }
  expect(skep(['--help']).stdout).toMatch(
    /run[\s\S]*verify[\s\S]*compare[\s\S]*inspect[\s\S]*objdump[\s\S]*doctor[\s\S]*conformance/,
  );
  expect(skep(['--version']).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  const nothing = skep([]);
  expect(nothing.stderr).toContain('Usage: skep');
  expect(nothing.status).toBe(2);
});

test.skipIf(process.platform === 'win32')('a reader that goes away is no error', async () => {
  const args = ['dist/cli/main.js', 'run', hello, '--pcap', capture, '--trace', '100000'];
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  let errors = '';
  child.stderr.on('data', (chunk) => {
    errors += chunk;
  });
  const ended = once(child, 'close');
  const [first] = await once(child.stdout, 'data');
  child.stdout.destroy();
  const [status] = await ended;
  expect(String(first)).toMatch(/^hello of /);
  expect([status, errors]).toEqual([0, '']);
});
