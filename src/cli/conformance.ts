// `skep conformance`: the plug-in process of the public BPF conformance project. Its runner starts
//
//     PLUGIN [MEMORY] [OPTIONS...] [--elf]       instructions on standard input, one line of hex bytes and spaces
//
// and expects r0 in hexadecimal on standard output and exit status 0. (With --plugin_options 'conformance' the memory
// comes before the name of the command: main.ts puts that right.)

import { SkepError } from '../base/error.js';
import type { EngineName } from '../kernel/engine.js';
import { EmulatedKernel } from '../kernel/kernel.js';
import { UsageError } from './errors.js';

export interface ConformanceOptions {
  engine: EngineName;
  program?: string;
  elf?: boolean;
}

/** Runs the command. */
export async function conformance(memory: string | undefined, options: ConformanceOptions): Promise<void> {
  const data = parseHex(memory ?? '', 'memory');
  const input = parseHex(options.program ?? (await standardInput()), 'program');
  const code = options.elf ? await firstFunction(input) : input;
  if (code.length === 0)
    throw new UsageError('there are no instructions', { hint: 'Give them on standard input.' });
  const kernel = new EmulatedKernel({ engine: options.engine });
  const result = await kernel.runRaw(code, data);
  process.stdout.write(`${result.toString(16)}\n`);
}

/** `b7 00 ...`: pairs of hexadecimal digits, with or without white space between them, or with `0x`. */
export function parseHex(text: string, what: string): Uint8Array {
  const digits = text.replace(/\b0x/gi, '').replace(/\s+/g, '');
  const wrong = digits.search(/[^0-9a-f]/i);
  if (wrong >= 0) {
    throw new UsageError(`the ${what} is to be hexadecimal bytes, but has '${digits[wrong]}'`);
  }
  if (digits.length % 2 !== 0) throw new UsageError(`the ${what} has an odd number of hexadecimal digits`);
  const bytes = new Uint8Array(digits.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}

async function standardInput(): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Uint8Array);
  return Buffer.concat(chunks).toString('latin1');
}

/** The instructions of an object's only executable section that has any: what the suite's writer makes. */
async function firstFunction(bytes: Uint8Array): Promise<Uint8Array> {
  const { ElfFile } = await import('../elf/file.js');
  const { isExecutable } = await import('../elf/functions.js');
  const elf = ElfFile.parse(bytes);
  const section = elf.sections.find(isExecutable);
  if (section === undefined)
    throw new SkepError('there is no section with instructions', { where: 'program' });
  return elf.contents(section);
}
