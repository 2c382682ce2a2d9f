// A batch of packets gives what a test run of each of them gives, whatever form the program sees packets in.

import { expect, test } from 'vitest';
import { ProgType, progTypeName } from '../../src/bpf/types.js';
import { assemble, encode } from '../../src/isa/index.js';
import { EmulatedKernel } from '../../src/kernel/kernel.js';

/** Returns the length that the program sees. */
const text = `
    r6 = *(u32 *)(r1 + 0)
    r0 = r6
    exit`;

const packets = [64, 13, 100, 20, 0, 1500].map((length) =>
  Uint8Array.from({ length }, (_, i) => (i * 3 + length) & 0xff),
);

test.each(
  [ProgType.SocketFilter, ProgType.SchedCls, ProgType.LwtXmit].flatMap((type) =>
    (['jit', 'interpreter'] as const).map((engine) => [progTypeName(type), engine, type] as const),
  ),
)('%s programs, %s', async (_, engine, type) => {
  const kernel = new EmulatedKernel({ engine });
  const fd = await kernel.progLoad({ type, instructions: encode(assemble(text)), license: 'GPL' });
  const offsets = Uint32Array.from([0, ...packets.map(({ length }) => length)]);
  for (let i = 1; i < offsets.length; i++) offsets[i] = (offsets[i] ?? 0) + (offsets[i - 1] ?? 0);
  const data = new Uint8Array(packets.flatMap((packet) => [...packet]));
  const result = await kernel.progRunBatch(fd, { count: packets.length, data, offsets, wantData: true });
  const tooShort = packets.flatMap(({ length }, i) => (length < 14 ? [i] : []));
  expect(result.faults.map(({ index, fault }) => [index, fault.kind])).toEqual(
    tooShort.map((index) => [index, 'not-run']),
  );
  for (const [i, dataIn] of packets.entries()) {
    if (tooShort.includes(i)) continue;
    const { retval, dataOut } = await kernel.progTestRun(fd, { dataIn });
    expect(result.retvals[i]).toBe(retval);
    expect(result.data?.slice(result.offsets?.[i], result.offsets?.[i + 1])).toEqual(dataOut);
  }
});
