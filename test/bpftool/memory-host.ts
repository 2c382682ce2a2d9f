// A host in memory: what a command wrote, and the files that it sees.

import type { Bpf } from '../../src/bpf/bpf.js';
import { FileError, type Host } from '../../src/bpftool/host.js';
import { runTool } from '../../src/bpftool/main.js';

export interface Outcome {
  status: number;
  stdout: string;
  stderr: string;
  /** Files that the command wrote. */
  written: Map<string, Uint8Array>;
}

export interface Surroundings {
  kernel: Bpf;
  /** Contents of a file of the user's; undefined when there is none. */
  file?: (path: string) => Uint8Array | undefined;
  /** The tool's name and version; those of the recordings unless told otherwise. */
  name?: string;
  version?: string;
  /** Ends commands that go on until then. */
  interrupted?: Promise<void>;
}

const bytes = (data: string | Uint8Array): Uint8Array =>
  typeof data === 'string' ? new TextEncoder().encode(data) : data;

/** Runs a command line, without the tool's name. */
export async function runLine(argv: readonly string[], surroundings: Surroundings): Promise<Outcome> {
  const { kernel, file, interrupted = new Promise<void>(() => {}) } = surroundings;
  const out: Uint8Array[] = [];
  let stderr = '';
  const written = new Map<string, Uint8Array>();
  const host: Host = {
    name: surroundings.name ?? 'bpftool',
    version: surroundings.version ?? '7.8.0',
    directory: '/work',
    kernel: async () => kernel,
    out: async (data) => {
      out.push(bytes(data));
    },
    err: async (text) => {
      stderr += text;
    },
    readFile: async (path) => {
      const content = file?.(path);
      if (content === undefined) throw new FileError('No such file or directory', 2);
      return content;
    },
    writeFile: async (path, content) => {
      if (path === '-') out.push(bytes(content));
      else written.set(path, bytes(content));
    },
    interrupted: () => interrupted,
    sleep: (milliseconds) =>
      Promise.race([new Promise<void>((resolve) => setTimeout(resolve, milliseconds)), interrupted]),
  };
  const status = await runTool(argv, host);
  return { status, stdout: Buffer.concat(out).toString(), stderr, written };
}
