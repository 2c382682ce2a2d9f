// What the JIT makes of a program, read back as WebAssembly text.

import { beforeAll, describe, expect, test } from 'vitest';
import wabt from 'wabt';
import { assemble } from '../../isa/index.js';
import { helperById } from '../helpers/index.js';
import { xdp } from '../programs/xdp.js';
import { checkStructure } from '../verifier/structure.js';
import type { Constant, MapConstant } from './code.js';
import { compileProgram } from './module.js';

let tools: Awaited<ReturnType<typeof wabt>>;
beforeAll(async () => {
  tools = await wabt();
});

const array: MapConstant = {
  address: 0x20000,
  kind: 'array',
  keySize: 4,
  valueSize: 8,
  maxEntries: 16,
  values: 0x30000,
  elementSize: 8,
  cpuStride: 0,
  readable: true,
  writable: true,
};

/** The program as text: its function, or the block in `run`'s loop that it is written into. `maps` says which `ld_imm64` (by slot) loads which map. */
function compiled(text: string, options: { checked?: boolean; maps?: [number, MapConstant][] } = {}): string {
  const constants = new Map<number, Constant>(
    (options.maps ?? []).map(([slot, map]) => [slot, { kind: 'map', map }]),
  );
  const steps = checkStructure(assemble(text), constants, {
    packetLoads: true,
    helpers: helperById,
    refuseHelper: () => undefined,
    refuseKfunc: () => undefined,
  });
  const code = { steps, constants, context: xdp.context, kfuncs: new Map() };
  const { bytes } = compileProgram(code, { checked: options.checked ?? false, helpers: helperById });
  const module = tools.readWasm(bytes, { readDebugNames: true, tail_call: true });
  module.validate();
  const wat = module.toText({ foldExprs: false, inlineExport: true });
  module.destroy();
  const [main, run] = ['main', 'run'].map(
    (name) => new RegExp(`\\(func \\$${name}[\\s\\S]*?(?=\\n {2}\\(func |$)`).exec(wat)?.[0] ?? '',
  );
  const inlined = /\n +loop[\s\S]*?\n( +)block[^\n]*\n([\s\S]*?)\n\1end\n/.exec(run ?? '')?.[2];
  return inlined ?? main ?? wat;
}

describe('rotates', () => {
  test('two shifts of one value and an OR become a 64-bit rotate', () => {
    const text = compiled('r4 = r1\nr4 >>= 51\nr1 <<= 13\nr1 |= r4\nr0 = r1\nexit');
    expect(text).toContain('i64.rotl');
  });

  test('32-bit halves rotate as 32 bits', () => {
    expect(compiled('w4 = w1\nr4 = r1\nw4 >>= 25\nw1 <<= 7\nw1 |= w4\nr0 = r1\nexit')).toContain('i32.rotl');
  });

  test.each([
    ['distances that do not add up to the width', 'r4 = r1\nr4 >>= 50\nr1 <<= 13\nr1 |= r4\nr0 = r1\nexit'],
    ['different values', 'r4 = r1\nr4 += 1\nr4 >>= 51\nr1 <<= 13\nr1 |= r4\nr0 = r1\nexit'],
    ['both to the left', 'r4 = r1\nr4 <<= 51\nr1 <<= 13\nr1 |= r4\nr0 = r1\nexit'],
  ])('no rotate for %s', (_, program) => {
    expect(compiled(program)).not.toContain('rotl');
  });
});

describe('extensions', () => {
  test('two shifts by 32 become one, or none where there is no upper half', () => {
    expect(compiled('r0 = r1\nr0 <<= 32\nr0 >>= 32\nexit')).not.toMatch(/i64.sh/);
    expect(compiled('r0 = r1\nr0 <<= 32\nr0 s>>= 32\nexit')).toContain('i64.extend32_s');
    expect(compiled('r0 = *(u8 *)(r1 + 0)\nr0 <<= 32\nr0 >>= 32\nexit')).not.toMatch(
      /i64.sh|wrap_i64\s+i64.ext/,
    );
  });

  test('other shifts stay', () => {
    const text = compiled(
      'r0 = r1\nr0 <<= 32\nr0 >>= 31\nr2 = r1\nr2 <<= 32\nr0 += r2\nr2 >>= 32\nr0 ^= r2\nexit',
    );
    expect(text.match(/i64.sh/g)).toHaveLength(4);
  });
});

