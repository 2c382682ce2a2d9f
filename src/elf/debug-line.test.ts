import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SkepError } from '../base/error.js';
import { DebugLines } from './debug-line.js';
import { ElfFile } from './file.js';

const read = (name: string): Uint8Array =>
  readFileSync(new URL(`../../examples/${name}.bpf.o`, import.meta.url));

describe('line tables', () => {
  // Against llvm-objdump: test/cli/objdump.test.ts.
  test('say where an instruction comes from', () => {
    const elf = ElfFile.parse(read('hello'));
    const source = readFileSync(new URL('../../examples/hello.bpf.c', import.meta.url), 'utf8').split('\n');
    const lines = DebugLines.parse(elf);
    const xdp = elf.sectionByName('xdp')?.index ?? 0;
    const found = lines?.find(xdp, 0);
    expect(found?.file).toBe('./hello.bpf.c');
    expect(source[(found?.line ?? 0) - 1]).toContain('counter++');
  });

  test('know nothing of what is outside of their sequences', () => {
    const elf = ElfFile.parse(read('hello'));
    const xdp = elf.sectionByName('xdp');
    const lines = DebugLines.parse(elf);
    expect(lines?.find(xdp?.index ?? 0, xdp?.size ?? 0)).toBeUndefined();
    expect(lines?.find(0, 0)).toBeUndefined();
  });

  test('that are damaged give an error that names them, or other lines', () => {
    const bytes = read('firewall');
    const section = ElfFile.parse(bytes).sectionByName('.debug_line');
    if (section === undefined) throw new Error('the example has no .debug_line');
    const change = fc.tuple(fc.nat({ max: section.size - 1 }), fc.nat({ max: 255 }));
    let refused = 0;
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 8 }), (changes) => {
        const damaged = bytes.slice();
        for (const [at, value] of changes) damaged[section.offset + at] = value;
        try {
          const lines = DebugLines.parse(ElfFile.parse(damaged));
          for (let address = 0; address < 64; address += 8) lines?.find(2, address);
        } catch (error) {
          expect(error).toBeInstanceOf(SkepError);
          expect((error as SkepError).message).toMatch(/debug_|name/);
          refused++;
        }
      }),
      { numRuns: 2000 },
    );
    expect(refused).toBeGreaterThan(0);
  });
});
