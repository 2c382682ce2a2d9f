// Objects by clang-19 against what llvm-readelf-19 reads in them and what libbpf and the kernel made of them.
// remake.mjs makes the objects and records the goldens; goldens/manifest.json names the tools.

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { MapFlag, MapType, mapTypeName, ProgType, progTypeName } from '../../src/bpf/types.js';
import { ElfFile, relocationTypeName, SectionType } from '../../src/elf/file.js';
import { type MapSpec, type ProgramSpec, parseObject, parseSectionName } from '../../src/elf/index.js';
import { programTag } from '../../src/isa/index.js';
import { VerifyingKernel } from '../../src/kernel/verifying.js';
import { load as loadInto } from '../../src/loader/index.js';

const here = import.meta.dirname;
const golden = <T>(name: string): T =>
  JSON.parse(readFileSync(path.join(here, 'goldens', name), 'utf8')) as T;
const bytes = (file: string): Uint8Array => readFileSync(path.resolve(here, file));
const load = (name: string) => parseObject(bytes(`objects/${name}.bpf.o`), { name: `${name}.bpf.o` });
const files = readdirSync(path.join(here, 'objects'));

function program(name: string, file: string): ProgramSpec {
  const found = load(file).programs.find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`no program ${name} in ${file}`);
  return found;
}

function map(name: string, file: string): MapSpec {
  const found = load(file).maps.find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`no map ${name} in ${file}`);
  return found;
}

describe('the container is what llvm-readelf reads', () => {
  type Row = (string | number)[];
  type Readelf = Record<
    string,
    { sections: Row[]; symbols: Row[]; relocations: [number, [number, string, string][]][] }
  >;
  const expected = golden<Readelf>('readelf.json');
  test.each(files)('%s', (file) => {
    const elf = ElfFile.parse(bytes(`objects/${file}`));
    const want = expected[file];
    expect(
      elf.sections.map((s) => [
        s.name,
        s.type,
        s.flags,
        s.offset,
        s.size,
        s.link,
        s.info,
        s.alignment,
        s.entrySize,
      ]),
    ).toEqual(want?.sections);
    expect(
      elf.symbols.map((s) => [
        // readelf names a section symbol by its section.
        s.name === '' && s.type === 3 ? (elf.sections[s.section]?.name ?? '') : s.name,
        s.value,
        s.size,
        s.binding,
        s.type,
        s.visibility,
        s.section,
      ]),
    ).toEqual(want?.symbols);
    const relocations = elf.sections
      .filter(({ type }) => type === SectionType.Rel)
      .map((section) => [
        section.index,
        elf
          .relocations(section)
          .map(({ offset, type, symbol }) => [
            offset,
            relocationTypeName(type),
            symbol.name || (elf.sections[symbol.section]?.name ?? ''),
          ]),
      ]);
    expect(relocations).toEqual(want?.relocations);
  });
});

describe('programs and maps are those that libbpf gives to the kernel', () => {
  interface Live {
    programs: Record<string, { type: string; tag: string }>;
    maps: Record<
      string,
      { type: string; flags: number; keySize: number; valueSize: number; maxEntries: number; frozen: number }
    >;
  }
  const live = Object.entries(golden<Record<string, Live>>('live.json'));
  test.each(live)('%s', (file, { programs, maps }) => {
    const spec = parseObject(bytes(file));
    const tags = spec.programs.map(({ name, type, instructions }) => [
      name,
      { type: progTypeName(type), tag: programTag(instructions, 'sha256') },
    ]);
    expect(Object.fromEntries(tags)).toEqual(programs);

    // The kernel keeps 15 characters of a name.
    const byName = new Map(spec.maps.map((it) => [it.name.slice(0, 15), it]));
    const prefix = path.basename(file).replace(/\..*/, '').slice(0, 8);
    for (const [name, want] of Object.entries(maps)) {
      // libbpf puts the object's name before that of a section; the loader does the same.
      const mine =
        byName.get(name) ??
        byName.get(name.slice(prefix.length)) ??
        byName.get(name.slice(prefix.length - 1));
      expect(mine, name).toBeDefined();
      if (mine === undefined) continue;
      const { type, flags, keySize, valueSize, section } = mine;
      const frozen = section?.kind === 'rodata' || section?.kind === 'kconfig' ? 1 : 0;
      const { maxEntries, ...rest } = want;
      // libbpf 1.1, of the golden, makes every section mappable; 1.8 only those with a variable that others can name.
      const common = section === undefined ? flags : flags | MapFlag.Mmapable;
      expect({ type: mapTypeName(type), flags: common, keySize, valueSize, frozen }, name).toEqual(rest);
      // Rounded to pages, or to the number of CPUs, when the map is made.
      if (type !== MapType.Ringbuf && type !== MapType.PerfEventArray) {
        expect(mine.maxEntries, name).toBe(maxEntries);
      }
    }
    expect(spec.maps.length).toBe(Object.keys(maps).length);
  });

  test('the tags of the classic hello are the known ones', () => {
    const { instructions } = program('hello', 'hello.v1');
    expect(programTag(instructions, 'sha1')).toBe('d35b94b4c0c10efb');
    expect(programTag(instructions, 'sha256')).toBe('490c48c1179970a8');
  });
});

