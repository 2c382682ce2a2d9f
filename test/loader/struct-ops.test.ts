// Programs that implement members of a kernel structure: what they implement is read from the object's variables, and
// the kernel's verifier, which refuses any other member's context, is the oracle.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Btf } from '../../src/btf/index.js';
import { type CollectionSpec, parseObject } from '../../src/elf/index.js';
import { LinuxKernel } from '../../src/linux/index.js';
import { load } from '../../src/loader/index.js';
import { missingKernel, missingTool, needs } from '../require.js';
import { SilentKernel } from './silent.js';

// The order of the members is not the kernel's, and the suffix is a flavor: names decide.
const source = `
  #define SEC(name) __attribute__((section(name), used))
  struct sock;
  struct tcp_congestion_ops___mine {
    char name[16];
    unsigned int (*ssthresh)(struct sock *sk);
    void (*init)(struct sock *sk);
  };
  SEC("struct_ops") unsigned int half(unsigned long long *ctx) { return 2; }
  SEC("struct_ops/any_name") void begin(unsigned long long *ctx) {}
  SEC(".struct_ops.link") struct tcp_congestion_ops___mine first = { .name = "first", .ssthresh = (void *)half };
  SEC(".struct_ops.link") struct tcp_congestion_ops___mine second = { .init = (void *)begin };
  SEC("license") char _license[] = "GPL";`;

needs('an object with struct_ops', missingTool('clang-19'), 'SKEP_REQUIRE_TOOLS', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'skep-struct-ops-'));
  let spec: CollectionSpec;

  beforeAll(() => {
    const input = path.join(folder, 'ops.bpf.c');
    writeFileSync(input, source);
    const output = path.join(folder, 'ops.bpf.o');
    const clang = spawnSync('clang-19', ['-g', '-O2', '--target=bpf', '-c', input, '-o', output], {
      encoding: 'utf8',
    });
    if (clang.status !== 0) throw new Error(clang.stderr);
    spec = parseObject(readFileSync(output));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test('says which member each program implements', () => {
    const found = Object.fromEntries(spec.programs.map(({ name, structOps }) => [name, structOps]));
    expect(found).toEqual({
      half: { struct: 'tcp_congestion_ops___mine', member: 'ssthresh' },
      begin: { struct: 'tcp_congestion_ops___mine', member: 'init' },
    });
  });

  test('a kernel without BTF cannot take it: the error names the structure', async () => {
    await expect(load(spec, new SilentKernel())).rejects.toThrow(
      "program 'half': implements struct tcp_congestion_ops, whose layout the kernel does not give",
    );
  });

  needs('on this kernel', missingKernel(), 'SKEP_REQUIRE_KERNEL', () => {
    test('the kernel accepts both programs, and each only as its own member', async () => {
      using kernel = new LinuxKernel();
      const kernelBtf = Btf.parse(new Uint8Array(readFileSync('/sys/kernel/btf/vmlinux')));
      const collection = await load(spec, kernel, { kernelBtf });
      expect([...collection.programs.keys()].toSorted()).toEqual(['begin', 'half']);
      await collection.close();
      const unknown = spec.programs.map((program) =>
        program.name === 'half'
          ? { ...program, structOps: { struct: 'tcp_congestion_ops', member: 'no_such' } }
          : program,
      );
      await expect(load({ ...spec, programs: unknown }, kernel, { kernelBtf })).rejects.toThrow(
        "program 'half': implements tcp_congestion_ops.no_such, but the kernel's struct has no such member",
      );
    });
  });
});
