import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { goldenBtf, goldenText } from '../../test/btf/goldens.js';
import { rawJson } from '../../test/btf/json.js';
import { missingKernel, missingTool, needs } from '../../test/require.js';
import { Btf, BtfBuilder, dumpC, dumpRaw } from './index.js';

/** bpftool before 7.5: no sorting, no kfuncs, and one-byte enums not marked as such. */
const asBpftool71 = (btf: Btf) =>
  dumpC(btf, { unsorted: true, kfuncs: false }).replaceAll('} __attribute__((mode(byte)));', '};');

describe('types in raw form', () => {
  test.each([
    ['kinds', 'kinds.raw.txt', 'kinds.raw.json.txt', 'kinds.raw.pretty.txt'],
    ['kinds-be', 'kinds-be.raw.txt', 'kinds-be.raw.json.txt', 'kinds-be.raw.pretty.txt'],
    ...['hello', 'maps'].map((name) => [
      `bpftool-7.8/${name}`,
      ...['plain', 'json', 'pretty'].map((form) => `bpftool-7.8/${name}-btf-dump-file.${form}.txt`),
    ]),
  ] as [string, string, string, string][])(
    '%s as bpftool prints them, plain, -j and -p',
    (name, plain, json, pretty) => {
      const btf = goldenBtf(name);
      expect(dumpRaw(btf)).toBe(goldenText(plain));
      expect(rawJson(btf)).toBe(goldenText(json));
      expect(rawJson(btf, true)).toBe(goldenText(pretty));
    },
  );

  test('only the types asked for, as of a map, void included', () => {
    const btf = goldenBtf('bpftool-7.8/hello');
    // The kernel knows the size of the section, which the object file leaves open.
    const loaded = (text: string) =>
      text.replace("'.bss' size=0", "'.bss' size=4").replace(/("size": ?)0/, '$14');
    const roots = [0, btf.findByName('.bss', 'DATASEC') ?? 0];
    const golden = (form: string) => goldenText(`bpftool-7.8/hello-btf-dump-map.${form}.txt`);
    expect(loaded(dumpRaw(btf, roots))).toBe(golden('plain'));
    expect(loaded(rawJson(btf, false, roots))).toBe(golden('json'));
    expect(loaded(rawJson(btf, true, roots))).toBe(golden('pretty'));
  });

  test('split BTF prints only its own types', () => {
    const base = goldenBtf('kinds');
    const builder = new BtfBuilder({ base });
    const id = builder.add({ kind: 'FLOAT', name: 'half', size: 2 });
    expect(dumpRaw(Btf.parse(builder.encode(), { base }))).toBe(`[${id}] FLOAT 'half' size=2\n`);
  });
});

