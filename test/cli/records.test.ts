// `skep run` shows what a program sends through a ring buffer: every record, also when all of them together are larger
// than the buffer.

import { expect, test } from 'vitest';
import { output } from './skep.js';

const args = [
  'run',
  'test/compare/objects/maps.bpf.o',
  '--program',
  'touch',
  '--pcap',
  'examples/traffic.pcapng',
];
/** 0xdead, and the constant that is 42. */
const record = 'ad de 00 00 2a 00 00 00';

interface Report {
  packets: number;
  maps: { name: string; count: number; entries: { key: unknown; value: unknown }[] }[];
}

test.each(['jit', 'interpreter'])('records of a ring buffer, with the %s', (engine) => {
  const text = output(...args, '--limit', '25', '--engine', engine);
  expect(text).toContain(`Map rb (ringbuf, 25 records)\n  0 = ${record}\n  1 = ${record}\n`);
  expect(text).toContain(`  19 = ${record}\n  ... 5 more (--all-entries)\n`);
  expect(text).toContain('Map pea (perf_event_array, 0 records)\n  empty\n');

  const report = JSON.parse(output(...args, '--limit', '25', '--engine', engine, '--json')) as Report;
  const ring = report.maps.find(({ name }) => name === 'rb');
  expect(ring?.count).toBe(25);
  expect(ring?.entries.map(({ value }) => value)).toEqual(Array(25).fill(record));
});