describe('section names say what libbpf says', () => {
  const names = Object.entries(golden<Record<string, [number, number] | null>>('section-names.json'));
  // Newer than the libbpf that the golden was recorded from.
  const newer =
    /^(?:netfilter|sk_skb\/verdict|tp_btf\.s|tcx|tc\/|netkit|fsession|fentry\.multi|fexit\.multi|tracepoint\.s|tp\.s|raw_tracepoint\.s|raw_tp\.s|kprobe\.session|uprobe\.multi|uretprobe\.multi|uprobe\.session|usdt\.s|struct_ops\.s|cgroup\/\w+_unix)/;
  const known = names.filter(([name, want]) => want !== null || !newer.test(name));
  test.each(known)('%s', (name, want) => {
    const parsed = parseSectionName(name)?.definition;
    expect(parsed === undefined ? null : [parsed.type, parsed.attachType ?? 0]).toEqual(want);
  });
});

describe('linking', () => {
  test('appends subprograms in the order of their first calls, each call followed to its end', () => {
    expect(program('alpha', 'subprograms').functions.map(({ name }) => name)).toEqual([
      'alpha',
      'second',
      'first',
      'third',
    ]);
    expect(program('beta', 'subprograms').functions.map(({ name }) => name)).toEqual([
      'beta',
      'maybe',
      'hidden',
      'first',
      'third',
    ]);
  });

  test('is the same for both byte orders', () => {
    for (const [little, big] of [
      ['subprograms', 'subprograms.eb'],
      ['subprograms.v2-nodebug', 'subprograms.eb-v2-nodebug'],
      ['callbacks', 'callbacks.eb'],
      ['variables.v2-nodebug', 'variables.eb-v2-nodebug'],
    ] as const) {
      const shape = (name: string) =>
        load(name).programs.map(({ instructions, functions, references }) => ({
          opcodes: instructions.map(({ opcode }) => opcode),
          calls: instructions.filter(({ opcode, src }) => opcode === 0x85 && src === 1).map(({ imm }) => imm),
          functions: functions.map(({ name: fn, slot }) => [fn, slot]),
          references,
        }));
      expect(shape(big)).toEqual(shape(little));
      expect(load(big).byteOrder).toBe('big');
    }
  });

  test('points callbacks to where they are in the linked program', () => {
    const each = program('each', 'callbacks');
    const slots = new Map(each.functions.map(({ name, slot }) => [name, slot]));
    let slot = 0;
    const targets: Record<string, number> = {};
    for (const insn of each.instructions) {
      const reference = each.references.find((it) => it.kind === 'function' && it.slot === slot);
      if (reference?.kind === 'function') targets[reference.name] = slot + 1 + insn.imm;
      slot += insn.immHigh === undefined ? 1 : 2;
    }
    expect(Object.keys(targets).toSorted()).toEqual(['add_element', 'add_square']);
    for (const [name, target] of Object.entries(targets)) expect(target, name).toBe(slots.get(name));
  });

  test('moves function ids and source lines along', () => {
    const { functions, lines } = program('alpha', 'subprograms');
    const { btf } = load('subprograms');
    for (const { name, typeId } of functions) expect(btf?.nameOf(typeId)).toBe(name);
    for (const { slot, name } of functions) {
      const first = lines.find((line) => line.slot === slot);
      expect(first?.file, name).toContain('subprograms.bpf.c');
      expect(lines.filter((line) => line.slot === slot)).toHaveLength(1);
    }
    expect(lines.map(({ slot }) => slot)).toEqual(lines.map(({ slot }) => slot).toSorted((a, b) => a - b));
    expect(lines.find(({ text }) => text.includes('return x * 3 + calls'))?.slot).toBeGreaterThan(
      functions.at(-1)?.slot ?? Number.NaN,
    );
  });

  test('reads objects without debug information', () => {
    const spec = load('subprograms.v2-nodebug');
    expect(spec.btf).toBeUndefined();
    expect(spec.programs.map(({ name }) => name)).toEqual(['alpha', 'beta', 'gamma', 'delta']);
    expect(spec.programs.every(({ lines }) => lines.length === 0)).toBe(true);
  });

  test('takes a static function in the section of a program as a subprogram', () => {
    const spec = load('static-program');
    expect(spec.programs.map(({ name, functions }) => [name, functions.map((fn) => fn.name)])).toEqual([
      ['program', ['program', 'helper']],
    ]);
  });

  test('takes a lone function in .text as a program whose type is open', () => {
    expect(load('single').programs).toMatchObject([{ name: 'single', section: '.text', type: 0 }]);
  });

  test('keeps CO-RE records with their instructions', () => {
    const { coreRelocations, instructions } = program('questions', 'core');
    expect(coreRelocations.map(({ kind }) => kind)).toEqual([2, 1, 2, 8, 9, 8, 11, 10, 7]);
    const slots = new Set<number>();
    let slot = 0;
    for (const insn of instructions) {
      slots.add(slot);
      slot += insn.immHigh === undefined ? 1 : 2;
    }
    for (const relocation of coreRelocations) expect(slots.has(relocation.slot)).toBe(true);
  });
});

