import { describe, expect, test } from 'vitest';
import { decode, encode, PseudoSource, programTag } from './index.js';

// `hello` as Linux 6.18 gives it back (bpftool 7.8, prog dump xlated file), with the helper call as it was loaded:
// Linux prints its tag as d35b94b4c0c10efb before 6.18 and as 490c48c1179970a8 since.
const HELLO = Uint8Array.from(
  (
    '1826000029a50000 0000000000000000 6163000000000000 182100002aa50000 0000000000000000 b70200000f000000 ' +
    '8500000006000000 6161000000000000 0701000001000000 6316000000000000 b700000002000000 9500000000000000'
  )
    .replaceAll(' ', '')
    .match(/../g) ?? [],
  (byte) => Number.parseInt(byte, 16),
);

describe('the tag of a program', () => {
  test.each([
    ['sha1', 'd35b94b4c0c10efb'],
    ['sha256', '490c48c1179970a8'],
  ] as const)('by %s is what Linux shows', (algorithm, tag) => {
    expect(programTag(HELLO, algorithm)).toBe(tag);
    expect(programTag(decode(HELLO), algorithm)).toBe(tag);
  });

  test.each([PseudoSource.MAP_FD, PseudoSource.MAP_VALUE, PseudoSource.MAP_IDX, PseudoSource.MAP_IDX_VALUE])(
    'does not depend on the map that a ld_imm64 with source %i names',
    (src) => {
      const insn = { opcode: 0x18, dst: 1, src, offset: 0, imm: 7, immHigh: 0 };
      expect(programTag([{ ...insn, imm: 8 }], 'sha256')).toBe(programTag([insn], 'sha256'));
    },
  );

  test.each([PseudoSource.NONE, PseudoSource.BTF_ID, PseudoSource.FUNC])(
    'depends on the number that a ld_imm64 with source %i loads',
    (src) => {
      const insn = { opcode: 0x18, dst: 1, src, offset: 0, imm: 7, immHigh: 0 };
      const other = encode([{ ...insn, imm: 8 }]);
      expect(programTag(other, 'sha256')).not.toBe(programTag([insn], 'sha256'));
    },
  );
});
