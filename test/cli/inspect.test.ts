import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { output, root } from './skep.js';

interface Inspection {
  license: string;
  byteOrder: string;
  programs: {
    name: string;
    type: string;
    subprograms: string[];
    slots: number;
    tag: { sha1: string; sha256: string };
  }[];
  maps: {
    name: string;
    type: string;
    keyType?: string;
    valueType?: string;
    maxEntries: number;
    flags: string[];
  }[];
  variables: { name: string; section: string; declaration?: string; value?: unknown }[];
  externs: { name: string; section: string; kind: string; type?: string; weak: boolean }[];
  btf?: { bytes: number; types: number };
}
const inspect = (object: string): Inspection => JSON.parse(output('inspect', '--json', object)) as Inspection;

/** What Linux 6.18 showed of the same objects (test/elf/remake.mjs). */
const live = JSON.parse(readFileSync(path.join(root, 'test/elf/goldens/live.json'), 'utf8')) as Record<
  string,
  { programs: Record<string, { type: string; tag: string }>; maps: Record<string, { type: string }> }
>;

describe('skep inspect', () => {
  test('shows programs, maps, variables and the licence to people', () => {
    const text = output('inspect', 'examples/firewall.bpf.o');
    expect(text).toMatch(/licence +Dual BSD\/GPL/);
    expect(text).toMatch(/Program firewall\n +section +xdp\n +type +xdp, attach type xdp/);
    expect(text).toMatch(/subprograms +count_protocol, count_drop/);
    expect(text).toMatch(/counters +percpu_array +__u32, 4 B +struct counter, 16 B +8/);
    expect(text).toMatch(/const volatile __u16 blocked_port|volatile const __u16 blocked_port/);
    expect(text).toMatch(/blocked_port += 80/);
  });

  test('shows the same as JSON', () => {
    const found = inspect('examples/firewall.bpf.o');
    expect(found.programs.map(({ name }) => name)).toEqual(['firewall']);
    expect(found.programs[0]?.tag.sha1).toMatch(/^[0-9a-f]{16}$/);
    expect(found.maps.find(({ name }) => name === 'drops')).toMatchObject({
      type: 'hash',
      keyType: 'struct drop',
      valueType: 'struct counter',
      maxEntries: 256,
    });
    expect(found.variables.find(({ name }) => name === 'log_limit')?.value).toBe(8);
    expect(found.btf?.types).toBeGreaterThan(10);
  });

  test('writes integers beyond 2^53 as text', () => {
    const found = inspect('test/cli/fixtures/faults.bpf.o');
    expect(found.variables.find(({ name }) => name === 'large')?.value).toBe('9007199254740993');
  });

  test('shows externs, also functions, and objects without BTF', () => {
    expect(inspect('test/elf/objects/externs.bpf.o').externs.length).toBeGreaterThan(3);
    const kfuncs = inspect('test/elf/objects/kfuncs.bpf.o').externs;
    expect(kfuncs.find(({ kind }) => kind === 'function')?.type).toMatch(/\(/);
    expect(inspect('test/elf/objects/legacy.v2-nodebug.bpf.o').btf).toBeUndefined();
    expect(inspect('test/elf/objects/subprograms.eb.bpf.o').byteOrder).toBe('big');
  });
});

describe('shows the tags and types that Linux gives', () => {
  test.each(Object.keys(live))('%s', (object) => {
    const found = inspect(path.posix.join('test/elf', object));
    for (const [name, { type, tag }] of Object.entries(live[object]?.programs ?? {})) {
      const program = found.programs.find((candidate) => candidate.name === name);
      expect(program?.type).toBe(type);
      expect(program?.tag.sha256).toBe(tag);
    }
  });

  test('and the one that kernels before 6.18 gave', () => {
    expect(output('inspect', 'test/elf/objects/hello.v1.bpf.o')).toContain(
      'd35b94b4c0c10efb before Linux 6.18, 490c48c1179970a8 since',
    );
  });
});
