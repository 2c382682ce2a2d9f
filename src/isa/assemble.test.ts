import { describe, expect, test } from 'vitest';
import { SkepError } from '../base/error.js';
import * as isa from './index.js';
import { assemble, assembleUnit, reg, toAssembly } from './index.js';

describe('assembler errors say where and what was expected', () => {
  test.each([
    ['r1 = foo', 'line 2, column 8: expected', 'but found "foo"'],
    ['r1 += w2', 'line 2, column 9: expected a 32-bit number or a register r0 to r10, but found "w2"'],
    ['w1 += r2', 'line 2, column 9: expected a 32-bit number or a register w0 to w10, but found "r2"'],
    ['r1 += 4294967296', 'line 2, column 9: expected a 32-bit number', 'but found "4294967296"'],
    ['bogus', 'line 2, column 3: expected an instruction, but found "bogus"'],
    ['r11 = 3', 'line 2, column 3: expected an instruction, but found "r11"'],
    ['exit now', 'line 2, column 8: expected the end of the statement, but found "now"'],
    ['r1 = be16 r2', 'line 2, column 13: expected r1 again, the same register as before, but found "r2"'],
    ['r3 = xchg_64(r4 + 0, r5)', 'line 2, column 24: expected r3 again', 'but found "r5"'],
    ['*(u8 *)(r1 + 70000) = 5', 'line 2, column 16: expected a number from -32768 to 32767', '"70000"'],
    ['*(u8 *)(r1) = 5', 'line 2, column 13: expected "+" or "-" and an offset in bytes, but found ")"'],
    ['lock *(u64 *)(r1 + 0) = r2', 'line 2, column 25: expected "+=", "|=", "&=" or "^=", but found "="'],
    [
      'if r1 > 5 goto',
      'line 2, column 17: expected a label or a number from -32768 to 32767',
      'statement ends',
    ],
    ['goto 40000', 'line 2, column 8: expected a label or a number from -32768 to 32767', '"40000"'],
    ['goto nowhere', 'line 2, column 8: the label nowhere is not defined'],
    ['goto 1b', 'line 2, column 8: the label 1b is not defined'],
    ['a: a: exit', 'line 2, column 6: the label a is defined twice'],
    ['r1 = 5 /* x', 'line 2, column 10: the comment is not closed by "*/"'],
    ['.long 5', 'line 2, column 3: the directive .long is not supported'],
    ['.section .maps,"aw",@progbits', 'line 2, column 3: the section .maps has no code'],
    ['r1 = 0x5z', 'line 2, column 8: "0x5z" is no number'],
    ['r1 = `', 'line 2, column 8: "`" has no meaning in BPF assembly'],
    ['ld_pseudo r1, 1, 0x100000005', 'line 2, column 3: the upper imm is 1', 'must be 0'],
  ])('%s', (statement, ...parts) => {
    const run = (): unknown => assemble(`r0 = 0\n  ${statement}\n`);
    expect(run).toThrow(SkepError);
    for (const part of parts) expect(run).toThrow(part);
  });

  test('a jump that cannot reach its label', () => {
    const far = `goto far\n${'r0 = 0\n'.repeat(40_000)}far: exit`;
    expect(() => assemble(far)).toThrow('line 1, column 1: the label is 40000 slots away');
    expect(assemble(far.replace('goto', 'gotol'))[0]).toEqual(isa.jumpLong(40_000));
  });
});

describe('assembler input', () => {
  test('may be what clang -S writes for a function', () => {
    const text = [
      '\t.text',
      '\t.file\t"f.c"',
      '\t.section\txdp,"ax",@progbits',
      '\t.globl\tf                               # -- Begin function f',
      '\t.p2align\t3',
      '\t.type\tf,@function',
      'f:                                      # @f',
      '# %bb.0:',
      '\tw0 = 1',
      '\tif w1 s> 5 goto LBB0_2',
      '\tw0 = 0',
      'LBB0_2:',
      '\texit',
      '.Lfunc_end0:',
      '\t.size\tf, .Lfunc_end0-f',
      '\t.ident\t"clang"',
      '',
    ].join('\n');
    const { insns, labels, lines } = assembleUnit(text);
    expect(insns).toEqual([isa.mov(0, 1, 32), isa.branch('sgt', 1, 5, 1, 32), isa.mov(0, 0, 32), isa.exit()]);
    expect([...labels]).toEqual([
      ['f', 0],
      ['LBB0_2', 3],
      ['.Lfunc_end0', 4],
    ]);
    expect(lines).toEqual([9, 10, 11, 13]);
  });

  test.each([
    [
      'hexadecimal, binary, octal and signs',
      'r1 = 0x1F; r1 = 0b11; r1 = 010; r1 = -0x10; r1 = +5',
      [31, 3, 8, -16, 5],
    ],
    ['32-bit numbers signed or not', 'r1 = 4294967295; r1 = -1; r1 = 2147483648', [-1, -1, -2147483648]],
    ['registers in capitals', 'R1 = 5', [5]],
    ['any spacing', 'r1=5;r1\t=\t6', [5, 6]],
  ])('takes %s', (_, text, imms) => {
    expect(assemble(text)).toEqual(imms.map((imm) => isa.mov(1, imm)));
  });

  test('finds numeric labels backwards and forwards', () => {
    const text = '1: r0 = 0; goto 1b; goto 1f; 1: goto 1b; goto 1f; 1: exit';
    expect(assemble(text).map((insn) => insn.offset)).toEqual([0, -2, 0, -1, 0, 0]);
  });

  test('counts the two slots of a wide instruction in distances', () => {
    expect(assemble('goto out; r1 = 1 ll; out: exit')[0]).toEqual(isa.jump(2));
  });

  test('tells calls of helpers, subprograms and kernel functions apart', () => {
    expect(assemble('call 5; call pc+1; call kfunc(7, 2); exit; f: call f')).toEqual([
      isa.callHelper(5),
      isa.callLocal(1),
      isa.callKfunc(7, 2),
      isa.exit(),
      isa.callLocal(-1),
    ]);
  });
});