describe('control flow', () => {
  test('a branch over a move becomes a selection', () => {
    const text = compiled('r0 = 1\nif r1 > 5 goto done\nr0 = 2\ndone: exit');
    expect(text).toContain('select');
    expect(text).not.toMatch(/\bif\b|br_if/);
  });

  test('loops are loops, without a dispatcher', () => {
    const text = compiled(
      'r0 = 0\nr2 = 10\nouter: r3 = 10\ninner: r0 += r3\nr3 += -1\nif r3 != 0 goto inner\nr2 += -1\nif r2 != 0 goto outer\nexit',
    );
    expect(text.match(/\bloop\b/g)).toHaveLength(2);
    expect(text).not.toContain('br_table');
  });

  test('a small loop is written several times, and tests once if its rounds are known', () => {
    const count = (text: string, what: RegExp) => text.match(what)?.length ?? 0;
    const loop = (limit: string) =>
      compiled(`r0 = 0\nr5 = 0\nl: r0 ^= r1\nr5 += 1\nif r5 != ${limit} goto l\nexit`);
    const tests = /\bbr_if\b|\bif\b/g;
    expect(count(loop('60'), /i64.xor/g)).toBe(30);
    expect(count(loop('60'), tests)).toBe(1);
    expect(count(loop('r1'), /i64.xor/g)).toBe(8);
    expect(count(loop('r1'), tests)).toBe(8);
  });

  test('a loop with two entries gets a dispatcher of its own', () => {
    const text = compiled(
      'r0 = 0\nr3 = 20\nif r1 == 16 goto b\na: r0 += *(u32 *)(r10 - 4)\nr3 += -1\nif r3 s< 0 goto out\nb: r0 += 100\nr3 += -1\nif r3 s> 0 goto a\nout: exit'.replace(
        'r0 += *(u32 *)(r10 - 4)',
        'r0 += 1',
      ),
    );
    expect(text.match(/br_table/g)).toHaveLength(1);
  });

  test('ten thousand nested branches do not exhaust the stack', () => {
    const lines = Array.from({ length: 10_000 }, (_, i) => `if r1 == ${i} goto out\n*(u64 *)(r10 - 8) = r1`);
    expect(compiled(`r0 = 0\n${lines.join('\n')}\nout: exit`).length).toBeGreaterThan(100_000);
  });
});