describe('sections', () => {
  test('give type, attach type, target, flags and autoload', () => {
    const rows = load('sections').programs.map(({ name, type, attachType, attachTo, flags, autoload }) => [
      name,
      progTypeName(type),
      attachType,
      attachTo,
      flags,
      autoload,
    ]);
    expect(rows).toEqual([
      ['off', 'xdp', 37, undefined, 32, false],
      ['kprobe', 'kprobe', undefined, 'do_unlinkat', 0, true],
      ['sleepable', 'kprobe', 48, '/bin/true:main', 16, true],
      ['event', 'tracepoint', undefined, 'syscalls/sys_enter_open', 0, false],
      ['fentry', 'tracing', 24, 'bpf_fentry_test1', 16, true],
      ['bare', 'tracing', 25, undefined, 0, true],
      ['cgroup', 'cgroup_sock_addr', 10, undefined, 0, true],
      ['ingress', 'cgroup_skb', 0, undefined, 0, true],
      ['call', 'syscall', undefined, undefined, 16, true],
      ['old', 'unspec', undefined, undefined, 0, true],
      ['older', 'unspec', undefined, undefined, 0, true],
      ['unknown', 'unspec', undefined, undefined, 0, true],
    ]);
  });
});

describe('maps', () => {
  test('have initial slots for inner maps and programs', () => {
    expect(map('outer', 'maps').initialSlots).toEqual([
      { index: 1, kind: 'map', name: 'right' },
      { index: 4, kind: 'map', name: 'left' },
      { index: 5, kind: 'map', name: 'right' },
    ]);
    expect(map('stages', 'maps').initialSlots).toEqual([
      { index: 0, kind: 'program', name: 'second' },
      { index: 3, kind: 'program', name: 'second' },
    ]);
    for (const variant of ['maps.eb', 'maps.linked']) {
      expect(map('outer', variant).initialSlots).toEqual(map('outer', 'maps').initialSlots);
    }
  });

  test('have the template of their inner maps', () => {
    const { innerMap } = map('outer_hash', 'maps');
    expect(innerMap).toMatchObject({
      name: 'outer_hash.inner',
      type: MapType.Hash,
      maxEntries: 5,
      valueSize: 16,
    });
  });

  test('keep pinning, NUMA node and map_extra', () => {
    expect(map('per_cpu', 'maps').pinning).toBe(1);
    expect(map('on_node', 'maps').numaNode).toBe(0);
    expect(map('bloom', 'maps').mapExtra).toBe(3);
  });

  test.each(['legacy', 'legacy.v2-nodebug', 'legacy.eb-v2-nodebug'])('of the time before BTF: %s', (file) => {
    expect(load(file).maps).toEqual([
      expect.objectContaining({
        name: 'counters',
        type: MapType.PercpuArray,
        keySize: 4,
        valueSize: 8,
        maxEntries: 256,
        flags: 0,
      }),
      expect.objectContaining({
        name: 'seen',
        type: MapType.Hash,
        keySize: 4,
        valueSize: 16,
        maxEntries: 77,
        flags: 1,
      }),
    ]);
    expect(program('count', file).references).toMatchObject([
      { kind: 'map', map: 'counters' },
      { kind: 'map', map: 'seen' },
    ]);
  });
});

