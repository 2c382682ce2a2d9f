// `batch file FILE`: commands from a file, a line each, until one fails. `#` begins a comment, a backslash at the end of a
// line continues it.

import { errnoMessage } from '../bpf/errno.js';
import { Arguments } from './arguments.js';
import { FileError } from './host.js';
import { runCommand, type Tool } from './tool.js';
import { ToolError } from './tool-error.js';

/** The longest command, its continuation lines included, and the most words of one. */
const LONGEST_LINE = 65536;
const MOST_WORDS = 4096;

/** The commands of a batch, one after the other. Comments go first, then lines are joined. */
export function* batchLines(text: string): Generator<string> {
  const lines = text.split(/(?<=\n)/).map((line) => line.replace(/#.*/s, ''));
  let joined: string | undefined;
  let commands = 0;
  for (const line of lines) {
    const whole: string = joined === undefined ? line : joined + line;
    if (whole.length >= LONGEST_LINE) throw new ToolError(`command ${commands} is too long`);
    if (whole.endsWith('\\\n')) {
      joined = whole.slice(0, -2);
      continue;
    }
    joined = undefined;
    if (whole.trim() !== '') commands++;
    yield whole;
  }
  if (joined !== undefined) throw new ToolError(`missing continuation line on command ${commands}`);
}

/** The words of a line. Quotes hold a word with spaces together when they begin it. */
export function batchWords(line: string, command: number): string[] {
  const words: string[] = [];
  let rest = line.trimStart();
  while (rest !== '') {
    if (words.length >= MOST_WORDS - 1) throw new ToolError(`too many arguments to command ${command}`);
    const quote = rest[0];
    if (quote === "'" || quote === '"') {
      const end = rest.indexOf(quote, 1);
      if (end < 0) throw new ToolError(`unterminated quoted string in command ${command}`);
      words.push(rest.slice(1, end));
      rest = rest.slice(end + 1).trimStart();
      continue;
    }
    const [word = ''] = rest.match(/^\S+/) ?? [];
    words.push(word);
    rest = rest.slice(word.length).trimStart();
  }
  return words;
}

async function readBatch(tool: Tool, path: string): Promise<string> {
  try {
    return new TextDecoder().decode(await tool.host.readFile(path));
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    throw new ToolError(`Can't open file (${path}): ${error.message}`);
  }
}

export async function runBatch(tool: Tool, args: Arguments): Promise<number> {
  if (args.left < 2) throw new ToolError('too few parameters for batch');
  if (args.left > 2) throw new ToolError('too many parameters for batch');
  if (!args.take('file')) throw new ToolError(`expected 'file', got: ${args.peek}`);
  const text = await readBatch(tool, args.next('FILE'));
  tool.json?.startArray();
  let commands = 0;
  for (const line of batchLines(text)) {
    const words = batchWords(line, commands);
    if (words.length === 0) continue;
    tool.json?.startObject();
    tool.json?.member('command', words);
    tool.json?.name('output');
    const status = await runCommand(tool, tool.objects, new Arguments(words));
    tool.json?.endObject();
    // Others may read along.
    await tool.flush();
    if (status !== 0) return status;
    commands++;
  }
  if (tool.leftErrno !== 0) {
    throw new ToolError(`reading batch file failed: ${errnoMessage(tool.leftErrno)}`);
  }
  if (!tool.json) tool.print(`processed ${commands} commands\n`);
  return 0;
}
