// The files of tracefs that people read: what programs print, and what there is to trace.

import type { Btf } from '../../btf/index.js';
import type { KernelMachine } from '../machine.js';
import { kernelTypes } from '../types/index.js';
import { eventGroups, otherEvents } from './event-groups.js';
import { type FileContent, MadeFile } from './nodes.js';

/** What the names of the types begin with that stand for tracepoints. */
const TRACEPOINT = 'btf_trace_';
/** Those that only programs can use: there is no event of them. */
const BARE = '_tp';

const utf8 = new TextEncoder();
const words = (text: string): string[] => text.trim().split(/\s+/);

function* namesOf(btf: Btf, kind: 'TYPEDEF' | 'FUNC'): Generator<string, void, undefined> {
  for (let id = btf.firstId; id < btf.typeCount; id++) {
    if (btf.kind(id) === kind) yield btf.nameOf(id);
  }
}

/** Every tracepoint of the kernel's types, `group:name`. */
export function events(btf: Btf): string[] {
  const groups = new Set(words(eventGroups));
  const listed = new Map(
    Object.entries(otherEvents).flatMap(([group, names]) =>
      words(names).map((name) => [name, group] as const),
    ),
  );
  /** The longest group that the name begins with. */
  const grouped = (name: string): string | undefined => {
    for (let end = name.length; end > 0; end = name.lastIndexOf('_', end - 1)) {
      if (groups.has(name.slice(0, end))) return name.slice(0, end);
    }
    return undefined;
  };
  const found = new Set<string>();
  for (const type of namesOf(btf, 'TYPEDEF')) {
    const name = type.startsWith(TRACEPOINT) ? type.slice(TRACEPOINT.length) : '';
    const group = name.endsWith(BARE) ? undefined : (listed.get(name) ?? grouped(name));
    if (name && group) found.add(`${group}:${name}`);
  }
  return [...found].sort();
}

/** Every function that the kernel's types have. */
const functions = (btf: Btf): string[] => [...new Set(namesOf(btf, 'FUNC'))].sort();

const list = (names: (btf: Btf) => string[]): FileContent => ({
  read: async () => utf8.encode(`${names(await kernelTypes()).join('\n')}\n`),
});

/** Every file and its name in the directory. */
export function tracingFiles({ tracing, cpus }: KernelMachine): [name: string, file: MadeFile][] {
  const trace: FileContent = {
    read: () => tracing.show(cpus),
    truncate: () => tracing.clear(),
    // What is written is of no interest; that somebody opens it to write empties it.
    write: () => {},
  };
  const pipe: FileContent = { read: () => tracing.takeAll(), open: () => tracing.reader() };
  return [
    ['trace', new MadeFile(0o640, trace)],
    ['trace_pipe', new MadeFile(0o440, pipe)],
    ['available_events', new MadeFile(0o440, list(events))],
    ['available_filter_functions', new MadeFile(0o440, list(functions))],
  ];
}