describe('objects for loaders before libbpf 1.0', () => {
  test('have maps with inner maps, by the index or the id of a definition, and NUMA nodes', () => {
    expect(load('early').maps).toMatchObject([
      { name: 'inner', type: MapType.Hash, maxEntries: 7, numaNode: 0 },
      {
        name: 'outer',
        type: MapType.ArrayOfMaps,
        valueSize: 4,
        innerMap: { name: 'outer.inner', type: MapType.Hash, keySize: 4, valueSize: 8, maxEntries: 7 },
      },
      { name: 'table', type: MapType.Array, maxEntries: 5, pinning: 0 },
      {
        name: 'tables',
        type: MapType.HashOfMaps,
        innerMap: { name: 'tables.inner', type: MapType.Array, keySize: 4, valueSize: 16, maxEntries: 5 },
      },
    ]);
  });

  test('have a program in each section, a static one too when nobody calls it', () => {
    expect(load('early').programs.map(({ name, section, type }) => [name, section, type])).toEqual([
      ['named_loosely', 'xdp_early', ProgType.Unspec],
      ['of_any_name', 'from-netdev', ProgType.Unspec],
      ['with_a_section_of_its_own', '2/1', ProgType.Unspec],
      ['calls_nothing_known', 'tc', ProgType.SchedCls],
    ]);
  });

  test('refer to maps without a type of relocation, where no machine has a number yet', () => {
    const bytes = new Uint8Array(readFileSync(path.join(here, 'objects/legacy.v2-nodebug.bpf.o')));
    const view = new DataView(bytes.buffer);
    const elf = ElfFile.parse(bytes);
    view.setUint16(18, 0, true);
    for (const { type, offset, size } of elf.sections) {
      for (let at = offset; type === SectionType.Rel && at < offset + size; at += 16)
        view.setUint32(at + 8, 0, true);
    }
    expect(parseObject(bytes).programs.map(({ references }) => references)).toEqual(
      load('legacy.v2-nodebug').programs.map(({ references }) => references),
    );
  });

  test('load but for the programs that refer to what is nowhere defined', async () => {
    const spec = load('early');
    expect(spec.externs).toMatchObject([{ name: 'nowhere', section: undefined }]);
    const kernel = new VerifyingKernel();
    await expect(loadInto(spec, kernel, { programs: ['calls_nothing_known'] })).rejects.toThrow(
      "extern 'nowhere': is declared, but nowhere defined",
    );
  });
});

