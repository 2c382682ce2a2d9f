import { describe, expect, test } from 'vitest';
import { SkepError } from '../base/error.js';
import { decode, decodeOne, disassembleKernel, disassembleLlvm, encode, type Instruction } from './index.js';

const bytes = (text: string): Uint8Array =>
  Uint8Array.from(text.replaceAll(' ', '').match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));

/** The message of the SkepError that `run` throws. */
function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof SkepError) return error.message;
    throw error;
  }
  return 'accepted';
}

const EXIT = '95 00 0000 00000000';

/** What is wrong, the little-endian bytes, the error. */
const INVALID: readonly (readonly [string, string, string])[] = [
  [
    'half an instruction',
    '95 00 0000',
    'the code has 4 bytes, which is no multiple of 8, the size of an instruction',
  ],
  [
    'an opcode that no instruction has',
    `${EXIT} ff 00 0000 00000000`,
    'instruction 1: opcode 0xff is no instruction',
  ],
  [
    'the second slot of ld_imm64 alone',
    '00 00 0000 00000000',
    'instruction 0: opcode 0x00 is no instruction',
  ],
  ['exit in the 32-bit class', '96 00 0000 00000000', 'instruction 0: opcode 0x96 is no instruction'],
  ['a call in the 32-bit class', '86 00 0000 00000000', 'instruction 0: opcode 0x86 is no instruction'],
  [
    'negation of a register into another',
    '8f 21 0000 00000000',
    'instruction 0: opcode 0x8f is no instruction',
  ],
  [
    'an unconditional swap by register',
    'df 01 0000 10000000',
    'instruction 0: opcode 0xdf is no instruction',
  ],
  ['a sign-extending load of 8 bytes', '99 21 0000 00000000', 'instruction 0: opcode 0x99 is no instruction'],
  ['a packet load of 8 bytes', '38 00 0000 00000000', 'instruction 0: opcode 0x38 is no instruction'],
  [
    'a store with the mode of ld_imm64',
    '1a 01 0000 00000000',
    'instruction 0: opcode 0x1a is no instruction',
  ],
  [
    'a destination beyond r10',
    'b7 0b 0000 01000000',
    'instruction 0: dst is 11, but in mov64_imm it is a register, and the registers are r0 to r10',
  ],
  [
    'a source beyond r10',
    'bf f1 0000 00000000',
    'instruction 0: src is 15, but in mov64_reg it is a register, and the registers are r0 to r10',
  ],
  [
    'a base register beyond r10',
    '61 c1 0000 00000000',
    'instruction 0: src is 12, but in ldx_w it is a register, and the registers are r0 to r10',
  ],
  [
    'a source register beside an immediate',
    '07 21 0000 01000000',
    'instruction 0: src is 2, but in add64_imm it is reserved and must be 0',
  ],
  [
    'an immediate beside a source register',
    '0f 21 0000 01000000',
    'instruction 0: imm is 1, but in add64_reg it is reserved and must be 0',
  ],
  [
    'an offset in an addition',
    '07 01 0100 01000000',
    'instruction 0: offset is 1, but in add64_imm it is reserved and must be 0',
  ],
  [
    'a division neither signed nor unsigned',
    '3f 21 0200 00000000',
    'instruction 0: offset is 2, but with opcode 0x3f it must be 0 or 1',
  ],
  [
    'a sign extension from 7 bits',
    'bf 21 0700 00000000',
    'instruction 0: offset is 7, but with opcode 0xbf it must be 0, 1, 8, 16 or 32',
  ],
  [
    'a 32-bit sign extension from 32 bits',
    'bc 21 2000 00000000',
    'instruction 0: offset is 32, but with opcode 0xbc it must be 0, 8 or 16',
  ],
  [
    'a sign extension of an immediate',
    'b7 01 0800 01000000',
    'instruction 0: offset is 8, but in mov64_imm it is reserved and must be 0',
  ],
  [
    'a per-CPU address, which only Linux itself writes',
    'bf 21 ffff 00000000',
    'instruction 0: offset is -1, but with opcode 0xbf it must be 0, 1, 8, 16 or 32',
  ],
  [
    'an immediate in a negation',
    '87 01 0000 01000000',
    'instruction 0: imm is 1, but in neg64 it is reserved and must be 0',
  ],
  [
    'a byte swap of 24 bits',
    'd7 01 0000 18000000',
    'instruction 0: imm is 24, but with opcode 0xd7 it must be 16, 32 or 64',
  ],
  [
    'a source register in a byte swap',
    'dc 21 0000 10000000',
    'instruction 0: src is 2, but in be16 it is reserved and must be 0',
  ],
  [
    'an immediate in a load',
    '79 21 0800 01000000',
    'instruction 0: imm is 1, but in ldx_dw it is reserved and must be 0',
  ],
  [
    'a source register in a store of an immediate',
    '7a 21 0800 01000000',
    'instruction 0: src is 2, but in st_dw it is reserved and must be 0',
  ],
  [
    'an immediate in a store of a register',
    '7b 21 0800 01000000',
    'instruction 0: imm is 1, but in stx_dw it is reserved and must be 0',
  ],
  [
    'an atomic operation that there is not',
    'db 21 0800 10000000',
    'instruction 0: imm is 16, but with opcode 0xdb it must be 0, 1, 64, 65, 80, 81, 160, 161, 225, 241, 256 or 272',
  ],
  [
    'an exchange of one byte',
    'd3 21 0800 e1000000',
    'instruction 0: imm is 225, but with opcode 0xd3 it must be 256 or 272',
  ],
  [
    'a destination in a packet load',
    '30 01 0000 10000000',
    'instruction 0: dst is 1, but in ld_abs_b it is reserved and must be 0',
  ],
  [
    'an index register in an absolute packet load',
    '30 10 0000 10000000',
    'instruction 0: src is 1, but in ld_abs_b it is reserved and must be 0',
  ],
  [
    'a source register in a comparison with an immediate',
    '15 21 0000 01000000',
    'instruction 0: src is 2, but in jeq64_imm it is reserved and must be 0',
  ],
  [
    'an immediate in a comparison with a register',
    '1d 21 0000 01000000',
    'instruction 0: imm is 1, but in jeq64_reg it is reserved and must be 0',
  ],
  [
    'an immediate in goto',
    '05 00 0100 01000000',
    'instruction 0: imm is 1, but in ja it is reserved and must be 0',
  ],
  [
    'an offset in gotol',
    '06 00 0100 01000000',
    'instruction 0: offset is 1, but in gotol it is reserved and must be 0',
  ],
  [
    'a source in may_goto',
    'e5 10 0100 00000000',
    'instruction 0: src is 1, but in may_goto it is reserved and must be 0',
  ],
  [
    'a call of no known kind',
    '85 30 0000 01000000',
    'instruction 0: src is 3, but with opcode 0x85 it must be 0, 1 or 2',
  ],
  [
    'a destination in a call',
    '85 01 0000 01000000',
    'instruction 0: dst is 1, but in call_helper it is reserved and must be 0',
  ],
  [
    'an offset in the call of a helper',
    '85 00 0100 01000000',
    'instruction 0: offset is 1, but in call_helper it is reserved and must be 0',
  ],
  [
    'an immediate in exit',
    '95 00 0000 01000000',
    'instruction 0: imm is 1, but in exit it is reserved and must be 0',
  ],
  [
    'ld_imm64 without its second slot',
    `${EXIT} 18 01 0000 01000000`,
    'instruction 1: ld_imm64 takes two slots, but the code ends after the first',
  ],
  [
    'ld_imm64 followed by another instruction',
    `18 01 0000 01000000 ${EXIT}`,
    'instruction 0: opcode of the second slot of ld_imm64 is 149, but it must be 0',
  ],
  [
    'a register in the second slot of ld_imm64',
    '18 01 0000 01000000 00 01 0000 00000000',
    'instruction 0: dst of the second slot of ld_imm64 is 1, but it must be 0',
  ],
  [
    'an offset in the second slot of ld_imm64',
    '18 01 0000 01000000 00 00 0100 00000000',
    'instruction 0: offset of the second slot of ld_imm64 is 1, but it must be 0',
  ],
  [
    'an offset in ld_imm64',
    '18 01 0100 01000000 00 00 0000 00000000',
    'instruction 0: offset is 1, but in ld_imm64 it is reserved and must be 0',
  ],
  [
    'an unknown pseudo source of ld_imm64',
    '18 71 0000 01000000 00 00 0000 00000000',
    'instruction 0: src is 7, but with opcode 0x18 it must be 0, 1, 2, 3, 4, 5 or 6',
  ],
  [
    'an upper half beside a map',
    '18 11 0000 01000000 00 00 0000 01000000',
    'instruction 0: the upper imm is 1, but in ld_imm64_map_fd it is reserved and must be 0',
  ],
  [
    'a fault after a wide instruction, counted in slots',
    '18 01 0000 01000000 00 00 0000 00000000 95 00 0000 01000000',
    'instruction 2: imm is 1, but in exit it is reserved and must be 0',
  ],
];

