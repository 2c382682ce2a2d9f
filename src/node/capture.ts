// Captures of the host: read as streams of chunks, written through a sink with back-pressure.

import { type FileHandle, open } from 'node:fs/promises';
import { SkepError } from '../base/error.js';
import type { PacketBlock } from '../pcap/block.js';
import { type ReadOptions, readPackets } from '../pcap/reader.js';
import { fileError } from './file-error.js';

/** Bytes that one read asks for. */
const CHUNK = 1 << 18;

/** A file or standard input as chunks. Who does not read it to its end disposes of it. */
export interface ByteSource extends AsyncIterable<Uint8Array>, AsyncDisposable {
  /** Bytes handed out so far. */
  readonly position: number;
  /** Bytes in total; undefined where that is not known (pipes). */
  readonly size: number | undefined;
}

/** Opens a file for reading, or standard input for `-`. Throws a SkepError that names the file. */
export async function openSource(path: string): Promise<ByteSource> {
  if (path === '-') return new StreamSource(process.stdin);
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, 'r');
    const stat = await handle.stat();
    if (stat.isDirectory()) throw Object.assign(new Error(), { code: 'EISDIR' });
    return new FileSource(path, handle, stat.isFile() ? stat.size : undefined);
  } catch (error) {
    await handle?.close();
    throw fileError(path, error);
  }
}

class FileSource implements ByteSource {
  position = 0;
  readonly size: number | undefined;
  readonly #path: string;
  readonly #handle: FileHandle;

  constructor(path: string, handle: FileHandle, size: number | undefined) {
    this.#path = path;
    this.#handle = handle;
    this.size = size;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      for (;;) {
        // A new buffer each time: who reads may keep it.
        const { bytesRead, buffer } = await this.#handle.read(new Uint8Array(CHUNK), 0, CHUNK, null);
        if (bytesRead === 0) return;
        this.position += bytesRead;
        yield buffer.subarray(0, bytesRead);
      }
    } catch (error) {
      throw fileError(this.#path, error);
    } finally {
      await this.#handle.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }
}

class StreamSource implements ByteSource {
  position = 0;
  readonly size = undefined;
  readonly #stream: AsyncIterable<Uint8Array>;

  constructor(stream: AsyncIterable<Uint8Array>) {
    this.#stream = stream;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of this.#stream) {
      this.position += chunk.length;
      yield chunk;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** The packets of a capture: a file's, or those on standard input for `-`. Throws as readPackets does. */
export async function* readCapture(
  path: string,
  options: ReadOptions = {},
): AsyncGenerator<PacketBlock, void, undefined> {
  yield* readPackets(await openSource(path), options);
}

/** A new file for a PcapngWriter: what `write` took is on its way to the disk once `drain` has come back. */
export class FileSink {
  readonly path: string;
  readonly #handle: FileHandle;
  #pending: Uint8Array[] = [];

  private constructor(path: string, handle: FileHandle) {
    this.path = path;
    this.#handle = handle;
  }

  /** Creates or empties the file. Throws a SkepError that names it. */
  static async create(path: string): Promise<FileSink> {
    try {
      return new FileSink(path, await open(path, 'w'));
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
        throw new SkepError('there is no such folder', {
          where: path,
          hint: 'Make it first, or write elsewhere.',
          cause: error,
        });
      }
      throw fileError(path, error);
    }
  }

  /** Takes a chunk, which must not change afterwards. */
  readonly write = (chunk: Uint8Array): void => {
    this.#pending.push(chunk);
  };

  /** Waits until everything taken so far is written. */
  async drain(): Promise<void> {
    const chunks = this.#pending;
    this.#pending = [];
    try {
      for (const chunk of chunks) {
        for (let at = 0; at < chunk.length; ) at += (await this.#handle.write(chunk, at)).bytesWritten;
      }
    } catch (error) {
      throw fileError(this.path, error);
    }
  }

  /** Writes what is left and closes the file. */
  async close(): Promise<void> {
    try {
      await this.drain();
    } finally {
      await this.#handle.close();
    }
  }
}
