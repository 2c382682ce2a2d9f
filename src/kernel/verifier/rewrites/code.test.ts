import { describe, expect, test } from 'vitest';
import { CALL, Code, Insn, type InsnFields, JA } from './code.js';
import { exit, goto, jumpImm, movImm } from './emit.js';

/** A list whose jumps lead to the instruction of that number. */
function listOf(
  fields: readonly InsnFields[],
  targets: Readonly<Record<number, number>> = {},
): Insn[] & { code: Code } {
  const code = new Code();
  const insns = fields.map((one) => new Insn(one));
  for (const insn of insns) code.append(insn);
  for (const [from, to] of Object.entries(targets)) (insns[Number(from)] as Insn).target = insns[to];
  return Object.assign(insns, { code });
}

const immediates = (code: Code): number[] => [...code].map(({ imm }) => imm);
const at = (insns: Insn[], i: number): Insn => insns[i] as Insn;

describe('a program that is rewritten', () => {
  test('jumps to what was replaced lead to the beginning of the replacement', () => {
    const insns = listOf([goto(0), movImm(0, 1), movImm(0, 2), exit()], { 0: 2 });
    const { code } = insns;
    const [first] = code.replace(at(insns, 2), [movImm(0, 3), movImm(0, 4)]);
    expect(immediates(code)).toEqual([0, 1, 3, 4, 0]);
    expect(code.resolve(at(insns, 0).target as Insn)).toBe(first);
  });

  test('jumps of a replacement count its own instructions, and lead past its end to what follows', () => {
    const insns = listOf([movImm(0, 1), exit()]);
    const [jump, inside] = insns.code.replace(at(insns, 0), [jumpImm('JEQ', 0, 0, 2), goto(0), movImm(0, 2)]);
    expect(jump?.target).toBe(at(insns, 1));
    expect(inside?.target?.imm).toBe(2);
    expect(() => insns.code.replace(inside as Insn, [goto(1)])).toThrow('leads out of it');
  });

  test('facts stay with the last instruction of a replacement, the source line with the first', () => {
    const insns = listOf([movImm(0, 1), exit()]);
    Object.assign(at(insns, 0), { origin: 7, line: 3 });
    const [first, second] = insns.code.replace(at(insns, 0), [movImm(0, 2), movImm(0, 3)]);
    expect([first?.origin, first?.line]).toEqual([-1, 3]);
    expect([second?.origin, second?.line]).toEqual([7, -1]);
  });

  test('what leads to something removed leads to what follows it', () => {
    const insns = listOf([goto(0), movImm(0, 1), movImm(0, 2), exit()], { 0: 1 });
    const { code } = insns;
    code.remove(at(insns, 1), at(insns, 2));
    expect(immediates(code)).toEqual([0, 0]);
    expect(code.resolve(at(insns, 0).target as Insn)).toBe(at(insns, 3));
  });

  test.each([
    ['goes on where it has none', -1, 6],
    ['ends where it has its own', 9, 9],
  ])('the last source line of what was removed %s', (_, own, expected) => {
    const insns = listOf([movImm(0, 1), movImm(0, 2), exit()]);
    at(insns, 0).line = 5;
    at(insns, 1).line = 6;
    at(insns, 2).line = own;
    insns.code.remove(at(insns, 0), at(insns, 1));
    expect(at(insns, 2).line).toBe(expected);
  });

  test('a function goes with its instructions, and begins with what is left of it', () => {
    const insns = listOf([exit(), goto(0), movImm(0, 1), exit(), movImm(0, 2), exit()]);
    const { code } = insns;
    code.funcs = [0, 1, 4].map((start, number) => ({ start: at(insns, start), number, stackDepth: 0 }));
    code.remove(at(insns, 1), at(insns, 1));
    expect(code.funcs.map(({ start }) => start.imm)).toEqual([0, 1, 2]);
    code.remove(at(insns, 2), at(insns, 3));
    expect(code.funcs.map(({ number }) => number)).toEqual([0, 2]);
  });

  test('jumps can be led past the beginning of a replacement, calls stay', () => {
    const callee = { code: CALL, dst: 0, src: 1, off: 0, imm: 0 };
    const insns = listOf([movImm(0, 1), { code: JA, dst: 0, src: 0, off: 0, imm: 0 }, callee, exit()], {
      1: 0,
      2: 0,
    });
    const { code } = insns;
    const [head, tail] = code.replace(at(insns, 0), [movImm(0, 2), movImm(0, 3)]);
    code.redirect(at(insns, 0), tail as Insn);
    expect(at(insns, 1).target).toBe(tail);
    expect(code.resolve(at(insns, 2).target as Insn)).toBe(head);
  });
});
