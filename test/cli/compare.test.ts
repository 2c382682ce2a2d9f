// `skep compare` and `skep run --kernel linux`: what they print and their exit statuses.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { countCpus } from '../../src/linux/machine.js';
import { tracefs } from '../../src/linux/tracefs.js';
import { missingKernel, missingTool, needs } from '../require.js';
import { type Lack, skepWithout } from './pretend.js';
import { output, root, skep } from './skep.js';

const capture = 'examples/traffic.pcapng';
const firewall = 'examples/firewall.bpf.o';
const ratelimit = 'examples/ratelimit.bpf.o';
const bad = 'test/compare/objects/bad.bpf.o';

interface Report {
  left: string;
  right: string;
  release: string;
  inputs: number;
  runs: number;
  total: number;
  traceLines: number;
  load: Record<'left' | 'right', { accepted: boolean; errno?: number; log?: string }>;
  maps: { name: string; elements: number }[];
  notes: { what: string }[];
  notRun: { count: number; first: number; reason: string }[];
  expected: { count: number }[];
  differences: ({ what: string } & Record<string, unknown>)[];
  error?: string;
}

const compare = (...args: string[]): { status: number | null; report: Report; stderr: string } => {
  const { status, stdout, stderr } = skep(['compare', ...args, '--json']);
  return { status, stderr, report: JSON.parse(stdout) as Report };
};

