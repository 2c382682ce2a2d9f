// `prog tracelog`: what programs print, as it comes, until the user has seen enough; and `prog tracelog stdout | stderr`, what
// one program wrote to its own streams.

import { BpfError, errnoMessage } from '../../bpf/errno.js';
import { traceLine } from '../../bpf/trace-line.js';
import type { Arguments } from '../arguments.js';
import { takeProg, withFds } from '../objects.js';
import type { Tool } from '../tool.js';
import { ToolError, UsageRequest } from '../tool-error.js';

const CHUNK = 512;

export async function traceLog(tool: Tool, args: Arguments): Promise<number> {
  if (args.left === 0) {
    await follow(tool);
    return 0;
  }
  const stream = args.take('stdout') ? 1 : args.take('stderr') ? 2 : undefined;
  if (stream === undefined) throw new UsageRequest();
  args.require(2);
  await readStream(tool, args, stream);
  return 0;
}

async function follow(tool: Tool): Promise<void> {
  const bpf = await tool.bpf;
  tool.json?.startArray();
  let following: Disposable;
  try {
    following = await bpf.trace(async (event) => {
      const line = traceLine(event);
      if (tool.json) tool.json.scalar(line);
      else tool.print(line);
      await tool.flush();
    });
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    throw new ToolError(`could not open trace pipe: ${errnoMessage(error.errno)}`);
  }
  await tool.flush();
  await tool.host.interrupted();
  following[Symbol.dispose]();
  tool.json?.endArray();
}

async function readStream(tool: Tool, args: Arguments, stream: 1 | 2): Promise<void> {
  const bpf = await tool.bpf;
  const prog = await takeProg(tool, args);
  const decoder = new TextDecoder();
  let text = '';
  await withFds(bpf, [prog], async () => {
    for (;;) {
      const chunk = await bpf.progStreamRead(prog, stream, CHUNK).catch((error: unknown) => {
        if (!(error instanceof BpfError)) throw error;
        throw new ToolError(`can't read the stream of the program: ${errnoMessage(error.errno)}`);
      });
      if (chunk.length === 0) break;
      text += decoder.decode(chunk, { stream: true });
    }
  });
  if (tool.json) tool.json.scalar(text);
  else if (stream === 1) tool.print(text);
  else await tool.host.err(text);
}
