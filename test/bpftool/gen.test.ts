// `gen`: what is made from objects, compared with what bpftool makes of them, compiled, and run.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { Btf, dumpRaw } from '../../src/btf/index.js';
import { EmulatedKernel } from '../../src/kernel/kernel.js';
import { missingKernel, missingTool, needs } from '../require.js';
import { type Outcome, runLine } from './memory-host.js';
import { applicationBpf } from './testdata/application.skel.js';

const root = path.join(import.meta.dirname, '../..');
const testdata = path.join(import.meta.dirname, 'testdata');
const kernel = new EmulatedKernel();
const file = (name: string): Uint8Array | undefined => {
  const where = path.join(root, name);
  if (name === 'vmlinux') {
    return new Uint8Array(gunzipSync(readFileSync(path.join(root, 'src/kernel/types/vmlinux.btf.gz'))));
  }
  return existsSync(where) ? new Uint8Array(readFileSync(where)) : undefined;
};
const gen = (...words: string[]): Promise<Outcome> => runLine(['gen', ...words], { kernel, file });

const LINKED = 'test/elf/linking/goldens/application+library.bpf.o';

describe('gen object', () => {
  test('links what it is given', async () => {
    const names = ['application', 'library'].map((name) => `test/elf/linking/${name}.bpf.o`);
    const { status, written, stdout, stderr } = await gen('object', 'out.o', ...names);
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '', stderr: '' });
    expect(written.get('out.o')?.length).toBeGreaterThan(1000);
  });

  test.each([
    [
      ['object', 'out.o'],
      255,
      "Error: 'object' needs at least 2 arguments, 1 found\nUsage: bpftool gen object",
    ],
    [['object', 'out.o', 'nope.o'], 254, "Error: failed to link 'nope.o': No such file or directory (2)\n"],
    [
      ['object', 'out.o', 'package.json'],
      234,
      'package.json: this is no ELF file. An object file comes from `clang -target bpf -O2 -g -c`.\n' +
        "Error: failed to link 'package.json': Invalid argument (22)\n",
    ],
  ])('%j is refused', async (words, status, text) => {
    const outcome = await gen(...words);
    expect(outcome.status).toBe(status);
    expect(outcome.stderr.slice(0, text.length)).toBe(text);
    expect(outcome.written.size).toBe(0);
  });
});

describe('gen min_core_btf', () => {
  // Made by bpftool 7.1 from the same kernel's types: bpftool gen min_core_btf VMLINUX core.min.btf core.bpf.o tracer.bpf.o
  test('keeps the types that bpftool keeps', async () => {
    const objects = ['test/elf/objects/core.bpf.o', 'test/elf/linking/tracer.bpf.o'];
    const { status, written } = await gen('min_core_btf', 'vmlinux', 'out.btf', ...objects);
    expect(status).toBe(0);
    const ours = Btf.parse(written.get('out.btf') ?? new Uint8Array());
    const theirs = Btf.parse(new Uint8Array(readFileSync(path.join(testdata, 'core.min.btf'))));
    expect(dumpRaw(ours)).toBe(dumpRaw(theirs));
    expect(ours.strings.bytes).toEqual(theirs.strings.bytes);
  });

  test.each([
    [['vmlinux', 'out.btf', 'nope.o'], 'failed to parse BPF object'],
    [['nope.btf', 'out.btf', LINKED], "failed parsing 'nope.btf' BTF file: No such file or directory"],
    [['package.json', 'out.btf', LINKED], "failed parsing 'package.json' BTF file"],
  ])('%j is refused', async (words, text) => {
    const { status, stderr, written } = await gen('min_core_btf', ...words);
    expect(status).not.toBe(0);
    expect(stderr).toContain(`Error: ${text}`);
    expect(written.size).toBe(0);
  });
});

