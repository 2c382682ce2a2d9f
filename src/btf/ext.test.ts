import { describe, expect, test } from 'vitest';
import { goldenBtf, goldenBytes, goldenText, objects } from '../../test/btf/goldens.js';
import { SkepError } from '../base/error.js';
import { type Btf, type BtfExt, parseBtfExt } from './index.js';

const ext = (name: string): { btf: Btf; info: BtfExt } => {
  const btf = goldenBtf(name);
  return { btf, info: parseBtfExt(goldenBytes(`${name}.btfext`), btf) };
};

/** The numbers of `enum bpf_core_relo_kind` in llvm-objdump's words. */
const relocationKinds = [
  'byte_off',
  'byte_sz',
  'field_exists',
  'signed',
  'lshift_u64',
  'rshift_u64',
  'local_type_id',
  'target_type_id',
  'type_exists',
  'type_size',
  'enumval_exists',
  'enumval_value',
  'type_matches',
];

/** The order of the sections in the object, which is not that of the records. */
const bySection = (a: unknown[], b: unknown[]) => (String(a[0]) < String(b[0]) ? -1 : a[0] === b[0] ? 0 : 1);

/** What llvm-objdump says of each section, line by line. */
function disassembly(text: string): { section: string; line: string }[] {
  let section = '';
  const lines: { section: string; line: string }[] = [];
  for (const line of text.split('\n')) {
    const header = /^Disassembly of section (.*):$/.exec(line);
    if (header) section = header[1] ?? '';
    else lines.push({ section, line });
  }
  return lines;
}

