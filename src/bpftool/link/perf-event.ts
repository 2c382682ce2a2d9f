// What a perf event link hangs on, with the names that perf(1) has for counters.

import type { PerfLinkEvent } from '../../bpf/bpf.js';
import type { Json } from '../json-writer.js';

/** perf_event_attr's `type` (PERF_TYPE_*). */
const types = ['hardware', 'software', 'tracepoint', 'hw-cache', 'raw', 'breakpoint'] as const;
const Type = { Hardware: 0, Software: 1, HwCache: 3 } as const;

/** `config` of hardware counters (PERF_COUNT_HW_*). */
const hardware = [
  'cpu-cycles',
  'instructions',
  'cache-references',
  'cache-misses',
  'branch-instructions',
  'branch-misses',
  'bus-cycles',
  'stalled-cycles-frontend',
  'stalled-cycles-backend',
  'ref-cycles',
] as const;

/** `config` of software counters (PERF_COUNT_SW_*). */
const software = [
  'cpu-clock',
  'task-clock',
  'page-faults',
  'context-switches',
  'cpu-migrations',
  'minor-faults',
  'major-faults',
  'alignment-faults',
  'emulation-faults',
  'dummy',
  'bpf-output',
  'cgroup-switches',
] as const;

/** `config` of cache counters: which cache (bits 0 to 7), what is done (8 to 15), how it ends (from 16). */
const caches = ['L1-dcache', 'L1-icache', 'LLC', 'dTLB', 'iTLB', 'branch', 'node'] as const;
const operations = ['load', 'store', 'prefetch'] as const;
const results = ['refs', 'misses'] as const;

const at = (names: readonly string[], number: bigint): string | undefined =>
  number < BigInt(names.length) ? names[Number(number)] : undefined;

function configName(type: number, config: bigint): string | undefined {
  switch (type) {
    case Type.Hardware:
      return at(hardware, config);
    case Type.Software:
      return at(software, config);
    case Type.HwCache: {
      const parts: readonly [readonly string[], bigint][] = [
        [caches, config & 0xffn],
        [operations, (config >> 8n) & 0xffn],
        [results, config >> 16n],
      ];
      return parts.map(([names, number]) => at(names, number) ?? String(number)).join('-');
    }
    default:
      return undefined;
  }
}

export function perfEventText(event: PerfLinkEvent): string {
  switch (event.kind) {
    case 'kprobe':
    case 'kretprobe': {
      const { address, offset, missed, cookie } = event;
      if (event.function === '' && !address) return '';
      let text = `\n\t${event.kind} `;
      if (address) text += `${address.toString(16)} `;
      text += event.function;
      if (offset) text += `+0x${offset.toString(16)}`;
      if (missed) text += `  missed ${missed}`;
      if (cookie) text += `  cookie ${cookie}`;
      return `${text}  `;
    }
    case 'uprobe':
    case 'uretprobe': {
      const { path, offset, cookie, refCtrOffset } = event;
      if (path === '') return '';
      let text = `\n\t${event.kind} ${path}+${offset ? `0x${offset.toString(16)}` : '0'}  `;
      if (cookie) text += `cookie ${cookie}  `;
      if (refCtrOffset) text += `ref_ctr_offset 0x${refCtrOffset.toString(16)}  `;
      return text;
    }
    case 'tracepoint': {
      if (event.name === '') return '';
      return `\n\ttracepoint ${event.name}  ${event.cookie ? `cookie ${event.cookie}  ` : ''}`;
    }
    case 'event': {
      const { type, config, cookie } = event;
      const name = types[type];
      const text = `\n\tevent ${name === undefined ? `${type} :` : `${name}:`}`;
      return `${text}${configName(type, config) ?? config}  ${cookie ? `cookie ${cookie}  ` : ''}`;
    }
    case 'unknown':
      return '';
  }
}

export function perfEventJson(event: PerfLinkEvent): Record<string, Json> {
  switch (event.kind) {
    case 'kprobe':
    case 'kretprobe':
      return {
        retprobe: event.kind === 'kretprobe',
        addr: event.address,
        func: event.function,
        offset: event.offset,
        missed: event.missed,
        cookie: event.cookie,
      };
    case 'uprobe':
    case 'uretprobe':
      return {
        retprobe: event.kind === 'uretprobe',
        file: event.path,
        offset: event.offset,
        cookie: event.cookie,
        ref_ctr_offset: event.refCtrOffset,
      };
    case 'tracepoint':
      return { tracepoint: event.name, cookie: event.cookie };
    case 'event':
      return {
        event_type: types[event.type] ?? event.type,
        event_config: configName(event.type, event.config) ?? event.config,
        cookie: event.cookie,
      };
    case 'unknown':
      return {};
  }
}
