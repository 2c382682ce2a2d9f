// `prog dump`: a program as the kernel runs it.

import type { Bpf, Fd } from '../../bpf/bpf.js';
import { BpfError, errnoMessage } from '../../bpf/errno.js';
import type { Arguments } from '../arguments.js';
import {
  type DumpedProgram,
  drawPng,
  drawSvg,
  dumpJited,
  dumpVisual,
  dumpXlated,
  type Listing,
  readProgram,
} from '../dump/index.js';
import { FileError } from '../host.js';
import { fullProgName, takeProgs, withFds } from '../objects.js';
import type { Tool } from '../tool.js';
import { ToolError, UsageRequest } from '../tool-error.js';
import { deviceName, headerJson, headerPlain } from './show.js';

interface DumpRequest {
  mode: 'xlated' | 'jited';
  file: string | undefined;
  opcodes: boolean;
  linum: boolean;
  visual: boolean;
  /** The files that the graph is drawn into. */
  svg: string | undefined;
  png: string | undefined;
}

export async function dumpProgs(tool: Tool, args: Arguments): Promise<void> {
  const mode = args.take('jited') ? 'jited' : args.take('xlated') ? 'xlated' : undefined;
  if (mode === undefined) {
    throw new ToolError(`expected 'xlated' or 'jited', got: ${args.peek ?? '(null)'}`);
  }
  if (args.left < 2) throw new UsageRequest();
  const bpf = await tool.bpf;
  const fds = await takeProgs(tool, args);
  await withFds(bpf, fds, async () => {
    const request = takeOptions(args, mode, fds.length > 1);
    if (request.file !== undefined && (request.opcodes || request.visual || request.linum)) {
      throw new ToolError("'file' is not compatible with 'opcodes', 'visual', or 'linum'");
    }
    const drawn = request.svg !== undefined || request.png !== undefined;
    if (tool.json && request.visual && !drawn)
      throw new ToolError("'visual' is not compatible with JSON output");
    if (fds.length > 1) tool.json?.startArray();
    for (const [at, fd] of fds.entries())
      await dumpOne(tool, bpf, fd, request, fds.length > 1, at + 1 < fds.length);
    if (fds.length > 1) tool.json?.endArray();
  });
}

function takeOptions(args: Arguments, mode: DumpRequest['mode'], several: boolean): DumpRequest {
  const request: DumpRequest = {
    mode,
    file: undefined,
    opcodes: false,
    linum: false,
    visual: false,
    svg: undefined,
    png: undefined,
  };
  const onlyOne = (): void => {
    if (several) throw new ToolError('several programs matched');
  };
  while (args.left > 0) {
    if (args.take('file')) {
      if (args.left === 0) throw new ToolError('expected file path');
      onlyOne();
      request.file = args.next();
    } else if (args.take('opcodes')) {
      request.opcodes = true;
    } else if (args.take('visual')) {
      onlyOne();
      request.visual = true;
    } else if (request.visual && (args.peek === '--svg' || args.peek === '--png')) {
      const form = args.next() === '--svg' ? 'svg' : 'png';
      if (args.left === 0) throw new ToolError('expected file path');
      request[form] = args.next();
    } else if (args.take('linum')) {
      request.linum = true;
    } else {
      throw new UsageRequest();
    }
  }
  return request;
}

async function read(bpf: Bpf, fd: Fd): Promise<DumpedProgram> {
  try {
    return await readProgram(bpf, fd);
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    throw new ToolError(`can't get prog info: ${errnoMessage(error.errno)}`);
  }
}

async function dumpOne(
  tool: Tool,
  bpf: Bpf,
  fd: Fd,
  request: DumpRequest,
  several: boolean,
  moreToCome: boolean,
): Promise<void> {
  const program = await read(bpf, fd);
  const { info } = program;
  if (several) {
    const name = await fullProgName(bpf, info, fd);
    tool.json?.startObject();
    headerJson(tool, info, name);
    tool.json?.name('insns');
    if (!tool.json) headerPlain(tool, info, name, await deviceName(bpf, info.ifindex));
  }
  await dump(tool, program, request);
  if (several) {
    tool.json?.endObject();
    if (!tool.json && moreToCome) tool.print('\n');
  }
  await tool.flush();
}

async function dump(tool: Tool, program: DumpedProgram, request: DumpRequest): Promise<void> {
  const { mode, file } = request;
  const bytes = mode === 'jited' ? program.dump.jited : program.dump.xlated;
  if (bytes.length === 0) {
    throw new ToolError(
      mode === 'jited'
        ? 'error retrieving jit dump: no instructions returned or kernel.kptr_restrict set?'
        : 'error retrieving insn dump: kernel.kptr_restrict set?',
    );
  }
  if (file !== undefined) {
    await writeOut(tool, file, bytes);
    tool.done();
    return;
  }
  if (mode === 'xlated' && request.visual) {
    await graph(tool, dumpVisual(program, request), request);
    return;
  }
  const listing = await listingOf(program, request);
  if (tool.json) tool.json.value(listing.json());
  else tool.print(listing.text());
}

/** The graph as text, or drawn into files. */
async function graph(tool: Tool, dot: string, { svg, png }: DumpRequest): Promise<void> {
  if (svg !== undefined) await writeOut(tool, svg, await drawSvg(dot));
  if (png !== undefined) await writeOut(tool, png, await drawPng(dot));
  if (svg === undefined && png === undefined) tool.print(dot);
  else tool.done();
}

const listingOf = async (program: DumpedProgram, request: DumpRequest): Promise<Listing> =>
  request.mode === 'xlated' ? dumpXlated(program, request) : dumpJited(program, request);

async function writeOut(tool: Tool, file: string, bytes: Uint8Array | string): Promise<void> {
  try {
    await tool.host.writeFile(file, bytes);
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    throw new ToolError(`can't open file ${file}: ${errnoMessage(error.errno)}`);
  }
}