describe('variables', () => {
  const table = (name: string) =>
    load(name).variables.map(({ name: variable, map: section, offset, size, linkage }) => [
      variable,
      section,
      offset,
      size,
      linkage,
    ]);

  test('have the place and size of their symbols', () => {
    const elf = ElfFile.parse(bytes('objects/variables.bpf.o'));
    for (const [name, section, offset, size] of table('variables')) {
      const symbol = elf.symbols.find((it) => it.name === name && elf.sections[it.section]?.name === section);
      expect(symbol, String(name)).toMatchObject({ value: offset, size });
    }
    expect(table('variables').length).toBeGreaterThan(15);
  });

  test('are the same without debug information, but for their types', () => {
    const sorted = (name: string) => table(name).toSorted((a, b) => String(a).localeCompare(String(b)));
    expect(sorted('variables.v2-nodebug').filter(([name]) => name !== 'concealed')).toEqual(
      sorted('variables.v4')
        .map(([name, section, offset, size, linkage]) => [
          name,
          section,
          offset,
          size,
          name === 'lonely' || name === 'concealed' ? 'global' : linkage,
        ])
        .filter(([name]) => name !== 'concealed'),
    );
  });

  test('are the same after libbpf has linked the object', () => {
    expect(table('variables.linked').toSorted()).toEqual(table('variables').toSorted());
  });

  test('have their initial value in the contents of their section', () => {
    const spec = load('variables');
    const value = (name: string) => {
      const it = spec.variables.find((variable) => variable.name === name);
      const contents = spec.maps.find((candidate) => candidate.name === it?.map)?.section?.contents;
      return Buffer.from(contents?.subarray(it?.offset, (it?.offset ?? 0) + (it?.size ?? 0)) ?? []);
    };
    expect(value('blocked_port').readUInt16LE()).toBe(443);
    expect(value('secret').readBigUInt64LE()).toBe(0x123456789abcdef0n);
    expect(value('text').toString('latin1')).toBe('hello'.padEnd(16, '\0'));
    expect(value('step').readInt32LE()).toBe(-3);
    expect(value('matrix')).toEqual(Buffer.alloc(48));
  });

  test('make their section mappable when one of them can be named from outside', () => {
    const mappable = load('variables').maps.filter(({ flags }) => (flags & MapFlag.Mmapable) !== 0);
    expect(mappable.map(({ name }) => name)).toEqual([
      '.rodata',
      '.data',
      '.data.tuning',
      '.rodata.limits',
      '.bss',
    ]);
  });

  test('of custom sections have maps of their own, and string literals too', () => {
    expect(load('variables').maps.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['.data.tuning', '.rodata.limits', '.data.hidden', '.rodata.str1.1']),
    );
    expect(load('custom-bss').variables).toMatchObject([
      { name: 'plain', map: '.bss', size: 4 },
      { name: 'scratch', map: '.bss.scratch', size: 32 },
    ]);
  });

  test('the licence and the version are read in both byte orders', () => {
    for (const name of ['variables', 'variables.eb']) {
      expect(load(name)).toMatchObject({ license: 'GPL', kernelVersion: 0x60c01 });
    }
  });
});

describe('externs', () => {
  test('are laid out as libbpf lays them out', () => {
    expect(
      load('externs').externs.map(({ name, section, weak, offset, size }) => [
        name,
        section,
        weak,
        offset,
        size,
      ]),
    ).toEqual([
      ['CONFIG_NO_SUCH_NUMBER', '.kconfig', true, 0, 8],
      ['CONFIG_NO_SUCH_MODULE', '.kconfig', true, 8, 4],
      ['LINUX_KERNEL_VERSION', '.kconfig', false, 12, 4],
      ['CONFIG_NO_SUCH_SHORT', '.kconfig', true, 16, 2],
      ['CONFIG_NO_SUCH_THING', '.kconfig', true, 18, 1],
      ['CONFIG_NO_SUCH_TEXT', '.kconfig', true, 19, 9],
      ['no_such_symbol', '.ksyms', true, 0, 0],
    ]);
  });

  test('tell kernel functions from kernel variables', () => {
    expect(load('kfuncs').externs.map(({ name, isFunction, weak }) => [name, isFunction, weak])).toEqual([
      ['bpf_task_from_pid', true, false],
      ['bpf_task_release', true, false],
    ]);
    expect(load('ksyms').externs.map(({ name, isFunction, weak }) => [name, isFunction, weak])).toEqual([
      ['no_such_function', true, true],
      ['runqueues', false, false],
    ]);
    const { instructions } = program('tasks', 'kfuncs');
    expect(instructions.filter(({ opcode, src }) => opcode === 0x85 && src === 2)).toHaveLength(2);
  });
});

test('an address in a variable is refused with the place', () => {
  expect(() => load('pointers')).toThrow(
    /^pointers\.bpf\.o: section \d+ '\.data': offset 0 is initialised with the address of symbol .*R_BPF_64_ABS64/,
  );
});
