import { describe, expect, test } from 'vitest';
import { countCpus } from './machine.js';
import { parseLostLine, parseTraceLine } from './trace-pipe.js';

describe('a line of trace_pipe', () => {
  // Recorded from Linux 6.18 (examples/hello.bpf.o, test-run).
  test.each([
    [
      '            node-28296   [001] b..11  5053.138668: bpf_trace_printk: Hello, packet 5 of 64 bytes',
      { task: 'node', pid: 28296, cpu: 1, timestamp: 5053138668000n, text: 'Hello, packet 5 of 64 bytes' },
    ],
    [
      '           <...>-29097   [001] b..11  5074.270946: bpf_trace_printk: Hello, packet 1 of 64 bytes',
      { task: '<...>', pid: 29097, cpu: 1, timestamp: 5074270946000n, text: 'Hello, packet 1 of 64 bytes' },
    ],
  ])('says who printed what and when: %s', (line, event) => {
    expect(parseTraceLine(line)).toEqual(event);
  });

  test('a name with dashes, spaces and brackets is not mistaken for what follows it', () => {
    const line = '  a-b 1-2 [3] d-17   [000] b..11     0.000001: bpf_trace_printk: x-1 [2]: y';
    expect(parseTraceLine(line)).toEqual({
      task: 'a-b 1-2 [3] d',
      pid: 17,
      cpu: 0,
      timestamp: 1000n,
      text: 'x-1 [2]: y',
    });
  });

  test.each(['', 'CPU:1 [LOST 12 EVENTS]', '  sh-1 [000] d..1 1.000000: sched_switch: prev=sh'])(
    'is left out when no program printed it: %j',
    (line) => {
      expect(parseTraceLine(line)).toBeUndefined();
    },
  );
});

describe('a line that tells of lost ones', () => {
  test('says how many, and of which CPU', () => {
    expect(parseLostLine('CPU:1 [LOST 12 EVENTS]')).toEqual({ cpu: 1, lost: 12 });
    expect(parseLostLine('CPU:1 [LOST EVENTS]')).toBeUndefined();
  });
});

describe('a list of CPUs', () => {
  test.each([
    ['0\n', 1],
    ['0-1\n', 2],
    ['0-3,8,10-11', 7],
  ])('%j counts', (list, count) => {
    expect(countCpus(list)).toBe(count);
  });

  test.each(['', 'a', '3-1', '0-', '0,,1'])('%j is refused', (list) => {
    expect(() => countCpus(list)).toThrow('is no list of CPUs');
  });
});
