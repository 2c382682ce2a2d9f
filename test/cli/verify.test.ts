// `skep verify`: verdicts, explanations, logs, JSON and exit statuses.

import { describe, expect, test } from 'vitest';
import { output, skep } from './skep.js';

const hello = 'examples/hello.bpf.o';
const rejected = 'test/cli/fixtures/rejected.bpf.o';

interface Program {
  name: string;
  section: string;
  accepted: boolean;
  errno: number;
  log: string;
  processed: number;
  totalStates: number;
  peakStates: number;
  stackDepth: number;
  milliseconds: number;
  explanation?: { message: string; at?: { line?: { line: number; column: number } } };
  /** Where the section does not say it. */
  type?: string;
  error?: string;
}

interface Report {
  object: string;
  programs: Program[];
  error?: string;
}

function report(...args: string[]): {
  status: number | null;
  objects: Report[];
} {
  const { status, stdout } = skep(['verify', '--json', ...args]);
  return { status, objects: JSON.parse(stdout) as Report[] };
}

test('an accepted program: figures, status 0', () => {
  expect(output('verify', hello)).toMatch(
    /^examples\/hello\.bpf\.o: hello \(xdp\) accepted: \d+ instructions processed, \d+ states?, stack 0, [\d.]+ ms\n$/,
  );
});

describe('a rejected program', () => {
  test('is explained: the line, what was asked, what was found, where it came from, the way, what mends it', () => {
    const { status, stdout, stderr } = skep(['verify', rejected, '--program', 'nullable']);
    expect(stdout).toMatch(/nullable \(xdp\) rejected \(EACCES\): /);
    expect(stdout).toContain(
      '  rejected.bpf.c:32:10\n        32 |   *value += 1;\n           |          ^\n',
    );
    expect(stdout).toMatch(/^ {2}Required: .*NULL/m);
    expect(stdout).toMatch(/^ {2}Found: {4}R\d is NULL or a pointer to a value of map 'counts'/m);
    expect(stdout).toMatch(
      /rejected\.bpf\.c:29 .*bpf_map_lookup_elem\(&counts, &key\);\n {6}bpf_map_lookup_elem\(\) returned/,
    );
    expect(stdout).toContain('rejected.bpf.c:30  if (key == 7)  -> goes on at line 32\n');
    expect(stdout).toMatch(/^ {2}Mending: {2}Compare the pointer with NULL/m);
    expect(stdout).toMatch(/^ {2}Verifier: R\d invalid mem access 'map_value_or_null'$/m);
    expect([status, stderr]).toEqual([1, '']);
  });

  test('of a type that the emulated kernel does not run is judged too', () => {
    const { status, stdout } = skep(['verify', rejected, '--program', 'returned']);
    expect(stdout).toContain('Required: What is returned lies in [0, 1].');
    expect(status).toBe(1);
  });

  test('has the same line number in the verifier as in the code frame', () => {
    const { objects } = report(rejected);
    const places = objects[0]?.programs.map(({ name, explanation }) => [name, explanation?.at?.line?.line]);
    expect(places).toEqual([
      ['accepted', undefined],
      ['nullable', 32],
      ['short_packet', 41],
      ['unreleased', 54],
      ['returned', 59],
    ]);
  });
});

test('several objects: one rejection makes the status 1', () => {
  const { status, stdout } = skep(['verify', hello, rejected]);
  expect(stdout).toMatch(
    /hello \(xdp\) accepted[\s\S]*accepted \(xdp\) accepted[\s\S]*\n2 of 6 programs accepted\n$/,
  );
  expect(status).toBe(1);
});

test('a section that does not say the type: the first that fits, unless it is given', () => {
  const early = 'test/elf/objects/early.bpf.o';
  const types = (...args: string[]) =>
    report(early, ...args).objects[0]?.programs.map(({ name, accepted, type }) => [name, accepted, type]);
  expect(types()).toEqual([
    ['named_loosely', true, 'xdp'],
    ['of_any_name', true, 'sched_cls'],
    ['with_a_section_of_its_own', true, 'xdp'],
    ['calls_nothing_known', false, undefined],
  ]);
  expect(types('--type', 'action')?.slice(1, 3)).toEqual([
    ['of_any_name', true, 'sched_act'],
    ['with_a_section_of_its_own', false, 'sched_act'],
  ]);
  expect(output('verify', early, '--program', 'of_any_name')).toContain(
    '(from-netdev, as sched_cls) accepted',
  );
});

