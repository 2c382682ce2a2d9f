// Packets per second: the programs of examples/ over the real capture, the packets copied in, in batches.

import { readFileSync } from 'node:fs';
import { EmulatedKernel, load, parseObject, pcap } from '../dist/node/index.js';
import { short, spread, summary, table } from './statistics.mjs';

const folder = new URL('../examples/', import.meta.url);

const examples = [
  ['hello.bpf.o', 'hello'],
  ['firewall.bpf.o', 'firewall'],
  ['ratelimit.bpf.o', 'ratelimit'],
  ['loadbalancer.bpf.o', 'loadbalancer'],
  ['loadbalancer.bpf.o', 'loadbalancer_tunnel'],
];

const engines = [
  ['jit', {}],
  ['checked', { safety: 'check' }],
  ['interpreter', { engine: 'interpreter' }],
];

/** Rows: example, and for each engine nanoseconds per packet, all in. */
export async function measureCapture({ rounds, passes, progress }) {
  const blocks = [];
  for await (const block of pcap.readPackets([readFileSync(new URL('traffic.pcapng', folder))]))
    blocks.push(block);
  const count = blocks.reduce((sum, block) => sum + block.count, 0);
  const rows = [];
  for (const [object, program] of examples) {
    progress(program);
    const row = { object, program, packets: count };
    const runs = [];
    for (const [name, options] of engines) {
      const collection = await load(
        parseObject(readFileSync(new URL(object, folder))),
        new EmulatedKernel(options),
      );
      const loaded = collection.program(program);
      const pass = async () => {
        for (const block of blocks) {
          const { faults } = await loaded.runBatch(block);
          if (faults.length > 0) throw new Error(`${program} on ${name}: ${faults[0].fault.message}`);
        }
      };
      for (let i = 0; i < passes; i++) await pass();
      runs.push({ name, pass, collection, samples: [] });
    }
    for (let round = 0; round < rounds; round++) {
      for (let i = 0; i < runs.length; i++) {
        const { pass, samples } = runs[(i + round) % runs.length];
        const begin = performance.now();
        for (let n = 0; n < passes; n++) await pass();
        samples.push(((performance.now() - begin) * 1e6) / (count * passes));
      }
    }
    for (const { name, samples, collection } of runs) {
      row[name] = summary(samples);
      await collection.close();
    }
    rows.push(row);
  }
  return rows;
}

export function printCapture(rows) {
  const rate = ({ median }) => `${(1000 / median).toFixed(2)} M/s`;
  return table(
    ['capture, all in', 'jit', 'ns', '', 'checked', 'ns', '', 'interp.', 'ns'],
    rows.map(({ program, jit, checked, interpreter }) => [
      program,
      rate(jit),
      short(jit.median),
      spread(jit),
      rate(checked),
      short(checked.median),
      spread(checked),
      rate(interpreter),
      short(interpreter.median),
    ]),
  );
}
