// Static linking, compared with bpftool's: the recorded object byte for byte, others section by section (an older bpftool
// wrote them, with a shorter header of .BTF).

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { SkepError } from '../../src/base/error.js';
import { Btf, dumpRaw } from '../../src/btf/index.js';
import { ElfFile, linkObjects, parseObject } from '../../src/elf/index.js';
import { EmulatedKernel } from '../../src/kernel/kernel.js';
import { load } from '../../src/loader/index.js';
import { mutate, seededRandom } from '../fuzz/mutate.js';

const here = path.join(import.meta.dirname, 'linking');
const read = (...parts: string[]): Uint8Array => new Uint8Array(readFileSync(path.join(here, ...parts)));
const input = (name: string) => ({ name: `${name}.bpf.o`, bytes: read(`${name}.bpf.o`) });

interface Manifest {
  links: string[][];
}
const { links } = JSON.parse(readFileSync(path.join(here, 'goldens/manifest.json'), 'utf8')) as Manifest;

/** All that an object says, but for where in the file. */
function facts(bytes: Uint8Array): unknown {
  const elf = ElfFile.parse(bytes);
  return {
    symbols: elf.symbols,
    sections: elf.sections.map((section) => {
      const { name, type, flags, link, info, entrySize, alignment } = section;
      const head = { name, type, flags, link, info, entrySize, alignment };
      const contents = elf.contents(section);
      if (name !== '.BTF')
        return { ...head, size: section.size, contents: Buffer.from(contents).toString('hex') };
      const btf = Btf.parse(contents);
      return { ...head, types: dumpRaw(btf), strings: Buffer.from(btf.strings.bytes).toString() };
    }),
  };
}

test('an object that bpftool 7.8 linked comes out the same, byte for byte', () => {
  const bpftool = path.join(import.meta.dirname, '../bpftool');
  const bytes = new Uint8Array(readFileSync(path.join(bpftool, 'objects/hello.bpf.o')));
  const recorded = readFileSync(path.join(bpftool, 'recordings/linked.bpf.o'));
  expect(Buffer.from(linkObjects([{ name: 'hello.bpf.o', bytes }])).equals(recorded)).toBe(true);
});

test.each(links.map((names) => [names.join(' + '), names] as const))(
  '%s link as with bpftool',
  (_, names) => {
    expect(facts(linkObjects(names.map(input)))).toEqual(facts(read('goldens', `${names.join('+')}.bpf.o`)));
  },
);

test.each(['maps', 'subprograms', 'variables'])('%s alone comes out as from bpftool', (name) => {
  const objects = path.join(import.meta.dirname, 'objects');
  const bytes = new Uint8Array(readFileSync(path.join(objects, `${name}.bpf.o`)));
  const linked = new Uint8Array(readFileSync(path.join(objects, `${name}.linked.bpf.o`)));
  expect(facts(linkObjects([{ name, bytes }]))).toEqual(facts(linked));
});

test('linking an object that was linked changes nothing', () => {
  const once = linkObjects([input('application')]);
  expect(facts(linkObjects([{ name: 'once', bytes: once }]))).toEqual(facts(once));
});

test('what is linked runs, with the definition in place of each declaration', async () => {
  const bytes = linkObjects(['application', 'library'].map(input));
  const kernel = new EmulatedKernel();
  await using linked = await load(parseObject(bytes), kernel);
  // There is no session: the library's lookup answers what the application gave as the fallback, XDP_PASS.
  const { retval } = await linked.program('entry').run({ data: new Uint8Array(64) });
  expect(retval).toBe(2);
  expect(await linked.variables.get('seen')).toBe(15n);
  expect([...linked.maps.keys()].sort()).toEqual(
    ['.bss', '.data', '.kconfig', '.rodata', 'nodes', 'sessions'].sort(),
  );
});

test.each([
  [['library', 'library'], "library.bpf.o, symbol 'policy': it is defined in an earlier object already"],
  [['stranger-variable', 'library'], "global 'seen'"],
  [['library', 'stranger-map'], "global 'nodes'"],
  [['stranger-function', 'library'], "global 'lookup'"],
] as const)('%s do not link', (names, message) => {
  expect(() => linkObjects(names.map(input))).toThrow(message);
});

test('objects of two byte orders, without types, or that are none do not link', () => {
  const objects = path.join(import.meta.dirname, 'objects');
  const other = (name: string) => ({ name, bytes: new Uint8Array(readFileSync(path.join(objects, name))) });
  expect(() => linkObjects([input('library'), other('maps.eb.bpf.o')])).toThrow('byte order');
  expect(() => linkObjects([other('variables.v2-nodebug.bpf.o')])).toThrow('there is no BTF');
  expect(() => linkObjects([{ name: 'text', bytes: new Uint8Array(20) }])).toThrow(
    'text: this is no ELF file',
  );
  expect(() => linkObjects([])).toThrow('there is no object');
});

test('a big-endian object is linked in its own byte order', () => {
  const bytes = new Uint8Array(readFileSync(path.join(import.meta.dirname, 'objects/callbacks.eb.bpf.o')));
  const linked = parseObject(linkObjects([{ name: 'big', bytes }]));
  const alone = parseObject(bytes);
  expect(linked.byteOrder).toBe('big');
  expect(linked.programs.map(({ name, instructions }) => [name, instructions])).toEqual(
    alone.programs.map(({ name, instructions }) => [name, instructions]),
  );
});

test('damaged objects are linked or refused, never worse', () => {
  const inputs = ['application', 'library', 'tracer'].map((name) => input(name).bytes);
  const outcomes = { linked: 0, refused: 0 };
  for (let seed = 1; seed <= 300; seed++) {
    const bytes = mutate(inputs, seededRandom(seed));
    try {
      linkObjects([{ name: 'damaged', bytes }, input('library')]);
      outcomes.linked++;
    } catch (error) {
      if (!(error instanceof SkepError)) throw new Error(`seed ${seed}`, { cause: error });
      outcomes.refused++;
    }
  }
  // Some damage is harmless, and some is found late.
  expect(outcomes.linked).toBeGreaterThan(5);
  expect(outcomes.refused).toBeGreaterThan(100);
});
