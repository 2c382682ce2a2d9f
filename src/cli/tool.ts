// bpftool's grammar on this machine: its files, its terminal, and the kernel that is meant.

import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { Errno, errnoMessage } from '../bpf/errno.js';
import { FileError, type Host } from '../bpftool/host.js';
import { runTool } from '../bpftool/main.js';
import { skepVersion } from '../node/version.js';
import type { Connection } from './connect.js';
import { write } from './output.js';
import type { ToolLine } from './tool-line.js';

/** The bpftool whose grammar is spoken. */
const BPFTOOL_VERSION = '7.8.0';

function fileError(cause: unknown): unknown {
  if (!(cause instanceof Error) || !('code' in cause)) return cause;
  const errno = (Errno as Readonly<Record<string, number>>)[String(cause.code)];
  return errno === undefined
    ? new FileError(cause.message, Errno.EIO)
    : new FileError(errnoMessage(errno), errno);
}

async function readStandardInput(): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Uint8Array);
  return Buffer.concat(chunks);
}

/** Resolves with the first signal that asks the process to end. Until this is called, signals end it at once. */
function interrupted(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve());
  });
}

/** Runs a line of bpftool's grammar and sets the exit status. */
export async function runToolLine({ name, kernel, argv }: ToolLine): Promise<void> {
  let connection: Promise<Connection> | undefined;
  let ending: Promise<void> | undefined;
  const end = (): Promise<void> => {
    ending ??= interrupted();
    return ending;
  };
  const host: Host = {
    name,
    version: name === 'bpftool' ? BPFTOOL_VERSION : skepVersion(),
    directory: process.cwd(),
    async kernel() {
      connection ??= import('./connect.js').then(({ connectKernel }) => connectKernel(kernel));
      return (await connection).bpf;
    },
    out: write,
    async err(text) {
      if (!process.stderr.write(text)) await once(process.stderr, 'drain');
    },
    async readFile(path) {
      try {
        return path === '-' ? await readStandardInput() : new Uint8Array(await readFile(path));
      } catch (cause) {
        throw fileError(cause);
      }
    },
    async writeFile(path, content) {
      if (path === '-') return write(content);
      try {
        await writeFile(path, content);
      } catch (cause) {
        throw fileError(cause);
      }
    },
    interrupted: end,
    async sleep(milliseconds) {
      let timer: NodeJS.Timeout | undefined;
      const over = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, milliseconds);
      });
      await Promise.race([over, end()]);
      clearTimeout(timer);
    },
  };
  try {
    process.exitCode = await runTool(argv, host);
  } finally {
    await connection?.then(
      (connected) => connected.release(),
      () => {},
    );
  }
}
