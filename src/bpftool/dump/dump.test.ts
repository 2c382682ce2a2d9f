import { describe, expect, test } from 'vitest';
import type { ProgDump, ProgInfo } from '../../bpf/bpf.js';
import { assemble, encode } from '../../isa/index.js';
import { dumpJited, dumpVisual, dumpXlated, KernelSymbols } from './index.js';
import { drawPng, drawSvg } from './picture.js';

const bytes = (text: string): Uint8Array => encode(assemble(text));

const nothing = new BigUint64Array();
const dumpOf = (parts: Partial<ProgDump>): ProgDump => ({
  xlated: new Uint8Array(),
  jited: new Uint8Array(),
  jitedKsyms: nothing,
  jitedFuncLens: new Uint32Array(),
  funcInfo: new Uint8Array(),
  funcInfoRecSize: 8,
  lineInfo: new Uint8Array(),
  lineInfoRecSize: 16,
  jitedLineInfo: nothing,
  progTags: [],
  ...parts,
});
const info = {} as ProgInfo;
const plain = { opcodes: false, linum: false };

/** One slot: opcode, registers, offset, immediate. */
function slot(opcode: number, src: number, dst: number, off: number, imm: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(8));
  view.setUint8(0, opcode);
  view.setUint8(1, dst | (src << 4));
  view.setInt16(2, off, true);
  view.setInt32(4, imm, true);
  return new Uint8Array(view.buffer);
}
const join = (...parts: Uint8Array[]): Uint8Array => Uint8Array.from(parts.flatMap((part) => [...part]));

const symbols = KernelSymbols.parse(
  new TextEncoder().encode(
    'ffffffff81000000 T __bpf_call_base\nffffffff81002000 T bpf_trace_printk\n' +
      'ffffffffc0000040 t bpf_prog_0123456789abcdef_sub\t[bpf]\n0000000000000000 T hidden\nnonsense\n',
  ),
);

describe('calls are printed by what the kernel calls', () => {
  const local = slot(0x85, 1, 0, 3, 1);
  test.each([
    ['a function', slot(0x85, 0, 0, 0, 0x2000), {}, '(85) call bpf_trace_printk#8192'],
    ['an address without a name', slot(0x85, 0, 0, 0, 0x3000), {}, '(85) call 0xffffffff81003000#12288'],
    ['what is still a helper', slot(0x85, 0, 0, 0, 12), {}, '(85) call bpf_tail_call#12'],
    ['addresses that are hidden', slot(0x85, 0, 0, 0, 0), {}, '(85) call bpf_unspec#0'],
    ['a function of the program, interpreted', local, {}, '(85) call pc+3'],
    [
      'a function of the program',
      local,
      { jitedKsyms: BigUint64Array.of(0xffffffffc0000000n, 0xffffffffc0000040n) },
      '(85) call pc+3#bpf_prog_0123456789abcdef_sub',
    ],
    [
      'a function of the program that the kernel does not name',
      local,
      { jitedKsyms: BigUint64Array.of(0n, 0xffffffffc0000080n) },
      '(85) call pc+3#0xffffffffc0000080',
    ],
  ])('%s', (_, xlated, parts, expected) => {
    const { dump } = { dump: dumpOf({ xlated, ...parts }) };
    expect(dumpXlated({ info, dump, symbols }, plain).text()).toBe(`   0: ${expected}\n`);
  });
});

test.each([
  ['a map', 1, 7, 0, 'map[id:7]'],
  ['a value in a map', 2, 7, 24, 'map[id:7][0]+24'],
  ['a function', 4, -3, 0, 'subprog[-3]'],
  ['a number', 0, -1, 0, '0xffffffff'],
])('ld_imm64 of %s', (_, src, imm, high, expected) => {
  const dump = dumpOf({ xlated: join(slot(0x18, src, 1, 0, imm), slot(0, 0, 0, 0, high)) });
  expect(dumpXlated({ info, dump }, plain).text()).toBe(`   0: (18) r1 = ${expected}\n`);
});