test('a file that cannot be read is told, the others are judged, and the status is 2', () => {
  const { status, objects } = report('package.json', rejected, 'nope.bpf.o', hello);
  expect(objects.map(({ programs, error }) => [programs.length, error])).toEqual([
    [0, 'package.json: this is no ELF file'],
    [5, undefined],
    [0, 'nope.bpf.o: there is no such file'],
    [1, undefined],
  ]);
  expect(status).toBe(2);
  const text = skep(['verify', 'package.json', hello]);
  expect(text.stdout).toMatch(/hello \(xdp\) accepted/);
  expect(text.stderr).toContain('package.json: this is no ELF file');
  expect(text.status).toBe(2);
});

test('JSON has objects with programs, and what the verifier counted', () => {
  const { status, objects } = report(hello, rejected);
  expect(objects.map(({ object }) => object)).toEqual([hello, rejected]);
  const [program] = objects[0]?.programs ?? [];
  expect(Object.keys(program ?? {})).toEqual([
    ...['name', 'section', 'accepted', 'errno', 'log'],
    ...['processed', 'totalStates', 'peakStates', 'stackDepth', 'milliseconds'],
  ]);
  expect(program).toMatchObject({ name: 'hello', section: 'xdp', accepted: true, errno: 0, log: '' });
  expect(program?.processed).toBeGreaterThan(0);
  const refused = objects[1]?.programs.filter(({ accepted }) => !accepted) ?? [];
  expect(refused.map(({ name, errno }) => [name, errno])).toEqual([
    ['nullable', 13],
    ['short_packet', 13],
    ['unreleased', 22],
    ['returned', 22],
  ]);
  // The log ends with the verifier's figures and has what the explanation quotes.
  for (const { log, processed, explanation } of refused) {
    expect(log).toContain(`\nprocessed ${processed} insns (limit 1000000) `);
    expect(log).toContain(explanation?.message);
  }
  expect(status).toBe(1);
});

test('--log-level prints the log line for line', () => {
  const every = output('verify', hello, '--log-level', '2').split('\n');
  expect(every[0]).toBe('func#0 @0');
  expect(every.some((line) => /^\d+: \(95\) exit$/.test(line))).toBe(true);
  expect(output('verify', hello, '--log-level', '4')).toMatch(
    /^verification time \d+ usec\nstack depth 0\nprocessed /,
  );
});

test('--set gives constants their values before the program is judged', () => {
  const counts = (...settings: string[]) =>
    report('examples/firewall.bpf.o', ...settings).objects[0]?.programs[0]?.processed;
  expect(counts('--set', 'blocked_port=443')).toBeGreaterThan(0);
  const unknown = skep(['verify', hello, '--set', 'nothing=1']);
  expect([unknown.status, unknown.stdout]).toEqual([2, '']);
});

describe('--kernel-version', () => {
  const errorOf = (version: string, ...args: string[]) => {
    const [program] = report(...args, '--kernel-version', version).objects[0]?.programs ?? [];
    return [program?.accepted, program?.explanation?.message ?? program?.error];
  };

  test('refuses what an older Linux does not have', () => {
    expect(errorOf('6.18', hello)).toEqual([true, undefined]);
    expect(errorOf('4.7', hello)).toEqual([
      false,
      expect.stringMatching(/xdp came with Linux 4\.8, and this is 4\.7|came with Linux/),
    ]);
    expect(errorOf('5.7', rejected, '--program', 'accepted')).toEqual([
      false,
      expect.stringMatching(/maps of type Ringbuf came with Linux 5\.8/),
    ]);
    expect(errorOf('5.8', rejected, '--program', 'accepted')).toEqual([true, undefined]);
    expect(errorOf('5.2', 'bench/programs/primes.bpf.o')).toEqual([
      false,
      expect.stringMatching(/^back-edge from insn \d+ to \d+: loops came with Linux 5\.3/),
    ]);
  });
});

test.each<[args: string[], says: RegExp]>([
  [[], /missing required argument 'object'/],
  [['nope.bpf.o'], /nope\.bpf\.o: there is no such file/],
  [['package.json'], /package\.json: this is no ELF file/],
  [[hello, '--program', 'x'], /no program 'x'[\s\S]*Programs: hello/],
  [[hello, '--log-level', '3'], /one of 0, 1, 2, 4, 6/],
  [[hello, '--kernel-version', 'new'], /'new' is no version of Linux/],
  [[hello, '--kernel-version', '7.0'], /Linux 7\.0 is not known/],
  [[hello, '--btf', 'nope.btf'], /nope\.btf: there is no such file/],
])('wrong: skep verify %j', (args, says) => {
  const { status, stdout, stderr } = skep(['verify', ...args]);
  expect(stderr).toMatch(says);
  expect(stderr).toMatch(/^skep: /);
  expect(stderr).not.toMatch(/\n\s+at /);
  expect([status, stdout]).toEqual([2, '']);
});