describe('.BTF.ext', () => {
  test('functions begin where llvm-objdump shows them', () => {
    const { btf, info } = ext('core');
    const expected = disassembly(goldenText('core.lines.txt')).flatMap(({ section, line }) => {
      const symbol = /^([0-9a-f]{16}) <(\w+)>:$/.exec(line);
      return symbol ? [[section, Number.parseInt(symbol[1] ?? '', 16), symbol[2]]] : [];
    });
    const found = [...info.funcInfo].flatMap(([section, functions]) =>
      functions.map(({ insnOff, typeId }) => [section, insnOff, btf.nameOf(typeId)]),
    );
    expect(found.sort(bySection)).toEqual(expected);
    expect(found).toHaveLength(4);
  });

  test.each([
    ['core.lines.txt', (line: { file: string; line: number }) => `${line.file}:${line.line}`],
    ['core.source.txt', (line: { text: string }) => line.text],
  ] as const)(
    'source lines belong to the instructions that llvm-objdump shows them at (%s)',
    (golden, show) => {
      const { info } = ext('core');
      const expected: unknown[] = [];
      let pending: string | undefined;
      for (const { section, line } of disassembly(goldenText(golden))) {
        const instruction = /^ +(\d+):\t/.exec(line);
        if (line.startsWith('; ')) pending = line.slice(2);
        else if (instruction && pending !== undefined) {
          expected.push([section, Number(instruction[1]) * 8, pending]);
          pending = undefined;
        }
      }
      const found = [...info.lineInfo].flatMap(([section, lines]) =>
        lines.map((line) => [section, line.insnOff, show(line)]),
      );
      // llvm-objdump prints a line only where it changes; the text of a line keeps its indentation.
      for (const item of expected) expect(found).toContainEqual(item);
      expect(expected.length).toBeGreaterThan(10);
    },
  );

  test('CO-RE relocations have the types, accesses and kinds that llvm-objdump shows', () => {
    const { btf, info } = ext('core');
    const expected = disassembly(goldenText('core.lines.txt')).flatMap(({ section, line }) => {
      const relocation = /^\t\t([0-9a-f]{16}): {2}CO-RE <(\w+)> \[(\d+)\] (?:\w+ (\w+))(.*)$/.exec(line);
      if (!relocation) return [];
      const access = /\(([\d:]+)\)$/.exec(line)?.[1];
      const [, offset = '', kind = '', typeId, name] = relocation;
      return [
        [section, Number.parseInt(offset, 16), relocationKinds.indexOf(kind), Number(typeId), name, access],
      ];
    });
    const found = [...info.coreRelocations].flatMap(([section, records]) =>
      records.map(({ insnOff, kind, typeId, access }) => [
        section,
        insnOff,
        kind,
        typeId,
        btf.nameOf(typeId),
        // Type and enumerator relocations are shown without their access string.
        kind < 6 ? access : undefined,
      ]),
    );
    expect(found.sort(bySection)).toEqual(expected);
    expect(new Set(found.map(([, , kind]) => kind)).size).toBe(relocationKinds.length);
    const enumerators = info.coreRelocations
      .get('kprobe/second')
      ?.filter(({ kind }) => kind === 10 || kind === 11);
    expect(enumerators?.map(({ access }) => access)).toEqual(['1', '1']);
  });

  test.each([
    ['bpftool-7.8/hello', 'bpftool-7.8/hello-dump-xlated-linum.json.txt'],
    ['bpftool-7.8/maps', 'bpftool-7.8/maps-dump-xlated-touch-linum.json.txt'],
  ])('%s has the lines and columns that bpftool shows of the loaded program', (name, golden) => {
    const { info } = ext(name);
    const loaded = JSON.parse(goldenText(golden)) as {
      src?: string;
      file?: string;
      line_num?: number;
      line_col?: number;
    }[];
    const expected = loaded
      .filter((instruction) => instruction.src !== undefined)
      .map((i) => [i.file, i.line_num, i.line_col ?? 0, i.src?.trim()]);
    const found = info.lineInfo.get('xdp')?.map((l) => [l.file, l.line, l.column, l.text.trim()]);
    expect(found?.slice(0, expected.length)).toEqual(expected);
    expect(expected.length).toBeGreaterThan(2);
  });

  test('big-endian records say the same as little-endian ones', () => {
    const { info: little } = ext('kinds');
    const { info: big } = ext('kinds-be');
    const lines = ({ lineInfo }: BtfExt) => [...lineInfo.values()].flat().map((l) => [l.line, l.text]);
    expect(lines(big)).toEqual(lines(little));
    expect(lines(big).length).toBeGreaterThan(3);
  });

  test('records that are longer than what is known are read, and their tails skipped', () => {
    const { btf, info } = ext('core');
    const bytes = goldenBytes('core.btfext');
    const view = new DataView(bytes.buffer);
    const start = view.getUint32(4, true) + view.getUint32(8, true);
    const end = start + view.getUint32(12, true);
    // Each record of func_info gets four more bytes.
    const longer: number[] = [12, 0, 0, 0];
    for (let at = start + 4; at < end; ) {
      const count = view.getUint32(at + 4, true);
      longer.push(...bytes.subarray(at, at + 8));
      at += 8;
      for (let i = 0; i < count; i++, at += 8)
        longer.push(...bytes.subarray(at, at + 8), 0xee, 0xee, 0xee, 0xee);
    }
    const changed = new Uint8Array(bytes.length + longer.length);
    changed.set(bytes);
    changed.set(longer, bytes.length);
    const header = new DataView(changed.buffer);
    header.setUint32(8, bytes.length - view.getUint32(4, true), true);
    header.setUint32(12, longer.length, true);
    expect(parseBtfExt(changed, btf)).toEqual(info);
  });

  test('a header without CO-RE fields has no relocations', () => {
    const btf = goldenBtf('core');
    const bytes = new Uint8Array(24);
    bytes.set([0x9f, 0xeb, 1, 0, 24]);
    expect(parseBtfExt(bytes, btf).coreRelocations.size).toBe(0);
  });

  const good = goldenBytes('core.btfext');
  const word = (offset: number, value: number) => {
    const copy = good.slice();
    new DataView(copy.buffer).setUint32(offset, value, true);
    return copy;
  };
  test.each([
    ['no bytes', new Uint8Array(0), /\.BTF\.ext: magic needs 2 bytes/],
    ['wrong magic', word(0, 0x464c457f), /magic is/],
    ['a short header', word(4, 8), /hdr_len 8 is below 24/],
    ['a header beyond the end', word(4, 1 << 20), /header needs/],
    ['func_info beyond the end', word(12, 1 << 20), /func_info needs/],
    ['records too small', word(32, 4), /func_info rec_size 4 is below 8/],
    ['a section name outside', word(36, 1 << 20), /string offset 1048576/],
    ['more records than bytes', word(40, 1 << 30), /1073741824 records of 8 bytes are more/],
    ['no records', word(40, 0), /has no records/],
    [
      'a type that is no function',
      word(48, 1),
      /func_info of section 'kprobe\/first', record 0: type \[1\] is a/,
    ],
    ['a type outside', word(48, 1 << 20), /type id 1048576 is outside/],
  ])('%s is refused', (_, bytes, message) => {
    expect(() => parseBtfExt(bytes, goldenBtf('core'))).toThrow(SkepError);
    expect(() => parseBtfExt(bytes, goldenBtf('core'))).toThrow(message);
  });

  test.each(objects)('%s cut anywhere is read or refused, never worse', (name) => {
    const btf = goldenBtf(name);
    const bytes = goldenBytes(`${name}.btfext`);
    let refused = 0;
    for (let length = 0; length < bytes.length; length++) {
      try {
        parseBtfExt(bytes.subarray(0, length), btf);
      } catch (error) {
        expect(error).toBeInstanceOf(SkepError);
        refused++;
      }
    }
    expect(refused).toBe(bytes.length);
  });
});