describe('types as C', () => {
  test.each(['hello', 'maps'])('%s as bpftool 7.8 prints it', (name) => {
    expect(dumpC(goldenBtf(`bpftool-7.8/${name}`))).toBe(
      goldenText(`bpftool-7.8/${name}-btf-dump-file-c.plain.txt`),
    );
  });

  test.each(['kinds', 'kinds-be'])('%s as bpftool 7.1 prints it', (name) => {
    expect(asBpftool71(goldenBtf(name))).toBe(goldenText(`${name}.h`));
  });

  test('only the types asked for, each after what it needs', () => {
    const btf = goldenBtf('kinds');
    const text = dumpC(btf, { roots: [btf.findByName('later') ?? 0] });
    const structs = [...text.matchAll(/^struct (\w+)( \{|;)/gm)].map(([, name, end]) => `${name}${end}`);
    expect(structs).toEqual(['before;', 'after {', 'later;', 'before {', 'later {']);
    expect(text).not.toContain('kfuncs');
  });

  test('types of the same name get numbers', () => {
    const builder = new BtfBuilder();
    builder.add({ kind: 'INT', name: 'int', size: 4, encoding: 1, bitOffset: 0, bits: 32 });
    for (const member of ['a', 'b']) {
      const members = [{ name: member, type: 1, bitOffset: 0, bitSize: 0 }];
      builder.add({ kind: 'STRUCT', name: 'same', size: 4, kindFlag: false, members });
    }
    builder.add({ kind: 'ENUM', name: 'e', size: 4, signed: false, values: [{ name: 'same', value: 1 }] });
    builder.add({ kind: 'TYPEDEF', name: 'same', type: 1 });
    const text = dumpC(Btf.parse(builder.encode()), { unsorted: true });
    expect(text.match(/\bsame\w*/g)).toEqual(['same', 'same___2', 'same', 'same___2']);
  });

  test('tagged functions become kfunc prototypes, by name', () => {
    const builder = new BtfBuilder();
    const int = builder.add({ kind: 'INT', name: 'int', size: 4, encoding: 1, bitOffset: 0, bits: 32 });
    const proto = builder.add({
      kind: 'FUNC_PROTO',
      name: '',
      returnType: int,
      params: [{ name: 'n', type: int }],
    });
    for (const name of ['second', 'first']) {
      const type = builder.add({ kind: 'FUNC', name, type: proto, linkage: 'static' });
      const tag = (tagName: string) =>
        builder.add({ kind: 'DECL_TAG', name: tagName, type, componentIndex: -1, attribute: false });
      tag('bpf_kfunc');
      if (name === 'first') tag('bpf_fastcall');
    }
    expect(dumpC(Btf.parse(builder.encode()))).toContain(
      '#ifndef BPF_NO_KFUNC_PROTOTYPES\n' +
        'extern __bpf_fastcall int first(int n) __weak __ksym;\n' +
        'extern int second(int n) __weak __ksym;\n#endif\n\n',
    );
  });

  test('a struct that holds itself is named in the error', () => {
    const builder = new BtfBuilder();
    const members = [{ name: 'm', type: 1, bitOffset: 0, bitSize: 0 }];
    builder.add({ kind: 'STRUCT', name: 'snake', size: 4, kindFlag: false, members });
    expect(() => dumpC(Btf.parse(builder.encode()), { roots: [1] })).toThrow(
      "BTF type [1] STRUCT 'snake': it contains itself",
    );
  });
});

const clang = missingTool('clang-19') ?? missingTool('llvm-objcopy-19');

/** The BTF that clang makes of a C text. */
function compile(text: string): Btf {
  const folder = mkdtempSync(join(tmpdir(), 'skep-btf-'));
  try {
    writeFileSync(join(folder, 'x.c'), text);
    execFileSync('clang-19', ['-target', 'bpf', '-g', '-O2', '-Werror', '-c', 'x.c', '-o', 'x.o'], {
      cwd: folder,
    });
    execFileSync('llvm-objcopy-19', ['--dump-section=.BTF=x.btf', 'x.o', 'y.o'], { cwd: folder });
    return Btf.parse(new Uint8Array(readFileSync(join(folder, 'x.btf'))));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Size, and offset and width of every member, of the struct or union with this name. */
function layout(btf: Btf, name: string): unknown {
  const id = btf.idsByName(name).find((candidate) => ['STRUCT', 'UNION'].includes(btf.kind(candidate)));
  const type = btf.type(id ?? 0);
  if (type.kind !== 'STRUCT' && type.kind !== 'UNION') throw new Error(`${name} is no struct`);
  const members = type.members.map((m) => [m.name, m.bitOffset, m.bitSize]);
  return { name, kind: type.kind, size: type.size, members: members.filter(([member]) => member !== '') };
}

needs('C that clang compiles', clang, 'SKEP_REQUIRE_TOOLS', () => {
  test.each([
    ['kinds', {}],
    ['kinds', { unsorted: true }],
    ['values', {}],
    ['bpftool-7.8/maps', {}],
  ] as const)('%s with %o keeps the layout of every struct', (object, options) => {
    const btf = goldenBtf(object);
    const text = dumpC(btf, options);
    const names = [...text.matchAll(/^(struct|union) (\w+) \{/gm)].map(([, keyword, name]) => [
      keyword,
      name,
    ]);
    expect(names.length).toBeGreaterThan(2);
    const uses = names.map(([keyword, name], i) => `${keyword} ${name} use_${i};`);
    const again = compile(`${text}\n${uses.join('\n')}\n`);
    for (const [, name] of names) expect(layout(again, name ?? '')).toEqual(layout(btf, name ?? ''));
  });
});

const vmlinux = missingKernel() ?? missingTool('bpftool');

needs('the BTF of the running kernel', vmlinux, 'SKEP_REQUIRE_KERNEL', () => {
  const path = '/sys/kernel/btf/vmlinux';
  const kernel = Btf.parse(new Uint8Array(readFileSync(path)));
  const bpftool = (...args: string[]) =>
    execFileSync('bpftool', ['btf', 'dump', 'file', path, 'format', ...args], {
      maxBuffer: 1 << 28,
    }).toString();
  // Comparing without expect() spares it a difference of a hundred thousand lines.
  const same = (ours: string, theirs: string) => {
    const left = ours.split('\n');
    const right = theirs.split('\n');
    const at = left.findIndex((line, i) => line !== right[i]);
    expect([at, left[at], left.length]).toEqual([-1, undefined, right.length]);
  };
  const major = /v(\d+)\.(\d+)/.exec(spawnSync('bpftool', ['version']).stdout?.toString() ?? '');
  const sorts = Number(major?.[1]) > 7 || (Number(major?.[1]) === 7 && Number(major?.[2]) >= 5);

  test('in raw form equals what bpftool prints', () => {
    same(dumpRaw(kernel), bpftool('raw'));
  }, 30_000);

  test('as C equals what bpftool prints', () => {
    const theirs = bpftool('c');
    same(
      sorts ? dumpC(kernel) : asBpftool71(kernel),
      sorts ? theirs : theirs.replaceAll('} __attribute__((mode(byte)));', '};'),
    );
  }, 30_000);

  needs('by name, with its kfuncs,', clang, 'SKEP_REQUIRE_TOOLS', () => {
    test.skipIf(clang !== undefined)(
      'as C by name, with its kfuncs, is what clang accepts',
      () => {
        const text = dumpC(kernel);
        expect(text.match(/^extern .* __weak __ksym;$/gm)?.length).toBeGreaterThan(0);
        const check = spawnSync('clang-19', ['-target', 'bpf', '-x', 'c', '-fsyntax-only', '-'], {
          input: text,
        });
        expect([check.status, check.stderr.toString()]).toEqual([0, '']);
      },
      30_000,
    );
  });
});
