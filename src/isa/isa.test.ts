import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { anyInstruction, anyProgram, instructionOf } from '../../test/isa/arbitrary.js';
import { SkepError } from '../base/error.js';
import {
  assemble,
  decode,
  decodeOne,
  disassembleKernel,
  disassembleLlvm,
  encode,
  INSTRUCTIONS,
  instruction,
  isJump,
  jumpTarget,
  rowOf,
  slotCount,
  slotOffsets,
  slotsOf,
  toAssembly,
} from './index.js';

describe('the instruction table', () => {
  test('finds every instruction again by its fields', () => {
    for (const row of INSTRUCTIONS) expect(rowOf(instruction(row))).toBe(row);
  });

  test('calls every instruction by a name of its own', () => {
    expect(new Set(INSTRUCTIONS.map((row) => row.name)).size).toBe(INSTRUCTIONS.length);
  });

  test('marks as wide what takes two slots, as a branch what has a target', () => {
    for (const row of INSTRUCTIONS) {
      const insn = instruction(row);
      const { kind } = row.semantics;
      expect(slotsOf(insn), row.name).toBe(row.immHigh === undefined ? 1 : 2);
      expect(isJump(insn), row.name).toBe(['branch', 'jump', 'jumpIndirect', 'mayGoto'].includes(kind));
      expect(jumpTarget(insn, 7), row.name).toBe(
        ['branch', 'jump', 'mayGoto'].includes(kind) ? 8 : undefined,
      );
    }
  });
});

describe.each([
  ['little-endian', true],
  ['big-endian', false],
] as const)('%s code', (_, littleEndian) => {
  test.each(INSTRUCTIONS.map((row) => [row.name, row] as const))('keeps every %s', (_name, row) => {
    fc.assert(
      fc.property(instructionOf(row), (insn) => {
        expect(decode(encode([insn], { littleEndian }), { littleEndian })).toEqual([insn]);
      }),
      { numRuns: 20 },
    );
  });

  test('keeps whole programs', () => {
    fc.assert(
      fc.property(anyProgram(), (insns) => {
        const code = encode(insns, { littleEndian });
        expect(code.length).toBe(8 * slotCount(insns));
        expect(decode(code, { littleEndian })).toEqual(insns);
      }),
    );
  });

  test('is either refused with a SkepError or comes back byte for byte', () => {
    const bytes = fc.uint8Array({ minLength: 8, maxLength: 8 });
    const opcode = fc.constantFrom(...INSTRUCTIONS.map((row) => row.opcode));
    let valid = 0;
    fc.assert(
      fc.property(bytes, opcode, fc.boolean(), (code, known, zeroRest) => {
        code[0] = known;
        if (zeroRest) code.fill(0, 2);
        let insns: ReturnType<typeof decode>;
        try {
          insns = decode(code, { littleEndian });
        } catch (error) {
          expect(error).toBeInstanceOf(SkepError);
          return;
        }
        valid++;
        expect(encode(insns, { littleEndian })).toEqual(code);
      }),
      { numRuns: 2000 },
    );
    expect(valid).toBeGreaterThan(100);
  });
});

describe('any bytes', () => {
  test('can be read leniently and written in both styles', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 8, maxLength: 16 }), (code) => {
        const { insn, slots, fault } = decodeOne(code, 0);
        expect(disassembleLlvm(insn)).not.toBe('');
        expect(disassembleKernel(insn)).not.toBe('');
        if (fault === undefined) expect(encode([insn])).toEqual(code.slice(0, 8 * slots));
      }),
      { numRuns: 2000 },
    );
  });
});

describe('assembly', () => {
  test.each(INSTRUCTIONS.map((row) => [row.name, row] as const))('says all about every %s', (_name, row) => {
    fc.assert(
      fc.property(instructionOf(row), (insn) => {
        expect(assemble(toAssembly([insn]))).toEqual([insn]);
      }),
      { numRuns: 20 },
    );
  });

  test('of a program, labels included, gives the program back', () => {
    fc.assert(
      fc.property(anyProgram(), (insns) => {
        expect(assemble(toAssembly(insns))).toEqual(insns);
      }),
    );
  });

  test('as LLVM prints it gives the instruction back where the text has all of it', () => {
    const lossless = INSTRUCTIONS.filter((row) => row.syntax.exact === undefined);
    fc.assert(
      fc.property(anyInstruction(lossless), (insn) => {
        expect(assemble(disassembleLlvm(insn, 0, { alu32: true }))).toEqual([insn]);
      }),
      { numRuns: 1000 },
    );
  });

  test('that is cut short or garbled is refused with a SkepError, never with anything else', () => {
    const word = fc.constantFrom(
      ...[
        'r1',
        'w2',
        '=',
        '+=',
        's',
        '(',
        ')',
        '*',
        'u32',
        '5',
        '-',
        'goto',
        'if',
        '\n',
        ';',
        ':',
        'lock',
        'll',
        '//',
        '/*',
        '"',
      ],
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(word, fc.string({ maxLength: 3 }))), (words) => {
        try {
          encode(assemble(words.join(' ')));
        } catch (error) {
          expect(error).toBeInstanceOf(SkepError);
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('with many labels and comments takes time in proportion', () => {
    const lines = Array.from({ length: 20_000 }, (_, i) => `1: if r1 == ${i} goto 1f // /* ${i}`);
    expect(assemble(`${lines.join('\n')}\n1: exit`)).toHaveLength(20_001);
  });
});

describe('slot offsets', () => {
  test('count a wide instruction as two', () => {
    const insns = assemble('r1 = 1 ll; r2 = 2; r3 = 3 ll; exit');
    expect([...slotOffsets(insns)]).toEqual([0, 2, 3, 5, 6]);
  });
});