/** The structure that a header declares, without what it has for C++. */
const structure = (text: string): string[] =>
  (/^struct \w+ \{\n[\s\S]*?(?=\n#ifdef __cplusplus)/m.exec(text)?.[0] ?? '')
    .split('\n')
    .filter((line) => line !== '');

/** Every function that a header has. */
const functions = (text: string): string[] =>
  [
    ...new Set(
      [
        ...text.matchAll(/\b(\w+__(?:open_opts|open_and_load|open|load|attach|detach|destroy|elf_bytes))\(/g),
      ].map(([, name = '']) => name),
    ),
  ].sort();

const OBJECTS = [
  LINKED,
  'test/elf/objects/callbacks.bpf.o',
  'test/elf/objects/externs.bpf.o',
  'test/elf/objects/core.bpf.o',
  'test/elf/objects/sections.bpf.o',
  'examples/firewall.bpf.o',
  'examples/loadbalancer.bpf.o',
];

needs('headers are those of bpftool', missingTool('bpftool'), 'SKEP_REQUIRE_TOOLS', () => {
  test.each(OBJECTS.flatMap((object) => ['skeleton', 'subskeleton'].map((kind) => [kind, object] as const)))(
    '%s %s has the same structure and functions',
    async (kind, object) => {
      const { stdout, status } = await gen(kind, object, 'name', 'it');
      expect(status).toBe(0);
      const real = spawnSync('bpftool', ['gen', kind, path.join(root, object), 'name', 'it'], {
        encoding: 'utf8',
      });
      // Before 7.2 it wrote the GNU keyword.
      expect(structure(stdout)).toEqual(structure(real.stdout.replaceAll('\ttypeof(', '\t__typeof__(')));
      expect(functions(stdout)).toEqual(functions(real.stdout));
    },
  );
});

const missingLibbpf =
  missingTool('gcc') ?? (existsSync('/usr/include/bpf/libbpf.h') ? undefined : 'libbpf-dev is not installed');

/** Runs `work` in a folder that has these files. */
function inFolder<T>(files: Record<string, string>, work: (folder: string) => T): T {
  const folder = mkdtempSync(path.join(tmpdir(), 'skep-gen-'));
  try {
    for (const [name, text] of Object.entries(files)) writeFileSync(path.join(folder, name), text);
    return work(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const USER = `
#include <stdio.h>
#include <linux/types.h>
#include <bpf/bpf.h>
#include "it.h"

int main(void)
{
	char packet[64] = {};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .data_size_in = sizeof(packet));
	struct it *it = it__open();

	if (!it)
		return 1;
	printf("%d %llu\\n", it->rodata->limit, (unsigned long long)it->data->seen);
	it->rodata->limit = 7;
	it->data->seen = 100;
	if (it__load(it))
		return 2;
	if (bpf_prog_test_run_opts(bpf_program__fd(it->progs.entry), &opts))
		return 3;
	printf("%u %llu %u\\n", opts.retval, (unsigned long long)it->data->seen, it->bss->calls);
	it__destroy(it);
	return 0;
}
`;

describe.skipIf(missingLibbpf !== undefined)(
  `headers compile (${missingLibbpf ?? 'with gcc and libbpf'})`,
  () => {
    test.each(['gcc', 'g++'])('with %s, without a warning', async (compiler) => {
      if (missingTool(compiler)) return;
      for (const kind of ['skeleton', 'subskeleton']) {
        const { stdout } = await gen(kind, LINKED, 'name', 'it');
        const source = `#include <linux/types.h>\n#include "it.h"\n`;
        const { stderr, status } = inFolder({ 'it.h': stdout, 'user.c': source }, (cwd) =>
          spawnSync(
            compiler,
            [
              ...(compiler === 'g++' ? ['-x', 'c++'] : []),
              '-Wall',
              '-Wextra',
              '-Wno-unused-function',
              '-fsyntax-only',
              'user.c',
            ],
            {
              cwd,
              encoding: 'utf8',
            },
          ),
        );
        expect(stderr).toBe('');
        expect(status).toBe(0);
      }
    });
  },
);

needs('a skeleton in C', missingKernel(), 'SKEP_REQUIRE_KERNEL', () => {
  test.skipIf(missingLibbpf !== undefined)('loads and runs the object that is in it', async () => {
    const { stdout } = await gen('skeleton', LINKED, 'name', 'it');
    const answer = inFolder({ 'it.h': stdout, 'user.c': USER }, (cwd) => {
      const built = spawnSync('gcc', ['user.c', '-o', 'user', '-lbpf', '-lelf', '-lz'], {
        cwd,
        encoding: 'utf8',
      });
      expect(built.stderr).toBe('');
      return spawnSync(path.join(cwd, 'user'), { encoding: 'utf8' });
    });
    expect({ status: answer.status, stdout: answer.stdout }).toEqual({
      status: 0,
      stdout: '10 5\n2 107 1\n',
    });
  });
});

describe('gen skeleton language ts', () => {
  test('makes the module that is used here', async () => {
    const { stdout, status } = await gen('skeleton', LINKED, 'name', 'application_bpf', 'language', 'ts');
    expect(status).toBe(0);
    const golden = path.join(testdata, 'application.skel.ts');
    const text = stdout.replace("from 'skep'", "from '../../../src/index.js'");
    if (process.env.SKEP_REMAKE === '1') writeFileSync(golden, text);
    expect(text).toBe(readFileSync(golden, 'utf8'));
  });

  test('variables, maps and programs have types', async () => {
    const opened = applicationBpf.open();
    expect(opened.variables.limit).toBe(10);
    opened.variables.limit = 7;
    opened.variables.seen = 100n;
    expect(() => {
      // @ts-expect-error: it is a number
      opened.variables.seen = {};
    }).toThrow();
    await using it = await opened.load(new EmulatedKernel());
    const { retval } = await it.programs.entry.run({ data: new Uint8Array(64) });
    expect(retval).toBe(2);
    const seen: bigint = await it.variables.seen.get();
    expect(seen).toBe(107n);
    const session = { id: 3, owner: 0n, bytes: 5n, low: 5, high: 0 };
    await it.maps.sessions.set(0, session);
    expect(await it.maps.sessions.get(0)).toEqual(session);
    await it.programs.entry.run({ data: new Uint8Array(64) });
    // @ts-expect-error: keys are numbers
    await it.maps.sessions.get('nobody').catch(() => {});
    expect((await it.maps['.bss'].get(0))?.calls).toBe(2);
    // @ts-expect-error: there is no such program
    expect(it.programs.nothing).toBeUndefined();
  });
});

test.each([
  [['skeleton', 'nope.o'], 'failed to stat() nope.o: No such file or directory'],
  [['skeleton', LINKED, 'name'], "'application+library.bpf.o' needs at least 2 arguments, 1 found"],
  [['skeleton', LINKED, 'nome', 'x'], 'unknown arg nome'],
  [['skeleton', LINKED, 'name', 'a', 'name', 'b'], 'object name already specified'],
  [['skeleton', LINKED, 'language', 'rust'], "expected 'c' or 'ts', got: 'rust'?"],
  [['subskeleton', LINKED, 'language', 'ts'], 'unknown arg language'],
  [['skeleton', 'package.json'], 'failed to open BPF object file: this is no ELF file'],
])('gen %j is refused', async (words, text) => {
  const { status, stderr, stdout } = await gen(...words);
  expect({ status, stdout }).toEqual({ status: 255, stdout: '' });
  expect(stderr).toContain(`Error: ${text.replace('application+library.bpf.o', LINKED)}`);
});

test('light skeletons are refused, and the error says why', async () => {
  const { status, stderr } = await runLine(['-L', 'gen', 'skeleton', LINKED], { kernel, file });
  expect(status).toBe(255);
  expect(stderr).toContain('light skeletons (-L), and signed ones (-S), are not made');
});
