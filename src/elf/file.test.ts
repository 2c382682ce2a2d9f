// Files that are no BPF object, or a damaged one: what is said of them. Starts from an object that clang-19 made.

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { SkepError } from '../base/error.js';
import { ElfFile } from './file.js';
import { parseObject } from './object.js';

const folder = path.join(import.meta.dirname, '../../test/elf/objects');
const good = new Uint8Array(readFileSync(path.join(folder, 'subprograms.bpf.o')));
const elf = ElfFile.parse(good);
const headers = Number(new DataView(good.buffer, good.byteOffset).getBigUint64(40, true));

/** The object with one change. */
function changed(change: (view: DataView, bytes: Uint8Array) => void): Uint8Array {
  const bytes = good.slice();
  change(new DataView(bytes.buffer), bytes);
  return bytes;
}

/** Where a field of a section's header is. */
const header = (name: string, field: number): number =>
  headers + (elf.sectionByName(name)?.index ?? 0) * 64 + field;
const symbol = (name: string, field: number): number => {
  const found = elf.symbols.find((candidate) => candidate.name === name);
  return (elf.symbolTable?.offset ?? 0) + (found?.index ?? 0) * 24 + field;
};

const cases: [name: string, bytes: Uint8Array, message: RegExp][] = [
  ['nothing', new Uint8Array(0), /^the file is empty$/],
  ['text', new TextEncoder().encode('int main(void) { return 0; }'), /^this is no ELF file$/],
  ['only a magic number', good.slice(0, 16), /the ELF header needs 64 bytes/],
  ['32 bits', changed((view) => view.setUint8(4, 1)), /EI_CLASS is 1: BPF objects are 64-bit/],
  ['no byte order', changed((view) => view.setUint8(5, 3)), /EI_DATA is 3/],
  ['x86-64', changed((view) => view.setUint16(18, 62, true)), /for x86-64 \(e_machine 62\), not for BPF/],
  [
    'an executable',
    changed((view) => view.setUint16(16, 2, true)),
    /an executable \(e_type 2\), not a relocatable/,
  ],
  ['no sections', changed((view) => view.setBigUint64(40, 0n, true)), /there are no sections/],
  ['too many sections', changed((view) => view.setUint16(60, 0xfeff, true)), /65279 section headers needs/],
  [
    'a huge extended number of sections',
    changed((view) => {
      view.setUint16(60, 0, true);
      view.setBigUint64(headers + 32, 1n << 62n, true);
    }),
    /section headers needs/,
  ],
  [
    'no section names',
    changed((view) => view.setUint16(62, 2, true)),
    /should hold the section names, is no string table/,
  ],
  [
    'a section beyond the file',
    changed((view) => view.setBigUint64(header('xdp', 32), 1n << 40n, true)),
    /^section 4: its 1099511627776 bytes/,
  ],
  [
    'overlapping sections',
    changed((view) => view.setBigUint64(header('xdp', 24), 64n, true)),
    /overlap with those of section/,
  ],
  [
    'a name beyond the names',
    changed((view) => view.setUint32(header('xdp', 0), 1 << 20, true)),
    /^section 4: its name is at offset/,
  ],
  [
    'a symbol in no section',
    changed((view) => view.setUint16(symbol('alpha', 6), 0x1234, true)),
    /is in section 4660, but there are/,
  ],
  [
    'an extended index without a table',
    changed((view) => view.setUint16(symbol('alpha', 6), 0xffff, true)),
    /no \.symtab_shndx/,
  ],
  [
    'a function beyond its section',
    changed((view) => view.setBigUint64(symbol('alpha', 16), 1n << 33n, true)),
    /function 'alpha': its 8589934592 bytes at offset 0 are not in the section/,
  ],
  [
    'overlapping functions',
    changed((view) => view.setBigUint64(symbol('beta', 8), 8n, true)),
    /overlaps with function 'alpha'|are not in the section/,
  ],
  [
    'an odd function',
    changed((view) => view.setBigUint64(symbol('alpha', 16), 12n, true)),
    /function 'alpha': offset 0 and size 12 must be multiples of 8/,
  ],
  [
    'an invalid instruction',
    changed((view) => view.setUint8((elf.sectionByName('xdp')?.offset ?? 0) + 8, 0xff)),
    /^section 4 'xdp', function 'alpha': instruction 1: opcode 0xff is no instruction$/,
  ],
  [
    'a relocation of the wrong type',
    changed((view) => view.setUint32((elf.sectionByName('.rel.text')?.offset ?? 0) + 8, 3, true)),
    /R_BPF_64_ABS32 against symbol .*takes R_BPF_64_64/,
  ],
  [
    'a relocation between instructions',
    changed((view) => view.setUint32(elf.sectionByName('.relxdp')?.offset ?? 0, 4, true)),
    /a relocation is at offset 4, which is no instruction of section 4 'xdp'/,
  ],
  [
    'a relocation against no symbol',
    changed((view) => view.setUint32((elf.sectionByName('.relxdp')?.offset ?? 0) + 12, 9999, true)),
    /relocation 0: refers to symbol 9999/,
  ],
  [
    'damaged BTF',
    changed((_, bytes) =>
      bytes.fill(0xee, elf.sectionByName('.BTF')?.offset, (elf.sectionByName('.BTF')?.offset ?? 0) + 4),
    ),
    /BTF: magic/,
  ],
];

test.each(cases)('%s: a clear error', (_, bytes, message) => {
  expect(() => parseObject(bytes)).toThrow(SkepError);
  expect(() => parseObject(bytes)).toThrow(message);
});

test('an object of a clang that left the machine empty is read', () => {
  const spec = parseObject(changed((view) => view.setUint16(18, 0, true)));
  expect(spec.programs).toHaveLength(4);
});

test('the file is named when its name is known', () => {
  expect(() => parseObject(new Uint8Array(3), { name: 'x.o' })).toThrow(/^x\.o: this is no ELF file$/);
});

test('every prefix of an object is refused or read', () => {
  for (let size = 0; size < good.length; size += 7) {
    try {
      parseObject(good.subarray(0, size));
      expect(size).toBeGreaterThan(headers);
    } catch (error) {
      expect(error).toBeInstanceOf(SkepError);
    }
  }
});
