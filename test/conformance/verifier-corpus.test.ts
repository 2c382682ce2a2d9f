// The scales on which the verifier is weighed (scripts/verifier-corpus): expected messages and differences between logs.

import { expect, test } from 'vitest';

interface Messages {
  missingMessage(log: string, messages: readonly string[]): string | undefined;
}
interface Hunk {
  line: number;
  before: string[];
  kernel: string[];
  ours: string[];
}
interface Lines {
  addressSlots(instructions: Uint8Array): Set<number>;
  differences(
    kernel: string,
    ours: string,
    slots: Set<number>,
    cut?: boolean,
  ): { total: number; same: number; hunks: Hunk[] };
}

const script = (name: string): string =>
  new URL(`../../scripts/verifier-corpus/${name}`, import.meta.url).href;
const { missingMessage } = (await import(script('messages.mjs'))) as Messages;
const { addressSlots, differences } = (await import(script('lines.mjs'))) as Lines;

const log = `0: (b7) r1 = 42
1: (95) exit
R0 !read_ok (a+b)
processed 2 insns
`;

test.each([
  ['texts in their order are found', ['r1 = 42', 'R0 !read_ok'], undefined],
  ['a text before the last match is not', ['R0 !read_ok', 'r1 = 42'], 'r1 = 42'],
  ['the same text twice needs two places', ['exit', 'exit'], 'exit'],
  ['a text is no regular expression', ['(a+b)'], undefined],
  ['outside of {{}} there is no wildcard', ['r1 = .2'], 'r1 = .2'],
  ['{{}} is a regular expression', ['r{{[0-9]+}} = {{4.$}}'], undefined],
  ['{{^}} is the beginning of a line', ['{{^}}1: (95) exit'], undefined],
  ['{{}} with a class of POSIX', ['= {{[[:digit:]]+}}\n'], undefined],
  ['one that does not match', ['r1 = {{[a-z]}}'], 'r1 = {{[a-z]}}'],
])('%s', (_, messages, missing) => {
  expect(missingMessage(log, messages)).toBe(missing);
});

test('logs that are the same but for spaces at the ends of lines do not differ', () => {
  expect(differences(log, log.replace('exit', 'exit  '), new Set())).toEqual({
    total: 5,
    same: 5,
    hunks: [],
  });
});

test('each place where logs differ is found, also where lines are missing or too many', () => {
  const kernel = 'a\nb\nc\nd\ne\nf\ng\nh\n';
  const ours = 'a\nB\nc\ne\nf\ng\nnew\nh\n';
  const { same, hunks } = differences(kernel, ours, new Set());
  expect(hunks.map(({ line, kernel: left, ours: right }) => [line, left, right])).toEqual([
    [1, ['b'], ['B']],
    [3, ['d'], []],
    [7, [], ['new']],
  ]);
  expect(same).toBe(7);
});

test('a log that was cut says nothing about what comes behind it', () => {
  expect(differences('a\nb\nc hal', 'a\nb\nc half\nd\n', new Set(), true).hunks).toEqual([]);
  expect(differences('a\nb\nc hal', 'a\nB\nc half\nd\n', new Set(), true).hunks).toHaveLength(1);
});

test('addresses of maps are no difference, other numbers are', () => {
  // ld_imm64 r1 = map 3; ld_imm64 r2 = 5
  const wide = (registers: number, imm: number): number[] => [
    0x18,
    registers,
    0,
    0,
    imm,
    ...Array(11).fill(0),
  ];
  const slots = addressSlots(Uint8Array.from([...wide(0x11, 3), ...wide(0x02, 5)]));
  expect([...slots]).toEqual([0]);
  const text = (map: string, number: string): string =>
    `0: (18) r1 = ${map}       ; R1=map_ptr()\n2: (18) r2 = ${number}   ; R2=5\n`;
  expect(differences(text('0xffff888112345678', '0x5'), text('0x0', '0x5'), slots).hunks).toEqual([]);
  expect(differences(text('0xffff888112345678', '0x5'), text('0x0', '0x6'), slots).hunks).toHaveLength(1);
});
