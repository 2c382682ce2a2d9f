// `prog run`: a program once or many times on the user's data (BPF_PROG_TEST_RUN).

import type { ProgTestRunAttr } from '../../bpf/bpf.js';
import { BpfError, errnoMessage } from '../../bpf/errno.js';
import { type Arguments, isPrefix } from '../arguments.js';
import { FileError } from '../host.js';
import { parseUnsigned32 } from '../number.js';
import { takeProg, withFds } from '../objects.js';
import type { Tool } from '../tool.js';
import { statusOfErrno, ToolError } from '../tool-error.js';

/** Room for output when nothing else is asked for. */
const DEFAULT_SIZE = 32768;

interface RunRequest {
  dataIn?: string;
  dataOut?: string;
  dataSizeOut: number;
  ctxIn?: string;
  ctxOut?: string;
  ctxSizeOut: number;
  repeat: number;
}

/** Abbreviations that could be several of these are refused. */
function refuseAmbiguous(word: string, keywords: readonly string[]): void {
  const possible = keywords.filter((keyword) => isPrefix(word, keyword));
  if (possible.length < 2) return;
  throw new ToolError(`ambiguous prefix: '${word}' could be '${possible.join("' or '")}'`);
}

function takeFile(args: Arguments, stdinTaken: boolean): string {
  args.require(1);
  const file = args.next();
  if (file === '-' && stdinTaken)
    throw new ToolError('cannot use standard input for both data_in and ctx_in');
  return file;
}

function takeNumber(args: Arguments, what: string): number {
  args.require(1);
  const word = args.next();
  const value = parseUnsigned32(word);
  if (value === undefined) throw new ToolError(`can't parse ${word} as ${what}`);
  return value;
}

function takeOption(args: Arguments, request: RunRequest): void {
  refuseAmbiguous(args.peek ?? '', ['data_in', 'data_out', 'data_size_out']);
  refuseAmbiguous(args.peek ?? '', ['ctx_in', 'ctx_out', 'ctx_size_out']);
  if (args.take('data_in')) request.dataIn = takeFile(args, request.ctxIn === '-');
  else if (args.take('data_out')) request.dataOut = takeFile(args, false);
  else if (args.take('data_size_out')) request.dataSizeOut = takeNumber(args, 'output data size');
  else if (args.take('ctx_in')) request.ctxIn = takeFile(args, request.dataIn === '-');
  else if (args.take('ctx_out')) request.ctxOut = takeFile(args, false);
  else if (args.take('ctx_size_out')) request.ctxSizeOut = takeNumber(args, 'output context size');
  else if (args.take('repeat')) request.repeat = takeNumber(args, 'repeat number');
  else {
    throw new ToolError(
      "expected no more arguments, 'data_in', 'data_out', 'data_size_out', 'ctx_in', 'ctx_out', 'ctx_size_out' or " +
        `'repeat', got: '${args.peek}'?`,
    );
  }
}

async function readInput(tool: Tool, file: string): Promise<Uint8Array> {
  try {
    return await tool.host.readFile(file);
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    throw new ToolError(`failed to open ${file}: ${errnoMessage(error.errno)}`);
  }
}

export async function runProg(tool: Tool, args: Arguments): Promise<number> {
  args.require(4);
  const bpf = await tool.bpf;
  const prog = await takeProg(tool, args);
  return withFds(bpf, [prog], async () => {
    const request: RunRequest = { dataSizeOut: 0, ctxSizeOut: 0, repeat: 1 };
    while (args.left > 0) takeOption(args, request);
    const attr: ProgTestRunAttr = { repeat: request.repeat };
    if (request.dataIn !== undefined) {
      attr.dataIn = await readInput(tool, request.dataIn);
      attr.dataSizeOut = request.dataSizeOut || DEFAULT_SIZE;
    }
    if (request.ctxIn !== undefined) {
      attr.ctxIn = await readInput(tool, request.ctxIn);
      attr.ctxSizeOut = request.ctxSizeOut || DEFAULT_SIZE;
    }
    let result: Awaited<ReturnType<typeof bpf.progTestRun>>;
    try {
      result = await bpf.progTestRun(prog, attr);
    } catch (error) {
      if (!(error instanceof BpfError)) throw error;
      throw new ToolError(`failed to run program: ${errnoMessage(error.errno)}`, statusOfErrno(error.errno));
    }
    tool.json?.startObject();
    let status = 0;
    if (request.dataIn !== undefined)
      status += await giveOut(tool, result.dataOut, request.dataOut, 'data_out');
    if (request.ctxIn !== undefined) status += await giveOut(tool, result.ctxOut, request.ctxOut, 'ctx_out');
    const { retval, duration } = result;
    if (tool.json) {
      tool.json.member('retval', retval);
      tool.json.member('duration', duration);
      tool.json.endObject();
    } else {
      const average = request.repeat > 1 ? ' (average)' : '';
      tool.print(`Return value: ${retval}, duration${average}: ${duration}ns\n`);
    }
    return status;
  });
}

/** Writes what came out of a run. That it cannot be written does not keep the rest from being told; -1 then, 0 otherwise. */
async function giveOut(
  tool: Tool,
  data: Uint8Array,
  file: string | undefined,
  name: string,
): Promise<number> {
  if (file === undefined || data.length === 0) return 0;
  if (file === '-') {
    if (tool.json) tool.json.member(name, Array.from(data));
    else tool.print(hexDump(data));
    return 0;
  }
  try {
    await tool.host.writeFile(file, data);
    return 0;
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    await tool.error(`failed to open ${file}: ${errnoMessage(error.errno)}`);
    return -1;
  }
}

/** Sixteen bytes a row: offset, pairs of bytes, and what of them can be read. */
export function hexDump(data: Uint8Array): string {
  let text = '';
  for (let at = 0; at < data.length; at += 16) {
    const row = data.subarray(at, at + 16);
    let bytes = '';
    let readable = '';
    for (let i = 0; i < 16; i++) {
      const byte = row[i];
      bytes += `${byte === undefined ? '  ' : byte.toString(16).padStart(2, '0')}${i % 2 === 1 ? ' ' : ''}`;
      if (byte === undefined) continue;
      readable += byte < 0x20 || byte > 0x7e ? '.' : String.fromCharCode(byte);
      if (i === 7) readable += ' ';
    }
    text += `${at.toString(16).padStart(7, '0')}\t${bytes}| ${readable}\n`;
  }
  return text;
}
