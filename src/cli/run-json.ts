// The report of `skep run` as one JSON document.

import type { RunReport } from './run-report.js';
import { traceLine } from './run-text.js';
import { toJson } from './values.js';

/** Ends with a line end. Integers beyond 2^53 are decimal strings, values without BTF strings of hex bytes. */
export function reportJson(report: RunReport): string {
  const { object, capture, program, section, kernel, engine, packets, bytes, nanoseconds } = report;
  const document = {
    object,
    capture,
    program,
    section,
    kernel,
    engine,
    packets,
    bytes,
    nanoseconds,
    nanosecondsPerPacket: packets > 0 ? nanoseconds / packets : null,
    warmNanosecondsPerPacket: report.warmNanosecondsPerPacket,
    verdicts: report.verdicts.map((verdict) => ({
      ...verdict,
      share: packets > 0 ? verdict.packets / packets : 0,
    })),
    faults: report.faults,
    trace: {
      total: report.trace.total,
      lines: report.trace.events.map(traceLine),
      events: report.trace.events,
      error: report.trace.error,
    },
    maps: report.maps.map(({ zeros, ...map }) => map),
    variables: report.variables,
    output: report.output,
    error: report.error,
  };
  return `${JSON.stringify(toJson(document), null, 2)}\n`;
}
