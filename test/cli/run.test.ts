// `skep run` as a child process, against what Linux answered to the same packets (examples/verdicts.json).

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { readPackets } from '../../src/pcap/index.js';
import { missingTool, needs } from '../require.js';
import { output, root, skep } from './skep.js';

const capture = 'examples/traffic.pcapng';
const firewall = 'examples/firewall.bpf.o';
const hello = 'examples/hello.bpf.o';
const faults = 'test/cli/fixtures/faults.bpf.o';
const scratch = mkdtempSync(path.join(tmpdir(), 'skep-cli-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

interface Report {
  engine: string;
  packets: number;
  bytes: number;
  nanoseconds: number;
  nanosecondsPerPacket: number;
  warmNanosecondsPerPacket?: number;
  verdicts: { name: string; value?: number; packets: number; bytes: number; share: number }[];
  faults: {
    kind: string;
    message?: string;
    count: number;
    firstPacket: number;
    source?: { line: number; text: string };
  }[];
  trace: { total: number; lines: string[] };
  maps: { name: string; type: string; count: number; entries: { key: unknown; value: unknown }[] }[];
  variables: { name: string; section: string; type?: string; value: unknown }[];
  output?: { file: string; packets: number };
  error?: string;
}

interface LinuxRun {
  object: string;
  program: string;
  counts: Record<string, number>;
  verdicts: string;
  changed: Record<string, string>;
  maps: Record<string, { key: unknown; value: unknown }[]>;
}
const linux = (
  JSON.parse(readFileSync(path.join(root, 'examples/verdicts.json'), 'utf8')) as { runs: LinuxRun[] }
).runs;

const report = (...args: string[]): Report =>
  JSON.parse(
    output('run', ...args, ...(args.includes('--pcap') ? [] : ['--pcap', capture]), '--json'),
  ) as Report;
const counts = ({ verdicts }: Report) =>
  Object.fromEntries(verdicts.map(({ value, packets }) => [value, packets]));
const map = (from: Report, name: string) => from.maps.find((candidate) => candidate.name === name);
const variable = (from: Report, name: string) =>
  from.variables.find((candidate) => candidate.name === name)?.value;

describe('gives the verdicts and maps that Linux gave', () => {
  const cases = linux.flatMap((run) =>
    (['jit', 'interpreter'] as const).map((engine) => [run.program, engine, run] as const),
  );
  test.each(cases)('%s, %s', (program, engine, run) => {
    const found = report(`examples/${run.object}`, '--program', program, '--engine', engine);
    expect(found.engine).toBe(engine);
    expect(counts(found)).toEqual(run.counts);
    const sorted = (entries: { key: unknown; value: unknown }[] = []) =>
      entries.map(({ key, value }) => JSON.stringify([key, Array.isArray(value) ? value[0] : value])).sort();
    for (const [name, entries] of Object.entries(run.maps)) {
      if (name.endsWith('_bss')) {
        const [section] = entries[0]?.value
          ? Object.values(entries[0].value as Record<string, object[]>)
          : [];
        for (const [known, value] of (section ?? []).flatMap((item) => Object.entries(item))) {
          expect(variable(found, known), known).toEqual(value);
        }
      } else {
        expect(sorted(map(found, name)?.entries), name).toEqual(sorted(entries));
      }
    }
  });
});

test('both engines print the same, times apart', () => {
  const without = (engine: string) => {
    const {
      nanoseconds,
      nanosecondsPerPacket,
      warmNanosecondsPerPacket,
      engine: name,
      ...rest
    } = report('examples/ratelimit.bpf.o', '--engine', engine);
    expect(nanoseconds).toBeGreaterThan(0);
    expect(nanosecondsPerPacket).toBeGreaterThan(0);
    expect(warmNanosecondsPerPacket).toBeGreaterThan(0);
    expect(name).toBe(engine);
    return rest;
  };
  const jit = without('jit');
  expect(without('interpreter')).toEqual(jit);
  // By the capture's clock some packets come too fast for the limit.
  expect(jit.verdicts.map(({ name }) => name)).toEqual(['XDP_PASS', 'XDP_DROP']);
});

describe('the report for people', () => {
  const text = output('run', firewall, '--pcap', capture);

  test('has verdicts, time, trace, maps and variables', () => {
    expect(text).toMatch(/XDP_PASS +2,026 +684,669 +81\.8 % +█/);
    expect(text).toMatch(/XDP_DROP +451 +36,021 +18\.2 % +█/);
    expect(text).toMatch(/ns a packet in the program \([\d,]+ packets a second\)/);
    expect(text).toMatch(/^Trace \(8 lines\)$/m);
    expect(text).toMatch(
      /^ {2} {12}skep-1 {7}\[000\] \.\.\.11 +4\.\d{6}: bpf_trace_printk: drop: .*protocol 6, port 80$/m,
    );
    expect(text).toMatch(
      /\{ reason: REASON_PORT, port: \{ number: 80, protocol: 6 \} \} = \{ packets: 405, bytes: 33566 \}/,
    );
    expect(text).toMatch(/^ {2}dropped = 451$/m);
    expect(text).not.toContain('____fmt');
  });

  test('keeps to a number of trace lines and map entries, and says how many more there are', () => {
    const short = output('run', hello, '--pcap', capture, '--trace', '2');
    expect(short.match(/bpf_trace_printk/g)).toHaveLength(2);
    expect(short).toContain('... 2,475 more (--trace 2477)');
    expect(output('run', hello, '--pcap', capture, '--no-trace')).not.toContain('Trace');
    const balancer = ['run', 'examples/loadbalancer.bpf.o', '--program', 'loadbalancer', '--pcap', capture];
    expect(output(...balancer)).toContain('... 38 more (--all-entries)');
    expect(output(...balancer).match(/ = \{ backend: /g)).toHaveLength(20);
    expect(output(...balancer, '--all-entries').match(/ = \{ backend: /g)).toHaveLength(58);
    expect(output(...balancer)).toContain('[6] = loadbalancer_tcp');
  });

  test('has one value for each CPU of a per-CPU map', () => {
    expect(output('run', firewall, '--pcap', capture, '--cpus', '2')).toMatch(
      /\[4\]\n {4}cpu 0 = \{ packets: 1438, bytes: 450245 \}\n {4}cpu 1 = \{ packets: 0, bytes: 0 \}/,
    );
  });
});

describe('--set', () => {
  test('changes a variable', () => {
    const other = report(firewall, '--set', 'blocked_port=443', '--set', 'log_limit=0x0');
    expect(variable(other, 'blocked_port')).toBe(443);
    expect(other.trace.total).toBe(0);
    expect(counts(other)).not.toEqual(linux.find(({ program }) => program === 'firewall')?.counts);
  });

  test('changes members, elements and texts, and takes enumerators and JSON', () => {
    const settings = [
      'settings.mode=MODE_ON',
      'settings.peers[1].port=8080',
      'settings.name=abc',
      'settings.peers[0]={"bytes":[1,2]}',
    ];
    const found = report(faults, '--unverified', ...settings.flatMap((setting) => ['--set', setting]));
    expect(variable(found, 'settings')).toEqual({
      mode: 'MODE_ON',
      peers: [
        { bytes: [1, 2, 0, 0], port: 0 },
        { bytes: [0, 0, 0, 0], port: 8080 },
      ],
      name: 'abc',
    });
    expect(found.verdicts[0]?.name).toBe('XDP_TX');
  });
});

test('a program that the verifier refuses is not run, and it is said why', () => {
  const { status, stdout, stderr } = skep(['run', faults, '--pcap', capture]);
  expect(stderr).toMatch(
    /^skep: program 'faults': the kernel refused it: .*invalid mem access 'map_value_or_null'$/m,
  );
  expect(stderr).toContain('  faults.bpf.c:44:12\n');
  expect(stderr).toMatch(/^ {2}Mending: /m);
  expect(stderr).not.toMatch(/processed \d+ insns/);
  expect([status, stdout]).toEqual([1, '']);
  const withLog = skep(['run', faults, '--pcap', capture, '--log']);
  expect(withLog.stderr).toMatch(/^ {2}processed \d+ insns/m);
});

describe('runs that go wrong', () => {
  test('are counted, with the place in the source', () => {
    const found = report(faults, '--unverified');
    expect(found.verdicts.map(({ name }) => name)).toEqual(['XDP_PASS', 'unknown', 'error']);
    expect(found.verdicts[1]?.value).toBe(77);
    expect(found.faults.map(({ kind, count, source }) => [kind, count, source?.line, source?.text])).toEqual([
      ['null-dereference', 521, 44, '    return *(__u64 *)bpf_map_lookup_elem(&nothing, &length);'],
      ['out-of-bounds', 202, 46, '    return data[length];'],
    ]);
    expect(found.faults.reduce((sum, { count }) => sum + count, 0)).toBe(found.verdicts[2]?.packets);
    const text = output('run', faults, '--pcap', capture, '--unverified');
    expect(text).toContain('      46 |     return data[length];\n         |            ^\n');
  });

  test('are the same in both engines', () => {
    const summary = (engine: string) => {
      const found = report(faults, '--unverified', '--engine', engine);
      // Addresses differ with what else lies in memory.
      return {
        verdicts: found.verdicts,
        maps: found.maps,
        faults: found.faults.map(({ message, ...fault }) => fault),
      };
    };
    expect(summary('jit')).toEqual(summary('interpreter'));
  });

  test.each(['jit', 'interpreter'])('end with their budget when they loop (%s)', (engine) => {
    const primes = 'bench/programs/primes.bpf.o';
    const found = report(primes, '--unverified', '--budget', '10', '--limit', '5', '--engine', engine);
    expect(found.faults[0]?.kind).toBe('budget');
    expect(found.verdicts.at(-1)?.name).toBe('error');
  });

  test('64-bit numbers beyond 2^53 are text in JSON', () => {
    const found = report(faults, '--unverified');
    expect(variable(found, 'large')).toBe('9007199254740993');
    expect(map(found, 'lengths')?.entries[1]?.value).toEqual(['9007199254740993']);
  });
});

describe('captures', () => {
  test('come from standard input too', () => {
    const input = readFileSync(path.join(root, capture));
    const { status, stdout } = skep(['run', firewall, '--pcap', '-', '--json'], { input });
    expect(status).toBe(0);
    expect(counts(JSON.parse(stdout) as Report)).toEqual(
      linux.find(({ program }) => program === 'firewall')?.counts,
    );
  });

  test('may be stopped at a number of packets', () => {
    expect(report(hello, '--limit', '1500').packets).toBe(1500);
    expect(report(hello, '--limit', '0').packets).toBe(0);
  });

  test('that are cut off: what was read is reported, then the damage', () => {
    const cut = path.join(scratch, 'cut.pcapng');
    writeFileSync(cut, readFileSync(path.join(root, capture)).subarray(0, 5000));
    const { status, stdout, stderr } = skep(['run', hello, '--pcap', cut, '--json']);
    expect(status).toBe(1);
    const found = JSON.parse(stdout) as Report;
    expect(found.packets).toBe(39);
    expect(variable(found, 'counter')).toBe(39);
    expect(found.error).toContain('byte 4996');
    expect(stderr).toMatch(/cut\.pcapng: .*byte 4996/);
  });
});

describe('--out', () => {
  const read = async (file: string) => {
    const packets: { bytes: Uint8Array; timestamp: bigint }[] = [];
    for await (const { count, data, offsets, timestamps } of readPackets([readFileSync(file)])) {
      for (let i = 0; i < count; i++) {
        packets.push({ bytes: data.subarray(offsets[i], offsets[i + 1]), timestamp: timestamps[i] ?? 0n });
      }
    }
    return packets;
  };
  const run = linux.find(({ program }) => program === 'loadbalancer');
  const file = path.join(scratch, 'out.pcapng');
  const args = ['examples/loadbalancer.bpf.o', '--program', 'loadbalancer', '--out', file];

  test('has the packets that live, changed as the program left them', async () => {
    const before = await read(path.join(root, capture));
    const kept = [...(run?.verdicts ?? '')].flatMap((verdict, i) => (verdict === '1' ? [] : [i]));
    expect(report(...args).output).toEqual({ file, packets: kept.length });
    const after = await read(file);
    expect(after.map(({ timestamp }) => timestamp)).toEqual(kept.map((i) => before[i]?.timestamp));
    const changed = kept.filter(
      (index, i) => Buffer.compare(after[i]?.bytes ?? Buffer.of(), before[index]?.bytes ?? Buffer.of()) !== 0,
    );
    expect(changed.map(String)).toEqual(Object.keys(run?.changed ?? {}));
  });

  test('has dropped packets too when asked for', async () => {
    expect(report(...args, '--keep-dropped').output?.packets).toBe(run?.verdicts.length);
    expect(await read(file)).toHaveLength(run?.verdicts.length ?? 0);
  });

  needs('is a file for', missingTool('tcpdump'), 'SKEP_REQUIRE_TOOLS', () => {
    test('tcpdump', () => {
      report(...args);
      const { stdout, status } = spawnSync('tcpdump', ['-n', '-r', file], {
        encoding: 'utf8',
        maxBuffer: 1 << 26,
      });
      expect(status).toBe(0);
      expect(stdout.match(/ 203\.0\.113\.\d+\.80: Flags \[S\]/g)?.length).toBeGreaterThan(5);
    });
  });

  needs('shows its verdicts to', missingTool('tshark'), 'SKEP_REQUIRE_TOOLS', () => {
    test('tshark', () => {
      report(...args, '--keep-dropped');
      const fields = ['-T', 'fields', '-e', 'frame.verdict.ebpf_xdp'];
      const { stdout } = spawnSync('tshark', ['-n', '-r', file, ...fields], {
        encoding: 'utf8',
        maxBuffer: 1 << 26,
      });
      const verdicts = stdout.trim().split('\n').map(Number);
      expect(verdicts.join('')).toBe(run?.verdicts);
    });
  });
});