needs('skep compare', missingKernel(), 'SKEP_REQUIRE_KERNEL', () => {
  test('finds no difference where there is none', () => {
    const { status, report } = compare(firewall, '--pcap', capture);
    expect(report).toMatchObject({ left: 'emulated', right: 'linux', inputs: 2477, runs: 2477, total: 0 });
    expect(report.differences).toEqual([]);
    expect(report.traceLines).toBe(8);
    expect(report.maps).toContainEqual({ name: 'counters', elements: 8 });
    expect(report.release).toMatch(/^\d+\.\d+/);
    expect(status).toBe(0);
    const text = skep(['compare', firewall, '--pcap', capture, '--engine', 'interpreter']);
    expect(text.stdout).toContain('2,477 packets run by both');
    expect(text.stdout).toMatch(/^No difference$/m);
    expect([text.status, text.stderr]).toEqual([0, '']);
  });

  test('shows every difference with both sides, and fails', () => {
    const args = [ratelimit, '--pcap', capture, '--set', 'packets_per_second=0'];
    const { status, report } = compare(...args);
    expect(status).toBe(1);
    // Every bucket notes the time at which it was filled.
    const buckets = report.maps.find(({ name }) => name === 'buckets')?.elements ?? 0;
    expect(buckets).toBeGreaterThan(10);
    expect(report.total).toBe(buckets);
    for (const { what, map, left, right } of report.differences) {
      expect([what, map]).toEqual(['map', 'buckets']);
      const [a, b] = [left, right] as Record<string, number>[];
      expect(a?.refilled_at).not.toBe(b?.refilled_at);
      expect(a?.passed).toBe(b?.passed);
    }
    expect(report.notes.map(({ what }) => what)).toEqual(['bpf_ktime_get_ns']);
    const text = skep(['compare', ...args]);
    expect(text.stdout.match(/^ {2}map buckets \[/gm)).toHaveLength(buckets);
    expect(text.stdout).toMatch(
      /^ {4}emulated {2}\{ tokens: .*refilled_at: .*\n {4}linux {5}\{ tokens: .*refilled_at: /m,
    );
    expect(text.stdout).toContain('depends on the kernel: bpf_ktime_get_ns: each kernel has its own clock');
    expect([text.status, text.stderr]).toEqual([1, '']);
  });

  test.each([
    ['a member', 'buckets.refilled_at'],
    ['a map', 'buckets'],
  ])('counts apart what may differ: %s', (_, what) => {
    const { status, report } = compare(
      ...[ratelimit, '--pcap', capture, '--set', 'packets_per_second=0', '--may-differ', what],
    );
    expect([status, report.total]).toEqual([0, 0]);
    expect(report.expected[0]?.count).toBeGreaterThan(10);
  });

  test('says after which packet a map differs', () => {
    const args = [ratelimit, '--pcap', capture, '--set', 'packets_per_second=0', '--each', '--count', '3'];
    const { report } = compare(...args);
    expect(report.inputs).toBe(3);
    expect(report.differences.map(({ run }) => run)).toEqual([0, 1, 2].slice(0, report.total));
    expect(skep(['compare', ...args]).stdout).toMatch(/map buckets \[.*\], after packet 1$/m);
  });

  test("explains what Linux's verifier refused", () => {
    const { status, stdout } = skep(['compare', bad, '--pcap', capture]);
    expect(stdout).toMatch(/linux refuses the object[\s\S]*R1 offset is outside of the packet/);
    expect(stdout).toMatch(/^ +invalid access to packet, off=0 size=1/m);
    const { report } = compare(bad, '--pcap', capture);
    expect(report.load.right).toMatchObject({ accepted: false, errno: 13 });
    expect(report.load.right.log).toContain('invalid access to packet');
    // Agreement is no failure, whatever it is about.
    expect(status).toBe(report.load.left.accepted ? 1 : 0);
  });

  test('reads standard input, stops at a number of packets, and tells of a damaged capture', () => {
    const input = readFileSync(path.join(root, capture));
    const { status, report } = compare(firewall, '--pcap', capture, '--count', '100');
    expect([status, report.inputs]).toEqual([0, 100]);
    const cut = skep(['compare', firewall, '--pcap', '-', '--json'], { input: input.subarray(0, 5000) });
    expect(cut.status).toBe(2);
    expect((JSON.parse(cut.stdout) as Report).error).toContain('byte 4996');
    expect(cut.stderr).toMatch(/standard input: .*byte 4996/);
  });
});

describe('skep compare cannot be done', () => {
  const wrong: [args: string[], says: RegExp][] = [
    [['nope.bpf.o', '--pcap', capture], /nope\.bpf\.o: there is no such file/],
    [[firewall, '--pcap', capture, '--set', 'nothing=1'], /no such variable/],
    [
      [firewall, '--pcap', capture, '--may-differ', 'nothing'],
      /no map or variable 'nothing'[\s\S]*retval, .*drops/,
    ],
    [[firewall, '--pcap', capture, '--may-differ', 'drops.nothing'], /no member 'nothing'/],
    [[firewall], /--pcap <file>/],
  ];
  test.each(wrong)('%j', (args, says) => {
    const { status, stdout, stderr } = skep(['compare', ...args]);
    expect(stderr).toMatch(says);
    expect([status, stdout]).toEqual([2, '']);
  });

  needs('with a kernel', missingKernel(), 'SKEP_REQUIRE_KERNEL', () => {
    test('without a capture', () => {
      const { status, stderr } = skep(['compare', firewall, '--pcap', 'nope.pcap']);
      expect(stderr).toMatch(/nope\.pcap: there is no such file/);
      expect(status).toBe(2);
    });
  });
});

const commands = [
  ['compare', firewall, '--pcap', capture],
  ['run', firewall, '--pcap', capture, '--kernel', 'linux'],
];

const missing = (lack: Lack, says: RegExp): void => {
  test.each(commands)(`${lack}: %s says so in a sentence, and what to do`, (...args) => {
    const { status, stdout, stderr } = skepWithout(lack, args);
    expect(stderr).toMatch(says);
    expect(stderr).toMatch(/^skep: [^\n]+\n {6}[^\n]+\n$/);
    expect([status, stdout]).toEqual([2, '']);
  });
};

describe('what is missing', () => {
  missing('no Linux', /only on Linux, and this is darwin/);
});

needs('what is missing on Linux', missingKernel() ?? missingTool('setpriv'), 'SKEP_REQUIRE_KERNEL', () => {
  missing('no koffi', /package koffi, which is not installed\n +npm install koffi/);
  missing('no rights', /BPF/);
});

needs('skep run --kernel linux', missingKernel(), 'SKEP_REQUIRE_KERNEL', () => {
  interface Run {
    kernel: string;
    engine: string;
    packets: number;
    verdicts: unknown;
    maps: { name: string; entries: unknown }[];
    variables: unknown;
    trace: { total: number; events: { text: string }[] };
    nanoseconds: number;
  }
  const run = (...args: string[]): Run => JSON.parse(output('run', ...args, '--json')) as Run;

  test.each([
    [firewall, []],
    ['examples/loadbalancer.bpf.o', ['--program', 'loadbalancer']],
    ['examples/hello.bpf.o', []],
  ])('gives the same report as the emulated kernel: %s', (object, more) => {
    const args = [object, '--pcap', capture, '--trace', '3000', ...more];
    const linux = run(...args, '--kernel', 'linux');
    const emulated = run(...args, '--cpus', String(slots()));
    expect(linux.kernel).toMatch(/^linux \d+\.\d+/);
    expect(linux.nanoseconds).toBeGreaterThan(0);
    const comparable = ({ packets, verdicts, maps, variables, trace }: Run) => ({
      packets,
      verdicts,
      maps: maps.map(({ name, entries, ...rest }) => ({
        name,
        ...rest,
        entries: sorted(entries as unknown[]),
      })),
      variables,
      trace: trace.events.map(({ text }) => text),
    });
    expect(comparable(linux)).toEqual(comparable(emulated));
  });

  const sorted = (entries: unknown[]): string[] => entries.map((entry) => JSON.stringify(entry)).sort();
  /** Slots of a per-CPU value here. */
  const slots = (): number => countCpus(readFileSync('/sys/devices/system/cpu/possible', 'utf8'));

  test('writes the packets, and names the kernel in the report', () => {
    const { stdout, status, stderr } = skep(['run', firewall, '--pcap', capture, '--kernel', 'linux']);
    expect(stdout).toMatch(/^firewall of .* \(linux \d+\.\d+.*, (jit|interpreter)\)$/m);
    expect(stdout).toMatch(/XDP_DROP +451 +36,021/);
    expect(stdout).toMatch(/^Trace \(8 lines\)$/m);
    expect(stdout).toMatch(/ns a packet in the program \([\d,]+ packets a second\)$/m);
    expect([status, stderr]).toEqual([0, '']);
  });

  test("explains what Linux's verifier refused", () => {
    const { status, stdout, stderr } = skep(['run', bad, '--pcap', capture, '--kernel', 'linux']);
    expect(stderr).toMatch(
      /^skep: program 'oob': the kernel refused it: .*R1 offset is outside of the packet\n/,
    );
    expect(stderr).toMatch(/^ {2}Verifier: invalid access to packet, off=0 size=1/m);
    expect([status, stdout]).toEqual([1, '']);
  });

  test('that is interrupted leaves nothing in the kernel', async () => {
    const args = ['dist/cli/main.js', 'run', 'examples/hello.bpf.o', '--pcap', '-', '--kernel', 'linux'];
    const child = spawn(process.execPath, args, { cwd: root, stdio: ['pipe', 'ignore', 'inherit'] });
    const ended = once(child, 'exit');
    // More is awaited: standard input stays open. What is on its way in the end may get lost.
    child.stdin.on('error', () => {});
    child.stdin.write(readFileSync(path.join(root, capture)));
    const buffers = () =>
      readdirSync(`${tracefs()}/instances`).filter((name) => name.startsWith(`skep-${child.pid}-`));
    while (buffers().length === 0) await setTimeout(20);
    child.kill('SIGINT');
    expect(await ended).toEqual([130, null]);
    expect(buffers()).toEqual([]);
  });

  test('lists packets that Linux does not run', () => {
    // A pcap file with one packet of 10 bytes.
    const header = Buffer.from('d4c3b2a1020004000000000000000000ffff000001000000', 'hex');
    const packet = Buffer.from(`${'00000000'.repeat(2)}${'0a000000'.repeat(2)}${'00'.repeat(10)}`, 'hex');
    const input = Buffer.concat([header, packet]);
    const { status, stdout } = skep(['run', firewall, '--pcap', '-', '--kernel', 'linux'], { input });
    expect(stdout).toContain('Linux does not test-run a packet of 10 bytes (packet 1)');
    expect(stdout).not.toContain('instruction 0');
    expect(status).toBe(0);
    const compared = skep(['compare', firewall, '--pcap', '-'], { input });
    expect(compared.stdout).toContain('1 packet not run, the first is 1: both kernels refuse it: EINVAL');
    expect(compared.status).toBe(0);
  });
});

test.each(['engine', 'cpus', 'unverified', 'budget', 'clock'])(
  '--%s does not go with --kernel linux',
  (option) => {
    const value = { engine: ['jit'], cpus: ['2'], budget: ['9'], clock: ['real'] }[option] ?? [];
    const { status, stderr } = skep([...(commands[1] ?? []), `--${option}`, ...value]);
    expect(stderr).toContain(`--${option} is an option of the emulated kernel`);
    expect(status).toBe(2);
  },
);