describe('memory', () => {
  const LOOKUP = '*(u32 *)(r10 - 4) = r1\nr2 = r10\nr2 += -4\nr1 = 0 ll\ncall 1';

  test('an array lookup is written out, not called', () => {
    const text = compiled(`${LOOKUP}\nif r0 == 0 goto out\nr0 = *(u64 *)(r0 + 0)\nout: exit`, {
      maps: [[3, array]],
    });
    expect(text).not.toMatch(/\bcall\b/);
    expect(text).toContain('select');
  });

  test('a stack access needs no check, nor does a found element after its null check', () => {
    const text = compiled(`${LOOKUP}\nif r0 == 0 goto out\nr0 = *(u64 *)(r0 + 0)\nout: exit`, {
      maps: [[3, array]],
      checked: true,
    });
    expect(text).not.toMatch(/\bcall\b/);
  });

  test('without the null check there is a check', () => {
    const text = compiled(`${LOOKUP}\nr0 = *(u64 *)(r0 + 0)\nexit`, { maps: [[3, array]], checked: true });
    expect(text).toMatch(/call \$\S*check_access|call \d/);
  });

  test('a key that is known to be in the array needs neither', () => {
    const known = LOOKUP.replace('= r1', '= 15');
    const text = compiled(`${known}\nr0 = *(u64 *)(r0 + 0)\nexit`, { maps: [[3, array]], checked: true });
    expect(text).not.toMatch(/\bcall\b|i32.load/);
    const beyond = LOOKUP.replace('= r1', '= 16');
    expect(compiled(`${beyond}\nr0 = *(u64 *)(r0 + 0)\nexit`, { maps: [[3, array]], checked: true })).toMatch(
      /\bcall\b/,
    );
  });

  test('a key that nobody reads but lookups and loads that know it is not stored', () => {
    const maps: [number, MapConstant][] = [[3, array]];
    const stores = (text: string) => compiled(text, { maps, checked: true }).match(/store/g)?.length ?? 0;
    expect(stores(`${LOOKUP}\nr0 = 1\nexit`)).toBe(0);
    expect(stores(`${LOOKUP}\nr0 = *(u32 *)(r10 - 4)\nexit`)).toBe(0);
    // Half of it, all of it by way of another pointer, a helper, an atomic instruction, a subprogram.
    expect(stores(`${LOOKUP}\nr0 = *(u16 *)(r10 - 2)\nexit`)).toBe(1);
    expect(stores(`${LOOKUP}\nr2 = r10\nr2 ^= 0\nr0 = *(u32 *)(r2 - 4)\nexit`)).toBe(1);
    expect(stores(`${LOOKUP}\nr1 = r10\nr1 += -4\nr2 = 4\ncall 6\nr0 = 0\nexit`)).toBe(1);
    expect(stores(`${LOOKUP}\nr1 = 1\nlock *(u32 *)(r10 - 4) += r1\nr0 = 0\nexit`)).toBe(2);
    expect(stores(`${LOOKUP}\nr0 = 1\ncall sub\nexit\nsub: r0 = 0\nexit`)).toBe(1);
  });

  test('a loop is not left for a null that the lookup cannot find', () => {
    const loop = (key: string) =>
      compiled(
        `r6 = 64\nl: w1 = *(u32 *)(r10 - 8)\n${key}\n${LOOKUP}\nif r0 == 0 goto out\nr6 += -1\nif r6 != 0 goto l\nout: r0 = 0\nexit`,
        { maps: [[6, array]] },
      ).match(/\bbr_if\b|\bif\b/g)?.length;
    expect(loop('w1 >>= 28')).toBe(1);
    expect(loop('w1 >>= 27')).toBeGreaterThan(2);
  });

  test('what was stored in the frame is not loaded again, unless it may have changed', () => {
    const text = '*(u32 *)(r10 - 8) = r1\n*(u32 *)(r10 - 4) = r1';
    expect(compiled(`${text}\nr0 = *(u32 *)(r10 - 8)\nexit`)).not.toMatch(/i32.load/);
    expect(compiled(`${text}\n*(u16 *)(r10 - 6) = 7\nr0 = *(u32 *)(r10 - 8)\nexit`)).toMatch(/i32.load/);
    expect(
      compiled(`${text}\nr2 = r10\nr2 += r1\n*(u8 *)(r2 + 0) = 7\nr0 = *(u32 *)(r10 - 8)\nexit`),
    ).toMatch(/i32.load/);
  });

  const PACKET = 'r2 = *(u32 *)(r1 + 4)\nr1 = *(u32 *)(r1 + 0)\nr3 = r1\nr3 += 14\nr0 = 0\n';

  test('what data_end was compared with needs no check', () => {
    expect(
      compiled(`${PACKET}if r3 > r2 goto out\nr0 = *(u16 *)(r1 + 12)\nout: exit`, { checked: true }),
    ).not.toMatch(/\bcall\b/);
  });

  test('one byte beyond does', () => {
    expect(
      compiled(`${PACKET}if r3 > r2 goto out\nr0 = *(u16 *)(r1 + 13)\nout: exit`, { checked: true }),
    ).toMatch(/\bcall\b/);
  });

  test('a counted loop over a compared range needs no check of its accesses', () => {
    const loop =
      'r5 = 0\nl: r6 = r1\nr6 += r5\nr6 = *(u8 *)(r6 + 0)\nr0 += r6\nr5 += 1\nif r5 != 14 goto l\nout: exit';
    const checks = (text: string) => text.match(/\bcall\b/g)?.length ?? 0;
    // What is left is the budget's fault.
    expect(checks(compiled(`${PACKET}if r3 > r2 goto out\n${loop}`, { checked: true }))).toBe(1);
    expect(
      checks(compiled(`${PACKET}if r3 > r2 goto out\n${loop.replace('!= 14', '!= 15')}`, { checked: true })),
    ).toBeGreaterThan(1);
  });
});

test('a tail call is a return_call_indirect', () => {
  const programs: MapConstant = {
    ...array,
    kind: 'prog-array',
    valueSize: 4,
    elementSize: 4,
    readable: false,
    writable: false,
  };
  expect(compiled('r2 = 0 ll\nr3 = 1\ncall 12\nr0 = 0\nexit', { maps: [[0, programs]] })).toContain(
    'return_call_indirect',
  );
});
