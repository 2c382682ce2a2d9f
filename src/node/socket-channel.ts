// Node's sockets and named pipes as channels.

import { connect, type Socket } from 'node:net';
import type { ByteChannel, ChannelEvents } from '../remote/channel.js';

export class SocketChannel implements ByteChannel {
  readonly #socket: Socket;
  #error: Error | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    // Also before anybody listens: an error without a listener ends the process.
    socket.on('error', (error) => {
      this.#error = error;
    });
  }

  open({ received, drained, ended }: ChannelEvents): void {
    const socket = this.#socket;
    if (socket.destroyed) {
      queueMicrotask(() => ended(this.#error));
      return;
    }
    // A plain array, not a Buffer, whose slices share memory.
    socket.on('data', (bytes: Buffer) =>
      received(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)),
    );
    socket.on('drain', drained);
    socket.once('close', () => ended(this.#error));
  }

  send(bytes: Uint8Array): void {
    if (this.#socket.writable) this.#socket.write(bytes);
  }

  get unsent(): number {
    return this.#socket.writableLength;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    if (this.#socket.isPaused()) this.#socket.resume();
  }

  end(): void {
    // Who does not read must not keep it open.
    this.#socket.end();
    this.#socket.destroySoon();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

/** Why nobody is there. `stale`: somebody was, and has not tidied up. */
export type Absent = 'none' | 'stale';

/** Connects to a socket or pipe. Throws what is neither success nor absence. */
export async function dial(socket: string): Promise<SocketChannel | Absent> {
  for (let attempt = 0; ; attempt++) {
    try {
      return new SocketChannel(await connected(socket));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') return 'none';
      if (code === 'ECONNREFUSED') return 'stale';
      // More wait than the kernel has room for: it is busy.
      if ((code !== 'EAGAIN' && code !== 'EBUSY') || attempt > 200) throw error;
      await new Promise((resolve) => setTimeout(resolve, 10 + Math.random() * 40));
    }
  }
}

function connected(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve(socket);
    });
    socket.once('error', reject);
  });
}