describe('strict decoding', () => {
  test.each(INVALID)('refuses %s', (_, text, message) => {
    expect(refusal(() => decode(bytes(text)))).toBe(message);
  });

  test('takes a write to the frame pointer, a jump to nowhere and an unknown helper: the verifier judges those', () => {
    const code = bytes('b7 0a 0000 01000000 05 00 ff7f 00000000 85 00 0000 ffffff7f');
    expect(encode(decode(code))).toEqual(code);
  });

  test('takes no code as no instructions', () => {
    expect(decode(new Uint8Array())).toEqual([]);
  });

  test('reads code that lies inside a larger buffer', () => {
    const buffer = bytes(`00 ${EXIT} 00`);
    expect(decode(buffer.subarray(1, 9))).toEqual(decode(bytes(EXIT)));
  });
});

describe('lenient decoding', () => {
  test('gives the fields, the slots and the fault of what is no instruction', () => {
    const { insn, slots, fault } = decodeOne(bytes('ff 21 0300 04000000'), 0);
    expect(insn).toEqual({ opcode: 0xff, dst: 1, src: 2, offset: 3, imm: 4 });
    expect({ slots, fault }).toEqual({ slots: 1, fault: 'opcode 0xff is no instruction' });
    expect(disassembleLlvm(insn)).toBe('<unknown>');
  });

  test('says so when there is nothing to decode', () => {
    expect(() => decodeOne(bytes(EXIT), 1)).toThrow('there is no instruction 1: the code has 8 bytes');
    expect(() => decodeOne(bytes(EXIT), -1)).toThrow(SkepError);
  });

  test.each([
    ['38 00 0000 00000000', 'BUG_ld_38'],
    ['99 00 0000 00000000', 'BUG_ldx_99'],
    ['1a 00 0000 00000000', 'BUG_st_1a'],
    ['db 00 0000 10000000', 'BUG_db'],
    // Fields that no instruction has: the text of the nearest one.
    ['34 08 0200 07000000', '(34) w8 /= 7'],
    ['bf 16 0200 00000000', '(bf) r6 = r1'],
    ['bc 16 2000 00000000', '(bc) w6 = (s32)w1'],
    ['d4 00 0000 20000080', '(d4) r0 = le-2147483616 r0'],
    ['d7 01 0000 07000000', '(d7) r1 = bswap7 r1'],
    ['85 30 0000 58000000', '(85) call unknown#88'],
    ['cb 20 0800 00000000', '(cb) lock *(u16 *)(r0 +8) += r2'],
    ['d3 20 0800 41000000', '(d3) r2 = atomic_fetch_or((u8 *)(r0 +8), r2)'],
    ['e5 20 0300 00000000', '(e5) if r0 (null) 0x0 goto pc+3'],
    ['c2 00 0000 00000000', '(c2) nospec'],
  ])('writes %s as Linux does', (text, expected) => {
    expect(disassembleKernel(decodeOne(bytes(text), 0).insn)).toBe(expected);
  });
});

