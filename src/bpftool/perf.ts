// `perf`: which processes hold tracing events that run programs (BPF_TASK_FD_QUERY).

import type { Bpf, TaskFdInfo } from '../bpf/bpf.js';
import { BpfError, Errno, errnoMessage } from '../bpf/errno.js';
import type { Json } from './json-writer.js';
import type { CommandTable, Tool } from './tool.js';
import { ToolError } from './tool-error.js';
import { helpCommand, SPEC_OPTIONS, usageText } from './usage.js';

/** The names in a directory that are numbers, ascending; none when it cannot be read. */
async function numbersIn(bpf: Bpf, directory: string): Promise<number[]> {
  const entries = await bpf.fileList(directory).catch((error: unknown) => {
    if (error instanceof BpfError) return [];
    throw error;
  });
  return entries
    .filter(({ name }) => /^[0-9]+$/.test(name))
    .map(({ name }) => Number(name))
    .sort((a, b) => a - b);
}

interface Held {
  pid: number;
  fd: number;
  info: TaskFdInfo;
}

/** Every tracing event with a program. Fails when the kernel answers for no descriptor at all. */
async function heldEvents(tool: Tool, bpf: Bpf): Promise<Held[]> {
  const held: Held[] = [];
  let refused: BpfError | undefined;
  let answered = false;
  for (const pid of await numbersIn(bpf, '/proc')) {
    for (const fd of await numbersIn(bpf, `/proc/${pid}/fd`)) {
      try {
        held.push({ pid, fd, info: await bpf.taskFdQuery(pid, fd) });
        answered = true;
      } catch (error) {
        if (!(error instanceof BpfError)) throw error;
        // What is no tracing event is answered with another errno; of some processes one may not ask.
        if (error.errno === Errno.EPERM || error.errno === Errno.EINVAL) refused = error;
        else answered = true;
      }
    }
  }
  if (answered || refused === undefined) return held;
  await tool.info("HINT: non root or kernel doesn't support TASK_FD_QUERY");
  throw new ToolError(`perf_query_support: ${errnoMessage(refused.errno)}`);
}

async function show(tool: Tool): Promise<undefined> {
  const held = await heldEvents(tool, await tool.bpf);
  tool.json?.startArray();
  for (const { pid, fd, info } of held) {
    if (tool.json) tool.json.value({ pid, fd, ...eventJson(info) });
    else tool.print(`pid ${pid}  fd ${fd}: ${eventText(info)}\n`);
  }
  tool.json?.endArray();
}

function eventText({ progId, fdType, name, probeOffset, probeAddr }: TaskFdInfo): string {
  const start = `prog_id ${progId}  ${fdType}  `;
  switch (fdType) {
    case 'raw_tracepoint':
    case 'tracepoint':
      return start + name;
    case 'kprobe':
    case 'kretprobe':
      return start + (name === '' ? `addr ${probeAddr}` : `func ${name}  offset ${probeOffset}`);
    case 'uprobe':
    case 'uretprobe':
      return `${start}filename ${name}  offset ${probeOffset}`;
  }
}

function eventJson({ progId, fdType, name, probeOffset, probeAddr }: TaskFdInfo): Record<string, Json> {
  const start = { prog_id: progId, fd_type: fdType };
  switch (fdType) {
    case 'raw_tracepoint':
    case 'tracepoint':
      return { ...start, tracepoint: name };
    case 'kprobe':
    case 'kretprobe':
      return { ...start, ...(name === '' ? { addr: probeAddr } : { func: name, offset: probeOffset }) };
    case 'uprobe':
    case 'uretprobe':
      return { ...start, filename: name, offset: probeOffset };
  }
}

export const perfCommands: CommandTable = {
  commands: [{ name: 'show', run: show }, { name: 'list', run: show }, helpCommand],
  usage: usageText(['% perf { show | list }', '% perf help', '', `${SPEC_OPTIONS} }`]),
};
