// One run of the tool: what was asked for, where it is written, and what the commands share.

import { SkepError } from '../base/error.js';
import type { Bpf } from '../bpf/bpf.js';
import { BpfError } from '../bpf/errno.js';
import { type Arguments, isPrefix } from './arguments.js';
import { FileError, type Host } from './host.js';
import { JsonWriter } from './json-writer.js';
import { FAILED, statusOfErrno, ToolError, UsageRequest } from './tool-error.js';

/** The options that stand before the object. */
export interface ToolOptions {
  /** -j, or -p: JSON in place of text. */
  json: boolean;
  /** -p: with line ends and indentation. */
  pretty: boolean;
  /** -f: show where objects are pinned. */
  bpffs: boolean;
  /** -m: maps of the same name as pinned ones are taken for those (MAP_PINNED_BY_NAME). */
  mapCompat: boolean;
  /** -n: no maps of the kernel's own data. */
  nomount: boolean;
  /** -d: libbpf's and the verifier's words as well. */
  debug: boolean;
  /** -L: loader program (light skeleton). */
  useLoader: boolean;
  /** -B FILE: the BTF that split BTF is based on. */
  baseBtf: string | undefined;
  /** -S, -k, -i: sign the loader program, with this key and certificate. */
  sign: boolean;
  privateKey: string | undefined;
  certificate: string | undefined;
}

export interface CommandDefinition {
  /** The keyword; any prefix of it is understood. */
  readonly name: string;
  /** Gives back the exit status; undefined is 0. */
  readonly run: (tool: Tool, args: Arguments) => Promise<number | undefined>;
}

/** The commands of one object, in the order in which prefixes are tried; the first runs when no word is given. */
export interface CommandTable {
  readonly commands: readonly CommandDefinition[];
  /** The usage text, without `Usage: ` and with the tool's name; ends with a line end. */
  readonly usage: (tool: Tool) => string;
}

export class Tool {
  readonly host: Host;
  readonly options: ToolOptions;
  /** The objects of the grammar. */
  readonly objects: CommandTable;
  /** Where JSON goes; undefined when text is wanted. */
  readonly json: JsonWriter | undefined;
  /**
   * The errno that a command left behind although it succeeded. `batch` takes it for a failure to read its file, as in
   * bpftool, where looking for the processes that hold objects (`show`) leaves EBADF.
   */
  leftErrno = 0;
  #pending = '';
  #kernel: Promise<Bpf> | undefined;

  constructor(host: Host, options: ToolOptions, objects: CommandTable) {
    this.host = host;
    this.options = options;
    this.objects = objects;
    if (options.json) {
      this.json = new JsonWriter((text) => {
        this.#pending += text;
      }, options.pretty);
    }
  }

  /** The kernel that the commands talk to. */
  get bpf(): Promise<Bpf> {
    this.#kernel ??= this.host.kernel();
    return this.#kernel;
  }

  /** A path in the kernel's file systems, from the root. */
  path(path: string): string {
    const parts: string[] = [];
    for (const part of `${path.startsWith('/') ? '' : `${this.host.directory}/`}${path}`.split('/')) {
      if (part === '..') parts.pop();
      else if (part !== '' && part !== '.') parts.push(part);
    }
    return `/${parts.join('/')}`;
  }

  /** Text for standard output. It is written by `flush`, or when much has come together. */
  print(text: string): void {
    this.#pending += text;
  }

  /** Writes what has come together. Commands with much output call it now and then. */
  async flush(): Promise<void> {
    if (this.#pending === '') return;
    const text = this.#pending;
    this.#pending = '';
    await this.host.out(text);
  }

  /** `Error: ...` on standard error, or an object in the JSON document. */
  async error(message: string): Promise<void> {
    if (this.json) {
      if (this.json.inObject) this.json.member('error', message);
      else this.json.value({ error: message });
      return;
    }
    await this.flush();
    await this.host.err(`Error: ${message}\n`);
  }

  /** Something worth knowing, on standard error; nothing with JSON. */
  async info(message: string): Promise<void> {
    if (this.json) return;
    await this.flush();
    await this.host.err(`${message}\n`);
  }

  /** The usage text on standard error; `null` in JSON. */
  async usage(table: CommandTable): Promise<void> {
    if (this.json) {
      this.json.scalar(null);
      return;
    }
    await this.flush();
    await this.host.err(`Usage: ${table.usage(this)}`);
  }

  /** JSON documents of commands that had nothing to say are `null`. */
  done(): void {
    this.json?.scalar(null);
  }
}

/** Runs the command that the next word names, and tells what went wrong. Gives back the exit status. */
export async function runCommand(tool: Tool, table: CommandTable, args: Arguments): Promise<number> {
  const word = args.peek;
  const command =
    word === undefined ? table.commands[0] : table.commands.find(({ name }) => isPrefix(word, name));
  const depth = tool.json?.depth ?? 0;
  try {
    if (!command) throw new UsageRequest();
    args.skip(word === undefined ? 0 : 1);
    return (await command.run(tool, args)) ?? 0;
  } catch (error) {
    if (error instanceof UsageRequest) {
      await tool.usage(table);
      return error.status;
    }
    const { message, status } = explained(error);
    await tool.error(message);
    return status;
  } finally {
    tool.json?.endTo(depth);
  }
}

/** What the user is told of an error, and the exit status. */
function explained(error: unknown): { message: string; status: number } {
  if (error instanceof ToolError) return error;
  if (error instanceof BpfError) return { message: error.message, status: statusOfErrno(error.errno) };
  if (error instanceof FileError) return { message: error.message, status: FAILED };
  if (!(error instanceof SkepError)) throw error;
  return { message: error.hint ? `${error.message}. ${error.hint}` : error.message, status: FAILED };
}