describe('encoding', () => {
  const insn: Instruction = { opcode: 0x07, dst: 1, src: 0, offset: 0, imm: 5 };
  const wide: Instruction = { opcode: 0x18, dst: 1, src: 0, offset: 0, imm: 5, immHigh: 0 };
  const { immHigh: _, ...half } = wide;

  test.each([
    [{ ...insn, opcode: 0x107 }, 'opcode is 263, but it must be a whole number from 0 to 255'],
    [{ ...insn, dst: -1 }, 'dst is -1, but it must be a whole number from 0 to 15'],
    [{ ...insn, dst: 11 }, 'dst is 11, but in add64_imm it is a register, and the registers are r0 to r10'],
    [{ ...insn, offset: 0x8000 }, 'offset is 32768, but it must be a whole number from -32768 to 32767'],
    [
      { ...insn, imm: 0x8000_0000 },
      'imm is 2147483648, but it must be a whole number from -2147483648 to 2147483647',
    ],
    [{ ...insn, imm: 0.5 }, 'imm is 0.5, but it must be a whole number from -2147483648 to 2147483647'],
    [
      { ...insn, imm: Number.NaN },
      'imm is NaN, but it must be a whole number from -2147483648 to 2147483647',
    ],
    [{ ...insn, immHigh: 0 }, 'immHigh is given, but only ld_imm64 has an upper immediate'],
    [half, 'immHigh is missing, but ld_imm64 has an upper immediate'],
  ])('refuses field values: %o', (bad, message) => {
    expect(refusal(() => encode([wide, bad]))).toBe(`instruction 2: ${message}`);
  });
});