test('opcodes are hexadecimal text, and fields in JSON', () => {
  const dump = dumpOf({ xlated: bytes('r1 = 15\nexit') });
  const listing = dumpXlated({ info, dump }, { opcodes: true, linum: false });
  expect(listing.text()).toBe(
    '   0: (b7) r1 = 15\n       b7 01 00 00 0f 00 00 00\n   1: (95) exit\n       95 00 00 00 00 00 00 00\n',
  );
  expect(listing.json()).toMatchObject([
    {
      disasm: '(b7) r1 = 15',
      opcodes: { code: '0xb7', src_reg: '0x0', dst_reg: '0x1', off: ['0x00', '0x00'] },
    },
    { disasm: '(95) exit' },
  ]);
});

describe('a graph', () => {
  const dump = dumpOf({ xlated: bytes('if r1 > 5 goto +1\nr0 = 0\nexit') });
  const dot = dumpVisual({ info, dump }, plain);

  test('has a block for each way, and escapes what means something in a label', () => {
    expect(dot).toContain('0: (25) if r1 \\> 0x5 goto pc+1\\l\\\n}"];');
    expect(dot.match(/shape=record/g)).toHaveLength(3);
    expect(dot).toContain('fn_0_bb_2:s -> fn_0_bb_4:n');
    expect(dot).toContain('fn_0_bb_4:s -> fn_0_bb_1:n');
  });

  test('is drawn', async () => {
    const svg = await drawSvg(dot);
    expect(svg).toContain('(25) if r1 &gt; 0x5 goto pc+1');
    await expect(drawSvg('no graph')).rejects.toThrow('the graph cannot be drawn');
  });

  test('is drawn as PNG where there are fonts', async () => {
    const png = await drawPng(dot).catch((error: Error) => error.message);
    if (typeof png === 'string') expect(png).toContain('no fonts');
    else expect([...png.subarray(1, 4)]).toEqual([0x50, 0x4e, 0x47]);
  });
});

describe('machine code', () => {
  const x86 = Uint8Array.from(
    '0f1f440000 55 4889e5 b8ffffffff f00fc138 e8f6ffffff c9 c3'
      .replaceAll(' ', '')
      .match(/../g)
      ?.map((byte) => Number.parseInt(byte, 16)) ?? [],
  );

  test('of x86-64 is written as LLVM writes it', async () => {
    const dump = dumpOf({
      jited: x86,
      jitedKsyms: BigUint64Array.of(0xffffffffc0000040n),
      jitedFuncLens: Uint32Array.of(x86.length),
    });
    const listing = await dumpJited({ info, dump, symbols }, plain);
    expect(listing.text()).toBe(
      'bpf_prog_0123456789abcdef_sub:\n' +
        '   0:\tnopl\t(%rax,%rax)\n   5:\tpushq\t%rbp\n   6:\tmovq\t%rsp, %rbp\n   9:\tmovl\t$4294967295, %eax\n' +
        '   e:\tlock\n   f:\txaddl\t%edi, (%rax)\n  12:\tcallq\t0xffffffffc000004d\n  17:\tleave\n  18:\tretq\n\n',
    );
    expect(listing.json()).toMatchObject([
      {
        name: 'bpf_prog_0123456789abcdef_sub',
        insns: [
          { pc: '0x0', operation: 'nopl', operands: ['%rax', '%rax'] },
          {},
          {},
          {},
          { operands: [null] },
          {},
          {},
          {},
          {},
        ],
      },
    ]);
  });

  test('of another machine is not guessed at', async () => {
    const dump = dumpOf({ jited: Uint8Array.of(0x5f, 0x24, 0x03, 0xd5), jitedFuncLens: Uint32Array.of(4) });
    await expect(dumpJited({ info, dump }, plain)).rejects.toThrow('only machine code of x86-64');
  });
});