describe('constructors', () => {
  // The texts are LLVM's, whose bytes the recording in test/isa has.
  test.each([
    [isa.alu('add', 1, 5), 'r1 += 0x5'],
    [isa.alu('smod', 1, reg(2), 32), 'w1 s%= w2'],
    [isa.mov(1, 0xffff_ffff), 'r1 = -0x1'],
    [isa.movsx(1, 2, 16), 'r1 = (s16)r2'],
    [isa.neg(3, 32), 'w3 = -w3'],
    [isa.byteOrder('be', 1, 16), 'r1 = be16 r1'],
    [isa.byteOrder('bswap', 1, 64), 'r1 = bswap64 r1'],
    [isa.addrSpaceCast(1, 2, 17, 65535), 'r1 = addr_space_cast(r2, 0x11, 0xffff)'],
    [isa.load(4, 1, 2, -8), 'w1 = *(u32 *)(r2 - 0x8)'],
    [isa.load(2, 1, 2, 8, true), 'r1 = *(s16 *)(r2 + 0x8)'],
    [isa.store(8, 10, -8, reg(1)), '*(u64 *)(r10 - 0x8) = r1'],
    [isa.store(1, 10, -8, 7), '*(u8 *)(r10 - 0x8) = 0x7'],
    [isa.packetLoad(2, 12), 'r0 = *(u16 *)skb[0xc]'],
    [isa.packetLoad(2, 0, reg(3)), 'r0 = *(u16 *)skb[r3]'],
    [isa.packetLoad(2, 4, reg(3)), 'r0 = *(u16 *)skb[r3 + 0x4]'],
    [isa.atomic('xor', 8, 1, 8, 2), 'lock *(u64 *)(r1 + 0x8) ^= r2'],
    [isa.atomic('add', 4, 1, 8, 2, true), 'w2 = atomic_fetch_add((u32 *)(r1 + 0x8), w2)'],
    [isa.atomic('cmpxchg', 8, 1, 8, 2), 'r0 = cmpxchg_64(r1 + 0x8, r0, r2)'],
    [isa.atomic('xchg', 4, 1, 8, 2, true), 'w2 = xchg32_32(r1 + 0x8, w2)'],
    [isa.loadAcquire(8, 1, 2, 8), 'r1 = load_acquire((u64 *)(r2 + 0x8))'],
    [isa.storeRelease(1, 1, 8, 2), 'store_release((u8 *)(r1 + 0x8), w2)'],
    [isa.loadImm64(1, -1n), 'r1 = -0x1 ll'],
    [isa.loadImm64(1, 1n << 63n), 'r1 = -0x8000000000000000 ll'],
    [isa.loadPseudo(1, 2, 3, 4), 'ld_pseudo\tr1, 0x2, 0x400000003'],
    [isa.branch('sle', 1, reg(2), 7), 'if r1 s<= r2 goto +0x7'],
    [isa.branch('set', 1, -2, -9, 32), 'if w1 & -0x2 goto -0x9'],
    [isa.jump(9), 'goto +0x9'],
    [isa.jumpLong(99_999), 'gotol +0x1869f'],
    [isa.jumpIndirect(1), 'gotox r1'],
    [isa.mayGoto(-9), 'may_goto -0x9'],
    [isa.callHelper(6), 'call 0x6'],
    [isa.callLocal(9), 'call pc+0x9'],
    [isa.callKfunc(6, 1), 'call kfunc(0x6, 0x1)'],
    [isa.callRegister(1), 'callx r1'],
    [isa.exit(), 'exit'],
  ])('%o is %s', (insn, text) => {
    expect(assemble(text)).toEqual([insn]);
    expect(
      toAssembly([insn])
        .trim()
        .replace(/^L0: */s, '')
        .replace(/goto L\d+\s*L\d+:$/, 'goto +0x0')
        .trim(),
    ).toBe(text);
  });
});
