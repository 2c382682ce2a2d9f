// `skep doctor`: what it finds here, and what it says on machines that lack something.

import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { release, tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import wabt from 'wabt';
import { hasWasmFeature, wasmFeatures } from '../../src/cli/doctor-wasm.js';
import { missingKernel, missingTool, needs } from '../require.js';
import { type Lack, skepWithout } from './pretend.js';
import { output, root } from './skep.js';

interface Check {
  name: string;
  ok: boolean;
  detail: string;
  advice?: string;
}

const checksOf = (json: string): Record<string, Check> => {
  const { groups } = JSON.parse(json) as { groups: { checks: Check[] }[] };
  return Object.fromEntries(groups.flatMap(({ checks }) => checks).map((check) => [check.name, check]));
};
const here = () => checksOf(output('doctor', '--json'));
const without = (lack: Lack) => {
  const { status, stdout, stderr } = skepWithout(lack, ['doctor', '--json']);
  // The emulated kernel runs all the same.
  expect([status, stderr]).toEqual([0, '']);
  return checksOf(stdout);
};

test('knows this Node and its WebAssembly', () => {
  const checks = here();
  expect(checks.Node).toMatchObject({ ok: true, detail: expect.stringContaining(process.versions.node) });
  for (const name of ['tail calls', 'sign extension', 'bulk memory', 'BigInt']) {
    expect(checks[`WebAssembly ${name}`]?.ok).toBe(true);
  }
});

test('says the same to people, a line for each thing', () => {
  const text = output('doctor');
  for (const { name, ok, detail, advice } of Object.values(here())) {
    const line = text.split('\n').find((one) => one.includes(` ${name} `) && one.includes(detail));
    expect(line?.trim().startsWith(ok ? 'ok' : 'no'), name).toBe(true);
    if (advice) expect(text).toContain(advice);
  }
  expect(text).toMatch(/^Programs run here/m);
});

describe('a feature of WebAssembly is found by a module that', () => {
  /** wabt's name of the feature, and what it calls the instruction. */
  const oracle: Record<string, [flag: string, text: RegExp]> = {
    'tail calls': ['tail_call', /return_call_indirect/],
    'sign extension': ['sign_extension', /i32\.extend8_s/],
    'bulk memory': ['bulk_memory', /memory\.fill/],
    'multi-value': ['multi_value', /\(result i32 i32\)/],
    SIMD: ['simd', /v128\.const/],
    threads: ['threads', /i32\.atomic\.load/],
  };

  test.each(wasmFeatures)('is valid with it and only with it: $name', async ({ name, module }) => {
    const [flag = '', text] = oracle[name] ?? [];
    const { readWasm } = await wabt();
    const check = (on: boolean): string => {
      const features = { [flag]: on };
      const read = readWasm(module, features);
      // Its types do not know that it takes them.
      const validate: (features: object) => void = read.validate.bind(read);
      validate(features);
      return read.toText({ foldExprs: false });
    };
    expect(check(true)).toMatch(text ?? /^$/);
    expect(() => check(false)).toThrow();
  });

  test('this host does not have when its module is broken', () => {
    for (const feature of wasmFeatures) {
      expect(hasWasmFeature(feature)).toBe(true);
      expect(hasWasmFeature({ ...feature, module: feature.module.slice(0, -1) })).toBe(false);
    }
  });
});

describe('tools', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'skep-doctor-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const withPath = (PATH: string): Record<string, Check> => {
    const main = path.join(root, 'dist/cli/main.js');
    const { stdout } = spawnSync(process.execPath, [main, 'doctor', '--json'], {
      cwd: root,
      encoding: 'utf8',
      env: { ...process.env, PATH },
    });
    return checksOf(stdout);
  };

  test('that are missing come with a way to get them', () => {
    expect(withPath(folder).clang).toMatchObject({
      ok: false,
      detail: 'not found',
      advice: /install clang/i,
    });
  });

  test.skipIf(process.platform === 'win32')('a clang without BPF is told from one that has it', () => {
    const fake = (name: string, target: string) => {
      const file = path.join(folder, name);
      writeFileSync(
        file,
        `#!/bin/sh\ncase $1 in --version) echo "clang version 15.0.0";; *) echo "    ${target} - Something";; esac\n`,
      );
      chmodSync(file, 0o755);
    };
    fake('clang', 'x86-64');
    expect(withPath(folder).clang).toMatchObject({
      ok: false,
      detail: '15.0.0 (clang) was built without BPF',
      advice: expect.stringContaining('Install clang'),
    });
    fake('clang-15', 'bpf');
    expect(withPath(folder).clang).toMatchObject({
      ok: true,
      detail: '15.0.0 (clang-15), with BPF as a target',
    });
  });

  needs('that are there', missingTool('clang-19') ?? missingTool('bpftool'), 'SKEP_REQUIRE_TOOLS', () => {
    test('are named with their versions', () => {
      const checks = here();
      const version = (command: string, pattern: RegExp, ...args: string[]) =>
        pattern.exec(spawnSync(command, args, { encoding: 'utf8' }).stdout)?.[1] ?? 'none';
      expect(checks.bpftool?.detail).toBe(version('bpftool', /bpftool v(\S+)/, 'version'));
      expect(checks.clang?.ok).toBe(true);
    });
  });
});

test('elsewhere than on Linux', () => {
  const { kernel } = without('no Linux');
  expect(kernel).toMatchObject({ ok: false, detail: expect.stringMatching(/^darwin/) });
  expect(kernel?.advice).toContain('emulated kernel');
});

needs('the kernel', missingKernel() ?? missingTool('setpriv'), 'SKEP_REQUIRE_KERNEL', () => {
  test('is described', () => {
    const checks = here();
    for (const name of ['kernel', 'koffi', 'rights', 'bpf(2)', 'BTF', 'trace']) {
      expect(checks[name], name).toMatchObject({ ok: true });
    }
    expect(checks.kernel?.detail).toContain(release());
    expect(checks.rights?.detail).toContain('CAP_BPF');
    expect(output('doctor')).toMatch(/^Programs run here, in the emulated kernel and in Linux\.$/m);
  });

  test('without rights', () => {
    const checks = without('no rights');
    expect(checks.rights).toMatchObject({ ok: false, advice: expect.stringContaining('sudo') });
    expect(checks['bpf(2)']?.ok).toBe(false);
  });

  test('without koffi', () => {
    const checks = without('no koffi');
    expect(checks.koffi).toMatchObject({ ok: false, advice: 'npm install koffi' });
    expect(checks['bpf(2)']?.ok).toBe(false);
  });
});
